"""Holes: pure functions of a random generator. A mask is uint8 `(H, W)`, 1 in the hole."""

import cv2
import numpy as np

from mmedit_gl.errors import UserError


def random_bbox(
    rng: np.random.Generator,
    img_shape: tuple[int, int],
    max_bbox_shape: tuple[int, int],
    max_bbox_delta: int = 0,
    min_margin: int = 0,
) -> tuple[int, int, int, int]:
    """A box (top, left, height, width) in pixels, everywhere in the picture alike.

    Height and width are drawn independently from `max_bbox_shape - max_bbox_delta` to
    `max_bbox_shape`, both included; the box stays `min_margin` away from every border. Raises
    `UserError` where such a box may not fit.
    """
    if not 0 <= max_bbox_delta < min(max_bbox_shape):
        raise UserError(
            f'max_bbox_delta must be at least 0 and less than max_bbox_shape={max_bbox_shape}, '
            f'got {max_bbox_delta}'
        )
    if any(side + 2 * min_margin > size for side, size in zip(max_bbox_shape, img_shape)):
        raise UserError(
            f'a hole of {max_bbox_shape[0]}x{max_bbox_shape[1]} pixels with a margin of '
            f'{min_margin} does not fit a picture of {img_shape[0]}x{img_shape[1]}: lower '
            'max_bbox_shape or min_margin'
        )
    height, width = (int(rng.integers(s - max_bbox_delta, s + 1)) for s in max_bbox_shape)
    top = int(rng.integers(min_margin, img_shape[0] - min_margin - height + 1))
    left = int(rng.integers(min_margin, img_shape[1] - min_margin - width + 1))
    return top, left, height, width


