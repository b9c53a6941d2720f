import math

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch, relative_error

from mmedit_gl.errors import UserError
from mmedit_gl.models import GLDiscs, MultiLayerDiscriminator, crop, local_windows
from mmedit_gl.models.inpaintor import composite
from mmedit_gl.registry import MODELS


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def identity(x):
    return x


@torch.no_grad()
def test_logits_are_golden_in_both_modes(published_model, golden):
    model = published_model
    batch = model.data_preprocessor(make_batch(golden['image'], golden['bbox']))
    fake_img = composite(batch, model(**batch))
    windows = local_windows(batch['mask_bbox'], (256, 256), (128, 128))
    local_img = crop(fake_img, windows)
    assert relative_error(model.disc(fake_img, local_img), golden['disc_eval_logit']) < 1e-4
    assert (
        relative_error(model.disc.train()(fake_img, local_img), golden['disc_train_logit']) < 1e-4
    )
    assert sum(p.numel() for p in model.disc.parameters()) == 45_060_225


def test_last_layer_takes_what_both_branches_give():
    branch = dict(in_channels=3, max_channels=8, num_convs=2, fc_in_channels=8 * 4, base_channels=4)
    discs = GLDiscs(dict(**branch, fc_out_channels=5), dict(**branch, fc_out_channels=7))
    assert discs.fc.weight.shape == (1, 12)
    assert discs(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)).shape == (2, 1)


def test_fully_connected_layers_begin_as_published(published_cfg):
    torch.manual_seed(0)
    discs = MODELS.build(published_cfg.model.disc)
    for layer in (discs.global_disc.fc.linear, discs.local_disc.fc.linear, discs.fc):
        weight = layer.weight.detach().double()
        error = 0.02 / weight.numel() ** 0.5  # of the mean; that of the standard deviation is less
        assert abs(weight.mean()) < 4 * error and abs(weight.std() - 0.02) < 4 * error
        # As many beyond one standard deviation as a normal distribution has.
        beyond, share = (weight.abs() > 0.02).double().mean(), math.erfc(0.5**0.5)
        assert abs(beyond - share) < 4 * (share * (1 - share) / weight.numel()) ** 0.5
        assert not layer.bias.any()


def test_widths_double_up_to_the_maximum():
    disc = MultiLayerDiscriminator(3, 32, 4, 32, base_channels=8)
    widths = [disc.get_submodule(f'conv{i}').conv.out_channels for i in (1, 2, 3, 4)]
    assert widths == [8, 16, 32, 32]


@pytest.mark.parametrize(
    ('options', 'act', 'out_act'),
    [
        ({}, F.relu, F.relu),
        (dict(act_cfg=dict(type='LeakyReLU', negative_slope=0.2)), leaky, F.relu),
        (dict(out_act_cfg=dict(type='LeakyReLU', negative_slope=0.2)), F.relu, leaky),
        (dict(act_cfg=None, out_act_cfg=None), identity, identity),
    ],
)
def test_convolutions_and_the_fully_connected_layer_have_activations_of_their_own(
    options, act, out_act
):
    torch.manual_seed(0)
    disc = MultiLayerDiscriminator(
        3, 8, 2, fc_in_channels=8 * 4, base_channels=4, norm_cfg=None, **options
    ).double()
    x = torch.randn(5, 3, 8, 8).double()
    expected = x
    for layer in (disc.conv1.conv, disc.conv2.conv):
        expected = act(F.conv2d(expected, layer.weight, layer.bias, stride=2, padding=2))
    fc = disc.fc.linear
    expected = out_act(expected.reshape(5, -1) @ fc.weight.T + fc.bias)
    torch.testing.assert_close(disc(x), expected)


def test_pictures_of_another_size_are_refused_with_the_number_to_set():
    disc = MultiLayerDiscriminator(3, 8, 2, fc_in_channels=8 * 16 * 16, base_channels=4)
    with pytest.raises(UserError, match=f'set it to {8 * 8 * 8}'):
        disc(torch.zeros(1, 3, 32, 32))
    assert disc(torch.zeros(1, 3, 64, 64)).shape == (1, 1024)
