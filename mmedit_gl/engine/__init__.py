"""What surrounds the model in a run."""

from .config import Options, load_config, read_config
from .hooks import (
    CheckpointHook,
    CompletionsHook,
    EMAHook,
    LoggerHook,
    MetricsHook,
    PhaseHook,
    RuntimeInfoHook,
    SkippedImagesHook,
    TestProgressHook,
    TrainSamplesHook,
)
from .mmengine_fixes import leave_processes
from .openmmlab_configs import generation, translate
from .optimizers import AmpOptimWrapper, MultiOptimWrapperConstructor
from .runner import Runner, TrainLoop, checkpoints
from .translation import wrapped

__all__ = [
    'AmpOptimWrapper',
    'CheckpointHook',
    'CompletionsHook',
    'EMAHook',
    'LoggerHook',
    'MetricsHook',
    'MultiOptimWrapperConstructor',
    'Options',
    'PhaseHook',
    'Runner',
    'RuntimeInfoHook',
    'SkippedImagesHook',
    'TestProgressHook',
    'TrainLoop',
    'TrainSamplesHook',
    'checkpoints',
    'generation',
    'leave_processes',
    'load_config',
    'read_config',
    'translate',
    'wrapped',
]
