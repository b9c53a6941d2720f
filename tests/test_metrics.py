import itertools
import re
import zlib

import numpy as np
import pytest
import torch
from conftest import make_batch, random_image
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mmedit_gl.datasets import bbox2mask
from mmedit_gl.errors import UserError
from mmedit_gl.evaluation import (
    InpaintingMetrics,
    colour,
    l1,
    l1_image,
    mean_colour,
    psnr,
    ssim,
    telea,
)

SIZES = [(11, 11), (12, 40), (64, 48), (37, 91), (128, 128), (300, 250)]


def pictures(*images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def noisy(image, seed):
    noise = np.random.default_rng(seed).integers(-60, 61, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def scored_batch(golden):
    batch = make_batch(golden['image'], golden['bbox'])
    return pictures(*golden['metric_pred']), batch['gt_img'].permute(0, 3, 1, 2), batch['mask']


def skimage_ssim(image, other):
    return structural_similarity(
        image,
        other,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
    )


def samples(preds, images, bboxes):
    batch = make_batch(images, bboxes)
    return [
        dict(fake_img=fake_img, gt_img=gt_img, mask=mask, img_path=path)
        for fake_img, gt_img, mask, path in zip(
            pictures(*preds),
            batch['gt_img'].permute(0, 3, 1, 2),
            batch['mask'],
            batch['img_path'],
        )
    ]


def test_metrics_are_those_of_the_published_table(golden):
    pred, gt_img, mask = scored_batch(golden)
    expected = golden['metric_l1_psnr_ssim']
    np.testing.assert_allclose(l1(pred, gt_img, mask), expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(psnr(pred, gt_img), expected[:, 1], rtol=1e-6)
    np.testing.assert_allclose(ssim(pred, gt_img), expected[:, 2], rtol=1e-4)


def test_the_error_of_the_mean_colour_is_that_of_the_means_in_the_hole(golden):
    pred, gt_img, mask = scored_batch(golden)
    for value, one, other, hole in zip(colour(pred, gt_img, mask), pred, gt_img, mask):
        means = [img[:, hole[0] == 1].double().mean(dim=1) for img in (one, other)]
        expected = (means[0] - means[1]).abs().mean() / 255 * 100
        assert value.item() == pytest.approx(expected.item(), rel=1e-12)
        assert 0 < value < l1(one[None], other[None], hole[None])


@pytest.mark.parametrize('size', SIZES)
def test_psnr_and_ssim_agree_with_scikit_image(size):
    for seed in range(3):
        image = random_image(seed, *size)
        other = noisy(image, seed)
        pred, target = pictures(other), pictures(image)
        expected = peak_signal_noise_ratio(image, other, data_range=255)
        assert psnr(pred, target).item() == pytest.approx(expected, rel=1e-9)
        assert ssim(pred, target).item() == pytest.approx(skimage_ssim(image, other), abs=1e-7)
        whole = np.ones((1, 1, *size), np.uint8)
        expected = 100 * np.abs(image / 255 - other / 255).mean()
        assert l1_image(pred, target).item() == pytest.approx(expected, rel=1e-12)
        assert l1(pred, target, torch.from_numpy(whole)).item() == l1_image(pred, target).item()


def test_ssim_of_a_hole_agrees_with_scikit_image_wherever_it_lies():
    image, other = random_image(1, 60, 75), random_image(2, 60, 75)
    for top, left in itertools.product((0, 5, 12, 49), (0, 3, 30, 64)):
        completed = image.copy()
        completed[top : top + 11, left : left + 11] = other[top : top + 11, left : left + 11]
        value = ssim(pictures(completed), pictures(image)).item()
        assert value == pytest.approx(skimage_ssim(image, completed), abs=1e-7)


def test_ssim_of_a_picture_smaller_than_its_window_is_refused():
    small = torch.zeros(1, 3, 10, 40, dtype=torch.uint8)
    with pytest.raises(UserError, match=r'^SSIM needs pictures of at least 11 pixels .* 10x40$'):
        ssim(small, small)


@pytest.mark.parametrize('k', [1, 17, 100])
def test_a_constant_error_has_a_closed_form(k):
    target = torch.randint(0, 156, (2, 3, 20, 30), dtype=torch.uint8)
    mask = torch.zeros(2, 1, 20, 30, dtype=torch.uint8)
    mask[0, :, 3:8, 4:20] = mask[1, :, 0, 0] = 1
    assert l1(target + k * mask, target, mask).tolist() == pytest.approx([100 * k / 255] * 2)
    assert psnr(target + k, target).tolist() == pytest.approx([20 * np.log10(255 / k)] * 2)


@pytest.mark.parametrize(
    ('dark', 'light'), [(0, 1), (0, 2), (1, 2), (50, 150), (254, 255), (0, 255)]
)
def test_ssim_of_flat_pictures_is_their_luminance_term(dark, light):
    c1 = 2.55**2
    expected = (2 * dark * light + c1) / (dark**2 + light**2 + c1)
    flat = [torch.full((1, 3, 16, 16), level, dtype=torch.uint8) for level in (dark, light)]
    assert ssim(*flat).item() == pytest.approx(expected, abs=1e-7)


def textbook_ssim(image, other):
    """Window by window, with variances about the mean."""
    offset = np.arange(-5, 6)
    weights = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2)).ravel()
    weights /= weights.sum()
    views = (sliding_window_view(img.astype(float), (11, 11), (0, 1)) for img in (image, other))
    x, y = (view.reshape(-1, 121) for view in views)
    mean_x, mean_y = x @ weights, y @ weights
    x, y = x - mean_x[:, None], y - mean_y[:, None]
    var_x, var_y, covariance = (product @ weights for product in (x * x, y * y, x * y))
    c1, c2 = 2.55**2, 7.65**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * (2 * covariance + c2) / (var_x + var_y + c2)).mean()


