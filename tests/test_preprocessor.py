import torch
from conftest import make_batch, random_image

from mmedit_gl.models import GLPreprocessor, to_float, to_uint8


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
