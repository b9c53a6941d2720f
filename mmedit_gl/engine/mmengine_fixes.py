"""Work-arounds for mmengine 0.10.7, each with its reason and the test that says when it can go."""

import logging
import os
import pickle
import subprocess
from contextlib import AbstractContextManager

import numpy as np
import torch
import torch.distributed
from mmengine.dist import barrier, is_distributed
from mmengine.logging import HistoryBuffer
from torch.serialization import safe_globals


def _history_buffer_method(owner: type, name: str):
    """`builtins.getattr` of a checkpoint, for the statistics of a HistoryBuffer alone."""
    if owner is not HistoryBuffer or name not in HistoryBuffer._statistics_methods:
        raise pickle.UnpicklingError(f'a checkpoint may not ask for getattr({owner!r}, {name!r})')
    return getattr(HistoryBuffer, name)


def allow_message_hub() -> AbstractContextManager:
    """Lets `torch.load(..., weights_only=True)` read the log that mmengine saves with the weights.

    Goes with `test_checkpoint_of_a_run_loads_with_weights_only`.
    """
    HistoryBuffer()  # fills HistoryBuffer._statistics_methods
    scalar_dtypes = [type(np.dtype(code)) for code in (np.float64, np.float32, np.int64, np.bool_)]
    reconstruct = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray
    names = ('numpy._core.multiarray', 'numpy.core.multiarray')
    return safe_globals(
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *scalar_dtypes,
            *((reconstruct._reconstruct, f'{name}._reconstruct') for name in names),
            *((reconstruct.scalar, f'{name}.scalar') for name in names),
            (_history_buffer_method, 'builtins.getattr'),
        ]
    )


def init_gloo(launcher: str) -> None:
    """Starts the process group of a distributed run without GPUs.

    mmengine selects a GPU whatever the backend. Goes with `test_two_processes_train_on_cpu` and
    `test_slurm_starts_the_processes_of_a_run`.
    """
    if launcher not in ('pytorch', 'slurm') or torch.cuda.is_available() or is_distributed():
        return
    if launcher == 'slurm':
        env = os.environ
        if 'MASTER_ADDR' not in env:
            command = ['scontrol', 'show', 'hostnames', env['SLURM_NODELIST']]
            env['MASTER_ADDR'] = subprocess.check_output(command, text=True).split()[0]
        env.setdefault('MASTER_PORT', '29500')
        env.update(RANK=env['SLURM_PROCID'], WORLD_SIZE=env['SLURM_NTASKS'])
    torch.distributed.init_process_group('gloo')


def leave_processes() -> None:
    """Ends the process group of a distributed run, once all processes are here.

    mmengine leaves it to the interpreter's end, of which NCCL warns, and there one process may be
    gone while another still listens to it. Goes with `test_two_processes_train_on_cpu`.
    """
    if is_distributed():
        barrier()
        torch.distributed.destroy_process_group()


def is_worth_reading(record: logging.LogRecord) -> bool:
    """Not one of the warnings of every run that its user can do nothing about.

    Goes with `test_a_run_prints_no_warning`.
    """
    return not record.getMessage().startswith(
        ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')
    )
