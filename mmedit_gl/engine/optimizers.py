"""One optimizer for each network, in full or mixed precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, OptimWrapperDict
from torch import nn

from mmedit_gl.errors import UserError, check_count, check_number, configures
from mmedit_gl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MultiOptimWrapperConstructor:
    """Builds `optim_wrapper=dict(generator=dict(...), disc=dict(...))`.

    Each entry is the configuration of an optimizer wrapper for the model's network of that name;
    None leaves it out. Its `paramwise_cfg` is that of mmengine, by names within the network. Raises
    `UserError` for a name that the model does not have, and for a rate, a bound or a number of
    steps that is none.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        if paramwise_cfg is not None:  # mmengine's place for it
            raise UserError(
                'paramwise_cfg: expected in generator or disc, whose parameters it is about'
            )
        self.optim_wrapper_cfg = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        wrappers = {}
        for name, cfg in self.optim_wrapper_cfg.items():
            if cfg is None:
                continue
            if getattr(model, name, None) is None:
                raise UserError(
                    f'optim_wrapper names {name!r}, which the model does not have: set '
                    f'optim_wrapper.{name}=None, or give the model a network of that name'
                )
            with configures(f'{name}.optimizer.type'):
                if isinstance(kind := cfg['optimizer']['type'], str) and kind not in OPTIMIZERS:
                    raise UserError(f"expected an optimizer of torch, as 'Adam', got {kind!r}")
            with configures(name):
                cfg = dict(cfg)
                paramwise_cfg = cfg.pop('paramwise_cfg', None)
                build = DefaultOptimWrapperConstructor(cfg, paramwise_cfg)
                wrappers[name] = build(getattr(model, name))
                _check_numbers(wrappers[name])
        return OptimWrapperDict(**wrappers)


def _check_numbers(wrapper: OptimWrapper) -> None:
    """Raises `UserError` for numbers that would fail at a step, or make one that goes uphill."""
    check_count('accumulative_counts', wrapper._accumulative_counts)
    for group in wrapper.optimizer.param_groups:
        for key, value in group.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                check_number(f'optimizer.{key}', value, 0)
    if clip_grad := wrapper.clip_grad_kwargs:
        with configures('clip_grad'):
            signature(wrapper.clip_func).bind(None, **clip_grad)
            for key in ('max_norm', 'norm_type', 'clip_value'):
                value = clip_grad.get(key, 1)
                # An infinite bound is for the log, which has the norm then.
                if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
                    raise UserError(f'{key}: expected a number above 0, got {value!r}')


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(OptimWrapper):
    """Forward passes in bfloat16, on a CPU too; its range is that of float32: no loss scaling.

    mmengine's wrapper of this name refuses a CPU. Goes with `test_amp_trains_on_cpu`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
