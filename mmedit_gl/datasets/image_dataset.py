"""A set of pictures: a folder or a database, or what a list file names of it."""

import posixpath
from collections.abc import Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
import mmengine.fileio
import numpy as np
from torch.utils.data import Dataset

from mmedit_gl.datasets.database import NAMES, check_database, read_entry
from mmedit_gl.datasets.names import find_pictures, read_lines, read_list
from mmedit_gl.errors import ImageError, UserError, check_count, reason
from mmedit_gl.registry import DATASETS, TRANSFORMS

MAX_ATTEMPTS = 20


def read_image(
    path: str, flag: int = cv2.IMREAD_COLOR, backend_args: dict | None = None
) -> np.ndarray:
    """An image file as uint8 BGR `(H, W, 3)`, or `(H, W)` with `cv2.IMREAD_GRAYSCALE`.

    `backend_args` name the database that it is in. Raises `ImageError` if it cannot be read to its
    end.
    """
    try:
        content = read_entry(path, backend_args) if backend_args else mmengine.fileio.get(path)
    except OSError as error:
        raise ImageError(f'cannot read {path}: {reason(error)}') from None
    try:
        img = cv2.imdecode(np.frombuffer(content, np.uint8), flag) if content else None
    except cv2.error:
        img = None  # it claims more pixels than OpenCV decodes
    if img is None or not _has_end(content):
        raise ImageError(f'cannot read {path}: not an image, or a truncated one')
    return img


def _has_end(content: bytes) -> bool:
    """Whether it is no JPEG that is cut short, of which OpenCV before 4.11 makes a grey rest."""
    if not content.startswith(b'\xff\xd8'):
        return True
    at = 2  # of a segment, which may hold a whole JPEG too; the last one has the samples
    while (marker := content[at : at + 2]) not in (b'\xff\xda', b''):
        is_fill = marker == b'\xff\xff'
        at += 1 if is_fill else 2 + int.from_bytes(content[at + 2 : at + 4], 'big')
    return content.find(b'\xff\xd9', at) > 0


@DATASETS.register_module()
class ImageDataset(Dataset):
    """Pictures below `data_root`, sorted, or those that `ann_file` lists.

    `data_prefix`, either `dict(img=...)` or `dict(gt=...)`, names a folder in it for them.

    With `backend_args=dict(backend='lmdb', db_path=...)` they come from a database into which
    `data_root` was packed; `img_path` is then relative to it.

    With `in_memory`, a length in pixels, every picture is decoded once and held shrunk to a shorter
    edge of that length: for a few pictures that are read many times. The pipeline then starts with
    `gt_img` at hand.

    An item is asked for by its index, or by `(index, seed)`, where the seed fixes every random
    choice of the pipeline; an index alone has the seed `(0, index)`. In training a picture that
    cannot be used is replaced by another, and `skipped` in the sample says why, one line each; with
    `test_mode` it is an `ImageError`. Raises `UserError` if there is no picture, and for another
    `data_prefix`.

    mmengine's own data set makes a dict of each picture, and of all of them one array in each
    process: minutes and gigabytes for eight million.
    """

    metainfo = {}  # which mmengine asks for, and keeps in checkpoints

    def __init__(
        self,
        pipeline: list[dict],
        data_root: str = '',
        data_prefix: dict | None = None,
        ann_file: str = '',
        test_mode: bool = False,
        backend_args: dict | None = None,
        in_memory: int | None = None,
    ):
        names = dict(img='') if data_prefix is None else data_prefix
        if not isinstance(names, dict) or list(names) not in (['img'], ['gt']):
            raise UserError(
                "data_prefix: expected dict(img='FOLDER') or dict(gt='FOLDER'), a folder below "
                f'data_root, got {data_prefix!r}'
            )
        (prefix,) = names.values()
        for name, path in dict(data_root=data_root, data_prefix=prefix, ann_file=ann_file).items():
            if not isinstance(path, (str, Path)):
                raise UserError(f'{name}: expected a path as text, got {path!r}')
        if in_memory is not None:
            check_count('in_memory', in_memory)
        self.pipeline = [TRANSFORMS.build(step) for step in pipeline]
        self.data_root, self.prefix = data_root, prefix
        self.ann_file = ann_file and Path(data_root, ann_file)
        self.test_mode, self.backend_args = test_mode, backend_args
        self.paths, self.pictures = self.find_paths(), None
        if in_memory is not None:
            paths = list(dict.fromkeys(map(self._normal, self.paths)))
            with ThreadPool() as pool:
                self.pictures = dict(zip(paths, pool.map(partial(self._shrunk, in_memory), paths)))

    def find_paths(self) -> Sequence[str]:
        """A path for each index; one may come several times."""
        if self.backend_args is None:
            folder = self._folder()
            return find_pictures(folder, self.ann_file).below(f'{folder}/')
        check_database(self.backend_args)
        below = posixpath.join(self.prefix, '')
        if self.ann_file:
            return read_list(self.ann_file).below(below)
        database = self.backend_args['db_path']
        keys = read_lines(Path(database, NAMES), lambda key: key and key.startswith(below))
        if not keys:
            raise UserError(f'no pictures below {below or "/"} in the database {database}')
        return keys

    def _folder(self) -> Path:
        return Path('' if self.backend_args else self.data_root, self.prefix)

    def _normal(self, path: str) -> str:
        return str(Path(path)) if self.backend_args is None else posixpath.normpath(path)

    def _shrunk(self, shorter_edge: int, path: str) -> np.ndarray:
        img = read_image(path, backend_args=self.backend_args)
        ratio = shorter_edge / min(img.shape[:2])
        return cv2.resize(img, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)

    def __len__(self) -> int:
        return len(self.paths)

    def get_data_info(self, index: int) -> dict:
        """What the pipeline begins with: `img_path`, `name`, `sample_idx`, and maybe `gt_img`.

        `name` is the picture's path below its folder, `sample_idx` the index.
        """
        index = range(len(self))[index]
        path, folder = self._normal(self.paths[index]), self._folder()
        inside = Path(path).is_relative_to(folder)
        name = str(Path(path).relative_to(folder)) if inside else Path(path).name
        info = dict(img_path=path, name=name, sample_idx=index)
        return info if self.pictures is None else dict(info, gt_img=self.pictures[path].copy())

    def __getitem__(self, item: int | tuple[int, tuple[int, int]]) -> dict:
        index, seed = item if isinstance(item, tuple) else (item, (0, item))
        rng = np.random.default_rng(seed)
        given = dict(rng=rng, backend_args=self.backend_args)
        skipped = []
        while len(skipped) < MAX_ATTEMPTS:
            try:
                sample = {**self.get_data_info(index), **given}
                for step in self.pipeline:
                    sample = step(sample)
                return {**sample, 'skipped': '\n'.join(skipped)}
            except ImageError as error:
                if self.test_mode:
                    raise
                skipped.append(str(error))
                index = int(rng.integers(len(self)))
        raise UserError(f'{MAX_ATTEMPTS} pictures in a row cannot be used; the last: {skipped[-1]}')
