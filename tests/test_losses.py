import pytest
import torch
import torch.nn.functional as F

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


def test_another_gan_type_is_refused():
    with pytest.raises(UserError, match="expected gan_type 'vanilla', got 'wgan'"):
        GANLoss(gan_type='wgan')
