"""The window around the hole that the local discriminator judges."""

import torch
from torch import Tensor

from mmedit_gl.errors import UserError


def local_windows(
    mask_bbox: Tensor,
    image_size: tuple[int, int],
    local_size: tuple[int, int],
    position: Tensor | None = None,
) -> Tensor:
    """Windows of `local_size` centred on the holes' boxes and moved into the picture.

    Boxes and windows are `(N, 4)` integers, rows of (top, left, height, width) in pixels. Where a
    box is larger than the window, `position`, `(N, 2)` in [0, 1), says where in it the window is,
    from the top and from the left. Raises `UserError` for such a box without a position and for a
    window larger than the picture.
    """
    size, image_size = torch.tensor(local_size), torch.tensor(image_size)
    if (size > image_size).any():
        raise UserError(
            f'the local window of {size[0]}x{size[1]} pixels (model.train_cfg.local_size) is '
            f'larger than the pictures of {image_size[0]}x{image_size[1]}'
        )
    corner, box = mask_bbox[:, :2], mask_bbox[:, 2:]
    is_larger = box > size
    if position is None and is_larger.any():
        height, width = box[is_larger.any(dim=1)][0].tolist()
        raise UserError(
            f'a hole of {height}x{width} pixels does not fit the local window of '
            f'{size[0]}x{size[1]}: draw smaller holes or raise model.train_cfg.local_size'
        )
    centred = corner - (size - box).div(2, rounding_mode='floor')
    if position is not None:
        inside = corner + (position * (box - size + 1)).long()
        centred = torch.where(is_larger, inside, centred)
    # Moved, not cut: a hole near the border must not shrink the window.
    corner = centred.clamp(min=torch.zeros_like(size), max=image_size - size)
    return torch.cat([corner, size.expand_as(corner)], dim=1)


def crop(img: Tensor, windows: Tensor) -> Tensor:
    """Each picture's window: `(N, C, H, W), (N, 4) -> (N, C, height, width)`."""
    return torch.stack(
        [
            picture[:, top : top + height, left : left + width]
            for picture, (top, left, height, width) in zip(img, windows.tolist())
        ]
    )
