"""What is watched, logged and drawn around a run."""

from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from rich.progress import Progress

from mmedit_gl.engine.runner import Runner
from mmedit_gl.errors import UserError
from mmedit_gl.evaluation import save_metrics, strip
from mmedit_gl.registry import HOOKS


@HOOKS.register_module()
class PhaseHook(Hook):
    """Says which phase begins, and takes the losses of the one before out of the log.

    Raises `UserError` at once if the run will come to a phase that the model cannot train.
    """

    def before_train(self, runner: Runner) -> None:
        model = runner.model
        if model.disc is None and runner.max_iters > model.iter_tc:
            raise UserError(
                f'after iteration iter_tc={model.iter_tc} the discriminators are trained, but the '
                f'model has none (disc=None): give it disc and loss_gan, or set '
                f'model.train_cfg.iter_tc to max_iters={runner.max_iters}'
            )
        self.phase = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        phase = runner.model.phase
        if phase is not self.phase:
            runner.logger.info(f'Phase {phase.value!r} from iteration {runner.iter} on')
            scalars = runner.message_hub.log_scalars
            for name in [name for name in scalars if name.startswith('train/') and 'loss' in name]:
                del scalars[name]
            self.phase = phase


@HOOKS.register_module()
class SkippedImagesHook(Hook):
    """Names each picture that training could not use once, and counts them.

    Raises `UserError` when more failed than `max_ratio` of the draws, or of a thousand draws if
    there were fewer.
    """

    def __init__(self, max_ratio: float = 0.01):
        self.max_ratio = max_ratio
        self.draws = self.failures = 0
        self.named = set()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        messages = [m for lines in data_batch['skipped'] for m in lines.splitlines()]
        self.draws += len(data_batch['skipped']) + len(messages)
        self.failures += len(messages)
        for message in messages:
            if message not in self.named:
                self.named.add(message)
                runner.logger.warning(f'Skipped: {message}')
        if self.failures > self.max_ratio * max(self.draws, 1000):
            raise UserError(
                f'{self.failures} of {self.draws} pictures drawn could not be used, more than '
                f'{self.max_ratio:.0%}; the last: {messages[-1]}'
            )

    def after_train(self, runner: Runner) -> None:
        if self.failures:
            runner.logger.warning(f'Skipped {self.failures} of {self.draws} pictures drawn')


@HOOKS.register_module()
class TrainSamplesHook(Hook):
    """Draws the first `max_images` of a training batch, original | masked | completed.

    The picture goes to the visualizer every `interval` iterations.
    """

    def __init__(self, interval: int, max_images: int = 4):
        self.interval, self.max_images = interval, max_images

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict
    ) -> None:
        if not self.every_n_train_iters(runner, self.interval) or not is_main_process():
            return
        runner.model.eval()
        batch = {name: values[: self.max_images] for name, values in data_batch.items()}
        with torch.no_grad():
            strips = [strip(sample) for sample in runner.model.val_step(batch)]
        picture = cv2.cvtColor(np.vstack(strips), cv2.COLOR_BGR2RGB)
        runner.visualizer.add_image('train_samples', picture, step=runner.iter + 1)


@HOOKS.register_module()
class CompletionsHook(Hook):
    """Writes what validation or test completed: original | masked | completed, one PNG file each.

    The first `max_images` pictures, None for all, to `out_dir`, by default `completions` in the
    working directory.
    """

    def __init__(self, out_dir: str | None = None, max_images: int | None = 16):
        self.out_dir, self.max_images = out_dir, max_images

    def _write(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: list[dict]) -> None:
        out_dir = Path(self.out_dir or Path(runner.work_dir) / 'completions')
        out_dir.mkdir(parents=True, exist_ok=True)
        for i, sample in enumerate(outputs):
            number = (self.written + i) * get_world_size() + get_rank()
            if self.max_images is None or number < self.max_images:
                name = f'{number:05d}_{Path(sample["img_path"]).stem}.png'
                cv2.imwrite(str(out_dir / name), strip(sample))
        self.written += len(outputs)

    def before_val_epoch(self, runner: Runner) -> None:
        self.written = 0

    before_test_epoch = before_val_epoch
    after_val_iter = after_test_iter = _write


@HOOKS.register_module()
class MetricsHook(Hook):
    """Writes what the last validation measured to `metrics.json` in the working directory."""

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        if is_main_process():
            save_metrics(metrics, Path(runner.work_dir) / 'metrics.json')


class TestProgressHook(Hook):
    """Moves a progress bar on with each picture tested."""

    def __init__(self, progress: Progress):
        self.progress = progress

    def before_test_epoch(self, runner: Runner) -> None:
        self.task = self.progress.add_task('test', total=len(runner.test_dataloader.dataset))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: list[dict]
    ) -> None:
        self.progress.advance(self.task, len(outputs) * get_world_size())
