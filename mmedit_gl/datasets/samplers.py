"""Which picture comes next, and the seed of everything random about it.

Both samplers give `(index, (seed, number))`: what is drawn for a picture depends on nothing else,
so not on the number of workers or processes, nor on the batch size.
"""

import math
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count

from mmengine.dist import get_dist_info
from torch.utils.data import Dataset, Sampler

from mmedit_gl.registry import DATA_SAMPLERS

ROUNDS = 8


class _Sampler(Sampler):
    def __init__(self, dataset: Dataset, seed: int):
        self.size = len(dataset)
        self.seed = seed
        self.rank, self.world_size = get_dist_info()


@DATA_SAMPLERS.register_module()
class DrawSampler(_Sampler):
    """Training: one shuffled pass over the data set after another, without end.

    The number is that of the draw, counted over the run and its processes; `start` is the first, so
    that a resumed run goes on where it stopped.
    """

    start = 0

    def __iter__(self) -> Iterator[tuple[int, tuple[int, int]]]:
        for draw in count(self.start + self.rank, self.world_size):
            number, place = divmod(draw, self.size)
            yield shuffled(place, self.size, f'{self.seed} {number}'), (self.seed, draw)

    def __len__(self) -> int:
        """Pictures in one pass over the data set."""
        return self.size


@DATA_SAMPLERS.register_module()
class EvaluationSampler(_Sampler):
    """Evaluation: each picture once, in order; the number is its index.

    Each process gets as many; what is missing for that are the first ones again.
    """

    def __iter__(self) -> Iterator[tuple[int, tuple[int, int]]]:
        for place in range(self.rank, self.world_size * len(self), self.world_size):
            index = place % self.size
            yield index, (self.seed, index)

    def __len__(self) -> int:
        """Pictures for one process."""
        return math.ceil(self.size / self.world_size)


def shuffled(place: int, size: int, key: str) -> int:
    """What stands at a place of a shuffled `range(size)`, of which there is one for each key.

    A Feistel network takes every pair of digits to another one, keyed by a hash; where that is a
    number of `size` or more, it is asked again. No other place is looked at: the first draw from
    millions comes as soon as any.
    """
    base = 2 * (math.isqrt(size) // 2 + 1)  # even: an odd one allows even permutations alone
    while True:
        high, low = divmod(place, base)
        for i in range(ROUNDS):
            text = f'{key} {i} {low}'.encode()
            mixed = int.from_bytes(blake2b(text, digest_size=8).digest(), 'big')
            high, low = low, (high + mixed) % base
        place = high * base + low
        if place < size:
            return place
