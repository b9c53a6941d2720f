"""What makes a run the one that it is: its configuration, kept in checkpoints and compared."""

import reprlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import chain

from mmedit_gl.errors import UserError

# What a run may be gone on with in another way, all of which then has its effect. `*` matches dots.
MAY_CHANGE = (
    *('train_cfg.max_iters', 'train_cfg.val_interval', 'val_*', 'test_*'),
    *('default_hooks*', 'custom_hooks*', 'custom_imports*', 'log_*', 'vis*', 'experiment_name'),
    *('env_cfg*', 'compile*', 'launcher', 'load_from', 'resume', 'work_dir'),
    *('randomness.deterministic', '_*'),  # an underscore begins names of the file's own
    *(
        f'train_dataloader.{key}'
        for key in (
            *('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor', 'timeout'),
            *('multiprocessing_context', 'dataset.*data_root', 'dataset.*data_prefix*'),
            *('dataset.*ann_file', 'dataset.*backend_args*', 'batch_size'),  # see `_check_step`
            *(f'dataset.*pipeline.*.{key}' for key in ('mask_dir', 'mask_list_file', 'prefix')),
        )
    ),
)

# The part of a schedule's state that moves; the rest is what it is.
MOVING = {
    *('last_step', '_global_step', '_last_value', 'verbose'),
    *('best', 'num_bad_epochs', 'cooldown_counter'),
}


class _Absent:
    def __repr__(self) -> str:
        return 'no value'


ABSENT = _Absent()


def identity(configuration: dict, schedules: dict | None, seed: int, step_size: int) -> dict:
    """What makes a run the one that it is, in dicts, lists, numbers and strings.

    `schedules` are built ones, in lists by their optimizer's name; `step_size` is the number of
    pictures of an iteration, in all its processes.
    """
    randomness = {**configuration.get('randomness', {}), 'seed': seed}
    states = {
        name: [{'end': schedule.end, **schedule.state_dict()} for schedule in some]
        for name, some in (schedules or {}).items()
        if some
    }
    for state in chain(*states.values()):
        for key in MOVING & state.keys():
            del state[key]
    return _plain(
        dict(
            configuration={**configuration, 'randomness': randomness},
            schedules=states,
            step_size=step_size,
        )
    )


def check_same_run(source: str, saved: dict, given: dict) -> None:
    """Raise `UserError` where a run would not be the one that the checkpoint `source` is of.

    `saved` and `given` are their `identity`.
    """
    _check_step(source, saved, given)
    old, new = saved['configuration'], given['configuration']
    ends = old['train_cfg']['max_iters'], new['train_cfg']['max_iters']
    schedules = list(_differences(saved['schedules'], given['schedules'], 'param_scheduler'))
    # A schedule may end with its run, sooner or later, if that is all.
    if all(key.endswith('.end') and (was, now) == ends for key, was, now in schedules):
        schedules = []
    free = list(MAY_CHANGE)
    if not schedules:  # which may be written in another way
        free.append('param_scheduler*')
    fixed = (
        found
        for found in _differences(old, new)
        if not any(fnmatchcase(found[0], pattern) for pattern in free)
    )
    for key, was, now in chain(fixed, schedules):
        raise UserError(
            f'{key}: the run of {source} has {reprlib.repr(was)}, the configuration '
            f'{reprlib.repr(now)}; leave it as it was to go on, or start a new run from its '
            'weights by --load-from'
        )


def _check_step(source: str, saved: dict, given: dict) -> None:
    """Raise `UserError` where an iteration has not as many pictures.

    Twice as many processes have half the batch each. The number of iterations says which pictures
    were drawn, so that others would be left out or come again.
    """
    was, now = saved['step_size'], given['step_size']
    if was == now:
        return
    loaders = [run['configuration']['train_dataloader'] for run in (saved, given)]
    batches = [loader.get('batch_size', 1) for loader in loaders]
    processes = now // batches[1]
    batch, rest = divmod(was, processes)
    remedy = f'set it to {batch}' if not rest else f'start a number of processes that divides {was}'
    raise UserError(
        f'train_dataloader.batch_size: an iteration of the run of {source} takes {was} pictures '
        f'({_times(was // batches[0], batches[0])}), and this one {now} '
        f'({_times(processes, batches[1])}); {remedy} to go on, or start a new run from its '
        'weights by --load-from'
    )


def _times(processes: int, batch_size: int) -> str:
    return f'{processes} process{"es" * (processes > 1)} with {batch_size}'


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if type(value) in (bool, int, float, str, type(None)) else repr(value)


def _differences(was: object, now: object, key: str = '') -> Iterator[tuple]:
    """The dotted keys at which two plain values part, each with what is there."""
    lists = isinstance(was, list) and isinstance(now, list)
    if lists and any(isinstance(item, dict) for item in [*was, *now]):
        was, now = dict(enumerate(was)), dict(enumerate(now))
    if isinstance(was, dict) and isinstance(now, dict):
        for name in {**now, **was}:
            parts = was.get(name, ABSENT), now.get(name, ABSENT)
            yield from _differences(*parts, f'{key}.{name}' if key else str(name))
    elif was != now:
        yield key, was, now
