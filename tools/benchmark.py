"""Time training, completing, testing or loading beside plain code that does the same."""

import argparse
import copy
import multiprocessing
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine import Config
from mmengine.device import get_device
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from rich.progress import Progress
from torch import Tensor
from torch.nn.functional import conv2d
from torch.utils.flop_counter import FlopCounterMode

from mmedit_gl.apis import Inpainter
from mmedit_gl.datasets import DemoPhotos, bbox2mask, read_image
from mmedit_gl.engine import Runner, load_config
from mmedit_gl.errors import one_sentence_errors
from mmedit_gl.evaluation import InpaintingMetrics
from mmedit_gl.models import Phase, composite, crop, local_windows, to_float, to_uint8
from mmedit_gl.registry import DATASETS, MODELS

CONFIG = Path(__file__).parent.parent / 'configs/inpainting/global_local'
# Pictures to complete, and the side of the hole in their middle, in pixels.
INFER = [(256, 256, 128), (512, 512, 128), (1024, 1024, 256), (3840, 2160, 256)]
PLACES_SIZE = (683, 512)  # width and height of a picture of Places365-Standard


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='what', required=True)
    train, infer, test, data = (
        commands.add_parser(name, help=text, description=text)
        for name, text in dict(
            train='a training step of each phase, in full and mixed precision',
            infer='completions of pictures up to 3840x2160',
            test='the measuring of a batch of completions',
            data='the data loader',
        ).items()
    )
    for command in (train, infer, test, data):
        command.add_argument('config', nargs='?', default=CONFIG / 'gl_256x256_8x12_places.py')
        command.add_argument('--rounds', type=int, default=5, help='times that each variant runs')
    train.add_argument('--batch-size', type=int, default=4)
    train.add_argument('--size', type=int, default=256, help='of the pictures, in pixels')
    train.add_argument('--compile', action='store_true', help='torch.compile too: takes minutes')
    test.add_argument('--batch-size', type=int, default=8)
    infer.add_argument('--device', default=get_device(), help='default: a GPU where there is one')
    return parser.parse_args()


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


def random_batch(shape: tuple[int, int], boxes: list[tuple[int, int, int, int]]) -> dict:
    rng = np.random.default_rng(0)
    img = torch.from_numpy(rng.integers(0, 256, (len(boxes), *shape, 3), dtype=np.uint8))
    mask = torch.from_numpy(np.stack([bbox2mask(shape, box) for box in boxes]))[:, None]
    return dict(gt_img=img, mask=mask, mask_bbox=torch.tensor(boxes), img_path=[''] * len(boxes))


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


def train(cfg: Config, args: argparse.Namespace) -> None:
    cfg.log_level = 'WARNING'
    amp = {f'optim_wrapper.{name}.type': 'AmpOptimWrapper' for name in ('generator', 'disc')}
    with tempfile.TemporaryDirectory() as work_dir:
        variants = {
            'plain fp32': Plain(cfg, get_device()),
            'fp32': Ours(cfg, work_dir, 'fp32'),
            'bf16 (--amp)': Ours(cfg, work_dir, 'bf16', **amp),
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


def infer(cfg: Config, args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, 'random.pth')
        plain = MODELS.build(cfg.model).to(args.device).eval()
        torch.save(plain.state_dict(), checkpoint)
        variants = {
            precision: Inpainter(cfg, checkpoint, args.device, precision)
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
        if args.device == 'cpu' and Path('/proc/self/status').exists():
            context = multiprocessing.get_context('spawn')
            with context.Pool(1) as pool:
                gigabytes = pool.apply(peak_memory, (cfg.filename, checkpoint, INFER[-1]))
            print(f'peak memory of a process that completes the last: {gigabytes:.2f} GB')


def picture_and_hole(width: int, height: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a hole in the middle."""
    box = ((height - side) // 2, (width - side) // 2, side, side)
    batch = random_batch((height, width), [box])
    return batch['gt_img'][0].numpy(), batch['mask'][0, 0].numpy()


def peak_memory(config: str, checkpoint: Path, sizes: tuple[int, int, int]) -> float:
    """Of this process, in 10^9 bytes, after one completion."""
    Inpainter(config, checkpoint, 'cpu')(*picture_and_hole(*sizes))
    # Not getrusage, which also counts what this process was begun from.
    status = Path('/proc/self/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) * 1024 / 1e9


def test(cfg: Config, args: argparse.Namespace, size: int = 256) -> None:
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


def data(cfg: Config, args: argparse.Namespace, number: int = 120) -> None:
    init_default_scope(cfg.default_scope)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f'{i}.jpg') for i in range(number)]
        photos = DemoPhotos(pipeline=[], split='train')
        for i, path in enumerate(paths):
            photo = read_image(photos.get_data_info(i % len(photos))['img_path'])
            cv2.imwrite(str(path), cv2.resize(photo, PLACES_SIZE, interpolation=cv2.INTER_CUBIC))
        loader = copy.deepcopy(cfg.train_dataloader)
        loader.dataset.update(data_root=folder, data_prefix=dict(img=''), ann_file='')
        loader.update(num_workers=2)
        batches = iter(Runner.build_dataloader(loader, seed=0))
        dataset = DATASETS.build(loader.dataset)

        def decode() -> None:
            for path in paths:
                cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)

        def load() -> None:
            for _ in range(number // loader.batch_size):
                next(batches)

        cv2.setNumThreads(0)
        variants = {
            'bare JPEG decode': decode,
            'sample': lambda: [dataset[i] for i in range(number)],
            '2 workers': load,
        }
        title = f'{number} pictures of {PLACES_SIZE[0]}x{PLACES_SIZE[1]}'
        table(title, measure(variants, args.rounds), images=number)


def main() -> None:
    args = parse_args()
    commands = dict(train=train, infer=infer, test=test, data=data)
    commands[args.what](load_config(args.config), args)


if __name__ == '__main__':
    with one_sentence_errors():
        main()
