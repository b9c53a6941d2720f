import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates

from mmedit_gl.errors import UserError
from mmedit_gl.models import GANLoss, L1Loss, MeanColourLoss, MSELoss


@pytest.fixture
def pictures():
    torch.manual_seed(0)
    mask = torch.zeros(2, 1, 8, 9)
    mask[0, :, 2:5, 3:8] = 1
    mask[1, :, 0:7, 1:3] = 1
    return torch.rand(2, 3, 8, 9), torch.rand(2, 3, 8, 9), mask


@pytest.mark.parametrize(('loss', 'torch_loss'), [(L1Loss, F.l1_loss), (MSELoss, F.mse_loss)])
def test_hole_losses_are_torchs_on_the_pixels_of_the_hole(loss, torch_loss, pictures):
    pred, target, mask = pictures
    hole = mask.expand_as(pred) == 1
    expected = 0.3 * torch_loss(pred[hole], target[hole])
    torch.testing.assert_close(loss(loss_weight=0.3)(pred, target, mask), expected)


def test_the_mean_colour_of_each_hole_counts_alike():
    pred, mask = torch.zeros(3, 3, 8, 9), torch.zeros(3, 1, 8, 9)
    mask[0, :, :1, :2] = 1
    mask[1, :, 2:, 3:] = 1  # the third has no hole, and no error
    pred[0, 0, 0] = torch.arange(9.0)  # a mean of 0.5
    pred[1, 1], pred[1, 2, 2:, 3:6], pred[1, 2, 2:, 6:] = -4, 5, -5
    loss = MeanColourLoss(loss_weight=0.3)(pred, torch.zeros_like(pred), mask)
    assert loss.item() == pytest.approx(0.3 * (0.5 + 4) / 9)


def test_gan_loss_is_weighted_for_the_generator_only():
    logit = torch.tensor([[-1.5], [0.3], [40.0]])
    loss = GANLoss(loss_weight=0.01)
    # Cross entropy in closed form: softplus of the logit, its sign by the target.
    torch.testing.assert_close(loss(logit, False, is_disc=True), F.softplus(logit).mean())
    torch.testing.assert_close(loss(logit, True, is_disc=True), F.softplus(-logit).mean())
    torch.testing.assert_close(loss(logit, True), 0.01 * F.softplus(-logit).mean())


def blurred(mask):
    """A mask `(H, W)` under the Gaussian, summed pixel by pixel."""
    reach = np.arange(-35, 36)
    weights = np.exp(-(reach**2) / (2 * 10**2))
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    result = np.zeros(mask.shape)
    for y, x in np.ndindex(mask.shape):
        for v, u in np.argwhere(mask):
            if max(abs(v - y), abs(u - x)) <= 35:
                result[y, x] += kernel[35 + v - y, 35 + u - x]
    return result


ONE, TWOS = torch.ones(1, 1).double(), torch.full((1, 3, 6, 6), 2.0).double()


@pytest.mark.parametrize(
    ('gan_type', 'logit', 'expected'),
    [
        # of the generator for real and for fake, weighted by 2, and of the discriminators
        ('vanilla', ONE, (0.6265233, 2.6265232, 0.3132616, 1.3132616)),
        ('lsgan', TWOS, (2, 8, 1, 4)),
        ('l1', TWOS, (2, 4, 1, 2)),
        ('wgan', TWOS, (-4, 4, -2, 2)),
        ('hinge', TWOS, (-4, -4, 0, 3)),
        ('smgan', TWOS, (2, 8, 1, 3.786323)),
    ],
)
def test_gan_losses_have_the_published_numbers(gan_type, logit, expected):
    loss = GANLoss(gan_type, loss_weight=2.0, real_label_val=1.0, fake_label_val=0.0)
    mask = torch.ones(1, 1, 6, 6).double()
    found = [
        loss(logit, is_real, is_disc=is_disc, mask=mask).item()
        for is_disc in (False, True)
        for is_real in (True, False)
    ]
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('gan_type', ['vanilla', 'lsgan', 'l1'])
def test_labels_are_what_logits_should_be(gan_type):
    logit = torch.tensor([[-1.5], [0.3], [4.0]]).double()
    loss = GANLoss(gan_type, real_label_val=0.9, fake_label_val=0.2)
    for is_real, label in [(True, 0.9), (False, 0.2)]:
        x = logit.numpy()
        errors = dict(
            vanilla=label * np.log1p(np.exp(-x)) + (1 - label) * np.log1p(np.exp(x)),
            lsgan=(x - label) ** 2,
            l1=np.abs(x - label),
        )
        for is_disc in (True, False):
            found = loss(logit, is_real, is_disc).item()
            assert found == pytest.approx(errors[gan_type].mean(), rel=1e-12)


def test_smgan_enlarges_the_logits_and_wants_the_blurred_mask_of_fake_pictures():
    torch.manual_seed(0)
    logit = torch.randn(2, 1, 5, 8).double()
    mask = torch.zeros(2, 1, 9, 15).double()
    mask[0, 0, 2:7, 1:5] = mask[1, 0, :3, 9:] = 1
    y, x = np.arange(9) / 2, np.arange(15) / 2  # corners stay corners: (9 - 1) / (5 - 1) is 2
    enlarged = np.stack(
        [map_coordinates(plane[0], np.meshgrid(y, x, indexing='ij'), order=1) for plane in logit]
    )
    targets = np.stack([blurred(plane[0]) for plane in mask.numpy()])
    loss = GANLoss('smgan', real_label_val=0.9, fake_label_val=0.2, loss_weight=0.3)
    for is_real, is_disc, target in [
        (True, True, 0.9),
        (False, True, targets),
        (True, False, 0.9),
        (False, False, 0.2),
    ]:
        expected = ((enlarged - target) ** 2).mean() * (1 if is_disc else 0.3)
        assert loss(logit, is_real, is_disc, mask).item() == pytest.approx(expected, rel=1e-12)


def test_the_error_around_a_hole_that_covers_everything_is_none():
    pred = torch.ones(1, 3, 4, 4)
    assert L1Loss()(pred, 0 * pred, torch.zeros(1, 1, 4, 4)).item() == 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            dict(gan_type='wgan-gp'),
            "a gan_type of 'vanilla', 'lsgan', 'smgan', 'l1', 'wgan', 'hinge', got 'wgan-gp'",
        ),
        (dict(gan_type='hinge', real_label_val=0.9), "'hinge' has no labels: .* got 0.9 and 0"),
        (dict(real_label_val='1'), "real_label_val: expected a number, got '1'"),
        (dict(fake_label_val=math.nan), 'fake_label_val: expected a number, got nan'),
        (dict(loss_weight='abc'), "loss_weight: expected a number of at least 0, got 'abc'"),
        (dict(loss_weight=-1), 'loss_weight: expected a number of at least 0, got -1'),
        (dict(loss_weight=True), 'loss_weight: expected a number of at least 0, got True'),
    ],
)
def test_gan_losses_that_are_none_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        GANLoss(**options)


@pytest.mark.parametrize('loss', [L1Loss, MSELoss, MeanColourLoss])
def test_a_weight_that_is_no_number_is_refused(loss):
    with pytest.raises(UserError, match="loss_weight: expected a number of at least 0, got 'abc'"):
        loss(loss_weight='abc')


def test_smgan_of_logits_without_places_is_refused():
    with pytest.raises(UserError, match=r'logits \(N, C, H, W\), got \(2, 1\)'):
        GANLoss('smgan')(torch.zeros(2, 1), True, mask=torch.ones(2, 1, 4, 4))
