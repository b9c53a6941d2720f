"""Work-arounds for mmengine 0.10.7, each with its reason and the test that says when it can go."""

import logging
import os
import subprocess
from collections.abc import Callable

import mmengine.config.config
import torch
import torch.distributed
from mmengine import Config, Registry
from mmengine.dist import is_distributed


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


def _interrupted_by_itself(pretty_text: property) -> property:
    """Lets Ctrl-C be one while a configuration is formatted, where mmengine says that it is wrong.

    Goes with `test_ctrl_c_is_itself_while_a_configuration_is_formatted`.
    """

    def formatted(self: Config) -> str:
        try:
            return pretty_text.fget(self)
        except SyntaxError as error:
            raise error.__context__ or error from None

    return property(formatted)


def _remembering_parts(build: Callable) -> Callable:
    """Keeps with an exception the part of a configuration, `part`, that could not be built.

    mmengine says what went wrong in a class, and not where it was asked for. Goes with
    `test_a_run_that_cannot_be_is_refused_by_one_sentence_with_the_key`.
    """

    def remembering(self: Registry, cfg: dict, *args, **kwargs) -> object:
        try:
            return build(self, cfg, *args, **kwargs)
        except Exception as error:
            if not hasattr(error, 'part'):
                error.part = cfg
            raise

    return remembering


mmengine.config.config.FormatCode = _formatted_once(mmengine.config.config.FormatCode)
Config.pretty_text = _interrupted_by_itself(Config.pretty_text)
Registry.build = _remembering_parts(Registry.build)


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


def is_worth_reading(record: logging.LogRecord) -> bool:
    """Not one of the warnings of every run that its user can do nothing about.

    Goes with `test_training_and_testing_print_no_warning`.
    """
    return not record.getMessage().startswith(
        ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')
    )
