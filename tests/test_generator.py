import pytest
import torch
from conftest import make_batch, relative_error, released_keys

from mmedit_gl.errors import UserError
from mmedit_gl.models import GLDecoder, GLDilationNeck, GLEncoder


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
def test_any_size_of_picture_gives_a_completion_of_that_size(published_model, size):
    generator = published_model.generator
    fake_res = generator(torch.rand(1, 3, *size) * 2 - 1, torch.ones(1, 1, *size))
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
