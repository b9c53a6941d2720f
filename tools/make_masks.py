"""Draw a set of masks with equal numbers in ranges of the hole's share of the picture."""

import argparse
import json
import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from rich.progress import MofNCompleteColumn, Progress

from mmedit_gl.datasets import bbox2mask, free_form_mask, irregular_mask, random_bbox
from mmedit_gl.errors import UserError, one_sentence_errors
from mmedit_gl.files import make_folder, saying

MAX_ATTEMPTS = 1000
LIST, STATISTICS, UNFINISHED = 'list.txt', 'masks.json', 'unfinished.part'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='the folder to make, e.g. masks/irregular')
    parser.add_argument('--kind', choices=['bbox', 'irregular', 'ff'], required=True)
    parser.add_argument(
        '--size', nargs=2, type=int, default=[256, 256], metavar=('HEIGHT', 'WIDTH')
    )
    parser.add_argument('--count', type=int, required=True, help='the number of masks in all')
    parser.add_argument(
        '--ratios',
        nargs='+',
        type=float,
        default=[0.1, 0.2, 0.3, 0.4, 0.5],
        metavar='SHARE',
        help='the ends of the ranges, each from one (included) to the next (excluded); '
        'default: 0.1 0.2 0.3 0.4 0.5',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--margin', type=int, help='pixels between a box and the border; for --kind bbox, default 0'
    )
    return parser.parse_args()


def check(args: argparse.Namespace) -> None:
    ends = [0, *args.ratios]
    if len(ends) < 3 or ends[-1] > 1 or not all(low < high for low, high in pairwise(ends)):
        raise UserError(f'--ratios: expected two or more that rise within (0, 1], got {ends[1:]}')
    if args.count < len(args.ratios) - 1:
        raise UserError(f'--count: expected one mask a range of --ratios or more, got {args.count}')
    if min(args.size) < 1 or args.seed < 0 or (args.margin or 0) < 0:
        raise UserError('expected a --size of 1 or more, and --seed and --margin of 0 or more')
    if args.margin is not None and args.kind != 'bbox':
        raise UserError(f'--margin is for --kind bbox: leave it out for {args.kind}')
    folder = args.folder
    if folder.exists() and not (folder.is_dir() and set(folder.iterdir()) <= {folder / UNFINISHED}):
        raise UserError(f'{args.folder} is there and no empty folder: name a new one')


def ratio_bbox(
    rng: np.random.Generator, size: tuple[int, int], low: float, high: float, margin: int
) -> tuple[int, int, int, int]:
    """A box (top, left, height, width) with a share of the picture drawn from `[low, high)`.

    As parts of the picture's, its height and width are within a factor of 2 where the margin lets
    them. Raises `UserError` if the margin leaves too little.
    """
    room = [1 - 2 * margin / side for side in size]
    if min(room) <= 0 or low > np.prod(room):
        raise UserError(f'a margin of {margin} leaves too little of {size[0]}x{size[1]} pixels')
    share = rng.uniform(low, min(high, np.prod(room)))
    ends = np.clip(np.sqrt([share / 2, share * 2]), share / room[1], room[0])
    height = np.exp(rng.uniform(*np.log(ends)))
    shape = tuple(max(1, round(part * side)) for part, side in zip((height, share / height), size))
    return random_bbox(rng, size, shape, min_margin=margin)


def draw(args: argparse.Namespace, number: int) -> np.ndarray:
    """Mask `number` of a seed, of whatever count; the ranges take turns."""
    rng, size = np.random.default_rng((args.seed, number)), tuple(args.size)
    i = number % (len(args.ratios) - 1)
    low, high = args.ratios[i : i + 2]
    # The defaults are for 256x256 pixels, and seldom cover more than 0.4 of them.
    thin, thick, long = (max(1, round(side * np.hypot(*size) / 362)) for side in (12, 40, 100))
    max_loops = max(4, round(16 * high)) + 1
    widths = dict(brush_width=(thin, thick + 1))
    brush = dict(num_vertices=(4, 13), **widths, max_loops=max_loops, mirrored=True)
    # So many strokes, of which each covers a sixteenth of what the others leave.
    few, many = (round(-16 * np.log(1 - min(ratio, 0.98))) for ratio in (low, high))
    strokes = dict(num_vertices=(max(1, few), many + 2), length_range=(thin, long + 1), **widths)
    for _ in range(MAX_ATTEMPTS):
        try:
            if args.kind == 'bbox':
                mask = bbox2mask(size, ratio_bbox(rng, size, low, high, args.margin or 0))
            elif args.kind == 'irregular':
                mask = irregular_mask(rng, size, area_ratio_range=(low, high), **strokes)
            else:
                mask = free_form_mask(rng, size, **brush)
        except UserError:
            break
        if low <= mask.mean() < high:
            return mask
    raise UserError(
        f'no {args.kind} mask of {size[0]}x{size[1]} pixels was found whose hole is {low:g} to '
        f'{high:g} of the picture: give other --ratios{", or less --margin" if args.margin else ""}'
    )


def write(args: argparse.Namespace, folder: Path) -> None:
    """Draw all masks into a new folder, with their list and their statistics."""
    folder.mkdir()
    shares = {}
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        for number in progress.track(range(args.count), description='Drawing'):
            mask = draw(args, number)
            name = f'{number:06d}.png'
            (folder / name).write_bytes(cv2.imencode('.png', 255 * mask)[1])
            shares[name] = float(mask.mean())
    (folder / LIST).write_text(''.join(f'{name}\n' for name in shares), encoding='utf-8')
    bins = []
    for i, ends in enumerate(pairwise(args.ratios)):
        own = list(shares.values())[i :: len(args.ratios) - 1]
        bins.append(
            dict(ratios=ends, count=len(own), mean=np.mean(own), min=min(own), max=max(own))
        )
    arguments = {name: value for name, value in vars(args).items() if name != 'folder'}
    statistics = dict(arguments=arguments, bins=bins, shares=shares)
    (folder / STATISTICS).write_text(json.dumps(statistics, indent=2) + '\n', encoding='utf-8')


def main() -> None:
    args = parse_args()
    check(args)
    is_new, unfinished = not args.folder.exists(), args.folder / UNFINISHED
    try:
        make_folder(args.folder)
        with saying(f'cannot write {args.folder}'):
            shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
            write(args, unfinished)
            # The folder itself stays, for a shell may be in it; the masks come before their list.
            for path in sorted(unfinished.iterdir()):
                path.replace(args.folder / path.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if is_new and args.folder.is_dir() and not any(args.folder.iterdir()):
            args.folder.rmdir()
    print(f'{args.count} masks are in {args.folder}, listed in {args.folder / LIST}')


if __name__ == '__main__':
    with one_sentence_errors():
        main()
