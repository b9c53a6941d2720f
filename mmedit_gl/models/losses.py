"""What the networks are trained with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmedit_gl.errors import UserError
from mmedit_gl.registry import MODELS


def hole_mean(error: Tensor, mask: Tensor) -> Tensor:
    """Mean of `error`, `(N, C, H, W)`, over the hole: where `mask`, `(N, 1, H, W)`, is 1."""
    return (error * mask).sum() / (mask.sum() * error.shape[1])


@MODELS.register_module()
class L1Loss(nn.Module):
    """Mean absolute error in the hole."""

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return self.loss_weight * hole_mean((pred - target).abs(), mask)


@MODELS.register_module()
class MSELoss(nn.Module):
    """Mean squared error in the hole (Iizuka et al. 2017, equation 2)."""

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return self.loss_weight * hole_mean((pred - target).square(), mask)


@MODELS.register_module()
class MeanColourLoss(nn.Module):
    """Absolute error of the hole's mean colour, the mean over channels and pictures.

    Takes `pred` and `target`, `(N, 3, H, W)`, and `mask`, `(N, 1, H, W)`, 1 in the hole. All holes
    count alike, whatever their size; a picture without one has no error.
    """

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        error = ((pred - target) * mask).sum(dim=(2, 3)) / mask.sum(dim=(2, 3)).clamp(min=1)
        return self.loss_weight * error.abs().mean()


@MODELS.register_module()
class GANLoss(nn.Module):
    """Binary cross entropy of the discriminators' logits (equation 3).

    `loss_weight` scales the generator's share only; the discriminators' is not weighted.
    """

    def __init__(self, gan_type: str = 'vanilla', loss_weight: float = 1.0):
        if gan_type != 'vanilla':
            raise UserError(f"GANLoss: expected gan_type 'vanilla', got {gan_type!r}")
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logit: Tensor, target_is_real: bool, is_disc: bool = False) -> Tensor:
        target = torch.full_like(logit, float(target_is_real))
        loss = F.binary_cross_entropy_with_logits(logit, target)
        return loss if is_disc else self.loss_weight * loss
