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


def test_boxes_keep_their_bounds_and_reach_all_of_them():
    boxes = np.array([random_bbox(rng, (60, 80), (16, 20), 4, 6) for rng in rngs(4000)])
    top, left, height, width = boxes.T
    assert (height.min(), height.max()) == (12, 16)
    assert (width.min(), width.max()) == (16, 20)
    assert (top.min(), left.min()) == (6, 6)
    assert ((top + height).max(), (left + width).max()) == (60 - 6, 80 - 6)
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.05  # drawn independently


def test_published_boxes_fit_by_construction():
    for rng in rngs(100):
        top, left, height, width = random_bbox(rng, (256, 256), (128, 128), 20, 20)
        assert 108 <= min(height, width) <= max(height, width) <= 128
        assert min(top, left, 256 - top - height, 256 - left - width) >= 20


def test_a_box_and_its_mask_are_one_another():
    for rng in rngs(50):
        bbox = random_bbox(rng, (30, 40), (30, 40), 29, 0)
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
        (dict(max_bbox_shape=(20, 20), max_bbox_delta=20), 'max_bbox_delta must be at least 0'),
    ],
)
def test_boxes_that_cannot_be_drawn_are_refused(config, message):
    with pytest.raises(UserError, match=message):
        random_bbox(np.random.default_rng(0), (60, 80), **config)


def test_a_share_that_no_mask_can_have_is_refused():
    with pytest.raises(UserError, match='area_ratio_range must rise'):
        irregular_mask(np.random.default_rng(0), (64, 64), area_ratio_range=(0.5, 0.2))


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
        (dict(max_aspect=0.5), 'max_aspect of at least 1'),
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
