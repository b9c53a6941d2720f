import math

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.stats import ks_2samp

from mmedit_gl.datasets import (
    bbox2mask,
    free_form_mask,
    irregular_mask,
    mask2bbox,
    random_bbox,
    shapes_mask,
)
from mmedit_gl.errors import UserError
from mmedit_gl.pictures import painted


def rngs(count):
    return (np.random.default_rng((7, i)) for i in range(count))


def test_the_top_left_corner_moves_inwards_from_a_largest_box_that_is_anywhere_alike():
    # Top from 4 to 60 - 4 - 16 excluded, left from 6 to 80 - 6 - 20 excluded; then 0 to 2 down and
    # 0 to 3 to the right.
    boxes = [random_bbox(rng, (60, 80), (16, 20), (4, 7), (4, 6)) for rng in rngs(20000)]
    top, left, height, width = np.array(boxes).T
    drawn = top + height - 16, 16 - height, left + width - 20, 20 - width
    for values, low, high in zip(drawn, (4, 0, 6, 0), (40, 3, 54, 4)):
        counts = np.bincount(values - low)
        expected = len(boxes) / (high - low)
        assert (values.min(), len(counts)) == (low, high - low)
        free = len(counts) - 1
        # Chi squared, above this with a probability of 0.001.
        assert ((counts - expected) ** 2 / expected).sum() < free + 3.1 * np.sqrt(2 * free) + 5
    assert np.abs(np.corrcoef(drawn) - np.eye(4)).max() < 0.03  # drawn independently


def test_published_boxes_keep_their_bounds_and_tend_to_the_bottom_right():
    boxes = np.array([random_bbox(rng, (256, 256), 128, 40, 20) for rng in rngs(9000)])
    corner, size = boxes[:, :2], boxes[:, 2:]
    assert (size.min(), size.max()) == (108, 128)
    assert corner.min() == 20 and (corner + size).max() == 256 - 21
    # The largest box begins at 20 to 107; its corner moves by 10, and its centre by 5, on average.
    centre = (20 + 107) / 2 + 64 + 5
    variance = (88**2 - 1) / 12 + (21**2 - 1) / 12 / 4
    means = (corner + size / 2).mean(axis=0)
    assert np.abs(means - centre).max() < 4 * np.sqrt(variance / len(boxes))


def test_an_int_stands_for_both_sides():
    def boxes(*sizes: int | tuple[int, int]) -> list[tuple]:
        return [random_bbox(rng, (60, 80), *sizes) for rng in rngs(50)]

    assert boxes(20, 9, 3) == boxes((20, 20), (9, 9), (3, 3)) == boxes([20, 20], [9, 9], [3, 3])
    assert boxes(20, 9) == boxes(20, 8) != boxes(20, 10)  # half of it, rounded down
    assert boxes((20, 21), 9, 3) != boxes(20, 9, 3) != boxes(20, (9, 4), 3) != boxes(20, 9, (3, 4))


def test_a_box_that_just_fits_has_one_place():
    assert {random_bbox(rng, (30, 40), (22, 31), 0, 4) for rng in rngs(50)} == {(4, 4, 22, 31)}
    assert {random_bbox(rng, (30, 40), (30, 40)) for rng in rngs(9)} == {(0, 0, 30, 40)}


def test_a_box_and_its_mask_are_one_another():
    for rng in rngs(50):
        bbox = random_bbox(rng, (30, 40), (30, 40), 59)
        mask = bbox2mask((30, 40), bbox)
        assert mask.sum() == bbox[2] * bbox[3]
        assert mask2bbox(mask) == bbox


def test_box_of_a_hole_is_tight():
    mask = np.zeros((10, 12), np.uint8)
    mask[3, 4] = mask[7, 2] = mask[5, 9] = 1
    assert mask2bbox(mask) == (3, 2, 5, 8)


def textbook_irregular(
    random, size, num_vertices, max_angle, length_range, brush_width, area_ratio_range
):
    """Strokes of a square picture, redrawn until their share fits."""
    while True:
        mask = np.zeros((size, size), np.uint8)
        for stroke in range(random.randint(*num_vertices)):
            x, y = random.randint(size), random.randint(size)
            for _ in range(random.randint(1, 6)):
                angle = random.randint(0, max_angle) + 0.01
                length, width = random.randint(*length_range), random.randint(*brush_width)
                sign = 1 if stroke % 2 else -1
                x_end = int(x + length * math.cos(angle))
                y_end = int(y + sign * length * math.sin(angle))
                cv2.line(mask, (x, y), (x_end, y_end), 1, width)
                x, y = x_end, y_end
        if area_ratio_range[0] < mask.sum() / size**2 < area_ratio_range[1]:
            return mask


