"""Holes: pure functions of a random generator. A mask is uint8 `(H, W)`, 1 in the hole.

With None as the picture's shape a function only refuses arguments that are no sense.
"""

import cv2
import numpy as np
from mmengine.utils import is_seq_of, to_2tuple
from PIL import Image, ImageDraw

from mmedit_gl.errors import UserError, check_count, check_number


def random_bbox(
    rng: np.random.Generator,
    img_shape: tuple[int, int] | None,
    max_bbox_shape: int | tuple[int, int],
    max_bbox_delta: int | tuple[int, int] = 0,
    min_margin: int | tuple[int, int] = 0,
) -> tuple[int, int, int, int] | None:
    """A box (top, left, height, width) in pixels, drawn as OpenMMLab draws it.

    Each of the three sizes is an int or a pair (height, width). A box of `max_bbox_shape` is put
    into the picture, its top from `min_margin` to `H - min_margin - height`, the end excluded
    except where the box fits nowhere else; left likewise. Then its bottom right corner stays, and
    the top left one moves inwards by 0 to `max_bbox_delta // 2` pixels, both included, down and to
    the right independently. So sides are from `max_bbox_shape - max_bbox_delta // 2` on, and
    centres tend to the bottom right. Raises `UserError` where the largest box does not fit, and
    where a side might come to nothing.
    """
    shape = pair('max_bbox_shape', max_bbox_shape, 1)
    delta = pair('max_bbox_delta', max_bbox_delta)
    margin = pair('min_margin', min_margin)
    if any(moved // 2 >= side for moved, side in zip(delta, shape)):
        raise UserError(
            'half of max_bbox_delta must be less than max_bbox_shape, got '
            f'max_bbox_delta={max_bbox_delta} and max_bbox_shape={max_bbox_shape}'
        )
    if img_shape is None:
        return None
    room = [whole - 2 * edge - side for whole, edge, side in zip(img_shape, margin, shape)]
    if min(room) < 0:
        raise UserError(
            f'a hole of {shape[0]}x{shape[1]} pixels with a margin of {min_margin} does not fit a '
            f'picture of {img_shape[0]}x{img_shape[1]}: lower max_bbox_shape or min_margin'
        )
    top, left = (edge + int(rng.integers(max(1, free))) for edge, free in zip(margin, room))
    down, right = (int(rng.integers(moved // 2 + 1)) for moved in delta)
    return top + down, left + right, shape[0] - down, shape[1] - right


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
    img_shape: tuple[int, int] | None,
    num_vertices: int | tuple[int, int] = (4, 8),
    max_angle: float = 4.0,
    length_range: int | tuple[int, int] = (10, 100),
    brush_width: int | tuple[int, int] = (10, 40),
    area_ratio_range: tuple[float, float] = (0.15, 0.5),
) -> np.ndarray | None:
    """Bent strokes, as OpenMMLab draws them, whose share of the picture is in `area_ratio_range`.

    `num_vertices` is the number of strokes. Each begins anywhere in the picture and has 1 to 5
    parts, whose directions are whole numbers of radians below `max_angle`, mirrored at every second
    stroke. It, and the parts' lengths and widths in pixels, are an int or a range (low, high) that
    excludes its end. All strokes are drawn anew until their share lies between the bounds. Raises
    `UserError` for a range that is none, and where 1000 drawings have another share.
    """
    strokes = _range('num_vertices', num_vertices)
    lengths, widths = _range('length_range', length_range), _range('brush_width', brush_width)
    is_range = _are_two(area_ratio_range, (int, float))
    if not is_range or not 0 <= area_ratio_range[0] < area_ratio_range[1] <= 1:
        raise UserError(f'area_ratio_range must rise within [0, 1], got {area_ratio_range!r}')
    check_number('max_angle', max_angle, 1)
    if img_shape is None:
        return None
    lower, upper = area_ratio_range
    for _ in range(1000):
        mask = np.zeros(img_shape, np.uint8)
        for i in range(rng.integers(*strokes)):
            point = rng.integers((0, 0), img_shape[::-1])
            for _ in range(rng.integers(1, 6)):
                angle = 0.01 + rng.integers(int(max_angle))
                angle = 2 * np.pi - angle if i % 2 == 0 else angle
                step = rng.integers(*lengths) * np.array([np.cos(angle), np.sin(angle)])
                end = (point + step).astype(int)
                cv2.line(mask, point.tolist(), end.tolist(), 1, int(rng.integers(*widths)))
                point = end
        if lower < mask.mean() < upper:
            return mask
    raise UserError(
        f'no strokes cover {lower:g} to {upper:g} of {img_shape[0]}x{img_shape[1]} pixels: widen '
        'area_ratio_range, or change num_vertices, length_range or brush_width'
    )


def free_form_mask(
    rng: np.random.Generator,
    img_shape: tuple[int, int] | None,
    num_vertices: int | tuple[int, int] = (4, 12),
    mean_angle: float = 2 * np.pi / 5,
    angle_range: float = 2 * np.pi / 15,
    brush_width: int | tuple[int, int] = (12, 40),
    max_loops: int = 4,
    mirrored: bool = False,
) -> np.ndarray | None:
    """Brush strokes with round joints, as a person erases something (Yu et al. 2019).

    Drawn as OpenMMLab draws them: fewer strokes than `max_loops`, but at least one, each from
    anywhere in the picture. A stroke turns at a vertex by an angle from its own range, which lies
    within `mean_angle` plus or minus `angle_range` radians, and goes about an eighth of the
    picture's diagonal between two. So strokes tend to the right; `mirrored` turns every second mask
    left to right, and every second upside down, at random. `num_vertices`, and the width in pixels,
    are an int or a range (low, high) that excludes its end. Raises `UserError` for a range that is
    none, and for `max_loops` below 1.
    """
    vertices, widths = _range('num_vertices', num_vertices), _range('brush_width', brush_width)
    check_number('mean_angle', mean_angle)
    check_number('angle_range', angle_range, 0)
    check_count('max_loops', max_loops)
    _check_flag('mirrored', mirrored)
    if img_shape is None:
        return None
    size = img_shape[::-1]
    radius = np.hypot(*img_shape) / 8
    picture = Image.new('L', size)
    brush = ImageDraw.Draw(picture)
    for _ in range(rng.integers(1, max(2, max_loops))):
        low, high = mean_angle + angle_range * rng.uniform((-1, 0), (0, 1))
        points = [rng.integers((0, 0), size)]
        for i in range(rng.integers(*vertices)):
            angle = rng.uniform(low, high)
            angle = 2 * np.pi - angle if i % 2 == 0 else angle
            length = np.clip(rng.normal(radius, radius // 2), 0, 2 * radius)
            step = length * np.array([np.cos(angle), np.sin(angle)])
            points.append(np.clip(points[-1] + step, 0, size).astype(int))
        width = int(rng.integers(*widths))
        points = [tuple(point.tolist()) for point in points]
        brush.line(points, 1, width)
        for x, y in points:
            half = width // 2
            brush.ellipse((x - half, y - half, x + half, y + half), 1)
    mask = np.array(picture)
    if mirrored:
        mask = np.ascontiguousarray(mask[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])])
    return mask


def shapes_mask(
    rng: np.random.Generator,
    img_shape: tuple[int, int] | None,
    shape: str = 'ellipse',
    size_range: tuple[int, int] = (24, 128),
    max_aspect: float = 2.0,
    max_shapes: int = 1,
    inside: bool = False,
) -> np.ndarray | None:
    """A union of 1 to `max_shapes` ellipses or upright boxes (`shape` 'ellipse' or 'box').

    The size of each, the geometric mean of its sides or diameters in pixels, is drawn evenly in its
    logarithm, and so is its aspect, up to `max_aspect` either way; an ellipse is turned at random.
    Centres are anywhere in the picture, or with `inside` where no border cuts the shape. Raises
    `UserError` for another shape, for a range that is none, and where there is no such place.
    """
    if shape not in ('box', 'ellipse'):
        raise UserError(f"expected shape 'box' or 'ellipse', got {shape!r}")
    if not _are_two(size_range, (int, float)) or not 1 <= size_range[0] <= size_range[1] < np.inf:
        raise UserError(f'expected size_range to rise from at least 1 pixel, got {size_range!r}')
    check_number('max_aspect', max_aspect, 1)
    check_count('max_shapes', max_shapes)
    _check_flag('inside', inside)
    if img_shape is None:
        return None
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


def pair(name: str, value: int | tuple[int, int], least: int = 0) -> tuple[int, int]:
    """A pair of numbers of pixels, or of an int that stands for both; `UserError` if it is none."""
    sides = to_2tuple(value)
    if not _are_two(sides, int) or min(sides) < least:
        raise UserError(
            f'{name}: expected a number of pixels of at least {least}, or a pair of them, got '
            f'{value!r}'
        )
    return tuple(sides)


def _check_flag(name: str, value: bool) -> None:
    if not isinstance(value, bool):
        raise UserError(f'{name}: expected True or False, got {value!r}')


def _range(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    ends = (value, value + 1) if isinstance(value, int) else value
    if not _are_two(ends, int) or not 1 <= ends[0] < ends[1]:
        raise UserError(
            f'{name}: expected a number of at least 1, or a range of them (low, high) that rises '
            f'and excludes its end, got {value!r}'
        )
    return tuple(ends)


def _are_two(values: object, kind: type | tuple[type, ...]) -> bool:
    return is_seq_of(values, kind) and len(values) == 2
