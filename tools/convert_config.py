"""Write a configuration of MMEditing or MMagic as one of this project."""

import argparse
import os
from pathlib import Path
from typing import Any

from mmengine import Config
from yapf.yapflib.yapf_api import FormatCode

from mmedit_gl.engine import generation, read_config, translate, wrapped
from mmedit_gl.errors import UserError, one_sentence_errors
from mmedit_gl.files import save_text
from mmedit_gl.shipped import CONFIGS

BASES = [
    CONFIGS / '_base_' / name
    for name in (
        'default_runtime.py',
        'models/gl.py',
        'datasets/places365.py',
        'schedules/gl_500k.py',
    )
]
STYLE = dict(
    based_on_style='facebook',
    column_limit=100,
    indent_closing_brackets=False,
    disable_ending_comma_heuristic=False,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('theirs', type=Path, help='a configuration file of MMEditing or MMagic')
    parser.add_argument('ours', type=Path, help='the file to write; it is not there yet')
    return parser.parse_args()


def difference(base: dict, ours: dict) -> dict:
    """What a file says that inherits `base` and is to be `ours`."""
    if base.keys() - ours.keys():
        return {'_delete_': True, **ours}
    result = {}
    for key, value in ours.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            if inner := difference(base[key], value):
                result[key] = inner
        elif key not in base or base[key] != value:
            result[key] = value
    return result


def source(value: Any) -> str:
    """A value as Python writes it, a dict as a call."""
    if isinstance(value, dict) and all(str(key).isidentifier() for key in value):
        return f'dict({", ".join(f"{key}={source(part)}" for key, part in value.items())})'
    if isinstance(value, list):
        return f'[{", ".join(map(source, value))}]'
    return repr(value)


def body(ours: dict, folder: Path) -> str:
    """What a file in `folder` that inherits from `_base_` has to say to be `ours`."""
    base, lines = {}, [f'_base_ = {source([os.path.relpath(file, folder) for file in BASES])}']
    for file in BASES:
        base |= Config.fromfile(file).to_dict()
    base = {key: value for key, value in base.items() if not key.startswith('_')}
    # A key at the top can be emptied, not removed.
    ours = {key: value for key, value in ours.items() if value is not None or key in base}
    parts = difference(base, dict.fromkeys(base) | ours)
    for key, value in parts.items():
        val = key.replace('test_', 'val_')
        is_same = key != val and parts.get(val) == value and base.get(val) == base.get(key)
        lines.append(f'{key} = {val if is_same else source(value)}')
    return FormatCode('\n'.join(lines), style_config=STYLE)[0]


def main() -> None:
    args = parse_args()
    theirs = read_config(args.theirs)
    if not (project := generation(theirs)):
        raise UserError(f'{args.theirs} is no configuration of MMEditing or MMagic: nothing to do')
    if args.ours.exists():
        raise UserError(f'{args.ours} is there already: give another name, or remove it')
    ours, notes = translate(theirs.to_dict())
    print(wrapped(notes, ''))
    header = dict(
        Source=[f'{args.theirs.name}, a configuration of {project}'],
        Expected=['not yet measured'],
        Command=['python tools/train.py CONFIG'],
    )
    text = f'# Global&Local by the recipe of {args.theirs.name}.\n{wrapped(header | notes, "#   ")}'
    folder = args.ours.resolve().parent
    save_text(f'{text}\n{body(ours, folder)}', args.ours)
    print(f'Written: {args.ours}')


if __name__ == '__main__':
    with one_sentence_errors():
        main()
