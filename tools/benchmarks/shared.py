"""Variants timed by turns, their table, and random pictures to time them with."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.progress import Progress

from mmedit_gl.datasets import bbox2mask


def measure(variants: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every variant in each round, one variant after the other in a round."""
    seconds = {name: [] for name in variants}
    with Progress() as progress:
        task = progress.add_task('measuring', total=(rounds + 1) * len(variants))
        for round_ in range(rounds + 1):
            for name, run in variants.items():
                synchronize()
                start = time.perf_counter()
                run()
                synchronize()
                if round_ > 0:  # the first is for warming up
                    seconds[name].append(time.perf_counter() - start)
                progress.advance(task)
    return seconds


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def table(title: str, seconds: dict[str, list[float]], images: int, flops: float = 0) -> None:
    """Print a row for each variant; the first is what the others are compared with.

    With `flops`, those that a run of the variants needs, the ceilings' rows, `ceiling <precision>`,
    hold seconds a FLOP, and each variant's share of its precision's ceiling is added.
    """
    plain, *_ = seconds
    head = f'{title:34}{"min (s)":>10}{"median (s)":>12}{"times as fast":>15}{"images/s":>10}'
    print('\n' + head + (f'{"of ceiling":>12}' if flops else ''))
    for name, values in seconds.items():
        if name.startswith('ceiling'):
            continue
        ratio = statistics.median(seconds[plain]) / statistics.median(values)
        line = f'{name:34}{min(values):10.4f}{statistics.median(values):12.4f}{ratio:15.2f}'
        line += f'{images / statistics.median(values):10.1f}'
        if flops:
            ceiling = min(seconds['ceiling bf16' if 'bf16' in name else 'ceiling fp32'])
            line += f'{flops * ceiling / min(values):12.0%}'
        print(line)


def random_batch(shape: tuple[int, int], boxes: list[tuple[int, int, int, int]]) -> dict:
    rng = np.random.default_rng(0)
    img = torch.from_numpy(rng.integers(0, 256, (len(boxes), *shape, 3), dtype=np.uint8))
    mask = torch.from_numpy(np.stack([bbox2mask(shape, box) for box in boxes]))[:, None]
    return dict(gt_img=img, mask=mask, mask_bbox=torch.tensor(boxes), img_path=[''] * len(boxes))
