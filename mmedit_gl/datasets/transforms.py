"""One picture's way from its file to a sample, each step a callable on a dict.

Steps that draw take their numbers from `results['rng']`, which the data set seeds.
"""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv import rescale_size
from mmcv.transforms import BaseTransform
from mmengine.utils import is_seq_of

from mmedit_gl.datasets.image_dataset import read_image
from mmedit_gl.datasets.masks import (
    bbox2mask,
    free_form_mask,
    irregular_mask,
    mask2bbox,
    pair,
    random_bbox,
    shapes_mask,
)
from mmedit_gl.datasets.names import read_list
from mmedit_gl.errors import ImageError, UserError, check_count
from mmedit_gl.pictures import painted
from mmedit_gl.registry import TRANSFORMS

INTERPOLATIONS = dict(
    area=cv2.INTER_AREA,
    bicubic=cv2.INTER_CUBIC,
    bilinear=cv2.INTER_LINEAR,
    lanczos=cv2.INTER_LANCZOS4,
    nearest=cv2.INTER_NEAREST,
)


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """`img_path` to `gt_img`, uint8 BGR `(H, W, 3)`, from where the data set's pictures are."""

    def transform(self, results: dict) -> dict:
        backend_args = results.get('backend_args')
        results['gt_img'] = read_image(results['img_path'], backend_args=backend_args)
        return results


def _check_no_mask(step: BaseTransform, results: dict) -> None:
    if 'mask' in results:
        raise UserError(
            f'{type(step).__name__} stands after LoadMask in the pipeline and would change the '
            "picture's size, not the mask's: put it before LoadMask; Flip alone may stand after it"
        )


class _Crop(BaseTransform):
    def __init__(self, crop_size: int | tuple[int, int], allow_smaller: bool = False):
        self.crop_size, self.allow_smaller = pair('crop_size', crop_size, 1), allow_smaller

    def transform(self, results: dict) -> dict:
        _check_no_mask(self, results)
        img = results['gt_img']
        height, width = self.crop_size
        if self.allow_smaller:
            height, width = min(height, img.shape[0]), min(width, img.shape[1])
        room = [img.shape[0] - height, img.shape[1] - width]
        if min(room) < 0:
            raise ImageError(
                f'{results["img_path"]} has {img.shape[0]}x{img.shape[1]} pixels, too few for a '
                f'crop of {self.crop_size[0]}x{self.crop_size[1]}: put a Resize before the crop, '
                'or crop less'
            )
        top, left = self.corner(results, room)
        results['gt_img'] = img[top : top + height, left : left + width]
        return results


@TRANSFORMS.register_module()
class RandomCrop(_Crop):
    """A crop of `crop_size`, an int or (height, width) in pixels, anywhere in the picture.

    With `allow_smaller` an edge that is shorter is taken whole, as in the published pipeline.
    """

    def corner(self, results: dict, room: list[int]) -> list[int]:
        return [int(results['rng'].integers(r + 1)) for r in room]


