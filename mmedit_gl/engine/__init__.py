"""What surrounds the model in a run."""

from .checkpoint import load_weights, read_checkpoint
from .config import load_config
from .hooks import (
    CompletionsHook,
    MetricsHook,
    PhaseHook,
    SkippedImagesHook,
    TestProgressHook,
    TrainSamplesHook,
)
from .optimizers import AmpOptimWrapper, MultiOptimWrapperConstructor
from .runner import Runner, TrainLoop

__all__ = [
    'AmpOptimWrapper',
    'CompletionsHook',
    'MetricsHook',
    'MultiOptimWrapperConstructor',
    'PhaseHook',
    'Runner',
    'SkippedImagesHook',
    'TestProgressHook',
    'TrainLoop',
    'TrainSamplesHook',
    'load_config',
    'load_weights',
    'read_checkpoint',
]
