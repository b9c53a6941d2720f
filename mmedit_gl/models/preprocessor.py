"""uint8 pictures to what the networks take, and the way back."""

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmedit_gl.registry import MODELS


@MODELS.register_module()
class GLPreprocessor(BaseDataPreprocessor):
    """Moves a batch to the device, scales it to [-1, 1] and cuts the hole.

    Takes `gt_img`, uint8 BGR `(N, H, W, 3)`, and `mask`, uint8 `(N, 1, H, W)`, 1 in the hole. Gives
    both as floats, `gt_img` as `(N, 3, H, W)`, with `masked_img`, where the hole is 0. `mask_bbox`
    stays on the CPU, where the local windows are computed without waiting for the device.
    Everything else passes through.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        gt_img = data['gt_img'].to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        gt_img = to_float(gt_img)
        mask = data['mask'].to(self.device, non_blocking=True).to(gt_img.dtype)
        return {**data, 'gt_img': gt_img, 'mask': mask, 'masked_img': gt_img * (1 - mask)}


def to_float(img: Tensor) -> Tensor:
    """uint8 to [-1, 1]."""
    return (img - 127.5) / 127.5


def to_uint8(img: Tensor) -> Tensor:
    """[-1, 1] to uint8, rounded; the exact inverse of `to_float`."""
    return (img * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
