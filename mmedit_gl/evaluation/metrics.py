"""How far a completion is from the original."""

import math
import zlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmedit_gl.datasets import mask2bbox
from mmedit_gl.errors import UserError
from mmedit_gl.evaluation.baselines import BASELINES, import_patchmatch
from mmedit_gl.evaluation.learned_metrics import FID, LPIPS, load_inception, load_lpips
from mmedit_gl.registry import METRICS

SSIM_WINDOW = 11  # pixels a side
BAND = 2**15  # pixels of a channel that are looked at together
FIXED_POINT = 2**24  # parts of 1; whole numbers add up to the same in any order


def l1(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error in the hole, in percent of the range.

    `(N, 3, H, W), (N, 3, H, W), (N, 1, H, W) -> (N,)`, pictures uint8, `mask` 1 in the hole.
    """
    error = (pred.int() - target.int()).abs() * mask
    hole = mask.sum(dim=(1, 2, 3), dtype=torch.int64) * pred.shape[1]
    return 100 / 255 * error.sum(dim=(1, 2, 3)).double() / hole


def l1_image(pred: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of whole pictures, in percent of the range.

    `(N, 3, H, W), (N, 3, H, W) -> (N,)`, uint8.
    """
    return l1(pred, target, torch.ones_like(pred[:, :1]))


def colour(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Error of the hole's mean colour, the mean over channels, in percent of the range.

    `(N, 3, H, W), (N, 3, H, W), (N, 1, H, W) -> (N,)`, pictures uint8, `mask` 1 in the hole.
    """
    error = ((pred.int() - target.int()) * mask).sum(dim=(2, 3)).abs()
    hole = mask.sum(dim=(1, 2, 3), dtype=torch.int64) * pred.shape[1]
    return 100 / 255 * error.sum(dim=1).double() / hole


def psnr(pred: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of whole pictures in dB, infinite where they are equal.

    `(N, 3, H, W), (N, 3, H, W) -> (N,)`, uint8.
    """
    error = (pred.int() - target.int()).square().sum(dim=(1, 2, 3)).double() / pred[0].numel()
    return 10 * torch.log10(255**2 / error)


def ssim(pred: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of whole pictures (Wang et al. 2004), the mean over channels.

    `(N, 3, H, W), (N, 3, H, W) -> (N,)`, uint8. The window is 11x11, Gaussian with a sigma of 1.5,
    and lies within the picture. Within 1e-7 for any pictures. Raises `UserError` for pictures with
    fewer than 11 pixels a side.
    """
    channels, height, width = pred.shape[1:]
    if min(height, width) < SSIM_WINDOW:
        raise UserError(
            f'SSIM needs pictures of at least {SSIM_WINDOW} pixels a side, got {height}x{width}'
        )
    if pred.is_cuda:
        total = _dissimilarity(pred, target).sum(dim=1)
    else:
        total = torch.stack([_where_they_differ(*pair) for pair in zip(pred, target)])
    windows = channels * (height - SSIM_WINDOW + 1) * (width - SSIM_WINDOW + 1)
    return 1 - total / (FIXED_POINT * windows)


def _where_they_differ(pred: Tensor, target: Tensor) -> Tensor:
    """`_dissimilarity` of one picture, in parts that stay in a processor's cache."""
    differs = pred ^ target
    rows, columns = (torch.nonzero(differs.amax(dim=dim)) for dim in ((0, 2), (0, 1)))
    total = torch.zeros((), dtype=torch.float64)
    if rows.numel() == 0:
        return total
    # A window in which nothing differs has a similarity of 1.
    margin = SSIM_WINDOW - 1
    around = (..., *(slice(max(0, i[0] - margin), i[-1] + margin + 1) for i in (rows, columns)))
    for x, y in zip(pred[around], target[around]):
        step = math.ceil(BAND / x.shape[1])
        for top in range(0, x.shape[0] - margin, step):
            band = slice(top, top + step + margin)
            total += _dissimilarity(x[band], y[band])
    return total


def _dissimilarity(pred: Tensor, target: Tensor) -> Tensor:
    """What windows lack of a similarity of 1, in all: `(..., H, W), (..., H, W) -> (...)`.

    In units of `1 / FIXED_POINT`.
    """
    x, y = pred.int(), target.int()
    sums, errors = x + y, x - y
    # In float64: a variance may be a small difference of large squares.
    maps = torch.stack([sums, errors, sums * sums, errors * errors]).double()
    sums, errors, var_sums, var_errors = _local_mean(maps)
    sums, errors = sums.square_(), errors.square_()
    var_sums.sub_(sums).add_(2 * (0.03 * 255) ** 2)
    var_errors.sub_(errors)
    sums.add_(2 * (0.01 * 255) ** 2)
    # 2xy is half the difference of the squares of sum and error, x^2 + y^2 half their sum.
    similarity = (sums - errors) * (var_sums - var_errors)
    similarity /= (sums + errors) * (var_sums + var_errors)
    return similarity.sub_(1).mul_(-FIXED_POINT).round_().sum(dim=(-2, -1))


def _local_mean(img: Tensor) -> Tensor:
    """Gaussian means of all windows; sums of shifted pictures have the same bits in any batch."""
    radius = SSIM_WINDOW // 2
    gauss = [math.exp(-(offset**2) / (2 * 1.5**2)) for offset in range(-radius, radius + 1)]
    gauss = [weight / sum(gauss) for weight in gauss]
    for _ in ('rows', 'columns'):
        # Shifted views, each transposed, which the second time undoes.
        shifted = img.unfold(-2, img.shape[-2] - 2 * radius, 1).unbind(-3)
        img = gauss[0] * shifted[0]
        for view, weight in zip(shifted[1:], gauss[1:]):
            img.add_(view, alpha=weight)
    return img


@METRICS.register_module()
class InpaintingMetrics(BaseMetric):
    """`l1`, `colour`, `l1_image`, `psnr` and `ssim`, averaged over the pictures, and their number.

    Where pictures came out identical to their originals, `num_identical` says how many, and `psnr`
    is the mean of the others. Each of `baselines`, names of classical methods, completes the same
    holes and is scored too, under `<name>/l1` and so on. `learned` adds `'lpips'` and `'fid'`, each
    with a network whose weights are a local file.

    `fills` has the classical methods by name; what is added to it is scored too. `pictures` holds,
    after an evaluation, what each picture was and its scores by method: a dict of `img_path`,
    `mask_bbox`, `hole` (share of the picture) and `scores`.
    """

    default_prefix = ''

    def __init__(self, baselines: Sequence[str] = (), learned: Sequence[str] = ()):
        super().__init__(collect_device='cpu')
        _check_names('baselines', baselines, BASELINES)
        if 'patchmatch' in baselines:
            import_patchmatch()
        _check_names('learned', learned, ('lpips', 'fid'))
        self.fills = {name: BASELINES[name] for name in baselines}
        self.lpips = LPIPS(load_lpips()) if 'lpips' in learned else None
        self.fids = {} if 'fid' in learned else None  # by method
        if self.fids is not None:
            if get_world_size() > 1:
                raise UserError('FID is measured in one process: leave out --launcher')
            self.inception = load_inception()
        self.pictures = []

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        if self.fids and not self.results:  # of an evaluation that was given up
            self.fids.clear()
        gt_img, mask = (torch.stack([s[name] for s in data_samples]) for name in ('gt_img', 'mask'))
        completions = complete(data_samples, self.fills)
        scores = {
            method: self._score(method, fake_img, gt_img, mask)
            for method, fake_img in completions.items()
        }
        holes, originals = mask[:, 0].cpu().numpy(), gt_img.cpu().numpy()
        for i, sample in enumerate(data_samples):
            self.results.append(
                dict(
                    img_path=sample['img_path'],
                    mask_bbox=mask2bbox(holes[i]),
                    hole=float(holes[i].mean()),
                    crc32=zlib.crc32(holes[i].tobytes(), zlib.crc32(originals[i].tobytes())),
                    scores={
                        method: {name: values[i] for name, values in of_method.items()}
                        for method, of_method in scores.items()
                    },
                )
            )

    def _score(
        self, method: str, pred: Tensor, target: Tensor, mask: Tensor
    ) -> dict[str, list[float]]:
        values = dict(
            l1=l1(pred, target, mask),
            colour=colour(pred, target, mask),
            l1_image=l1_image(pred, target),
            psnr=psnr(pred, target),
            ssim=ssim(pred, target),
        )
        if self.lpips:
            values['lpips'] = self.lpips(pred, target)
        if self.fids is not None:
            self.fids.setdefault(method, FID(self.inception)).update(pred, target)
        return {name: value.tolist() for name, value in values.items()}

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        self.pictures, metrics = results, {}
        for method in results[0]['scores']:
            prefix = '' if method == 'model' else f'{method}/'
            for name in results[0]['scores'][method]:
                values = [picture['scores'][method][name] for picture in results]
                finite = [value for value in values if math.isfinite(value)]
                mean = math.fsum(finite) / len(finite) if finite else math.inf
                metrics[prefix + name] = mean
                if name == 'psnr' and len(finite) < len(values):
                    metrics[f'{prefix}num_identical'] = len(values) - len(finite)
            if self.fids is not None:
                metrics[f'{prefix}fid'] = self.fids.pop(method).compute()
        return {**metrics, 'num_images': len(results)}


def complete(samples: Sequence[dict], fills: dict[str, Callable]) -> dict[str, Tensor]:
    """What each method makes of predictions of one size: `(N, 3, H, W)`, uint8.

    First `'model'`, `fake_img` of the predictions where there is a model, then each of `fills`, by
    name what takes and gives what those of `BASELINES` do.
    """
    completions = {}
    if 'fake_img' in samples[0]:
        completions['model'] = torch.stack([sample['fake_img'] for sample in samples])
    for name, fill in fills.items():
        filled = [
            fill(
                np.ascontiguousarray(sample['gt_img'].permute(1, 2, 0).cpu().numpy()),
                sample['mask'][0].cpu().numpy(),
            )
            for sample in samples
        ]
        filled = torch.from_numpy(np.stack(filled)).permute(0, 3, 1, 2)
        completions[name] = filled.to(samples[0]['gt_img'].device)
    return completions


def _check_names(option: str, given: Sequence[str], known: Iterable[str]) -> None:
    if unknown := set(given) - set(known):
        raise UserError(
            f'InpaintingMetrics: expected {option} in {sorted(known)}, got {sorted(unknown)}'
        )