def textbook_free_form(
    random, size, num_vertices, mean_angle, angle_range, brush_width, max_loops=4
):
    """Strokes of a brush in a square picture, never mirrored."""
    mask = Image.new('L', (size, size), 0)
    draw = ImageDraw.Draw(mask)
    mean_length = math.sqrt(2) * size / 8
    for _ in range(random.randint(1, max_loops)):
        least = mean_angle - random.uniform(0, angle_range)
        most = mean_angle + random.uniform(0, angle_range)
        x, y = random.randint(size), random.randint(size)
        vertices = [(x, y)]
        for vertex in range(random.randint(*num_vertices)):
            angle = random.uniform(least, most)
            length = random.normal(mean_length, math.floor(mean_length / 2))
            length = min(max(length, 0), 2 * mean_length)
            sign = 1 if vertex % 2 else -1
            x = int(min(max(x + length * math.cos(angle), 0), size))
            y = int(min(max(y + sign * length * math.sin(angle), 0), size))
            vertices.append((x, y))
        width = random.randint(*brush_width)
        draw.line(vertices, fill=1, width=width)
        for x, y in vertices:
            r = width // 2
            draw.ellipse((x - r, y - r, x + r, y + r), fill=1)
    return np.array(mask)


def measures(masks):
    """Of each mask the share, the number of parts, the centre and the extent."""
    rows = []
    for mask in masks:
        y, x = np.nonzero(mask)
        parts = cv2.connectedComponents(mask)[0] - 1
        rows.append((mask.mean(), parts, x.mean(), y.mean(), np.ptp(x), np.ptp(y)))
    return np.array(rows).T


IRREGULAR = dict(
    num_vertices=(4, 12),
    max_angle=4.0,
    length_range=(10, 100),
    brush_width=(10, 40),
    area_ratio_range=(0.15, 0.5),
)
FREE_FORM = dict(num_vertices=(4, 12), mean_angle=1.2, angle_range=0.4, brush_width=(12, 40))


@pytest.mark.parametrize(
    ('draw', 'textbook', 'size', 'options'),
    [
        (irregular_mask, textbook_irregular, 256, IRREGULAR),
        (
            irregular_mask,
            textbook_irregular,
            96,
            dict(
                num_vertices=(1, 4),
                max_angle=3,
                length_range=(5, 30),
                brush_width=(2, 9),
                area_ratio_range=(0.02, 0.2),
            ),
        ),
        (free_form_mask, textbook_free_form, 256, FREE_FORM),
        (
            free_form_mask,
            textbook_free_form,
            96,
            dict(
                num_vertices=(2, 5),
                mean_angle=2 * math.pi / 5,
                angle_range=2 * math.pi / 15,
                brush_width=(3, 9),
                max_loops=3,
            ),
        ),
    ],
)
def test_strokes_have_the_distribution_of_a_textbook_that_draws_them_one_by_one(
    draw, textbook, size, options
):
    ours = measures(draw(rng, (size, size), **options) for rng in rngs(800))
    random = np.random.RandomState(0)
    theirs = measures(textbook(random, size, **options) for _ in range(800))
    for name, own, other in zip(('share', 'parts', 'x', 'y', 'width', 'height'), ours, theirs):
        # Kolmogorov and Smirnov; below this with a probability of 0.001.
        assert ks_2samp(own, other, method='asymp').pvalue > 0.001, name


def test_strokes_of_the_documented_arguments_are_as_measured_in_openmmlabs():
    share, parts, *_ = measures(irregular_mask(rng, (256, 256), **IRREGULAR) for rng in rngs(800))
    assert (share.mean(), share.std()) == pytest.approx((0.307, 0.086), abs=0.012)
    assert parts.mean() == pytest.approx(3.4, abs=0.2)
    _, _, x, *_ = measures(free_form_mask(rng, (256, 256), **FREE_FORM) for rng in rngs(800))
    assert x.mean() == pytest.approx(164, abs=4 * x.std() / np.sqrt(800))


def test_mirrored_strokes_tend_to_no_side():
    options = dict(FREE_FORM, mirrored=True)
    _, _, x, y, *_ = measures(free_form_mask(rng, (256, 256), **options) for rng in rngs(800))
    for values in (x, y):
        assert abs(values.mean() - 127.5) < 4 * values.std() / np.sqrt(800)
    plain, turned = (
        np.array([free_form_mask(rng, (64, 96), mirrored=value) for rng in rngs(60)])
        for value in (False, True)
    )
    flips = [(rows, columns) for rows in (1, -1) for columns in (1, -1)]
    kinds = [
        next(flip for flip in flips if np.array_equal(mask[:: flip[0], :: flip[1]], other))
        for mask, other in zip(plain, turned)
    ]
    assert set(kinds) == set(flips)


