"""Completion to numbers and pictures."""

from .baselines import BASELINES, Unfilled, mean_colour, telea
from .html_report import shown, write_report
from .metrics import InpaintingMetrics, colour, complete, l1, l1_image, psnr, ssim
from .report import (
    HIGHER_IS_BETTER,
    comparison_table,
    evaluation,
    metrics_table,
    read_evaluation,
    save_json,
    strip,
    summarize,
)

__all__ = [
    'BASELINES',
    'HIGHER_IS_BETTER',
    'InpaintingMetrics',
    'Unfilled',
    'colour',
    'comparison_table',
    'complete',
    'evaluation',
    'l1',
    'l1_image',
    'mean_colour',
    'metrics_table',
    'psnr',
    'read_evaluation',
    'save_json',
    'shown',
    'ssim',
    'strip',
    'summarize',
    'telea',
    'write_report',
]
