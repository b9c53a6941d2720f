import numpy as np
import pytest
from conftest import random_image

from mmedit_gl.datasets import bbox2mask, free_form_mask
from mmedit_gl.errors import UserError
from mmedit_gl.evaluation import BASELINES, mean_colour, telea

HOLES = [(0, 0, 10, 10), (20, 15, 13, 22), (47, 0, 1, 64), (0, 63, 48, 1), (7, 9, 1, 1)]


@pytest.mark.parametrize('bbox', HOLES)
@pytest.mark.parametrize('name', BASELINES)
def test_a_fill_changes_the_hole_alone(name, bbox):
    img, mask = random_image(3, 48, 64), bbox2mask((48, 64), bbox)
    img[mask == 1] = 255 - img[mask == 1]  # foreign to what is around
    img_before, mask_before = img.copy(), mask.copy()
    filled = BASELINES[name](img, mask)
    assert np.array_equal(img, img_before)
    assert np.array_equal(mask, mask_before)
    assert (filled.dtype, filled.shape) == (img.dtype, img.shape)
    assert np.array_equal(filled[mask == 0], img[mask == 0])
    assert not np.array_equal(filled[mask == 1], img[mask == 1])


@pytest.mark.parametrize('name', BASELINES)
def test_a_fill_does_not_look_into_the_hole(name):
    shape = 40, 50
    boxes = [(10, 12, 15, 9), (0, 0, 15, 15), (0, 10, 15, 15), (25, 0, 15, 15), (0, 0, 39, 50)]
    masks = [bbox2mask(shape, box) for box in boxes]
    masks += [free_form_mask(np.random.default_rng(i), shape, brush_width=(2, 9)) for i in range(9)]
    for i, mask in enumerate(masks):
        img = random_image(i, *shape)
        other = np.where(mask[..., None] == 1, 255 - img, img)
        assert np.array_equal(BASELINES[name](img, mask), BASELINES[name](other, mask))


def test_mean_colour_is_the_rounded_mean_of_each_channel():
    for seed, bbox in enumerate(HOLES):
        img, mask = random_image(seed, 48, 64), bbox2mask((48, 64), bbox)
        count = int((mask == 0).sum())
        expected = [
            round(int(img[..., channel][mask == 0].astype(np.int64).sum()) / count)
            for channel in range(3)
        ]
        assert (mean_colour(img, mask)[mask == 1] == expected).all()


def flat_picture_with_a_hole():
    img = np.full((40, 60, 3), (12, 130, 255), np.uint8)
    damaged, mask = img.copy(), bbox2mask((40, 60), (8, 20, 24, 31))
    damaged[mask == 1] = 0
    return img, damaged, mask


def test_mean_colour_restores_a_constant_picture():
    img, damaged, mask = flat_picture_with_a_hole()
    assert np.array_equal(mean_colour(damaged, mask), img)


def test_a_membrane_continues_a_slope():
    img, damaged, mask = flat_picture_with_a_hole()
    slope = np.linspace(0, 118, 60).round().astype(np.uint8)
    img[:], damaged[:] = slope[:, None], slope[:, None]
    damaged[mask == 1] = 0
    assert abs(BASELINES['membrane'](damaged, mask).astype(int) - img).max() <= 1


def test_telea_restores_a_constant_picture_up_to_its_rounding():
    img, damaged, mask = flat_picture_with_a_hole()
    error = telea(damaged, mask).astype(int) - img
    # OpenCV adds a half before it rounds, and a unit step along the gradient that this makes.
    assert abs(error).max() <= 5
    assert abs(error).mean() <= 0.5


@pytest.mark.parametrize('name', BASELINES)
def test_a_hole_with_nothing_around_is_refused(name):
    with pytest.raises(UserError, match='the mask covers the whole picture'):
        BASELINES[name](random_image(1, 20, 30), np.ones((20, 30), np.uint8))


def test_patchmatch_continues_a_texture_that_no_smooth_fill_can():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, (np.arange(64) // 4) % 2 == 0] = 220
    mask = bbox2mask((64, 64), (20, 22, 18, 18))
    damaged = np.where(mask[..., None] == 1, 90, stripes).astype(np.uint8)
    error = {
        name: abs(fill(damaged, mask).astype(int) - stripes)[mask == 1].mean()
        for name, fill in BASELINES.items()
    }
    assert error['patchmatch'] < 30
    assert min(error[name] for name in ('mean', 'telea', 'ns', 'membrane')) > 90


def test_telea_goes_on_with_what_surrounds_the_hole():
    img = np.zeros((32, 64, 3), np.uint8)
    img[:, 32:] = 200
    mask = bbox2mask((32, 64), (12, 8, 8, 8)) | bbox2mask((32, 64), (12, 48, 8, 8))
    error = {fill: abs(fill(img, mask).astype(int) - img).max() for fill in (telea, mean_colour)}
    assert error[telea] <= 5
    assert error[mean_colour] >= 100
