import pytest
import torch

from mmedit_gl.errors import UserError
from mmedit_gl.models import crop, local_windows


def test_windows_are_golden(golden):
    windows = local_windows(torch.from_numpy(golden['bbox']), (256, 256), (128, 128))
    assert windows.tolist() == golden['local_bbox'].tolist()


@pytest.mark.parametrize(
    ('bbox', 'window'),
    [
        ((0, 0, 10, 12), (0, 0, 32, 32)),
        ((54, 86, 10, 10), (32, 64, 32, 32)),  # bottom right, where the original shrinks it
        ((0, 50, 32, 32), (0, 50, 32, 32)),  # as large as the window
        ((30, 40, 5, 5), (17, 27, 32, 32)),  # 27 pixels to share: 13 before, 14 after
    ],
)
def test_local_window_keeps_its_size_at_every_border(bbox, window):
    assert local_windows(torch.tensor([bbox]), (64, 96), (32, 32))[0].tolist() == list(window)


def test_crop_takes_each_pictures_own_window():
    img = torch.arange(2 * 3 * 10 * 12.0).view(2, 3, 10, 12)
    cropped = crop(img, torch.tensor([[1, 2, 4, 5], [6, 7, 4, 5]]))
    assert torch.equal(cropped[0], img[0, :, 1:5, 2:7])
    assert torch.equal(cropped[1], img[1, :, 6:10, 7:12])


def test_a_hole_larger_than_the_window_is_refused():
    bboxes = torch.tensor([[0, 0, 10, 10], [0, 0, 20, 33]])
    with pytest.raises(UserError, match=r'a hole of 20x33 pixels does not fit.*32x32'):
        local_windows(bboxes, (64, 64), (32, 32))


def test_a_window_larger_than_the_picture_is_refused():
    with pytest.raises(
        UserError, match=r'local window of 32x32.*larger than the pictures of 64x30'
    ):
        local_windows(torch.tensor([[0, 0, 10, 10]]), (64, 30), (32, 32))
