import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


@st.composite
def cases(draw) -> tuple:
    """A picture, a window that fits it, any box in it and a position."""
    image_size = [draw(st.integers(1, 40)) for _ in range(2)]
    local_size = [draw(st.integers(1, size)) for size in image_size]
    box = [draw(st.integers(1, size)) for size in image_size]
    corner = [draw(st.integers(0, size - side)) for size, side in zip(image_size, box)]
    position = [draw(st.floats(0, 1, exclude_max=True)) for _ in range(2)]
    return image_size, local_size, (*corner, *box), position


@given(case=cases())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_windows_are_in_the_picture_and_hold_the_box_or_are_held_by_it(case):
    image_size, local_size, bbox, position = case
    window = local_windows(
        torch.tensor([bbox]), image_size, local_size, torch.tensor([position], dtype=torch.float64)
    )[0].tolist()
    assert window[2:] == local_size
    for axis in (0, 1):
        start, side = window[axis], local_size[axis]
        first, length = bbox[axis], bbox[axis + 2]
        assert 0 <= start <= start + side <= image_size[axis]
        outer, inner = ((start, side), (first, length))[:: 1 if length <= side else -1]
        assert outer[0] <= inner[0] <= sum(inner) <= sum(outer)
    if bbox[2] <= local_size[0] and bbox[3] <= local_size[1]:
        centred = local_windows(torch.tensor([bbox]), image_size, local_size)
        assert window == centred[0].tolist()


def test_every_place_in_a_larger_box_is_as_frequent():
    count = 6000
    bboxes = torch.tensor([[5, 3, 12, 7]]).expand(count, 4)
    position = torch.rand(count, 2, dtype=torch.float64, generator=torch.manual_seed(0))
    top, left, _, _ = local_windows(bboxes, (30, 30), (10, 7), position).T
    assert set(left.tolist()) == {3}
    values, counts = top.unique(return_counts=True)
    assert values.tolist() == [5, 6, 7]
    assert ((counts - count / 3).abs() < 4 * (count * 2 / 9) ** 0.5).all()
