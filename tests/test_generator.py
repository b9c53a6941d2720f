import pytest
import torch
from conftest import make_batch, relative_error, released_keys
from test_hole_aware import make_generator

from mmedit_gl.errors import UserError
from mmedit_gl.models import GLDecoder, GLDilationNeck, GLEncoder, GLEncoderDecoder


def test_parameters_have_the_names_types_and_shapes_of_the_released_checkpoints(published_model):
    own = {
        name: [str(value.dtype).removeprefix('torch.'), list(value.shape)]
        for name, value in published_model.state_dict().items()
    }
    assert own == released_keys()
    assert sum(p.numel() for p in published_model.generator.parameters()) == 6_069_155


@torch.no_grad()
def test_output_is_golden_in_eval_mode(published_model, golden):
    small = make_batch(golden['gen_small_image'], golden['gen_small_bbox'])
    fake_res = published_model(**published_model.data_preprocessor(small))
    assert relative_error(fake_res, golden['gen_small_out']) < 1e-4

    batch = make_batch(golden['image'], golden['bbox'])
    fake_res = published_model(**published_model.data_preprocessor(batch))
    assert relative_error(fake_res[:, :, 3::7, 5::7], golden['gen_out_strided']) < 1e-4
    assert fake_res.mean().item() == pytest.approx(float(golden['gen_out_mean']), rel=1e-4)
    assert fake_res.std().item() == pytest.approx(float(golden['gen_out_std']), rel=1e-4)


@torch.no_grad()
def test_output_is_golden_in_train_mode(published_model, golden):
    batch = make_batch(golden['image'], golden['bbox'])
    fake_res = published_model.train()(**published_model.data_preprocessor(batch))
    assert relative_error(fake_res[:, :, 3::7, 5::7], golden['gen_train_out_strided']) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize('size', [(64, 64), (61, 66), (7, 130), (1, 1), (2, 3)])
def test_any_size_of_picture_gives_a_completion_of_that_size(size):
    fake_res = make_generator()(torch.rand(1, 3, *size) * 2 - 1, torch.ones(1, 1, *size))
    assert fake_res.shape == (1, 3, *size)
    assert fake_res.abs().max() <= 1


def test_base_channels_scale_every_width():
    modules = [GLEncoder(16), GLDilationNeck(16), GLDecoder(16)]
    shapes = {name: list(v.shape) for m in modules for name, v in m.state_dict().items()}
    narrow = dict(enc1=(16, 4), enc6=(64, 64), dec1=(64, 64), dec6=(8, 16), dec7=(3, 8))
    for name, widths in narrow.items():
        assert tuple(shapes[f'{name}.conv.weight'][:2]) == widths
    assert shapes['dec3.conv.weight'] == [64, 32, 4, 4]
    assert shapes['dilation_convs.3.conv.weight'] == [64, 64, 3, 3]


def test_odd_base_channels_are_refused():
    with pytest.raises(UserError, match='base_channels must be even, got 3'):
        GLDecoder(3)


@torch.no_grad()
def test_sigmoid_is_stretched_over_the_range_and_adds_no_parameters():
    torch.manual_seed(0)
    clip, sigmoid = GLDecoder(4).eval(), GLDecoder(4, out_act='sigmoid').eval()
    sigmoid.load_state_dict(clip.state_dict(), strict=True)
    layers = [layer for name, layer in clip.named_children() if name.startswith('dec')]
    features = x = 300 * torch.randn(2, 16, 8, 8)
    for layer in layers:
        x = layer(x)
    assert x.abs().max() > 2
    torch.testing.assert_close(sigmoid(features), 2 / (1 + (-x).exp()) - 1, rtol=0, atol=1e-6)
    torch.testing.assert_close(clip(features), x.clamp(-1, 1), rtol=0, atol=0)


def test_another_output_is_refused():
    with pytest.raises(UserError, match=r"expected out_act in \['clip', 'sigmoid'\], got 'tanh'"):
        GLDecoder(4, out_act='tanh')


@torch.no_grad()
def test_a_residual_generator_adds_to_the_picture_it_is_given():
    parts = dict(
        encoder=dict(type='GLEncoder', base_channels=4),
        dilation_neck=dict(type='GLDilationNeck', base_channels=4),
        decoder=dict(type='GLDecoder', base_channels=4),
    )
    plain, residual = GLEncoderDecoder(**parts).eval(), GLEncoderDecoder(**parts, residual=True)
    residual.eval().load_state_dict(plain.state_dict(), strict=True)
    masked_img, mask = torch.rand(2, 3, 33, 46) * 2 - 1, torch.ones(2, 1, 33, 46)
    added = plain(masked_img, mask)
    assert 0 < added.abs().max() < 1
    expected = (masked_img + added).clamp(-1, 1)
    torch.testing.assert_close(residual(masked_img, mask), expected, rtol=0, atol=1e-6)
    parts['decoder']['out_act'] = 'sigmoid'
    with pytest.raises(UserError, match=r"residual=True .* goes with out_act='clip'"):
        GLEncoderDecoder(**parts, residual=True)
