"""Complete a picture, or a folder of pictures, from the command line."""

import argparse
import sys
from pathlib import Path

import torch
from rich.progress import Progress

from mmedit_gl.apis import Inpainter
from mmedit_gl.errors import ImageError, UserError, one_sentence_errors
from mmedit_gl.evaluation import make_folder, strip
from mmedit_gl.pictures import (
    MAX_MEGAPIXELS,
    check_writable,
    picture_of,
    read_hole,
    read_picture,
    write_picture,
)

PICTURES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
MASKS = ('.png', '.jpg', '.jpeg', '.webp', '.bmp')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('image', type=Path, help='a picture, or a folder of pictures')
    parser.add_argument(
        'mask',
        type=Path,
        help='white, or painted on transparency, where the hole is; for a folder, one mask for all '
        'or a folder of masks, each named as its picture but for the suffix',
    )
    parser.add_argument(
        '-o', '--out', type=Path, required=True, help='file, or folder for a folder of pictures'
    )
    parser.add_argument('--overwrite', action='store_true', help='write over what is there')
    parser.add_argument('--config', help='default, with --checkpoint: the model of this package')
    parser.add_argument('--checkpoint', help='path or URL')
    parser.add_argument('--device', help='default: a GPU where there is one')
    parser.add_argument('--precision', choices=['fp32', 'bf16'], default='fp32')
    parser.add_argument(
        '--postprocess', action='store_true', help="the paper's: fast marching, Poisson cloning"
    )
    parser.add_argument(
        '--native',
        action='store_true',
        help='never reduce: holes wider than those in training come out blurred in the middle',
    )
    parser.add_argument('--invert-mask', action='store_true', help='the hole is black')
    parser.add_argument(
        '--resize-mask', action='store_true', help='accept a mask of another size than the picture'
    )
    parser.add_argument('--max-megapixels', type=float, default=MAX_MEGAPIXELS, metavar='N')
    parser.add_argument(
        '--save-strips', type=Path, metavar='DIR', help='write original | masked | completed too'
    )
    return parser.parse_args()


def find_jobs(args: argparse.Namespace) -> list[tuple[Path, Path | None, Path]]:
    """Picture, mask (None where there is none) and output of each completion."""
    if not args.image.is_dir():
        if args.mask.is_dir():
            raise UserError(f'{args.mask} is a folder: expected the mask of {args.image}')
        return [(args.image, args.mask, args.out)]
    pictures = sorted(p for p in args.image.iterdir() if p.suffix.lower() in PICTURES)
    if not pictures:
        raise UserError(f'no pictures in {args.image}: expected files named {", ".join(PICTURES)}')
    masks = {}
    if args.mask.is_dir():
        found = (p for p in args.mask.iterdir() if p.suffix.lower() in MASKS)
        for path in sorted(found):
            if path.stem in masks:
                raise UserError(f'{masks[path.stem]} and {path}: expected one mask for a picture')
            masks[path.stem] = path
    make_folder(args.out)
    return [
        (path, masks.get(path.stem) if args.mask.is_dir() else args.mask, args.out / path.name)
        for path in pictures
    ]


def complete(inpainter: Inpainter, job: tuple, args: argparse.Namespace) -> list[str]:
    """Complete one picture; gives the notes on it."""
    path, mask, out = job
    if mask is None:
        raise ImageError(f'no mask for {path}: expected {args.mask}/{path.stem}.png')
    written = [out]
    if args.save_strips:
        written.append(args.save_strips / f'{path.name}.png')
    for target in written:
        check_writable(target)
    if out.exists() and any(given.exists() and out.samefile(given) for given in (path, mask)):
        raise ImageError(f'{out} is the picture or its mask: give another --out')
    for target in written:
        if target.exists() and not args.overwrite:
            raise ImageError(f'{target} is there already: give another place, or --overwrite')
    picture = read_picture(path, args.max_megapixels)
    options = dict(invert=args.invert_mask, resize=args.resize_mask)
    hole = read_hole(mask, picture.pixels.shape[:2], max_megapixels=args.max_megapixels, **options)
    fit = None if args.native else inpainter.trained_hole
    completed = inpainter.complete(picture, hole, args.postprocess, fit)
    write_picture(completed, out)
    if args.save_strips:
        arrays = dict(gt_img=picture.bgr, fake_img=completed.bgr, mask=hole[..., None])
        sample = {name: torch.from_numpy(a).permute(2, 0, 1) for name, a in arrays.items()}
        write_picture(picture_of(strip(sample)), written[1])
    return completed.notes


def main() -> None:
    args = parse_args()
    jobs = find_jobs(args)
    if args.save_strips:
        make_folder(args.save_strips)
    inpainter = Inpainter(args.config, args.checkpoint, args.device, args.precision)
    failures = []
    with Progress(disable=len(jobs) == 1) as progress:
        for job in progress.track(jobs, description='completing'):
            try:
                for note in complete(inpainter, job, args):
                    progress.console.print(f'note: {note}', soft_wrap=True, markup=False)
            except UserError as error:
                if not args.image.is_dir():
                    raise
                failures.append(error)
                print(f'error: {error}', file=sys.stderr)
    print(f'{len(jobs) - len(failures)} of {len(jobs)} pictures completed: {args.out}')
    if failures:
        sys.exit(1)


if __name__ == '__main__':
    with one_sentence_errors():
        main()
