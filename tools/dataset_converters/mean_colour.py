"""Compute the mean colour of a configuration's training pictures: the paper fills holes with it."""

import argparse
import os

import cv2
import numpy as np
import torch
from mmengine import DictAction
from rich.progress import MofNCompleteColumn, Progress
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmedit_gl.engine import load_config
from mmedit_gl.errors import ImageError, UserError, one_sentence_errors
from mmedit_gl.registry import DATASETS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='a name as gl_256x256_8x12_places, or a file of your own')
    parser.add_argument(
        '--max-images',
        type=int,
        metavar='N',
        help='take N of the pictures, drawn at random and the same each time; default: all',
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), metavar='N', help='processes that read'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='values to put over those of CONFIG, e.g. train_dataloader.dataset.data_root=pictures',
    )
    return parser.parse_args()


class Sums(Dataset):
    """Of each picture the sums of blue, green and red and the number of pixels, int64 `(4,)`.

    Beside them stands why a picture cannot be read, or nothing.
    """

    def __init__(self, pictures: Dataset, indices: np.ndarray):
        self.pictures, self.indices = pictures, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> tuple[Tensor, str]:
        try:
            img = self.pictures[int(self.indices[i])]['gt_img']
        except ImageError as error:
            return torch.zeros(4, dtype=torch.int64), str(error)
        # Sums of integers, which floats of 64 bits hold exactly.
        return torch.tensor([*map(int, cv2.sumElems(img)[:3]), img[..., 0].size]), ''


def loading(dataset: dict | list) -> dict | list:
    """A data set, or what is made of several, whose pipelines end when a picture is loaded."""
    if isinstance(dataset, list):
        return [loading(part) for part in dataset]
    inner = {key: loading(dataset[key]) for key in ('dataset', 'datasets') if key in dataset}
    if 'pipeline' in dataset:
        steps = [step for step in dataset['pipeline'] if step['type'] == 'LoadImageFromFile']
        inner['pipeline'] = steps
    return {**dataset, **inner}


def main() -> None:
    args = parse_args()
    if args.max_images is not None and args.max_images < 1:
        raise UserError(f'--max-images: expected at least 1, got {args.max_images}')
    cfg = load_config(args.config, args.cfg_options).train_dataloader.dataset
    pictures = DATASETS.build(loading(cfg))
    pictures.test_mode = True
    indices = np.arange(len(pictures))
    if args.max_images is not None:
        indices = np.random.default_rng(0).permutation(indices)[: args.max_images]

    loader = DataLoader(Sums(pictures, indices), batch_size=16, num_workers=args.workers)
    total, read = torch.zeros(4, dtype=torch.int64), 0
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns) as progress:
        task = progress.add_task('Reading', total=len(indices))
        for sums, errors in loader:
            total += sums.sum(dim=0)
            read += errors.count('')
            progress.advance(task, len(errors))
            for error in filter(None, errors):
                progress.console.print(f'left out: {error}', soft_wrap=True, markup=False)
    if not read:
        raise UserError(f'none of the {len(indices)} pictures can be read')
    colour = ', '.join(f'{value:.3f}' for value in (total[:3] / total[3]).tolist())
    print(
        f'the mean (blue, green, red) of {read} of {len(pictures)} pictures, '
        f'{total[3] / 1e6:.1f} million pixels, for model.data_preprocessor of the configuration:\n'
        f'hole_colour=({colour})'
    )


if __name__ == '__main__':
    with one_sentence_errors():
        main()
