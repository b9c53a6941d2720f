"""Completions of pictures of several sizes, beside plain code; wide holes in each mode."""

import argparse
import multiprocessing
import re
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine import Config
from mmengine.device import get_device

from benchmarks.shared import measure, random_batch, table
from mmedit_gl.apis import Inpainter
from mmedit_gl.evaluation import BASELINES
from mmedit_gl.models import composite, to_float
from mmedit_gl.registry import MODELS

OPTIONS = {'--device': dict(default=get_device(), help='default: a GPU where there is one')}
# Pictures to complete, and the side of the hole in their middle, in pixels.
INFER = [(256, 256, 128), (512, 512, 128), (1024, 1024, 256), (3840, 2160, 256)]
WIDE = (4000, 3000, 1000)  # is completed at a reduced scale
STRUCTURED = (576, 384, 150)  # is not, by the model of the package


def run(cfg: Config, args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, 'random.pth')
        plain = MODELS.build(cfg.model).to(args.device).eval()
        torch.save(plain.state_dict(), checkpoint)
        variants = {
            precision: partial(Inpainter(cfg, checkpoint, args.device, precision), mode='native')
            for precision in ('fp32', 'bf16')
        }

        @torch.no_grad()
        def complete(bgr: np.ndarray, hole: np.ndarray) -> None:
            gt_img = to_float(torch.from_numpy(bgr.transpose(2, 0, 1).copy())[None].to(args.device))
            mask = torch.from_numpy(hole)[None, None].to(args.device).float()
            fake_res = plain.generator(gt_img * (1 - mask), mask)
            composite(dict(gt_img=gt_img, mask=mask), fake_res).cpu()

        variants = {'plain fp32, the whole picture': complete, **variants}
        for width, height, side in INFER:
            bgr, hole = picture_and_hole(width, height, side)
            seconds = measure(
                {name: lambda v=v, args=(bgr, hole): v(*args) for name, v in variants.items()},
                args.rounds,
            )
            table(f'{width}x{height}, hole {side}x{side}', seconds, images=1)
        width, height, side = WIDE
        bgr, hole = picture_and_hole(width, height, side)
        inpainter = Inpainter(cfg, checkpoint, args.device)
        seconds = measure(by_mode(inpainter, bgr, hole), args.rounds)
        table(f'{width}x{height}, hole {side}x{side}', seconds, images=1)
        width, height, diameter = STRUCTURED
        bgr, hole = structured_and_hole(width, height, diameter)
        variants = by_mode(Inpainter(device=args.device), bgr, hole)
        if find_spec('patchmatch'):
            variants['PatchMatch (PyPatchMatch)'] = partial(BASELINES['patchmatch'], bgr, hole)
        seconds = measure(variants, args.rounds)
        table(f'{width}x{height}, disc {diameter}, own model', seconds, images=1)
        if args.device == 'cpu' and Path('/proc/self/status').exists():
            context = multiprocessing.get_context('spawn')
            with context.Pool(1) as pool:
                gigabytes = pool.apply(peak_memory, (cfg.filename, checkpoint, INFER[-1]))
            width, height, _ = INFER[-1]
            print(f'peak memory of a process, {width}x{height}: {gigabytes:.2f} GB')


def picture_and_hole(width: int, height: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a hole in the middle."""
    box = ((height - side) // 2, (width - side) // 2, side, side)
    batch = random_batch((height, width), [box])
    return batch['gt_img'][0].numpy(), batch['mask'][0, 0].numpy()


def structured_and_hole(width: int, height: int, diameter: int) -> tuple[np.ndarray, np.ndarray]:
    """A slanting edge between a fine grain and a coarse one, with a disc in the middle for hole."""
    noise = np.random.default_rng(0).standard_normal((height, width, 3))
    fine, coarse = (cv2.GaussianBlur(noise, (0, 0), deviation) for deviation in (1.2, 5))
    y, x = np.ogrid[:height, :width]
    below = (2 * y + x > height + width / 2)[..., None]
    bgr = np.where(below, 90 + 30 * fine / fine.std(), 160 + 20 * coarse / coarse.std())
    hole = np.zeros((height, width), np.uint8)
    cv2.circle(hole, (width // 2, height // 2), diameter // 2, 1, cv2.FILLED)
    return bgr.clip(0, 255).astype(np.uint8), hole


def by_mode(
    inpainter: Inpainter, bgr: np.ndarray, hole: np.ndarray
) -> dict[str, Callable[[], object]]:
    return {mode: partial(inpainter, bgr, hole, mode=mode) for mode in ('smooth', 'texture')}


def peak_memory(config: str, checkpoint: Path, sizes: tuple[int, int, int]) -> float:
    """Of this process, in 10^9 bytes, after one completion."""
    Inpainter(config, checkpoint, 'cpu')(*picture_and_hole(*sizes), mode='native')
    # Not getrusage, which also counts what this process was begun from.
    status = Path('/proc/self/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) * 1024 / 1e9
