"""The data loader, beside the decoding of its pictures alone."""

import argparse
import copy
import tempfile
from pathlib import Path

import cv2
import numpy as np
from mmengine import Config
from mmengine.registry import init_default_scope

from benchmarks.shared import measure, table
from mmedit_gl.datasets import DemoPhotos, read_image
from mmedit_gl.engine import Runner
from mmedit_gl.registry import DATASETS

OPTIONS = {}
PLACES_SIZE = (683, 512)  # width and height of a picture of Places365-Standard


def run(cfg: Config, args: argparse.Namespace, number: int = 120) -> None:
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
