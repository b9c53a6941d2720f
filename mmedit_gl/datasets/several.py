"""Several data sets as one, and one several times."""

from bisect import bisect_right
from itertools import accumulate

from mmengine.utils import is_seq_of
from torch.utils.data import Dataset

from mmedit_gl.errors import UserError, check_count
from mmedit_gl.registry import DATASETS


class _Several(Dataset):
    """An item is asked for as of `ImageDataset`, and so is `test_mode`, which is that of all."""

    metainfo = {}  # which mmengine asks for, and keeps in checkpoints

    def __init__(self, datasets: list[dict]):
        self.datasets = [DATASETS.build(dataset) for dataset in datasets]

    @property
    def test_mode(self) -> bool:
        return all(dataset.test_mode for dataset in self.datasets)

    @test_mode.setter
    def test_mode(self, value: bool) -> None:
        for dataset in self.datasets:
            dataset.test_mode = value

    def __getitem__(self, item: int | tuple[int, tuple[int, int]]) -> dict:
        index, seed = item if isinstance(item, tuple) else (item, (0, item))
        dataset, place = self.find(range(len(self))[index])
        return dataset[place, seed]


@DATASETS.register_module()
class ConcatDataset(_Several):
    """The pictures of each of `datasets`, one after the other."""

    def __init__(self, datasets: list[dict]):
        if not datasets or not is_seq_of(datasets, dict):
            raise UserError(f'ConcatDataset: expected a list of dicts as datasets, got {datasets}')
        super().__init__(datasets)
        self.ends = list(accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.ends[-1]

    def find(self, index: int) -> tuple[Dataset, int]:
        number = bisect_right(self.ends, index)
        return self.datasets[number], index - (self.ends[number - 1] if number else 0)


@DATASETS.register_module()
class RepeatDataset(_Several):
    """The pictures of `dataset`, all of them `times` times, each time with other seeds."""

    def __init__(self, dataset: dict, times: int):
        check_count('RepeatDataset: times', times)
        super().__init__([dataset])
        self.times = times

    def __len__(self) -> int:
        return self.times * len(self.datasets[0])

    def find(self, index: int) -> tuple[Dataset, int]:
        (dataset,) = self.datasets
        return dataset, index % len(dataset)