def test_strokes_are_anywhere_in_a_picture_that_is_not_square():
    for draw in (irregular_mask, lambda *args: free_form_mask(*args, mirrored=True)):
        count = sum(draw(rng, (64, 160)) for rng in rngs(600))
        assert count.shape == (64, 160)
        quarters = [count[:, i : i + 40].sum() for i in range(0, 160, 40)]
        assert min(quarters) > 0.4 * max(quarters)


def test_irregular_masks_cover_the_share_asked_for():
    for rng in rngs(20):
        mask = irregular_mask(rng, (64, 96), length_range=(5, 40), brush_width=(3, 12))
        assert mask.shape == (64, 96)
        assert set(np.unique(mask)) == {0, 1}
        assert 0.15 < mask.mean() < 0.5
    assert 0.5 < irregular_mask(rng, (64, 64), area_ratio_range=(0.5, 0.55)).mean() < 0.55


@pytest.mark.parametrize(
    ('draw', 'name'),
    [
        (irregular_mask, 'num_vertices'),
        (irregular_mask, 'length_range'),
        (irregular_mask, 'brush_width'),
        (free_form_mask, 'num_vertices'),
        (free_form_mask, 'brush_width'),
    ],
)
def test_a_range_of_one_value_without_its_end_is_the_int(draw, name):
    def masks(value: int | tuple[int, int]) -> list[list]:
        return [draw(rng, (64, 96), **{name: value}).tolist() for rng in rngs(9)]

    assert masks(6) == masks((6, 7)) == masks([6, 7])
    assert masks(6) != masks(7) and masks((6, 8)) not in (masks(6), masks(7))


@pytest.mark.parametrize(
    ('name', 'values'),
    [('num_vertices', (1, 3)), ('length_range', (2, 4)), ('brush_width', (1, 3))],
)
def test_strokes_have_every_number_of_their_range_but_the_end(name, values):
    fixed = dict(
        num_vertices=(2, 3),
        max_angle=3,
        length_range=(9, 10),
        brush_width=(3, 4),
        area_ratio_range=(0, 1),
    )
    low, end = values
    drawn = [irregular_mask(rng, (64, 64), **fixed | {name: values}).mean() for rng in rngs(1500)]

    def p_value(*values: int) -> float:
        random, options = np.random.RandomState(0), fixed | {name: values}
        theirs = [textbook_irregular(random, 64, **options).mean() for _ in range(1500)]
        return ks_2samp(drawn, theirs, method='asymp').pvalue

    assert p_value(low, end) > 0.001
    assert p_value(low, end + 1) < 0.001
    assert p_value(low, end - 1) < 0.001


def test_free_form_strokes_are_fewer_than_max_loops_and_at_least_one():
    def counts(max_loops: int) -> set[int]:
        options = dict(num_vertices=1, brush_width=1, max_loops=max_loops)
        masks = [free_form_mask(rng, (400, 400), **options) for rng in rngs(60)]
        return {cv2.connectedComponents(mask)[0] - 1 for mask in masks}

    assert [counts(n) for n in (1, 2, 4)] == [{1}, {1}, {1, 2, 3}]


@pytest.mark.parametrize('draw', [irregular_mask, free_form_mask])
def test_strokes_depend_on_the_generator_alone(draw):
    first, again, other = (draw(np.random.default_rng(s), (64, 64)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_masks_are_binary_from_half_of_white_on():
    assert painted(np.array([[0, 127, 128, 255]], np.uint8)).tolist() == [[0, 0, 1, 1]]
    assert painted(np.array([[0, 1]], np.uint8)).tolist() == [[0, 1]]
    assert painted(np.array([[False, True]])).tolist() == [[0, 1]]
    assert painted(np.zeros((2, 2), np.uint8)).sum() == 0


def test_an_empty_mask_is_refused():
    with pytest.raises(UserError, match='the mask is empty'):
        mask2bbox(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(max_bbox_shape=(50, 20), min_margin=6), 'with a margin of 6 does not fit a picture'),
        (dict(max_bbox_shape=20, min_margin=(21, 0)), 'does not fit a picture of 60x80'),
        (dict(max_bbox_shape=(20, 9), max_bbox_delta=18), 'half of max_bbox_delta must be less'),
        (dict(max_bbox_shape=20, max_bbox_delta=-1), 'max_bbox_delta: .* at least 0, .* got -1'),
        (
            dict(max_bbox_shape=(20, 20, 3)),
            r'max_bbox_shape: .* a pair .* got \(20, 20, 3\)',
        ),
        (dict(max_bbox_shape='20'), "max_bbox_shape: expected a number of pixels .* got '20'"),
        (dict(max_bbox_shape=0), 'max_bbox_shape: .* at least 1, .* got 0'),
        (dict(max_bbox_shape=20, min_margin=0.5), 'min_margin: .* got 0.5'),
    ],
)
def test_boxes_that_cannot_be_drawn_are_refused(config, message):
    with pytest.raises(UserError, match=message):
        random_bbox(np.random.default_rng(0), (60, 80), **config)


