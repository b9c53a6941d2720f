"""What several test modules share: golden values, seeded weights, small configurations, data."""

import functools
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import mmengine.config.config
import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.logging import MessageHub
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from warm import Tool, plain_configs

from mmedit_gl.datasets import bbox2mask
from mmedit_gl.engine import load_config
from mmedit_gl.models import GLInpaintor
from mmedit_gl.registry import MODELS

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / 'configs/inpainting/global_local').glob('*.py'))
DATA = Path(__file__).parent / 'data'
# Two processes run the tests; with a thread each, and in what they start, none waits for another.
os.environ['OMP_NUM_THREADS'] = '1'
torch.set_num_threads(1)
FORMAT_CODE = mmengine.config.config.FormatCode
plain_configs()


def released_keys() -> dict[str, list]:
    return json.loads((DATA / 'released_checkpoint_keys.json').read_text())


def seeded_weight(name: str, shape: list[int]) -> torch.Tensor:
    """The value of a parameter as a function of its name, as the golden values were made."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith('num_batches_tracked'):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith('running_var') or (name.endswith('weight') and len(shape) == 1):
        value = rng.uniform(0.5, 1.5, shape)
    elif name.endswith(('running_mean', 'bias')):
        value = 0.1 * rng.standard_normal(shape)
    else:
        value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(value, np.float32))


@functools.cache
def seeded_state_dict() -> dict[str, torch.Tensor]:
    return {name: seeded_weight(name, shape) for name, (_, shape) in released_keys().items()}


def relative_error(value, expected) -> float:
    value, expected = np.asarray(value, np.float64), np.asarray(expected, np.float64)
    return np.linalg.norm(value - expected) / np.linalg.norm(expected)


def make_batch(images: np.ndarray, bboxes: np.ndarray) -> dict:
    """uint8 BGR `(N, H, W, 3)` and boxes `(N, 4)` to what a data loader gives."""
    masks = np.stack([bbox2mask(images.shape[1:3], bbox) for bbox in bboxes])
    return dict(
        gt_img=torch.from_numpy(images),
        mask=torch.from_numpy(masks)[:, None],
        mask_bbox=torch.from_numpy(np.asarray(bboxes)),
        img_path=[f'{i}.png' for i in range(len(images))],
        skipped=[''] * len(images),
    )


def random_image(seed: int, height: int, width: int) -> np.ndarray:
    """A smooth random picture, uint8 BGR."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def set_iteration(iteration: int) -> None:
    MessageHub.get_current_instance().update_info('iter', iteration)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads of torch, for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope='session')
def golden() -> dict[str, np.ndarray]:
    with np.load(DATA / 'golden.npz') as file:
        return dict(file)


@pytest.fixture(scope='session')
def published_cfg() -> Config:
    return load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py')


@pytest.fixture
def published_model(published_cfg) -> GLInpaintor:
    """The full-size model with the weights of the golden values, in eval mode."""
    model = MODELS.build(published_cfg.model)
    model.load_state_dict(seeded_state_dict())
    return model.eval()


