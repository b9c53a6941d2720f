"""The data loader, beside the decoding of its pictures alone, and how it starts with millions."""

import argparse
import copy
import multiprocessing
import os
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from mmengine import Config
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from benchmarks.shared import measure, table
from mmedit_gl.datasets import DemoPhotos, DrawSampler, ImageDataset, read_image
from mmedit_gl.engine import Runner
from mmedit_gl.registry import DATASETS

OPTIONS = {}
PLACES_SIZE = (683, 512)  # width and height of a picture of Places365-Standard
LINES = (1, 1_000_000, 8_097_967)  # of a list; the last has as many as that of Places365-Challenge


def run(cfg: Config, args: argparse.Namespace, number: int = 120) -> None:
    init_default_scope(cfg.default_scope)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f'{i}.jpg') for i in range(number)]
        photos = DemoPhotos(pipeline=[], split='train')
        for i, path in enumerate(paths):
            photo = read_image(photos.get_data_info(i % len(photos))['img_path'])
            photo = cv2.resize(photo, PLACES_SIZE, interpolation=cv2.INTER_CUBIC)
            path.write_bytes(cv2.imencode('.jpg', photo)[1])
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
        if Path('/proc/self/smaps_rollup').exists():
            start_with_lists(Path(folder))


def start_with_lists(folder: Path) -> None:
    """Print what lists of more and more lines cost; the first is what the libraries cost."""
    columns = ('data set (s)', 'first draw (s)', 'first batch (s)', 'in all (GB)')
    print('\n' + f'{"start, with 2 workers":34}' + ''.join(f'{name:>17}' for name in columns))
    for count in LINES:
        list_file = folder / f'{count}.txt'
        with list_file.open('w', encoding='utf-8') as file:
            for i in range(count):
                place = i * 365 // count
                file.write(f'/{chr(97 + place // 15)}/category_{place}/{i:08d}.jpg {place}\n')
        for method in ('fork', 'spawn'):
            context = multiprocessing.get_context('spawn')
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                values = pool.submit(start, list_file, method).result()
            cells = ''.join(f'{value:17.3f}' for value in values)
            print(f'{f"{count:,} lines, {method}":34}{cells}', flush=True)


def start(list_file: Path, method: str) -> list[float]:
    """Seconds to the data set, its first draw and a batch, and 10^9 bytes of all processes."""
    times = [time.perf_counter()]
    dataset = ImageDataset(pipeline=[], data_root=str(list_file.parent), ann_file=list_file.name)
    times.append(time.perf_counter())
    sampler = DrawSampler(dataset, seed=0)
    next(iter(sampler))
    times.append(time.perf_counter())
    options = dict(num_workers=2, multiprocessing_context=method, collate_fn=list)
    batches = iter(DataLoader(dataset, batch_size=12, sampler=sampler, **options))
    next(batches)
    times.append(time.perf_counter())
    for _ in range(100):
        next(batches)
    workers = [process.pid for process in multiprocessing.active_children()]
    return [*np.diff(times), sum(map(memory, (os.getpid(), *workers)))]


def memory(process: int) -> float:
    """In 10^9 bytes, with its part of what it shares with others."""
    rollup = Path(f'/proc/{process}/smaps_rollup').read_text()
    return int(re.search(r'Pss:\s+(\d+) kB', rollup)[1]) * 1024 / 1e9
