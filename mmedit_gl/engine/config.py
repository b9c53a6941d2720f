"""Configuration files, refused where they say what nobody reads."""

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from ast import literal_eval
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine import Config, DictAction
from mmengine.utils import import_modules_from_strings

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
    there or cannot be read, and for options that mean something in a file alone.
    """
    path = _find(Path(path))
    tree = {}
    for key, value in (options or {}).items():
        _check_option(key, value)
        *parts, name = key.split('.')
        place = tree
        for part in parts:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UserError(
                    f'option {key}: {part} has another option, {place!r}: give one of both'
                )
        place[name] = value
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)  # an option may name them
        for name in [name for name, value in cfg.items() if callable(value)]:
            cfg.pop(name)  # what a file in pure Python has imported
    except Exception as error:
        raise UserError(f'cannot read the configuration {path}: {in_words(error)}') from error
    for key, value in tree.items():
        cfg._cfg_dict[key] = _over(cfg.get(key), value, key)  # cfg[key] would build lazy objects
    if modules := cfg.get('custom_imports'):
        _import(modules)
    return cfg


def _check_option(key: str, value: Any) -> None:
    """Raises `UserError` for what is obeyed only while the file is read, by mmengine or itself."""
    if key.startswith('_') or key.partition('.')[0] == 'vis_backends':
        raise UserError(
            f'option {key}: a name of this kind has an effect in a file alone: give the keys that '
            'it sets there, or write a file that inherits by _base_'
        )
    if words := re.findall(r'\{\{.*?\}\}', str(value)):
        raise UserError(
            f'option {key}: {words[0]} is replaced in a file alone: give what it stands for'
        )


def _over(old: Any, new: Any, key: str) -> Any:
    """A value with that of an option over it: dicts key by key, lists by their places.

    `_delete_=True` takes away what was there, in lists and new places too, where mmengine keeps it.
    """
    if not isinstance(new, dict):
        return new
    new = dict(new)
    if new.pop('_delete_', False) or old is None:
        old = {}
    if not isinstance(old, dict | list):
        raise UserError(
            f'option {key}: expected a dict for {", ".join(new)}, got {old!r}: set '
            f'{key}._delete_=True to replace it'
        )
    result = old.copy()
    for name, value in new.items():
        place = name
        if isinstance(old, list):
            if name not in map(str, range(len(old))):
                raise UserError(f'option {key}.{name}: expected a place from 0 to {len(old) - 1}')
            place = int(name)
        was = old.get(name) if isinstance(old, dict) else old[place]
        result[place] = _over(was, value, f'{key}.{name}')
    return result


def _import(modules: Any) -> None:
    try:
        import_modules_from_strings(**modules)
    except Exception as error:
        reason = ' '.join(str(error.__context__ or error).split())
        raise UserError(
            f'custom_imports: expected dict(imports=[...]) of modules that Python finds, as by '
            f'PYTHONPATH, got {modules!r} ({reason})'
        ) from error


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
