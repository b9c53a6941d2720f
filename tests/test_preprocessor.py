import pytest
import torch
from conftest import make_batch, random_image

from mmedit_gl.errors import UserError
from mmedit_gl.models import GLPreprocessor, to_float, to_uint8
from mmedit_gl.pictures import membrane


def test_every_uint8_value_survives_the_way_there_and_back():
    values = torch.arange(256, dtype=torch.uint8)
    scaled = to_float(values)
    assert scaled[0] == -1
    assert scaled[255] == 1
    assert torch.equal(to_uint8(scaled), values)


def test_hole_is_cut_and_the_rest_scaled():
    data = make_batch(random_image(0, 20, 24)[None], [[3, 4, 10, 12]])
    batch = GLPreprocessor()(data)
    assert (batch['masked_img'][0, :, 3:13, 4:16] == 0).all()
    outside = batch['mask'].expand(1, 3, 20, 24) == 0
    gt_img = data['gt_img'].permute(0, 3, 1, 2)
    assert torch.equal(to_uint8(batch['masked_img'])[outside], gt_img[outside])
    assert torch.equal(to_uint8(batch['gt_img']), gt_img)
    assert batch['mask'].sum() == 120


def test_hole_has_the_colour_of_the_configuration_and_no_checkpoint_has_it():
    data = make_batch(random_image(0, 20, 24)[None], [[3, 4, 10, 12]])
    preprocessor = GLPreprocessor(hole_colour=(0, 51, 191.25))  # 0, 1/5 and 3/4 of the range
    assert preprocessor.state_dict() == {}
    masked_img = preprocessor(data)['masked_img']
    hole = masked_img[0, :, 3:13, 4:16]
    for channel, value in zip(hole, (-1.0, -0.6, 0.5)):
        torch.testing.assert_close(channel, torch.full((10, 12), value), rtol=0, atol=1e-6)
    outside = data['mask'].expand(1, 3, 20, 24) == 0
    assert torch.equal(masked_img[outside], GLPreprocessor()(data)['masked_img'][outside])
    assert masked_img.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('colour', [127.5, (1, 2), (0, 0, 256), (-1, 0, 0)])
def test_what_is_no_colour_is_refused(colour):
    with pytest.raises(UserError, match='three numbers from 0 to 255'):
        GLPreprocessor(hole_colour=colour)


def test_the_membrane_of_training_is_near_that_of_use_and_keeps_the_rest():
    data = make_batch(random_image(0, 40, 44)[None], [[3, 4, 20, 30]])
    preprocessor = GLPreprocessor(hole_fill='membrane')
    used, trained = (preprocessor(data, training) for training in (False, True))
    hole = used['mask'].expand(1, 3, 40, 44) == 1
    for batch in (used, trained):
        assert torch.equal(batch['masked_img'][~hole], batch['gt_img'][~hole])
    assert torch.equal(used['masked_img'], membrane(used['gt_img'], used['mask']))
    differences = (used['masked_img'] - trained['masked_img']).abs()
    assert 1e-4 < differences.max() < 0.05
    roughly = membrane(used['gt_img'], used['mask'], cycles=1, sweeps=2)
    assert torch.equal(trained['masked_img'], roughly)


def test_an_unknown_fill_is_refused():
    with pytest.raises(UserError, match=r"hole_fill in \['colour', 'membrane'\], got 'telea'"):
        GLPreprocessor(hole_fill='telea')
