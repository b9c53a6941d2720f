"""Trains and keeps what each iteration did; as a script it is one process of several.

torchrun tests/recorded_run.py RUNS.json    where RUNS is [dict(config=..., work_dir=...), ...]
"""

import json
import os
import sys
from pathlib import Path

from mmengine.dist import get_rank, is_distributed
from mmengine.hooks import Hook
from torch.autograd.profiler import profile
from warm import plain_configs

from mmedit_gl.engine import Runner, load_config


class Recorder(Hook):
    """Of each iteration the losses, the pictures, and how many values each reduction summed."""

    priority = 'LOWEST'

    def before_train(self, runner):
        self.steps = []

    def before_train_iter(self, runner, batch_idx, data_batch):
        self.profile = profile(record_shapes=True) if is_distributed() else None
        if self.profile:
            self.profile.__enter__()

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        reduced = []
        if self.profile:
            self.profile.__exit__(None, None, None)
            events = self.profile.function_events
            reduced = [e.input_shapes[0][0] for e in events if e.name == 'gloo:all_reduce']
        losses = {name: value.item() for name, value in outputs.items()}
        self.steps.append(dict(losses=losses, pictures=data_batch['img_path'], reduced=reduced))


def record(config: str, work_dir: str, **options) -> list[dict]:
    """Train; gives the steps, and writes them to `<work_dir>/steps_<rank>.json`."""
    cfg = load_config(config, options)
    cfg.work_dir, cfg.experiment_name = work_dir, Path(work_dir).name
    cfg.launcher = 'pytorch' if 'RANK' in os.environ else 'none'
    runner = Runner.from_cfg(cfg)
    runner.register_hook(recorder := Recorder())
    runner.train()
    Path(work_dir, f'steps_{get_rank()}.json').write_text(json.dumps(recorder.steps))
    return recorder.steps


if __name__ == '__main__':
    plain_configs()
    for run in json.loads(Path(sys.argv[1]).read_text()):
        record(**run)
