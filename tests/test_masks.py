import cv2
import numpy as np
import pytest

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


def test_irregular_masks_cover_the_share_asked_for():
    for rng in rngs(20):
        mask = irregular_mask(rng, (64, 96), length_range=(5, 40), brush_width=(3, 12))
        assert mask.shape == (64, 96)
        assert set(np.unique(mask)) == {0, 1}
        assert 0.15 <= mask.mean() <= 0.5
    assert 0.5 <= irregular_mask(rng, (64, 64), area_ratio_range=(0.5, 0.55)).mean() <= 0.55


def test_free_form_masks_are_brush_strokes():
    areas = []
    for rng in rngs(50):
        mask = free_form_mask(rng, (64, 96), brush_width=(4, 8))
        assert mask.shape == (64, 96)
        assert set(np.unique(mask)) == {0, 1}
        areas.append(mask.mean())
    assert 0.05 < np.mean(areas) < 0.5
    assert np.std(areas) > 0.02


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
    ('name', 'reached'),
    [
        ('num_vertices', {4, 5, 6, 7, 8}),
        ('length_range', {4, 5, 6, 7, 8}),
        ('brush_width', {4, 5, 7}),  # OpenCV draws 6 as 5, and 8 as 7, but not 9
    ],
)
def test_a_stroke_has_every_number_of_its_range_but_the_end(name, reached):
    # One straight stroke, of which the number in question is the last that is drawn.
    fixed = dict(num_vertices=1, max_angle=0, length_range=5, brush_width=3)

    def stroke(seed: int, value: int | tuple[int, int]) -> list:
        rng, options = np.random.default_rng(seed), {**fixed, name: value}
        return irregular_mask(rng, (300, 60), area_ratio_range=(1e-9, 1), **options).tolist()

    drawn = [
        4 + [stroke(seed, value) for value in range(4, 9)].index(stroke(seed, (4, 9)))
        for seed in range(40)
    ]
    assert set(drawn) == reached


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
        (irregular_mask, dict(max_angle='4'), "max_angle: .* of at least 0, got '4'"),
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
