"""What the networks are trained with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmedit_gl.errors import UserError, check_number
from mmedit_gl.registry import MODELS


def masked_mean(error: Tensor, mask: Tensor) -> Tensor:
    """Mean of `error`, `(N, C, H, W)`, where `mask`, `(N, 1, H, W)`, is 1; 0 if that is nowhere."""
    return (error * mask).sum() / (mask.sum().clamp(min=1) * error.shape[1])


@MODELS.register_module()
class L1Loss(nn.Module):
    """Mean absolute error where `mask` is 1."""

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = _checked_weight(loss_weight)

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return self.loss_weight * masked_mean((pred - target).abs(), mask)


@MODELS.register_module()
class MSELoss(nn.Module):
    """Mean squared error where `mask` is 1 (Iizuka et al. 2017, equation 2)."""

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = _checked_weight(loss_weight)

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return self.loss_weight * masked_mean((pred - target).square(), mask)


@MODELS.register_module()
class MeanColourLoss(nn.Module):
    """Absolute error of the hole's mean colour, the mean over channels and pictures.

    Takes `pred` and `target`, `(N, 3, H, W)`, and `mask`, `(N, 1, H, W)`, 1 in the hole. All holes
    count alike, whatever their size; a picture without one has no error.
    """

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = _checked_weight(loss_weight)

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        error = ((pred - target) * mask).sum(dim=(2, 3)) / mask.sum(dim=(2, 3)).clamp(min=1)
        return self.loss_weight * error.abs().mean()


ERRORS = dict(
    vanilla=F.binary_cross_entropy_with_logits,
    lsgan=F.mse_loss,
    smgan=F.mse_loss,
    l1=F.l1_loss,
)


@MODELS.register_module()
class GANLoss(nn.Module):
    """How far logits are from what they should be, as OpenMMLab's GANLoss of the same words.

    By `gan_type`: 'vanilla' is the binary cross entropy (Iizuka et al. 2017, equation 3), 'lsgan'
    the squared and 'l1' the absolute error, all against `real_label_val` or `fake_label_val`.
    'wgan' and 'hinge' have no labels. 'smgan' is 'lsgan' for logits `(N, C, H, W)`, which are
    enlarged to the mask; the discriminators are to give the blurred mask for fake pictures.
    `loss_weight` scales the generator's share only; the discriminators' is not weighted. Raises
    `UserError` for another `gan_type`, for labels that would have no effect, and for logits without
    places in 'smgan'.
    """

    def __init__(
        self,
        gan_type: str = 'vanilla',
        real_label_val: float = 1.0,
        fake_label_val: float = 0.0,
        loss_weight: float = 1.0,
    ):
        if gan_type not in (*ERRORS, 'wgan', 'hinge'):
            kinds = ', '.join(map(repr, (*ERRORS, 'wgan', 'hinge')))
            raise UserError(f'GANLoss: expected a gan_type of {kinds}, got {gan_type!r}')
        check_number('GANLoss: real_label_val', real_label_val)
        check_number('GANLoss: fake_label_val', fake_label_val)
        labels = (fake_label_val, real_label_val)
        if gan_type not in ERRORS and labels != (0, 1):
            raise UserError(
                f'GANLoss: gan_type {gan_type!r} has no labels: expected real_label_val=1 and '
                f'fake_label_val=0, or none, got {real_label_val} and {fake_label_val}'
            )
        super().__init__()
        self.gan_type, self.labels = gan_type, labels
        self.loss_weight = _checked_weight(loss_weight)

    def forward(
        self,
        logit: Tensor,
        target_is_real: bool,
        is_disc: bool = False,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The loss of logits `(N, ...)`; `mask`, `(N, 1, H, W)`, 1 in the hole, is for 'smgan'."""
        signed = logit if target_is_real else -logit
        if self.gan_type == 'wgan':
            loss = -signed.mean()
        elif self.gan_type == 'hinge':
            loss = F.relu(1 - signed).mean() if is_disc else -logit.mean()
        else:
            if self.gan_type == 'smgan':
                logit = _enlarged(logit, mask)
            target = torch.full_like(logit, self.labels[target_is_real])
            if self.gan_type == 'smgan' and is_disc and not target_is_real:
                target = _blurred(mask).expand_as(logit)
            loss = ERRORS[self.gan_type](logit, target)
        return loss if is_disc else self.loss_weight * loss


def _checked_weight(loss_weight: float) -> float:
    check_number('loss_weight', loss_weight, 0)
    return loss_weight


def _enlarged(logit: Tensor, mask: Tensor) -> Tensor:
    if logit.ndim != 4:
        raise UserError(
            "GANLoss: gan_type 'smgan' judges each place: expected a discriminator that gives "
            f'logits (N, C, H, W), got {tuple(logit.shape)}'
        )
    return F.interpolate(logit, mask.shape[2:], mode='bilinear', align_corners=True)


def _blurred(mask: Tensor) -> Tensor:
    """A mask under a Gaussian of 10 pixels, cut after 35; beyond the border there is no hole."""
    distances = torch.arange(-35, 36, dtype=mask.dtype, device=mask.device)
    weights = torch.exp(-distances.square() / 200)
    weights = weights / weights.sum()
    planes = mask.flatten(0, 1)[:, None]
    for shape in ((1, 1, 71, 1), (1, 1, 1, 71)):
        planes = F.conv2d(planes, weights.view(shape), padding='same')
    return planes.view_as(mask)
