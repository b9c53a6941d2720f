"""Completion to numbers and pictures."""

from .baselines import BASELINES, mean_colour, telea
from .metrics import InpaintingMetrics, l1, psnr, ssim
from .report import metrics_table, read_metrics, save_metrics, strip

__all__ = [
    'BASELINES',
    'InpaintingMetrics',
    'l1',
    'mean_colour',
    'metrics_table',
    'psnr',
    'read_metrics',
    'save_metrics',
    'ssim',
    'strip',
    'telea',
]
