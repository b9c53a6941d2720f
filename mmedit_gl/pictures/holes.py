"""Masks as people have them: which pixels are hole."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmedit_gl.errors import ImageError
from mmedit_gl.pictures.reading import MAX_MEGAPIXELS, ImageLike, check_size, picture_of


def read_hole(
    mask: ImageLike,
    shape: tuple[int, int],
    invert: bool = False,
    resize: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """The hole that a mask tells of, uint8 `(H, W)`, 1 in the hole.

    `mask` is a path or PIL image as `picture_of` takes them, or an array of numbers `(H, W)` or
    `(H, W, 1, 3 or 4)`. Hole is what is painted, where alpha is not the same everywhere, else what
    is at least half of white, which is 1, 255 or 65535, the least that no value exceeds; `invert`
    swaps hole and surroundings. `resize` scales a mask of another size than `shape` (height,
    width), so that the thinnest stroke stays. A mask without a hole is returned as it is. Raises
    `ImageError` for a mask that cannot be used, of another size, or all hole.
    """
    name = f'{mask}' if isinstance(mask, (str, Path)) else 'the mask'
    hole = painted(mask, max_megapixels)
    if invert:
        hole = 1 - hole
    if hole.shape != tuple(shape):
        if not resize:
            raise ImageError(
                f'{name} has {hole.shape[1]}x{hole.shape[0]} pixels, the image '
                f'{shape[1]}x{shape[0]}: expected the same width and height, or resize=True '
                '(--resize-mask) to scale the mask'
            )
        hole = _resized(hole, shape)
    if hole.all():
        raise ImageError(
            f'{name} covers the whole image: expected some of it to stay, or invert=True '
            '(--invert-mask) for a hole that is black'
        )
    return hole


def painted(mask: ImageLike, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Where a mask as `read_hole` takes it is painted: uint8 `(H, W)`, 1 there."""
    if isinstance(mask, np.ndarray):
        samples = mask
    elif isinstance(mask, Image.Image) and mask.mode == 'F':
        samples = np.asarray(mask)
    else:
        samples = picture_of(mask, max_megapixels, 'mask').pixels
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if samples.ndim not in (2, 3) or channels not in (1, 3, 4) or samples.dtype.kind not in 'buif':
        raise ImageError(
            'expected a mask of numbers (H, W), (H, W, 1), BGR (H, W, 3) or BGRA (H, W, 4), '
            f'got {samples.dtype} of shape {samples.shape}'
        )
    check_size(samples.shape[:2], 'the mask')
    if not np.isfinite(samples).all():
        raise ImageError('expected a mask of finite numbers, got some that are none')
    if samples.dtype not in (np.uint8, np.uint16):
        samples = (samples / _white(samples) * 65535).clip(0, 65535).round().astype(np.uint16)
    if channels == 4 and samples[..., 3].min() < samples[..., 3].max():
        samples = samples[..., 3]
    elif channels >= 3:
        samples = cv2.cvtColor(np.ascontiguousarray(samples[..., :3]), cv2.COLOR_BGR2GRAY)
    return (samples.reshape(samples.shape[:2]) >= _white(samples) / 2).astype(np.uint8)


def _white(samples: np.ndarray) -> int:
    highest = samples.max(initial=0)
    return 1 if highest <= 1 else 255 if highest <= 255 else 65535


def _resized(hole: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    smaller = min(width, hole.shape[1]), min(height, hole.shape[0])
    share = cv2.resize(hole.astype(np.float32), smaller, interpolation=cv2.INTER_AREA)
    # Hole is what covers any of it: a stroke of one pixel is less than half of a larger one.
    share = (share > 1e-6).astype(np.float32)
    share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    return (share >= 0.5).astype(np.uint8)
