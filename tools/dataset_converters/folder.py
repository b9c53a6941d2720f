"""Check a folder of one's own pictures, and split it into lists for training and validation."""

import argparse
import hashlib
from pathlib import Path

from mmedit_gl.datasets.image_dataset import find_pictures
from mmedit_gl.datasets.preparation import add_options, file_errors, link, prepare
from mmedit_gl.errors import UserError, one_sentence_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('pictures', type=Path, help='the folder; its subfolders belong to it')
    parser.add_argument(
        '--val',
        type=float,
        default=0.05,
        metavar='SHARE',
        help='the share of the pictures that is kept for validation (default: 0.05)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, metavar='N', help='another one, another split'
    )
    add_options(parser, out='data/my_pictures')
    return parser.parse_args()


def lot(name: str, seed: int) -> bytes:
    """A random place in the order of pictures, of a name alone: other pictures do not move it."""
    return hashlib.sha256(f'{seed} {name}'.encode(errors='replace')).digest()


def main() -> None:
    args = parse_args()
    if not 0 < args.val < 1:
        raise UserError(f'expected --val between 0 and 1, got {args.val}')
    paths = find_pictures(args.pictures)
    if len(paths) < 2:
        raise UserError(f'one picture in {args.pictures}: a split needs two at least')
    names = [path.relative_to(args.pictures).as_posix() for path in paths]
    count = min(max(1, round(args.val * len(names))), len(names) - 1)
    val = set(sorted(names, key=lambda name: lot(name, args.seed))[:count])
    prefix = link(args.pictures, args.out)
    lists = {
        'train_list.txt': [prefix + name for name in names if name not in val],
        'val_list.txt': [prefix + name for name in names if name in val],
    }
    prepare(lists, args)


if __name__ == '__main__':
    with one_sentence_errors(), file_errors():
        main()
