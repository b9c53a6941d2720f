"""The measuring of a batch of completions, beside code for one image after the other."""

import argparse

import torch
from mmengine import Config
from mmengine.device import get_device
from torch import Tensor
from torch.nn.functional import conv2d

from benchmarks.shared import measure, random_batch, table
from mmedit_gl.evaluation import InpaintingMetrics
from mmedit_gl.models import composite, to_uint8
from mmedit_gl.registry import MODELS

OPTIONS = {'--batch-size': dict(type=int, default=8)}


def run(cfg: Config, args: argparse.Namespace, size: int = 256) -> None:
    boxes = [(60 + i, 50 + i, 128, 108 + i) for i in range(args.batch_size)]
    batch = random_batch((size, size), boxes)
    model = MODELS.build(cfg.model).to(get_device(), memory_format=torch.channels_last).eval()
    metric = InpaintingMetrics()

    @torch.no_grad()
    def complete() -> list[dict]:
        return model.val_step(batch)

    @torch.no_grad()
    def complete_plainly() -> list[dict]:
        inputs = model.data_preprocessor(batch)
        fake_img = to_uint8(composite(inputs, model(**inputs)))
        gt_img = to_uint8(inputs['gt_img'])
        names = ('gt_img', 'fake_img', 'mask')
        return [dict(zip(names, values)) for values in zip(gt_img, fake_img, batch['mask'])]

    completed = complete()
    variants = {
        'image by image, float64': lambda: [plain_scores(**sample) for sample in completed],
        'as tools/test.py': lambda: metric.process({}, completed),
    }
    title = f'score {args.batch_size} of {size}x{size}'
    table(title, measure(variants, args.rounds), args.batch_size)
    variants = {
        'plain': lambda: [plain_scores(**sample) for sample in complete_plainly()],
        'as tools/test.py': lambda: metric.process({}, complete()),
    }
    table(f'complete and {title}', measure(variants, args.rounds), args.batch_size)


def plain_scores(
    gt_img: Tensor, fake_img: Tensor, mask: Tensor, img_path: str = ''
) -> dict[str, float]:
    """The metrics of one picture as a textbook has them, on the CPU in float64."""
    x, y, hole = (img.cpu().double()[None] for img in (fake_img, gt_img, mask))
    offset = torch.arange(-5, 6, dtype=torch.float64)
    gauss = torch.exp(-(offset**2) / (2 * 1.5**2))
    gauss /= gauss.sum()
    mean_x, mean_y, square_x, square_y, product = (
        conv2d(conv2d(img.transpose(0, 1), gauss.view(1, 1, -1, 1)), gauss.view(1, 1, 1, -1))
        for img in (x, y, x * x, y * y, x * y)
    )
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * (product - mean_x * mean_y) + c2) / (
        square_x - mean_x**2 + square_y - mean_y**2 + c2
    )
    return dict(
        l1=(100 / 255 * ((x - y).abs() * hole).sum() / hole.sum() / 3).item(),
        l1_image=(100 / 255 * (x - y).abs().mean()).item(),
        psnr=(10 * torch.log10(255**2 / (x - y).square().mean())).item(),
        ssim=(luminance * contrast).mean().item(),
    )
