"""A training step of each phase, in full and mixed precision, beside a textbook's."""

import argparse
import copy
import tempfile
import time

import numpy as np
import torch
from mmengine import Config
from mmengine.device import get_device
from mmengine.logging import MessageHub
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.shared import measure, random_batch, synchronize, table
from mmedit_gl.engine import Runner
from mmedit_gl.models import Phase, composite, crop, local_windows, to_float
from mmedit_gl.registry import MODELS

OPTIONS = {
    '--batch-size': dict(type=int, default=4),
    '--size': dict(type=int, default=256, help='of the pictures, in pixels'),
    '--compile': dict(action='store_true', help='torch.compile too: takes minutes'),
}


class Convolutions:
    """A machine's ceiling: the best of some large convolutions, timed by itself."""

    SHAPES = [(4, 256, 64), (8, 256, 64), (4, 512, 64), (16, 512, 32)]
    FLOPS = 2e10 if get_device() == 'cpu' else 2e12  # about what one timing computes

    def __init__(self, device: str, dtype: torch.dtype):
        self.pairs = []
        for n, channels, size in self.SHAPES:
            kwargs = dict(device=device, dtype=dtype)
            conv = torch.nn.Conv2d(channels, channels, 3, padding=1, **kwargs)
            x = torch.randn(n, channels, size, size, **kwargs)
            self.pairs.append([m.to(memory_format=torch.channels_last) for m in (conv, x)])

    @torch.no_grad()
    def seconds_a_flop(self) -> float:
        best = float('inf')
        for conv, x in self.pairs:
            flops = 2 * 9 * x.numel() * x.shape[1]
            repeats = max(1, round(self.FLOPS / flops))
            conv(x)
            synchronize()
            start = time.perf_counter()
            for _ in range(repeats):
                conv(x)
            synchronize()
            best = min(best, (time.perf_counter() - start) / flops / repeats)
        return best


class Plain:
    """The three phases as a textbook has them: eager, float32, NCHW."""

    def __init__(self, cfg: Config, device: str):
        self.model = MODELS.build(cfg.model).to(device).train()
        self.device = device
        self.optimizers = {
            name: torch.optim.Adam(getattr(self.model, name).parameters(), lr=4e-4)
            for name in ('generator', 'disc')
        }

    def complete(self, batch: dict) -> tuple[dict, Tensor]:
        gt_img = to_float(batch['gt_img'].to(self.device).permute(0, 3, 1, 2).contiguous())
        batch = {**batch, 'gt_img': gt_img, 'mask': batch['mask'].to(self.device).float()}
        return batch, self.model.generator(gt_img * (1 - batch['mask']), batch['mask'])

    def judge(self, img: Tensor, batch: dict) -> Tensor:
        windows = local_windows(batch['mask_bbox'], img.shape[-2:], self.model.local_size)
        return self.model.disc(img, crop(img, windows))

    def update(self, name: str, loss: Tensor) -> float:
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()
        return loss.item()

    def update_disc(self, batch: dict, fake_img: Tensor) -> None:
        fake = self.model.loss_gan(self.judge(fake_img, batch), False, is_disc=True)
        real = self.model.loss_gan(self.judge(batch['gt_img'], batch), True, is_disc=True)
        self.update('disc', fake + real)

    def step(self, phase: Phase, batch: dict) -> None:
        batch, fake_res = self.complete(batch)
        fake_img = composite(batch, fake_res)
        if phase is not Phase.GENERATOR:
            self.update_disc(batch, fake_img.detach())
        if phase is not Phase.DISCRIMINATOR:
            loss = self.model.loss_l1_hole(fake_res, batch['gt_img'], batch['mask'])
            if phase is Phase.JOINT:
                loss = loss + self.model.loss_gan(self.judge(fake_img, batch), True)
            self.update('generator', loss)


class Ours:
    """The project's training step, as `tools/train.py` runs it."""

    def __init__(self, cfg: Config, work_dir: str, name: str, **options):
        cfg = copy.deepcopy(cfg)
        cfg.merge_from_dict(dict(work_dir=work_dir, experiment_name=name, **options))
        self.runner = Runner.from_cfg(cfg)
        self.runner.optim_wrapper = self.runner.build_optim_wrapper(cfg.optim_wrapper)
        self.runner._maybe_compile('train_step')
        self.runner.model.train()

    def step(self, phase: Phase, batch: dict) -> None:
        model = self.runner.model
        first = {Phase.GENERATOR: 0, Phase.DISCRIMINATOR: model.iter_tc, Phase.JOINT: model.iter_td}
        MessageHub.get_current_instance().update_info('iter', first[phase])
        model.train_step(batch, self.runner.optim_wrapper)


def run(cfg: Config, args: argparse.Namespace) -> None:
    cfg.log_level = 'WARNING'
    amp = {f'optim_wrapper.{name}.type': 'AmpOptimWrapper' for name in ('generator', 'disc')}
    filled = {'model.data_preprocessor.hole_fill': 'membrane', **amp}
    with tempfile.TemporaryDirectory() as work_dir:
        variants = {
            'plain fp32': Plain(cfg, get_device()),
            'fp32': Ours(cfg, work_dir, 'fp32'),
            'bf16 (--amp)': Ours(cfg, work_dir, 'bf16', **amp),
            'bf16, hole_fill=membrane': Ours(cfg, work_dir, 'membrane', **filled),
        }
        if args.compile:
            variants['bf16 (--amp --compile)'] = Ours(
                cfg, work_dir, 'compiled', compile=True, **amp
            )
        ceilings = {
            'ceiling fp32': Convolutions(get_device(), torch.float32),
            'ceiling bf16': Convolutions(get_device(), torch.bfloat16),
        }
        side = min(cfg.model.train_cfg.local_size)
        corners = np.random.default_rng(0).integers(0, args.size - side + 1, (args.batch_size, 2))
        boxes = [(*corner, side, side) for corner in corners.tolist()]
        batch = random_batch((args.size, args.size), boxes)
        for phase in Phase:
            with FlopCounterMode(display=False) as counter:
                variants['fp32'].step(phase, batch)
            seconds = measure(
                {name: lambda v=v, p=phase: v.step(p, batch) for name, v in variants.items()},
                args.rounds,
            )
            for name, ceiling in ceilings.items():
                seconds[name] = [ceiling.seconds_a_flop() for _ in range(args.rounds)]
            title = f'{phase.value} phase, {args.batch_size} x {args.size}x{args.size}'
            table(title, seconds, args.batch_size, counter.get_total_flops())
            for name in ceilings:
                print(f'{name}: {1e-12 / min(seconds[name]):.2f} TFLOP/s')
