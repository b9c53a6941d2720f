"""Which picture comes next, and the seed of everything random about it.

Both samplers give `(index, (seed, number))`: what is drawn for a picture depends on nothing else,
so not on the number of workers or processes, nor on the batch size.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
from mmengine.dataset import BaseDataset, DefaultSampler
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmedit_gl.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class DrawSampler(Sampler):
    """Training: one shuffled pass over the data set after another, without end.

    The number is that of the draw, counted over the run and its processes; `start` is the first, so
    that a resumed run goes on where it stopped.
    """

    def __init__(self, dataset: BaseDataset, seed: int):
        self.size = len(dataset)
        self.seed = seed
        self.rank, self.world_size = get_dist_info()
        self.start = 0

    def __iter__(self) -> Iterator[tuple[int, tuple[int, int]]]:
        current = None
        for draw in count(self.start + self.rank, self.world_size):
            epoch, position = divmod(draw, self.size)
            if epoch != current:
                order = np.random.default_rng((self.seed, epoch)).permutation(self.size)
                current = epoch
            yield int(order[position]), (self.seed, draw)

    def __len__(self) -> int:
        """Pictures in one pass over the data set."""
        return self.size


@DATA_SAMPLERS.register_module()
class EvaluationSampler(DefaultSampler):
    """Evaluation: each picture once, in order; the number is its index."""

    def __init__(self, dataset: BaseDataset, seed: int):
        super().__init__(dataset, shuffle=False, seed=seed)

    def __iter__(self) -> Iterator[tuple[int, tuple[int, int]]]:
        return ((index, (self.seed, index)) for index in super().__iter__())
