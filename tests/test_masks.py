import numpy as np
import pytest

from mmedit_gl.datasets import (
    bbox2mask,
    binarize,
    free_form_mask,
    irregular_mask,
    mask2bbox,
    random_bbox,
)
from mmedit_gl.errors import UserError


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
    assert binarize(np.array([[0, 127, 128, 255]], np.uint8)).tolist() == [[0, 0, 1, 1]]
    assert binarize(np.array([[0, 1]], np.uint8)).tolist() == [[0, 1]]
    assert binarize(np.array([[False, True]])).tolist() == [[0, 1]]
    assert binarize(np.zeros((2, 2), np.uint8)).sum() == 0


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
