"""How far a completion is from the original."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmedit_gl.errors import UserError
from mmedit_gl.evaluation.baselines import BASELINES
from mmedit_gl.registry import METRICS


def l1(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error in the hole, in percent of the range.

    `(N, 3, H, W), (N, 3, H, W), (N, 1, H, W) -> (N,)`, pictures uint8, `mask` 1 in the hole.
    """
    error = (pred.double() - target.double()).abs() * mask
    hole = mask.sum(dim=(1, 2, 3)) * pred.shape[1]
    return 100 / 255 * error.sum(dim=(1, 2, 3)) / hole


def psnr(pred: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of whole pictures in dB, infinite where they are equal.

    `(N, 3, H, W), (N, 3, H, W) -> (N,)`, uint8.
    """
    error = (pred.double() - target.double()).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(255**2 / error)


def ssim(pred: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of whole pictures (Wang et al. 2004), the mean over channels.

    `(N, 3, H, W), (N, 3, H, W) -> (N,)`, uint8, at least 11 pixels a side. The window is 11x11,
    Gaussian with a sigma of 1.5, and lies within the picture.
    """
    offset = torch.arange(-5, 6, dtype=torch.float64, device=pred.device)
    gauss = torch.exp(-(offset**2) / (2 * 1.5**2))
    gauss /= gauss.sum()
    n, c, h, w = pred.shape

    def local_mean(img: Tensor) -> Tensor:
        img = img.reshape(n * c, 1, h, w)
        return F.conv2d(F.conv2d(img, gauss.view(1, 1, -1, 1)), gauss.view(1, 1, 1, -1))

    x, y = pred.double(), target.double()
    mean_x, mean_y = local_mean(x), local_mean(y)
    var_x = local_mean(x * x) - mean_x**2
    var_y = local_mean(y * y) - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast_structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (luminance * contrast_structure).view(n, -1).mean(dim=1)


@METRICS.register_module()
class InpaintingMetrics(BaseMetric):
    """`l1`, `psnr` and `ssim`, averaged over the pictures, and their number, `num_images`.

    Each of `baselines`, names of simple fills, completes the same holes and is scored too, under
    `<name>/l1` and so on.
    """

    default_prefix = ''

    def __init__(self, baselines: Sequence[str] = ()):
        super().__init__(collect_device='cpu')
        if unknown := set(baselines) - set(BASELINES):
            raise UserError(
                f'InpaintingMetrics: expected baselines in {sorted(BASELINES)}, '
                f'got {sorted(unknown)}'
            )
        self.baselines = baselines

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            gt_img, mask = sample['gt_img'][None], sample['mask'][None]
            scores = _score(sample['fake_img'][None], gt_img, mask)
            for name in self.baselines:
                filled = BASELINES[name](
                    gt_img[0].permute(1, 2, 0).cpu().numpy(), mask[0, 0].cpu().numpy()
                )
                filled = torch.from_numpy(filled).permute(2, 0, 1)[None].to(gt_img)
                for metric, value in _score(filled, gt_img, mask).items():
                    scores[f'{name}/{metric}'] = value
            self.results.append(scores)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        mean = {name: sum(r[name] for r in results) / len(results) for name in results[0]}
        return {**mean, 'num_images': len(results)}


def _score(pred: Tensor, target: Tensor, mask: Tensor) -> dict[str, float]:
    values = dict(l1=l1(pred, target, mask), psnr=psnr(pred, target), ssim=ssim(pred, target))
    return {name: value.item() for name, value in values.items()}