@pytest.mark.parametrize(
    ('draw', 'options', 'message'),
    [
        (irregular_mask, dict(area_ratio_range=(0.5, 0.2)), 'area_ratio_range must rise'),
        (irregular_mask, dict(area_ratio_range=0.5), 'area_ratio_range must rise .* got 0.5'),
        (irregular_mask, dict(length_range=(9, 9)), r'length_range: .* that rises .* got \(9, 9\)'),
        (irregular_mask, dict(num_vertices=(1, 2, 3)), r'num_vertices: .* got \(1, 2, 3\)'),
        (irregular_mask, dict(brush_width=-4), 'brush_width: .* of at least 1, .* got -4'),
        (free_form_mask, dict(brush_width='12'), "brush_width: .* got '12'"),
        (free_form_mask, dict(num_vertices=(0, 4)), r'num_vertices: .* got \(0, 4\)'),
        (irregular_mask, dict(max_angle='4'), "max_angle: .* of at least 1, got '4'"),
        (irregular_mask, dict(max_angle=0.5), 'max_angle: .* of at least 1, got 0.5'),
        (free_form_mask, dict(mirrored='no'), "mirrored: expected True or False, got 'no'"),
        (free_form_mask, dict(mean_angle=None), 'mean_angle: expected a number, got None'),
        (free_form_mask, dict(angle_range=np.nan), 'angle_range: .* got nan'),
        (free_form_mask, dict(max_loops=True), 'max_loops: .* got True'),
        (
            free_form_mask,
            dict(max_loops=0),
            'max_loops: .* of at least 1, got 0',
        ),
    ],
)
def test_strokes_of_a_range_that_is_none_are_refused(draw, options, message):
    with pytest.raises(UserError, match=message):
        draw(np.random.default_rng(0), (64, 64), **options)


@pytest.mark.parametrize(('shape', 'share'), [('box', 1), ('ellipse', np.pi / 4)])
def test_shapes_have_their_sizes_evenly_in_the_logarithm_and_both_aspects(shape, share):
    sizes, aspects = [], []
    for rng in rngs(600):
        mask = shapes_mask(rng, (200, 200), shape, (10, 40), max_aspect=3)
        assert set(np.unique(mask)) == {0, 1}
        top, left, height, width = mask2bbox(mask)
        if min(top, left, 200 - top - height, 200 - left - width) > 0:  # not cut by a border
            sizes.append(np.sqrt(mask.sum() / share))
            aspects.append(height / width)
    assert 9 < min(sizes) < 11 and 38 < max(sizes) < 42
    below = [np.mean(np.array(sizes) < 10 * 4**q) for q in (0.25, 0.5, 0.75)]
    assert np.abs(np.subtract(below, (0.25, 0.5, 0.75))).max() < 0.08
    assert 0.3 < min(aspects) < 0.5 and 2 < max(aspects) < 3.4
    assert 0.4 < np.mean(np.array(aspects) > 1) < 0.6


def test_shapes_are_several_anywhere_and_never_none():
    union = np.mean([shapes_mask(rng, (30, 40), size_range=(9, 9)) for rng in rngs(999)], axis=0)
    assert union.min() > 0
    one, three = (
        np.mean([shapes_mask(rng, (90, 90), 'box', (9, 9), 1, n).sum() for rng in rngs(300)])
        for n in (1, 3)
    )
    assert 1.7 < three / one < 2.1  # one to three, some of which overlap
    assert all(shapes_mask(rng, (9, 9), 'box', (1, 1), 4).any() for rng in rngs(100))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(shape='disc'), "shape 'box' or 'ellipse', got 'disc'"),
        (dict(size_range=(9, 4)), r'size_range to rise .* got \(9, 4\)'),
        (dict(size_range=9), 'size_range to rise .* got 9'),
        (dict(max_aspect=0.5), 'max_aspect: expected a number of at least 1, got 0.5'),
        (dict(max_aspect='2'), "max_aspect: expected a number of at least 1, got '2'"),
        (dict(max_shapes=0), 'max_shapes: expected a whole number of at least 1, got 0'),
        (dict(inside='no'), "inside: expected True or False, got 'no'"),
        (dict(size_range=(19, 30), inside=True), 'do not fit inside a picture of 20x20'),
    ],
)
def test_shapes_that_are_none_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        shapes_mask(np.random.default_rng(0), (20, 20), **options)


@pytest.mark.parametrize('shape', ['box', 'ellipse'])
def test_shapes_inside_are_cut_by_no_border(shape):
    for rng in rngs(200):
        mask = shapes_mask(rng, (40, 60), shape, (20, 24), max_aspect=2, inside=True)
        assert not any(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
