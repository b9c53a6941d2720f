"""Complete a picture, or a folder of pictures, from the command line."""

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch

from mmedit_gl.apis import MODES, Inpainter
from mmedit_gl.apis.folders import FolderJobs, Job, in_stages, passed_over
from mmedit_gl.datasets.progress import progress_bar
from mmedit_gl.engine import shared_work
from mmedit_gl.errors import ImageError, UserError, one_sentence_errors, say_error
from mmedit_gl.evaluation import strip
from mmedit_gl.files import make_folder
from mmedit_gl.pictures import (
    MAX_MEGAPIXELS,
    Picture,
    check_writable,
    picture_of,
    read_hole,
    read_picture,
    write_picture,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'image',
        type=Path,
        help='a picture, or a folder of pictures, to which its subfolders belong, but no hidden '
        'files and none of the other folders named here',
    )
    parser.add_argument(
        'mask',
        type=Path,
        help='white, or painted on transparency, where the hole is; for a folder, one mask for all '
        'or a folder of masks, each in the subfolder and named as its picture but for the suffix',
    )
    parser.add_argument(
        '-o',
        '--out',
        type=Path,
        required=True,
        help='file, or folder for a folder of pictures, with the same subfolders',
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument('--overwrite', action='store_true', help='write over what is there')
    there.add_argument(
        '--skip-existing', action='store_true', help='leave what is there: goes on with a run'
    )
    parser.add_argument('--config', help='default, with --checkpoint: the model of this package')
    parser.add_argument('--checkpoint', help='path or URL')
    parser.add_argument('--device', help='default: a GPU where there is one')
    parser.add_argument('--precision', choices=['fp32', 'bf16'], default='fp32')
    parser.add_argument(
        '--postprocess', action='store_true', help="the paper's: fast marching, Poisson cloning"
    )
    parser.add_argument(
        '--mode',
        choices=MODES,
        default='texture',
        help='wide holes are completed at a reduced scale and get the texture around them '
        '(default) or stay smooth; native: never reduced, wider than in training they blur',
    )
    parser.add_argument('--invert-mask', action='store_true', help='the hole is black')
    parser.add_argument(
        '--resize-mask', action='store_true', help='accept a mask of another size than the picture'
    )
    parser.add_argument('--max-megapixels', type=float, default=MAX_MEGAPIXELS, metavar='N')
    parser.add_argument(
        '--save-strips', type=Path, metavar='DIR', help='write original | masked | completed too'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch'],
        default='none',
        help='pytorch: the processes that torchrun started share the pictures of a folder',
    )
    return parser.parse_args()


class Stages:
    """What is done for a picture, in the order in which it is done."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.inpainter = Inpainter(args.config, args.checkpoint, args.device, args.precision)

    def read(self, job: Job) -> tuple:
        args = self.args
        for target in filter(None, (job.out, job.strip)):
            if args.image.is_dir():
                make_folder(target.parent)
            check_writable(target)
            if target.exists():
                if any(g.exists() and target.samefile(g) for g in (job.picture, job.mask)):
                    raise ImageError(f'{target} is the picture or its mask: give another --out')
                if not args.overwrite:
                    raise ImageError(
                        f'{target} is there already: give another place, --overwrite or '
                        '--skip-existing'
                    )
        picture = read_picture(job.picture, args.max_megapixels)
        options = dict(invert=args.invert_mask, resize=args.resize_mask)
        limit = dict(max_megapixels=args.max_megapixels)
        return job, picture, read_hole(job.mask, picture.pixels.shape[:2], **options, **limit)

    def complete(self, read: tuple[Job, Picture, np.ndarray]) -> tuple:
        options = self.args.postprocess, self.args.mode
        return *read, self.inpainter.complete(*read[1:], *options)

    def write(self, completion: tuple[Job, Picture, np.ndarray, Picture]) -> list[str]:
        """Gives the notes on the picture."""
        job, picture, hole, completed = completion
        if job.out:
            write_picture(completed, job.out)
        if job.strip:
            arrays = dict(gt_img=picture.bgr, fake_img=completed.bgr, mask=hole[..., None])
            sample = {name: torch.from_numpy(a).permute(2, 0, 1) for name, a in arrays.items()}
            write_picture(picture_of(strip(sample)), job.strip)
        return completed.notes


def complete_one(args: argparse.Namespace) -> None:
    if args.launcher != 'none':
        raise UserError(f'--launcher shares the pictures of a folder: {args.image} is none')
    if args.mask.is_dir():
        raise UserError(f'{args.mask} is a folder: expected the mask of {args.image}')
    strips = args.save_strips
    if strips:
        make_folder(strips)
    targets = [args.out, strips and strips / f'{args.image.name}.png']
    if args.skip_existing:
        targets = [target if target and not target.exists() else None for target in targets]
    if any(targets):
        stages = Stages(args)
        job = Job(args.image, args.mask, *targets)
        for note in stages.write(stages.complete(stages.read(job))):
            print(f'note: {note}')
    print(summary(any(targets), not any(targets), 0, args.out))


def complete_folder(args: argparse.Namespace) -> None:
    rank, processes = process_of(args.launcher)
    if rank:
        meet()  # what is refused is refused once, while these wait
    places = args.image, args.mask, args.out, args.save_strips
    jobs = FolderJobs(*places, args.skip_existing, rank, processes)
    for place in filter(None, places[2:]):
        make_folder(place)
    stages = Stages(args)
    if processes > 1 and not rank:
        meet()

    completed = failed = 0
    share = f', process 1 of {processes}' if processes > 1 else ''
    with progress_bar(disable=rank > 0) as progress:
        task = progress.add_task(f'completing{share}', total=None)
        for result in in_stages(jobs, stages.read, stages.complete, stages.write):
            if isinstance(result, UserError):
                failed += 1
                say_error(result)
            else:
                completed += 1
                for note in result:
                    progress.console.print(f'note: {note}', soft_wrap=True, markup=False)
            done = completed + failed + jobs.skipped
            progress.update(task, completed=done, total=jobs.total)
        progress.update(task, completed=jobs.total, total=jobs.total)  # the last were skipped
    if not rank:
        failed += len(jobs.unreadable)
        for error in jobs.unreadable:
            say_error(error)
    counts = torch.tensor([completed, jobs.skipped, failed])
    with shared_work():  # to its end, for torchrun ends all when one has failed
        if processes > 1:
            torch.distributed.all_reduce(counts)
        if not rank:
            if jobs.others:
                print(passed_over(jobs.others))
            print(summary(*counts.tolist(), args.out), flush=True)
    if counts[2]:
        sys.exit(1)


def summary(completed: int, skipped: int, failed: int, out: Path) -> str:
    line = f'{completed:,} of {completed + skipped + failed:,} pictures completed'
    line += f', {skipped:,} skipped' * (skipped > 0) + f', {failed:,} failed' * (failed > 0)
    return f'{line}: {out}'


def process_of(launcher: str) -> tuple[int, int]:
    """Which process this is, of how many; its GPU is chosen."""
    if launcher == 'none':
        return 0, 1
    if 'LOCAL_RANK' not in os.environ:
        raise UserError('--launcher pytorch: expected to be started by torchrun')
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']) % torch.cuda.device_count())
    return int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])


def meet() -> None:
    """Waits for all processes, which have but counts to add up: some may end days before others."""
    torch.distributed.init_process_group('gloo', timeout=timedelta(days=365))


def main() -> None:
    args = parse_args()
    sys.stdout.reconfigure(errors='backslashreplace')  # a name may hold bytes that are no text
    if args.image.is_dir():
        complete_folder(args)
    else:
        complete_one(args)


if __name__ == '__main__':
    with one_sentence_errors():
        main()