def bbox2mask(img_shape: tuple[int, int], bbox: tuple[int, int, int, int]) -> np.ndarray:
    """The mask of a box (top, left, height, width)."""
    top, left, height, width = bbox
    mask = np.zeros(img_shape, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def mask2bbox(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The tight box (top, left, height, width) of a hole; `UserError` if there is none."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        raise UserError('the mask is empty: expected a hole of at least one pixel')
    top, left = int(rows[0]), int(columns[0])
    return top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left


def irregular_mask(
    rng: np.random.Generator,
    img_shape: tuple[int, int],
    num_vertices: tuple[int, int] = (4, 8),
    max_angle: float = 4.0,
    length_range: tuple[int, int] = (10, 100),
    brush_width: tuple[int, int] = (10, 40),
    area_ratio_range: tuple[float, float] = (0.15, 0.5),
) -> np.ndarray:
    """Strokes from random points until their share of the picture is in `area_ratio_range`.

    A stroke turns by up to `max_angle` radians at each vertex; ranges include both ends, lengths
    and widths are in pixels. A stroke that would pass the upper bound is drawn anew, thinner.
    Raises `UserError` where that has been done 100 times.
    """
    lower, upper = area_ratio_range
    _check_ratio(lower, upper)
    mask, shrink = np.zeros(img_shape, np.uint8), 1.0
    while mask.mean() < lower:
        trial = mask.copy()
        point = rng.integers((0, 0), img_shape[::-1])
        for i in range(rng.integers(num_vertices[0], num_vertices[1] + 1)):
            angle = rng.uniform(0, max_angle)
            # Every second turn goes back, so that a stroke does not curl up.
            angle = 2 * np.pi - angle if i % 2 == 0 else angle
            length = rng.integers(length_range[0], length_range[1] + 1)
            width = rng.integers(brush_width[0], brush_width[1] + 1)
            step = length * np.array([np.sin(angle), np.cos(angle)])
            end = np.clip(point + step, 0, np.array(img_shape[::-1]) - 1).astype(int)
            cv2.line(trial, point.tolist(), end.tolist(), 1, max(1, round(width * shrink)))
            point = end
        if trial.mean() <= upper:
            mask = trial
            continue
        shrink *= 0.8
        if shrink < 0.8**100:
            raise UserError(
                f'no strokes cover {lower:g} to {upper:g} of {img_shape[0]}x{img_shape[1]} pixels: '
                'widen area_ratio_range, or lower length_range'
            )
    return mask


def free_form_mask(
    rng: np.random.Generator,
    img_shape: tuple[int, int],
    num_vertices: tuple[int, int] = (4, 12),
    mean_angle: float = 2 * np.pi / 5,
    angle_range: float = 2 * np.pi / 15,
    brush_width: tuple[int, int] = (12, 40),
    max_loops: int = 4,
) -> np.ndarray:
    """Brush strokes with round joints, as a person erases something (Yu et al. 2019).

    Up to `max_loops` strokes; each turns by `mean_angle` plus or minus `angle_range` radians at a
    vertex, and goes about an eighth of the picture's diagonal between two.
    """
    size = np.array(img_shape[::-1])
    radius = np.hypot(*img_shape) / 8
    mask = np.zeros(img_shape, np.uint8)
    for _ in range(rng.integers(1, max_loops + 1)):
        width = int(rng.integers(brush_width[0], brush_width[1] + 1))
        point = rng.integers((0, 0), size)
        for i in range(rng.integers(num_vertices[0], num_vertices[1] + 1)):
            angle = rng.uniform(mean_angle - angle_range, mean_angle + angle_range)
            angle = 2 * np.pi - angle if i % 2 == 0 else angle
            length = np.clip(rng.normal(radius, radius / 2), 0, 2 * radius)
            step = length * np.array([np.cos(angle), np.sin(angle)])
            end = np.clip(point + step, 0, size - 1).astype(int)
            cv2.line(mask, point.tolist(), end.tolist(), 1, width)
            cv2.circle(mask, end.tolist(), width // 2, 1, cv2.FILLED)
            point = end
    # Mirrored at random, for no direction to be more frequent than its opposite.
    return np.ascontiguousarray(mask[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])])


def shapes_mask(
    rng: np.random.Generator,
    img_shape: tuple[int, int],
    shape: str = 'ellipse',
    size_range: tuple[int, int] = (24, 128),
    max_aspect: float = 2.0,
    max_shapes: int = 1,
    inside: bool = False,
) -> np.ndarray:
    """A union of 1 to `max_shapes` ellipses or upright boxes (`shape` 'ellipse' or 'box').

    The size of each, the geometric mean of its sides or diameters in pixels, is drawn evenly in its
    logarithm, and so is its aspect, up to `max_aspect` either way; an ellipse is turned at random.
    Centres are anywhere in the picture, or with `inside` where no border cuts the shape. Raises
    `UserError` for another shape, for a range that is none, and where there is no such place.
    """
    if shape not in ('box', 'ellipse'):
        raise UserError(f"expected shape 'box' or 'ellipse', got {shape!r}")
    if not 1 <= size_range[0] <= size_range[1] or max_aspect < 1:
        raise UserError(
            'expected size_range to rise from at least 1 pixel and max_aspect of at least 1, got '
            f'{size_range} and {max_aspect}'
        )
    mask = np.zeros(img_shape, np.uint8)
    for _ in range(rng.integers(1, max_shapes + 1)):
        size = np.exp(rng.uniform(*np.log(size_range)))
        stretch = np.exp(rng.uniform(-1, 1) * np.log(max_aspect) / 2)
        sides = size * stretch, size / stretch
        margin = max(sides) / 2 + 2 if inside else 0
        room = np.array(img_shape[::-1]) - 2 * margin
        if (room < 0).any():
            raise UserError(
                f'shapes of {max(sides):.0f} pixels do not fit inside a picture of '
                f'{img_shape[0]}x{img_shape[1]}: lower size_range or max_aspect'
            )
        centre = margin + rng.uniform(size=2) * room
        if shape == 'ellipse':
            cv2.ellipse(mask, (centre.tolist(), sides, rng.uniform(0, 180)), 1, cv2.FILLED)
        else:
            left, top = (centre - np.divide(sides, 2)).round().astype(int).tolist()
            right, bottom = (centre + np.divide(sides, 2)).round().astype(int).tolist()
            mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 1
        x, y = centre.astype(int)
        mask[y, x] = 1  # also of one that is smaller than a pixel
    return mask


def _check_ratio(lower: float, upper: float) -> None:
    if not 0 < lower < upper <= 1:
        raise UserError(f'area_ratio_range must rise within (0, 1], got ({lower}, {upper})')
