"""Work-arounds for mmengine 0.10.7, each with its reason and the test that says when it can go."""

import logging
import os
import subprocess
from collections.abc import Callable

import mmengine.config.config
import torch
import torch.distributed
from mmengine.dist import barrier, is_distributed


def _formatted_once(format_code: Callable) -> Callable:
    """Remembers what a text becomes, of the few texts that a run's configuration has.

    mmengine formats it four times a run, which takes yapf up to three seconds each. Goes with
    `test_a_configuration_is_formatted_once`.
    """
    formatted = {}

    def remembered(text: str, **options) -> tuple[str, bool]:
        if text not in formatted:
            formatted[text] = format_code(text, **options)
        return formatted[text]

    return remembered


mmengine.config.config.FormatCode = _formatted_once(mmengine.config.config.FormatCode)


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
