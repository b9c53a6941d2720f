"""What surrounds the model in a run."""

from .checkpoint import best_weights, load_weights, local_file, read_checkpoint, sha256
from .config import load_config
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
from .optimizers import AmpOptimWrapper, MultiOptimWrapperConstructor
from .runner import Runner, TrainLoop, checkpoints

__all__ = [
    'AmpOptimWrapper',
    'CheckpointHook',
    'CompletionsHook',
    'EMAHook',
    'LoggerHook',
    'MetricsHook',
    'MultiOptimWrapperConstructor',
    'PhaseHook',
    'Runner',
    'RuntimeInfoHook',
    'SkippedImagesHook',
    'TestProgressHook',
    'TrainLoop',
    'TrainSamplesHook',
    'best_weights',
    'checkpoints',
    'leave_processes',
    'load_config',
    'load_weights',
    'local_file',
    'read_checkpoint',
    'sha256',
]
