"""Learning rates as MMEditing 0.x says them: a policy, and a warm-up by which it is multiplied."""

import inspect
from collections.abc import Sequence
from itertools import accumulate
from math import cos, inf, pi

from mmengine.optim import _ParamScheduler

from mmedit_gl.errors import UserError, check_count
from mmedit_gl.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class PolicyLR(_ParamScheduler):
    """The rate at every iteration in closed form, of the optimizer's own `base`.

    `policy` is one of `POLICIES`, and `arguments` are what it takes after `done` and `base`. Before
    `warmup_iters` the rate is multiplied by `warmup_ratio`: `'constant'`, or rising to 1
    `'linear'`ly or `'exp'`onentially. From `end` on, by default that of the run, it stays. Like all
    of mmengine's schedules it wants `by_epoch=False`; those go on from the rate of the one before,
    and so cannot say the warm-up of a rate that does not fall to zero. Raises `UserError` for
    arguments that are no sense.
    """

    def __init__(
        self,
        optimizer: object,
        policy: str,
        warmup: str | None = None,
        warmup_iters: int = 0,
        warmup_ratio: float = 0.1,
        end: int | float = inf,
        last_step: int = -1,
        by_epoch: bool = True,
        **arguments,
    ):
        if policy not in list(POLICIES):
            raise UserError(f'PolicyLR: expected policy in {list(POLICIES)}, got {policy!r}')
        signature = inspect.signature(POLICIES[policy])
        try:
            signature.bind(0, 1, **arguments)
        except TypeError as error:
            expected = ', '.join([*signature.parameters][2:]) or 'nothing'
            raise UserError(f'PolicyLR: policy {policy!r}: {error}, expected {expected}') from None
        if warmup not in (None, *WARM_UPS):
            raise UserError(f'PolicyLR: expected warmup in {list(WARM_UPS)}, got {warmup!r}')
        if warmup:
            check_count('PolicyLR: warmup_iters', warmup_iters)
            if not 0 < warmup_ratio <= 1:
                raise UserError(f'PolicyLR: expected warmup_ratio in (0, 1], got {warmup_ratio}')
        self.policy, self.arguments = policy, arguments
        self.warmup, self.warmup_iters, self.warmup_ratio = warmup, warmup_iters, warmup_ratio
        super().__init__(optimizer, 'lr', end=end, last_step=last_step, by_epoch=by_epoch)

    def _get_value(self) -> list[float]:
        done, factor = self.last_step, 1.0
        if self.warmup and done < self.warmup_iters:
            factor = WARM_UPS[self.warmup](done / self.warmup_iters, self.warmup_ratio)
        rate = POLICIES[self.policy]
        return [factor * rate(done, base, **self.arguments) for base in self.base_values]


def fixed(done: int, base: float) -> float:
    return base


def step(
    done: int, base: float, step: int | list[int], gamma: float = 0.1, min_lr: float | None = None
) -> float:
    """Times `gamma` every `step` iterations, or after each number of them, down to `min_lr`."""
    drops = done // step if isinstance(step, int) else sum(done >= at for at in step)
    return max(base * gamma**drops, -inf if min_lr is None else min_lr)


def exponential(done: int, base: float, gamma: float) -> float:
    return base * gamma**done


def inverse(done: int, base: float, gamma: float, power: float = 1.0) -> float:
    return base * (1 + gamma * done) ** -power


def polynomial(
    done: int, base: float, max_iters: int, power: float = 1.0, min_lr: float = 0.0
) -> float:
    return min_lr + (base - min_lr) * (1 - done / max_iters) ** power


def linear(
    done: int, base: float, max_iters: int, target_lr: float = 0, start: int = 0, interval: int = 1
) -> float:
    """To `target_lr` from `start` on, in a stair whose steps have `interval` iterations."""
    stairs = (max_iters - start) // interval
    return base + (target_lr - base) * (max(0, done - start) // interval) / max(stairs, 1)


def cosine(
    done: int,
    base: float,
    max_iters: int,
    min_lr: float | None = None,
    min_lr_ratio: float | None = None,
) -> float:
    """Half a wave down to `min_lr`, or to `min_lr_ratio` of where it began."""
    return restarting_cosine(done, base, [max_iters], [1], min_lr, min_lr_ratio)


def restarting_cosine(
    done: int,
    base: float,
    periods: Sequence[int],
    restart_weights: Sequence[float] = (1,),
    min_lr: float | None = None,
    min_lr_ratio: float | None = None,
) -> float:
    """Half a wave for each of `periods`, the heights of which are weighted."""
    if (min_lr is None) == (min_lr_ratio is None) or len(periods) != len(restart_weights):
        raise UserError(
            'PolicyLR: expected either min_lr or min_lr_ratio, and a weight for each period'
        )
    end = base * min_lr_ratio if min_lr is None else min_lr
    ends = list(accumulate(periods))
    number = min(sum(done >= after for after in ends), len(periods) - 1)
    part = min(1 - (ends[number] - done) / periods[number], 1)
    return end + restart_weights[number] * (base - end) * (1 + cos(pi * part)) / 2


POLICIES = dict(
    Fixed=fixed,
    Step=step,
    Exp=exponential,
    Inv=inverse,
    Poly=polynomial,
    Linear=linear,
    CosineAnnealing=cosine,
    CosineRestart=restarting_cosine,
)
# What is done of the warm-up, and where it began, to a factor.
WARM_UPS = dict(
    constant=lambda part, ratio: ratio,
    linear=lambda part, ratio: 1 - (1 - part) * (1 - ratio),
    exp=lambda part, ratio: ratio ** (1 - part),
)