@TRANSFORMS.register_module()
class CenterCrop(_Crop):
    """The crop of `crop_size`, an int or (height, width) in pixels, in the middle.

    `allow_smaller` is that of `RandomCrop`.
    """

    def corner(self, results: dict, room: list[int]) -> list[int]:
        return [r // 2 for r in room]


@TRANSFORMS.register_module()
class Resize(BaseTransform):
    """To `scale`, (width, height) in pixels, or with an int, to that length of the shorter edge.

    With `keep_ratio` the picture keeps its aspect: a pair is then what its longer and its shorter
    edge have to fit into, whichever way it lies, a float is a factor, and halves of pixels are
    rounded up, as published. `interpolation` is one of `INTERPOLATIONS`: `'bilinear'` as published,
    or `'area'`, the mean of the pixels that each new one covers, which is what shrinks a picture
    without jagged edges. Raises `UserError` for a scale that is none of these.
    """

    def __init__(
        self,
        scale: int | float | tuple[int, int],
        interpolation: str = 'bilinear',
        keep_ratio: bool = False,
    ):
        if interpolation not in list(INTERPOLATIONS):
            raise UserError(
                f'expected interpolation in {sorted(INTERPOLATIONS)}, got {interpolation!r}'
            )
        if not isinstance(scale, (int, float)):
            scale = pair('scale', scale, 1)
        elif (isinstance(scale, float) and not keep_ratio) or not 0 < scale < np.inf:
            raise UserError(
                'Resize: a single scale is an int, the length of the shorter edge, or with '
                f'keep_ratio=True a float, a factor; got scale={scale!r}, keep_ratio={keep_ratio}'
            )
        self.scale, self.interpolation = scale, INTERPOLATIONS[interpolation]
        self.keep_ratio = keep_ratio

    def transform(self, results: dict) -> dict:
        _check_no_mask(self, results)
        img, size = results['gt_img'], self.scale
        height, width = img.shape[:2]
        if self.keep_ratio:
            fit = (size, np.inf) if isinstance(size, int) else size
            size = tuple(max(1, edge) for edge in rescale_size((width, height), fit))
        elif isinstance(size, int):
            size = tuple(round(edge * size / min(height, width)) for edge in (width, height))
        results['gt_img'] = cv2.resize(img, size, interpolation=self.interpolation)
        return results


@TRANSFORMS.register_module()
class RandomResize(BaseTransform):
    """The shorter edge to a random length between those of `scale`, in pixels, both included.

    `interpolation` is that of `Resize`. Raises `UserError` for lengths that do not rise.
    """

    def __init__(self, scale: tuple[int, int], interpolation: str = 'bilinear'):
        if not is_seq_of(scale, int) or len(scale) != 2 or not 1 <= scale[0] <= scale[1]:
            raise UserError(
                'RandomResize: expected scale=(shortest, longest), two numbers of pixels that '
                f'rise, got {scale!r}'
            )
        Resize(scale, interpolation)  # refuses an unknown interpolation now
        self.scale, self.interpolation = scale, interpolation

    def transform(self, results: dict) -> dict:
        _check_no_mask(self, results)
        shortest, longest = self.scale
        length = int(results['rng'].integers(shortest, longest + 1))
        return Resize(length, self.interpolation)(results)


@TRANSFORMS.register_module()
class Flip(BaseTransform):
    """Mirrors with probability `flip_ratio`, 'horizontal' (left-right) or 'vertical'.

    The mask and its boxes are mirrored with the picture, whether `LoadMask` comes before or reads
    the picture's own mask afterwards. Raises `UserError` for a ratio that is no probability.
    """

    def __init__(self, flip_ratio: float = 0.5, direction: str = 'horizontal'):
        if direction not in ('horizontal', 'vertical'):
            raise UserError(
                f"Flip: expected direction 'horizontal' or 'vertical', got {direction!r}"
            )
        if not isinstance(flip_ratio, (int, float)) or not 0 <= flip_ratio <= 1:
            raise UserError(f'Flip: expected flip_ratio from 0 to 1, got {flip_ratio!r}')
        self.flip_ratio = flip_ratio
        self.flip_code = 1 if direction == 'horizontal' else 0

    def transform(self, results: dict) -> dict:
        if results['rng'].random() < self.flip_ratio:
            results['gt_img'] = cv2.flip(results['gt_img'], self.flip_code)
            results['flips'] = [*results.get('flips', []), self.flip_code]
            if 'mask' in results:
                results['mask'] = cv2.flip(results['mask'], self.flip_code)
            for name in ('mask_bbox', 'real_bbox'):
                if name in results:
                    results[name] = self._mirrored(results[name], results['gt_img'].shape)
        return results

    def _mirrored(
        self, bbox: tuple[int, int, int, int], shape: tuple[int, ...]
    ) -> tuple[int, int, int, int]:
        top, left, height, width = bbox
        if self.flip_code:
            return top, shape[1] - left - width, height, width
        return shape[0] - top - height, left, height, width


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Draws or reads `mask`, uint8 `(H, W)`, 1 in the hole, of the size of `gt_img`.

    `mask_mode` is one of

    - `'bbox'`, `'irregular'`, `'ff'`, `'shapes'`: a random box, irregular strokes, free-form brush
      strokes, or boxes or ellipses of many sizes; `mask_config` are the arguments of `random_bbox`,
      `irregular_mask`, `free_form_mask` or `shapes_mask`;
    - `'file'`: each picture's own mask, a PNG file of the same stem in
      `mask_config=dict(mask_dir=...)`, in the subfolder in which the picture is below its data
      set's folder, and mirrored as the picture was;
    - `'set'`: a random one of those that `mask_config=dict(mask_list_file=..., prefix=...)` lists;
    - `'list'`: of these, the one with the picture's place in its data set; after the last comes the
      first again;
    - `'mix'`: the union of 1 to `max_holes` masks, each of one of `mask_config=dict(sources=[...],
      max_holes=1)`; a source is `dict(mask_mode=..., mask_config=..., weight=1)` and is drawn as
      often as its weight says.

    Also gives `mask_bbox`, the hole's tight box (top, left, height, width), and with `real_bbox`
    that of a second mask, around which the local discriminator judges the real picture (the mask
    M_d of Iizuka et al. 2017, algorithm 1). Boxes are to fit the local window; holes of the other
    modes may be larger, so they come with `window_position` and `real_window_position`, two random
    numbers in [0, 1) each, by which `local_windows` finds the window's place. Files are read as
    `read_hole` reads them. Raises `UserError` for arguments that are no sense, for a file that is
    empty or covers everything, for a mask of another size than the picture, and for `real_bbox`
    where a picture has one mask; `ImageError` where what is drawn covers everything.
    """

    def __init__(self, mask_mode: str, mask_config: dict | None = None, real_bbox: bool = False):
        if real_bbox and mask_mode == 'file':
            raise UserError(
                "LoadMask: real_bbox=True takes a second mask at random, and with mask_mode 'file' "
                'a picture has one: leave it out, or draw masks by another mode'
            )
        self.real_bbox, self.is_box = real_bbox, mask_mode == 'bbox'
        self.source = _mask_source(mask_mode, mask_config)

    def transform(self, results: dict) -> dict:
        results['mask'] = self._next(results)
        results['mask_bbox'] = mask2bbox(results['mask'])
        if self.real_bbox:
            results['real_bbox'] = mask2bbox(self._next(results))
        if not self.is_box:
            results['window_position'] = results['rng'].random(2)
            if self.real_bbox:
                results['real_window_position'] = results['rng'].random(2)
        return results

    def _next(self, results: dict) -> np.ndarray:
        mask = self.source(results)
        if mask.all():
            raise ImageError(
                f'the mask for {results["img_path"]} covers the whole picture: draw smaller holes'
            )
        return mask


def _mask_source(mask_mode: str, mask_config: dict | None = None) -> Callable:
    """What gives a mask for a sample; see `LoadMask`."""
    sources = dict(
        bbox=random_bbox,
        irregular=irregular_mask,
        ff=free_form_mask,
        shapes=shapes_mask,
        file=_MaskOfImage,
        set=_MaskOfSet,
        list=_MaskOfList,
        mix=_MaskOfMix,
    )
    if mask_mode not in list(sources):
        raise UserError(f'LoadMask: expected mask_mode in {list(sources)}, got {mask_mode!r}')
    source, config = sources[mask_mode], {} if mask_config is None else mask_config
    if not isinstance(config, dict):
        raise UserError(f'LoadMask: expected a dict as mask_config, got {config!r}')
    given = () if isinstance(source, type) else (None, None)
    signature = inspect.signature(source)
    try:
        signature.bind(*given, **config)
    except TypeError as error:
        raise UserError(
            f'LoadMask: mask_config of mode {mask_mode!r}: {error}, expected '
            f'{", ".join([*signature.parameters][len(given) :])}; in --cfg-options, '
            'mask_config._delete_=True drops what the configuration gives another mode'
        ) from None
    try:
        checked = source(*given, **config)
    except (TypeError, UserError) as error:
        raise UserError(f'LoadMask: mask_config of mode {mask_mode!r}: {error}') from None
    return checked or partial(_draw, source, config)


def _draw(draw: Callable, config: dict, results: dict) -> np.ndarray:
    shape = results['gt_img'].shape[:2]
    drawn = draw(results['rng'], shape, **config)
    return bbox2mask(shape, drawn) if draw is random_bbox else drawn


class _MaskOfImage:
    def __init__(self, mask_dir: str):
        self.mask_dir = Path(mask_dir)
        if not self.mask_dir.is_dir():
            raise UserError(f'no folder {mask_dir}: mask_dir is where the masks are expected')

    def __call__(self, results: dict) -> np.ndarray:
        name = Path(results.get('name') or Path(results['img_path']).name)
        mask = _read_mask(self.mask_dir / name.with_suffix('.png'), results)
        for flip_code in results.get('flips', []):
            mask = cv2.flip(mask, flip_code)
        return mask


class _MaskOfSet:
    def __init__(self, mask_list_file: str, prefix: str = ''):
        self.paths = read_list(mask_list_file).below(f'{Path(prefix)}/')
        # Not when it is drawn, which may be after days.
        if missing := next((path for path in self.paths if not Path(path).is_file()), None):
            raise UserError(f'no mask {missing}, which {mask_list_file} lists')

    def __call__(self, results: dict) -> np.ndarray:
        return _read_mask(Path(self.paths[results['rng'].integers(len(self.paths))]), results)


class _MaskOfList(_MaskOfSet):
    def __call__(self, results: dict) -> np.ndarray:
        return _read_mask(Path(self.paths[results['sample_idx'] % len(self.paths)]), results)


class _MaskOfMix:
    def __init__(self, sources: list[dict], max_holes: int = 1):
        check_count('max_holes', max_holes)
        if not is_seq_of(sources, dict):
            raise UserError(f'sources: expected a list of dicts, got {sources!r}')
        weights = [source.get('weight', 1) for source in sources]
        if not is_seq_of(weights, (int, float)) or not all(0 <= w < np.inf for w in weights):
            raise UserError(f'sources: expected numbers of at least 0 as weight, got {weights}')
        if not any(weights):
            raise UserError(f'sources: expected one with a weight above 0, got {sources}')
        weights = np.array(weights, float)
        self.shares, self.max_holes = weights / weights.sum(), max_holes
        self.sources = [
            _mask_source(**{key: value for key, value in source.items() if key != 'weight'})
            for source in sources
        ]

    def __call__(self, results: dict) -> np.ndarray:
        rng = results['rng']
        count = rng.integers(1, self.max_holes + 1)
        drawn = rng.choice(len(self.sources), count, p=self.shares)
        return np.maximum.reduce([self.sources[i](results) for i in drawn])


def _read_mask(path: Path, results: dict) -> np.ndarray:
    try:
        mask = painted(path)
    except ImageError as error:
        # A missing mask is not one bad picture among millions: the set is incomplete.
        raise UserError(str(error)) from None
    height, width = results['gt_img'].shape[:2]
    if mask.shape != (height, width):
        raise UserError(
            f'the mask for {results["img_path"]} has {mask.shape[0]}x{mask.shape[1]} pixels, the '
            f'picture {height}x{width} where LoadMask stands in the pipeline: give a mask of that '
            f'size as {path}'
        )
    if not mask.any():
        raise UserError(
            f'the mask is empty: {path} has no pixel that is painted or at least half of white'
        )
    if mask.all():
        raise UserError(f'the mask {path} covers the whole picture: some of it has to stay')
    return mask


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """The sample that the model takes: tensors, and where the picture came from.

    `gt_img` uint8 BGR `(H, W, 3)`, `mask` uint8 `(1, H, W)`, `mask_bbox` int64 `(4,)`, `img_path`,
    and of `real_bbox`, int64 `(4,)`, `window_position` and `real_window_position`, float64 `(2,)`,
    what `LoadMask` gave.
    """

    OPTIONAL = ('real_bbox', 'window_position', 'real_window_position')

    def transform(self, results: dict) -> dict:
        if 'mask' not in results:
            raise UserError('PackInputs: there is no mask, put LoadMask before it in the pipeline')
        if results['mask'].shape != results['gt_img'].shape[:2]:
            raise UserError(
                'PackInputs: picture and mask differ in size: put what changes the size of the '
                'picture before LoadMask in the pipeline'
            )
        return dict(
            gt_img=torch.from_numpy(np.ascontiguousarray(results['gt_img'])),
            mask=torch.from_numpy(results['mask'][None]),
            mask_bbox=torch.tensor(results['mask_bbox']),
            img_path=results['img_path'],
            **{name: torch.tensor(results[name]) for name in self.OPTIONAL if name in results},
        )
