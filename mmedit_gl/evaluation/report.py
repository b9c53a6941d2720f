"""Numbers and pictures for people."""

import json
import os
from pathlib import Path

import numpy as np

METRICS = dict(
    l1='l1 in the hole (%)',
    l1_image='l1 (%)',
    psnr='PSNR (dB)',
    ssim='SSIM',
    lpips='LPIPS',
    fid='FID',
)
HIGHER_IS_BETTER = ('psnr', 'ssim')


def strip(sample: dict) -> np.ndarray:
    """Original | masked | completed, uint8 BGR `(H, 3 * W + 8, 3)`, of a model's prediction."""
    gt_img, fake_img, mask = (
        sample[name].permute(1, 2, 0).cpu().numpy() for name in ('gt_img', 'fake_img', 'mask')
    )
    masked_img = np.where(mask == 1, 255, gt_img).astype(np.uint8)
    gap = np.full((gt_img.shape[0], 4, 3), 255, np.uint8)
    return np.hstack([gt_img, gap, masked_img, gap, fake_img])


def metrics_table(metrics: dict[str, float]) -> str:
    """Metrics with their units: a row for the model, and one for each baseline beside it."""
    names = ['model', *(key.removesuffix('/l1') for key in metrics if key.endswith('/l1'))]
    titles = {metric: title for metric, title in METRICS.items() if metric in metrics}
    lines = [f'{"":8}' + ''.join(f'{title:>20}' for title in titles.values())]
    for name in names:
        prefix = '' if name == 'model' else f'{name}/'
        values = (metrics[prefix + metric] for metric in titles)
        lines.append(f'{name:8}' + ''.join(f'{value:20.3f}' for value in values))
    return '\n'.join([*lines, f'{metrics["num_images"]} images'])


def save_metrics(metrics: dict[str, float], path: str | Path) -> None:
    """Write metrics as JSON; the file is complete or not there."""
    path = Path(path)
    # JSON has no word for the PSNR of equal pictures; a number out of range is read as infinite.
    text = json.dumps(metrics, indent=2).replace(': Infinity', ': 1e999') + '\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f'{path.name}.{os.getpid()}')
    beside.write_text(text, encoding='utf-8')
    beside.replace(path)


def read_metrics(path: str | Path) -> dict[str, float]:
    """What `save_metrics` wrote."""
    return json.loads(Path(path).read_text(encoding='utf-8'))