LEVELS = st.sampled_from([0, 1, 2, 127, 128, 254, 255]) | st.integers(0, 255)


@st.composite
def channels(draw, height: int, width: int) -> np.ndarray:
    """Flat, two flat parts, a checker or a few pixels, with noise of any strength or none."""
    low, high = draw(LEVELS), draw(LEVELS)
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    where = dict(
        flat=np.zeros((height, width), bool),
        halves=x < draw(st.integers(0, width)),
        checker=(y // draw(st.integers(1, 12)) + x // draw(st.integers(1, 12))) % 2 == 1,
        pixels=rng.random((height, width)) < 0.01,
    )[draw(st.sampled_from(['flat', 'halves', 'checker', 'pixels']))]
    strength = draw(st.sampled_from([0, 0, 1, 2, 10, 255]))
    noise = rng.integers(-strength, strength + 1, (height, width))
    return np.clip(np.where(where, high, low) + noise, 0, 255).astype(np.uint8)


@st.composite
def pairs(draw) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(11, 30)), draw(st.integers(11, 30))
    image, other = (np.dstack([draw(channels(*size)) for _ in range(3)]) for _ in range(2))
    equal_from = draw(st.integers(0, 2 * size[0]))
    other[equal_from:] = image[equal_from:]
    return image, other


@given(pair=pairs())
@settings(derandomize=True, deadline=None, max_examples=100)
def test_ssim_of_flat_nearly_flat_and_extreme_pictures_is_exact(pair):
    value = ssim(*(pictures(image) for image in pair)).item()
    assert value == pytest.approx(textbook_ssim(*pair), abs=1e-7)
    assert value == pytest.approx(skimage_ssim(*pair), abs=1e-7)


def test_ssim_is_a_sum_of_whole_numbers_which_has_the_same_bits_in_any_order(golden):
    pred, gt_img, _ = scored_batch(golden)
    for value in ssim(pred, gt_img):
        parts = (1 - value.item()) * 2**24 * 3 * 246 * 246
        assert parts > 2**24
        assert parts == pytest.approx(round(parts), abs=0.01)


def test_equal_pictures_score_perfectly(golden):
    _, gt_img, mask = scored_batch(golden)
    assert l1(gt_img, gt_img, mask).tolist() == [0, 0]
    assert psnr(gt_img, gt_img).tolist() == [np.inf, np.inf]
    assert ssim(gt_img, gt_img).tolist() == [1, 1]


def test_l1_ignores_what_is_outside_the_hole(golden):
    pred, gt_img, mask = scored_batch(golden)
    elsewhere = pred * mask + (255 - pred) * (1 - mask)
    assert l1(elsewhere, gt_img, mask).tolist() == l1(pred, gt_img, mask).tolist()


def test_a_darker_picture_is_as_far_as_a_lighter_one():
    dark, light = torch.zeros(1, 3, 12, 12).byte(), torch.full((1, 3, 12, 12), 255).byte()
    mask = torch.ones(1, 1, 12, 12, dtype=torch.uint8)
    assert l1(dark, light, mask).item() == l1(light, dark, mask).item() == pytest.approx(100)
    assert psnr(dark, light).item() == psnr(light, dark).item() == 0


def test_metrics_leave_their_inputs_as_they_are(golden):
    inputs = scored_batch(golden)
    before = [x.clone() for x in inputs]
    pred, gt_img, mask = inputs
    l1(pred, gt_img, mask), psnr(pred, gt_img), ssim(pred, gt_img)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before))


def test_scores_have_the_same_bits_in_any_batch_and_with_any_number_of_threads(threads):
    images = [random_image(seed, 150, 170) for seed in range(5)]
    preds, target = pictures(*(noisy(image, 1) for image in images)), pictures(*images)
    preds[:, :, :40], preds[2] = target[:, :, :40], target[2]
    mask = torch.zeros(5, 1, 150, 170, dtype=torch.uint8)
    mask[:, :, 40:90, 20:70] = 1
    for metric, args in [
        (l1, (preds, target, mask)),
        (l1_image, (preds, target)),
        (psnr, (preds, target)),
        (ssim, (preds, target)),
    ]:
        values = []
        for number in (1, 2, 3):
            threads(number)
            values.append(metric(*args).tolist())
            values.append([metric(*(x[i : i + 1] for x in args)).item() for i in range(5)])
        assert all(v == values[0] for v in values), metric