def shrink(cfg: Config, data_root: Path) -> Config:
    """A leaf configuration at 64x64 pixels and a few channels, six iterations long."""
    for part in ('encoder', 'dilation_neck', 'decoder'):
        cfg.model.encdec[part].base_channels = 4
    discs = (('global_disc_cfg', 64), ('local_disc_cfg', 32)) if cfg.model.disc else ()
    for name, size in discs:
        disc = cfg.model.disc[name]
        features = 8 * (size // 2**disc.num_convs) ** 2
        disc.update(base_channels=4, max_channels=8, fc_in_channels=features, fc_out_channels=8)
    first, second = (2, 4) if cfg.model.disc else (6, 6)
    cfg.model.trained_hole = 24
    cfg.model.train_cfg.update(iter_tc=first, iter_td=second, local_size=(32, 32))
    for mode in ('train', 'val', 'test'):
        loader = cfg[f'{mode}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        if loader.dataset.type == 'ImageDataset':
            loader.dataset.data_root = str(data_root)
        steps = loader.dataset.pipeline
        resized = any(s.type == 'Resize' and not isinstance(s.scale, int) for s in steps)
        for step in steps:
            if step.type == 'RandomCrop':
                step.crop_size = (72, 72) if resized else (64, 64)
            if step.type == 'Resize':
                step.scale = 72 if isinstance(step.scale, int) else (64, 64)
            if step.type == 'RandomResize':
                step.scale = (72, 96)
            if step.type == 'LoadMask' and step.mask_mode == 'bbox':
                step.mask_config = dict(max_bbox_shape=(24, 24), max_bbox_delta=8, min_margin=8)
            if step.type == 'LoadMask' and step.mask_mode == 'mix':
                for source in step.mask_config.sources:
                    strokes, shapes = dict(brush_width=(2, 8)), dict(size_range=(8, 40))
                    source.mask_config = strokes if source.mask_mode == 'ff' else shapes
    for i, scheduler in enumerate((cfg.get('param_scheduler') or {}).get('generator', [])):
        limits = dict(begin=2 * i, end=2 * i + 2)
        scheduler.update({key: limits[key] for key in limits if key in scheduler})
    for name in ('generator', 'disc'):
        if wrapper := cfg.optim_wrapper.get(name):
            wrapper.type = 'OptimWrapper'  # bfloat16 takes minutes on processors that emulate it
    cfg.train_cfg.update(max_iters=6, val_interval=6)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(interval=2, max_keep_ckpts=100)
    cfg.default_hooks.train_samples.interval = 3
    return cfg


@pytest.fixture(scope='session')
def data_root(tmp_path_factory) -> Path:
    """Pictures in the layout of Places365, with its official lists and those of the converter."""
    root = tmp_path_factory.mktemp('data')
    trains = [f'a/airfield/{i:08d}.jpg' for i in range(6)]
    vals = [f'Places365_val_{i:08d}.jpg' for i in range(4)]
    for folder, names in dict(data_large=trains, val_large=vals).items():
        for i, name in enumerate(names):
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), random_image(i, 80, 90))
    (root / 'places365_train_standard.txt').write_text(''.join(f'/{n} 0\n' for n in trains))
    (root / 'places365_val.txt').write_text(''.join(f'{n} 165\n' for n in vals))
    (root / 'train_list.txt').write_text(''.join(f'data_large/{n}\n' for n in trains))
    (root / 'val_list.txt').write_text(''.join(f'val_large/{n}\n' for n in vals))
    return root


@pytest.fixture
def small_config(tmp_path, data_root):
    """Writes a shrunk leaf configuration to a file; keyword arguments are put over it."""

    def write(name: str = 'gl_256x256_8x12_places', **options) -> Path:
        cfg = load_config(ROOT / f'configs/inpainting/global_local/{name}.py')
        cfg = shrink(cfg, data_root)
        cfg.merge_from_dict(options)
        path = tmp_path / f'{name}.py'
        cfg.dump(path)
        return path

    return write


# Shared out in this order, so that no process is left with a long one at the end.
LONGEST = ('test_inpaintor', 'test_distributed', 'test_web', 'test_configs', 'test_interruptions')
LONGEST += ('test_hole_aware', 'test_inpaint', 'test_onnx', 'test_tools')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope='session')
def browser() -> Iterator[Browser]:
    """Chromium, Chrome or Edge, without what they fetch of their own accord."""
    flags = ['--no-sandbox', '--disable-gpu', '--disable-sync', '--no-first-run']
    flags += ['--disable-background-networking', '--disable-component-update']
    found = filter(None, map(shutil.which, ('chromium', 'chromium-browser')))
    choices = [dict(executable_path=path) for path in found]
    choices += [dict(channel=name) for name in ('chrome', 'msedge', 'chromium')]
    with sync_playwright() as playwright:
        for choice in choices:
            with suppress(PlaywrightError):  # of one that is not there
                browser = playwright.chromium.launch(**choice, args=flags)
                break
        else:
            pytest.skip('no browser')
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if left_out := terminalreporter.stats.get('skipped'):
        terminalreporter.write_line(
            f'{len(left_out)} tests of pages were left out: they need Chromium, Chrome or Edge, '
            'install the package chromium'
        )


def run_tool(name: str, *args, cwd: Path) -> subprocess.CompletedProcess:
    """Run `tools/<name>` as a user does."""
    return subprocess.CompletedProcess(name, *Tool(ROOT / 'tools' / name, *args, cwd=cwd).end())
