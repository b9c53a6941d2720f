"""A set of pictures: a folder or a database, or what a list file names of it."""

import os
import posixpath
from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
import mmengine.fileio
import numpy as np
from mmengine.dataset import BaseDataset

from mmedit_gl.datasets.database import NAMES, check_database, read_entry
from mmedit_gl.errors import ImageError, UserError
from mmedit_gl.registry import DATASETS, TRANSFORMS

SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
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
        raise ImageError(f'cannot read {path}: {error.strerror}') from None
    try:
        img = cv2.imdecode(np.frombuffer(content, np.uint8), flag) if content else None
    except cv2.error:
        img = None  # it claims more pixels than OpenCV decodes
    if img is None:
        raise ImageError(f'cannot read {path}: not an image, or a truncated one')
    return img


def read_list(path: str | Path) -> list[str]:
    """Relative paths of a list file, one on a line.

    A leading slash and a trailing integer label, as in the lists of Places365, are dropped. Raises
    `UserError` if the file is missing or empty.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f'cannot read the list file {path} ({error}): expected text with one relative path a '
            'line; README.md says how the data is prepared'
        ) from None
    names = []
    for line in filter(None, map(str.strip, lines)):
        name, _, label = line.rpartition(' ')
        names.append((name if name and label.isdigit() else line).strip().lstrip('/'))
    if not names:
        raise UserError(f'the list file {path} is empty: expected one relative path a line')
    return names


def find_pictures(folder: Path, list_file: str | Path = '') -> list[Path]:
    """The image files below a folder, sorted, or those of it that a list file names, in its order.

    Raises `UserError` if there is no folder or no picture; listed files are not looked for.
    """
    if not folder.is_dir():
        raise UserError(
            f'no folder {folder}: the pictures are expected there; README.md says how the data '
            'is prepared, and data_root in the configuration names another place'
        )
    if list_file:
        return [folder / name for name in read_list(list_file)]
    found = (Path(root, file) for root, _, files in os.walk(folder) for file in files)
    paths = sorted(path for path in found if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f'no pictures in {folder}: expected files named {", ".join(SUFFIXES)}')
    return paths


@DATASETS.register_module()
class ImageDataset(BaseDataset):
    """Pictures below `data_root / data_prefix['img']`, sorted, or those that `ann_file` lists.

    With `backend_args=dict(backend='lmdb', db_path=...)` they come from a database into which
    `data_root` was packed; `img_path` is then relative to it.

    With `in_memory`, a length in pixels, every picture is decoded once and held shrunk to a shorter
    edge of that length: for a few pictures that are read many times. The pipeline then starts with
    `gt_img` at hand.

    An item is asked for by its index, or by `(index, seed)`, where the seed fixes every random
    choice of the pipeline; an index alone has the seed `(0, index)`. In training a picture that
    cannot be used is replaced by another, and `skipped` in the sample says why, one line each; with
    `test_mode` it is an `ImageError`. Raises `UserError` if there is no picture.
    """

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
        data_prefix = data_prefix or dict(img='')
        self.backend_args, self.key_prefix = backend_args, data_prefix['img']
        self.in_memory = in_memory
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=[TRANSFORMS.build(step) for step in pipeline],
            test_mode=test_mode,
        )

    def load_data_list(self) -> list[dict]:
        if self.backend_args is None:
            paths = find_pictures(Path(self.data_prefix['img']), self.ann_file)
        else:
            paths = self._keys()
        if self.in_memory is None:
            return [self._entry(str(path)) for path in paths]
        with ThreadPool() as pool:
            return pool.map(self._entry, map(str, paths))

    def _entry(self, path: str) -> dict:
        if self.in_memory is None:
            return dict(img_path=path)
        img = read_image(path, backend_args=self.backend_args)
        ratio = self.in_memory / min(img.shape[:2])
        img = cv2.resize(img, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        return dict(img_path=path, gt_img=img)

    def _keys(self) -> list[str]:
        check_database(self.backend_args)
        if self.ann_file:
            names = read_list(self.ann_file)
            return [posixpath.normpath(posixpath.join(self.key_prefix, name)) for name in names]
        database, folder = self.backend_args['db_path'], posixpath.join(self.key_prefix, '')
        keys = [key for key in read_list(Path(database, NAMES)) if key.startswith(folder)]
        if not keys:
            raise UserError(f'no pictures below {folder} in the database {database}')
        return keys

    def __getitem__(self, item: int | tuple[int, tuple[int, int]]) -> dict:
        index, seed = item if isinstance(item, tuple) else (item, (0, item))
        rng = np.random.default_rng(seed)
        given = dict(rng=rng, backend_args=self.backend_args)
        skipped = []
        while len(skipped) < MAX_ATTEMPTS:
            try:
                sample = self.pipeline({**self.get_data_info(index), **given})
                return {**sample, 'skipped': '\n'.join(skipped)}
            except ImageError as error:
                if self.test_mode:
                    raise
                skipped.append(str(error))
                index = int(rng.integers(len(self)))
        raise UserError(f'{MAX_ATTEMPTS} pictures in a row cannot be used; the last: {skipped[-1]}')