def test_the_metric_averages_over_pictures_and_not_over_batches(golden):
    metric = InpaintingMetrics()
    all_samples = samples(
        [*golden['metric_pred'], golden['image'][0]],
        np.stack([*golden['image'], golden['metric_pred'][1]]),
        [*golden['bbox'], [10, 20, 30, 40]],
    )
    metric.process({}, all_samples[:2])
    metric.process({}, all_samples[2:])
    values = metric.evaluate(size=3)

    pred, gt_img, mask = (
        torch.stack([s[name] for s in all_samples]) for name in ('fake_img', 'gt_img', 'mask')
    )
    assert values == dict(
        l1=pytest.approx(l1(pred, gt_img, mask).mean().item()),
        colour=pytest.approx(colour(pred, gt_img, mask).mean().item()),
        l1_image=pytest.approx(l1_image(pred, gt_img).mean().item()),
        psnr=pytest.approx(psnr(pred, gt_img).mean().item()),
        ssim=pytest.approx(ssim(pred, gt_img).mean().item()),
        num_images=3,
    )


def test_baselines_are_scored_on_the_same_holes():
    images = np.stack([random_image(seed, 40, 50) for seed in (1, 2)])
    bboxes = [[5, 6, 12, 20], [20, 10, 9, 9]]
    metric = InpaintingMetrics(baselines=['mean', 'telea'])
    metric.process({}, samples(images[::-1].copy(), images, bboxes))
    values = metric.evaluate(size=2)

    batch = make_batch(images, bboxes)
    target, mask = batch['gt_img'].permute(0, 3, 1, 2), batch['mask']
    for name, fill in [('mean', mean_colour), ('telea', telea)]:
        filled = pictures(*(fill(image, m.numpy()[0]) for image, m in zip(images, mask)))
        assert values[f'{name}/l1'] == pytest.approx(l1(filled, target, mask).mean().item())
        assert values[f'{name}/psnr'] == pytest.approx(psnr(filled, target).mean().item())
        assert values[f'{name}/ssim'] == pytest.approx(ssim(filled, target).mean().item())
    assert values['num_images'] == 2
    assert values['l1'] > values['mean/l1'] > values['telea/l1']


def test_an_unknown_baseline_is_refused_with_those_there_are():
    names = "['mean', 'membrane', 'ns', 'patchmatch', 'telea']"
    with pytest.raises(UserError, match=re.escape(f"baselines in {names}, got ['median']")):
        InpaintingMetrics(baselines=['telea', 'median'])
    with pytest.raises(UserError, match=r"learned in \['fid', 'lpips'\], got \['is'\]"):
        InpaintingMetrics(learned=['is'])


def test_identical_pictures_are_counted_and_left_out_of_the_mean_psnr():
    images = np.stack([random_image(seed, 40, 50) for seed in (1, 2, 3)])
    preds = images.copy()
    preds[1, 10, 10] ^= 8
    metric = InpaintingMetrics()
    metric.process({}, samples(preds, images, [[5, 6, 12, 20]] * 3))
    values = metric.evaluate(size=3)
    assert values['psnr'] == pytest.approx(10 * np.log10(255**2 * 40 * 50 / 64))
    assert values['num_identical'] == 2
    assert values['num_images'] == 3

    metric.process({}, samples(images, images, [[5, 6, 12, 20]] * 3))
    values = metric.evaluate(size=3)
    assert (values['psnr'], values['num_identical'], values['l1']) == (np.inf, 3, 0)


def test_what_each_picture_was_is_kept_with_its_scores():
    images = np.stack([random_image(seed, 40, 50) for seed in (1, 2)])
    bboxes = [[5, 6, 12, 20], [20, 10, 9, 9]]
    metric = InpaintingMetrics(baselines=['telea'])
    metric.process({}, samples(images[::-1].copy(), images, bboxes))
    values = metric.evaluate(size=2)
    assert [p['img_path'] for p in metric.pictures] == ['0.png', '1.png']
    assert [p['mask_bbox'] for p in metric.pictures] == [tuple(b) for b in bboxes]
    assert [p['hole'] for p in metric.pictures] == [12 * 20 / 2000, 9 * 9 / 2000]
    for method, prefix in [('model', ''), ('telea', 'telea/')]:
        for name in ('l1', 'l1_image', 'psnr', 'ssim'):
            scores = [p['scores'][method][name] for p in metric.pictures]
            assert values[prefix + name] == sum(scores) / 2
    for picture, image, box in zip(metric.pictures, images, bboxes):
        hole = bbox2mask((40, 50), box)
        content = image.transpose(2, 0, 1).tobytes() + hole.tobytes()
        assert picture['crc32'] == zlib.crc32(content)
