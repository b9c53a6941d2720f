"""Check a folder of one's own pictures, and split it into lists for training and validation."""

import argparse
import hashlib
from itertools import compress
from pathlib import Path

import numpy as np

from mmedit_gl.datasets.names import RARE_SUFFIXES, SUFFIXES, Names
from mmedit_gl.datasets.preparation import (
    add_options,
    file_errors,
    link,
    prepare,
    scan,
)
from mmedit_gl.datasets.progress import progress_bar
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


def lot(name: str, seed: int) -> int:
    """A random place in the order of pictures, of a name alone: other pictures do not move it."""
    digest = hashlib.sha256(f'{seed} {name}'.encode(errors='replace')).digest()
    return int.from_bytes(digest[:8], 'big')


def main() -> None:
    args = parse_args()
    if not 0 < args.val < 1:
        raise UserError(f'expected --val between 0 and 1, got {args.val}')
    names = scan(args.pictures, suffixes=SUFFIXES + RARE_SUFFIXES)
    if len(names) < 2:
        raise UserError(f'one picture in {args.pictures}: a split needs two at least')
    with progress_bar() as progress:
        lots = (lot(name, args.seed) for name in names)
        lots = progress.track(lots, len(names), description='Splitting')
        order = np.argsort(np.fromiter(lots, np.uint64), kind='stable')
    is_val = np.zeros(len(names), bool)
    is_val[order[: min(max(1, round(args.val * len(names))), len(names) - 1)]] = True
    prefix = link(args.pictures, args.out)
    lists = {
        'train_list.txt': Names(compress(names, ~is_val)).below(prefix),
        'val_list.txt': Names(compress(names, is_val)).below(prefix),
    }
    prepare(lists, args)


if __name__ == '__main__':
    with one_sentence_errors(), file_errors():
        main()
