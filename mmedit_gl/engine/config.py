"""Configuration files, refused where they say what nobody reads."""

import os
import sys
from argparse import ArgumentParser, Namespace
from ast import literal_eval
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine import Config, DictAction

from mmedit_gl.engine.openmmlab_configs import generation, translate
from mmedit_gl.engine.translation import wrapped
from mmedit_gl.errors import UserError, in_words, reason
from mmedit_gl.shipped import CONFIGS

KEYS = {
    'compile',
    'custom_hooks',
    'custom_imports',
    'default_hooks',
    'default_scope',
    'env_cfg',
    'launcher',
    'load_from',
    'log_level',
    'log_processor',
    'model',
    'optim_wrapper',
    'param_scheduler',
    'randomness',
    'resume',
    'sync_bn',
    'test_cfg',
    'test_dataloader',
    'test_evaluator',
    'train_cfg',
    'train_dataloader',
    'val_cfg',
    'val_dataloader',
    'val_evaluator',
    'vis_backends',
    'visualizer',
    'work_dir',
}


class Options(DictAction):
    """KEY=VALUE arguments of a command, a VALUE also a dict as Python writes it."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: list, option: str):
        try:
            super().__call__(parser, namespace, values, option)
        except Exception as error:
            parser.error(f'{option}: expected KEY=VALUE, got {" ".join(values)} ({reason(error)})')

    @staticmethod
    def _parse_iterable(value: str) -> Any:
        if value.startswith('{'):
            return literal_eval(value)
        if not set(value) & set(',[('):  # mmengine takes the spaces out of names too
            return DictAction._parse_int_float_bool(value.strip('\'"'))
        return DictAction._parse_iterable(value)


def load_config(path: str | Path, options: dict | None = None) -> Config:
    """A configuration to build from, as `read_config` gives it.

    One of MMEditing or MMagic is said in our words, after its `options`, and what that changes is
    printed. Raises `UserError` for top-level keys without an effect; those that begin with an
    underscore are the file's own.
    """
    cfg = read_config(path, options)
    if project := generation(cfg):
        ours, notes = translate(cfg.to_dict())
        if os.environ.get('RANK', '0') == os.environ.get('SLURM_PROCID', '0') == '0':
            title = f'{path} is a configuration of {project}, taken in the words of this project:'
            print(title, wrapped(notes, '  '), sep='\n', file=sys.stderr)
        return Config(ours, filename=cfg.filename)
    for key in cfg:
        if key not in KEYS and not key.startswith('_'):
            close = get_close_matches(key, KEYS, n=1, cutoff=0.8)
            hint = f'did you mean {close[0]!r}?' if close else f'expected one of {sorted(KEYS)}'
            raise UserError(
                f'unknown configuration key {key!r}: {hint}; a name of your own begins with _'
            )
    return cfg


def read_config(path: str | Path, options: dict | None = None) -> Config:
    """A configuration file with `options`, dotted keys and their values, put over it.

    `path` is a file or the name of one that the package ships: the end of its path, with or without
    `.py`, as `gl_256x256_8x12_places` or `photos/boxes`. Raises `UserError` for a file that is not
    there or cannot be read.
    """
    path = _find(Path(path))
    try:
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(options or {})
        for name in [name for name, value in cfg.items() if callable(value)]:
            cfg.pop(name)  # what a file in pure Python has imported
    except Exception as error:
        raise UserError(f'cannot read the configuration {path}: {in_words(error)}') from error
    return cfg


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    end = Path(str(path).removesuffix('.py')).parts
    places = sorted(file.relative_to(CONFIGS.parent) for file in CONFIGS.rglob('*.py'))
    shipped = [place.with_suffix('') for place in places if '_base_' not in place.parts]
    found = [place for place in shipped if place.parts[-len(end) :] == end]
    if len(found) == 1:
        return CONFIGS.parent / f'{found[0]}.py'
    if found:
        raise UserError(f'several configurations are named {path}: {", ".join(map(str, found))}')
    names = [place.name for place in shipped]
    close = get_close_matches(path.name.removesuffix('.py'), names) or names
    raise UserError(
        f'no configuration {path}: expected a Python file, or a name as {", ".join(close)}'
    )
