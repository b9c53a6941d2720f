"""What surrounds the model in a run."""

from .config import Options, load_config, read_config
from .hooks import (
    CheckpointHook,
    CompletionsHook,
    EMAHook,
    LocalVisBackend,
    LoggerHook,
    MetricsHook,
    PhaseHook,
    RuntimeInfoHook,
    SkippedImagesHook,
    TestProgressHook,
    TrainSamplesHook,
)
from .openmmlab_configs import generation, translate
from .optimizers import AmpOptimWrapper, MultiOptimWrapperConstructor
from .processes import PictureLoader, shared_work
from .runner import Runner, TrainLoop, checkpoints
from .schedules import PolicyLR
from .translation import wrapped

__all__ = [
    'AmpOptimWrapper',
    'CheckpointHook',
    'CompletionsHook',
    'EMAHook',
    'LocalVisBackend',
    'LoggerHook',
    'MetricsHook',
    'MultiOptimWrapperConstructor',
    'Options',
    'PhaseHook',
    'PictureLoader',
    'PolicyLR',
    'Runner',
    'RuntimeInfoHook',
    'SkippedImagesHook',
    'TestProgressHook',
    'TrainLoop',
    'TrainSamplesHook',
    'checkpoints',
    'generation',
    'load_config',
    'read_config',
    'shared_work',
    'translate',
    'wrapped',
]
