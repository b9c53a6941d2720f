"""What is watched, logged, saved and drawn around a run."""

import math
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine import Config
from mmengine.dist import get_rank, get_world_size, is_main_process, master_only
from mmengine.hooks import Hook
from mmengine.hooks import LoggerHook as MMEngineLoggerHook
from mmengine.hooks import RuntimeInfoHook as MMEngineRuntimeInfoHook
from mmengine.visualization import LocalVisBackend as MMEngineLocalVisBackend
from mmengine.visualization.vis_backend import force_init_env
from rich.progress import Progress
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from mmedit_gl.engine.runner import Runner, checkpoints, iteration
from mmedit_gl.errors import UserError, check_count
from mmedit_gl.evaluation import HIGHER_IS_BETTER, save_json, strip
from mmedit_gl.files import make_folder, save_text, saying
from mmedit_gl.pictures import picture_of, write_picture
from mmedit_gl.registry import HOOKS, VISBACKENDS


@HOOKS.register_module()
class PhaseHook(Hook):
    """Says which phase begins, and takes the losses of the one before out of the log.

    Raises `UserError` at once if the run will come to a phase for which the model lacks a network
    or an optimizer, or if it begins behind the generator's without weights.
    """

    def before_train(self, runner: Runner) -> None:
        model = runner.model
        if model.disc is None and runner.max_iters > model.iter_tc:
            raise UserError(
                f'after iteration iter_tc={model.iter_tc} the discriminators are trained, but the '
                f'model has none (disc=None): give it disc and loss_gan, or set '
                f'model.train_cfg.iter_tc to max_iters={runner.max_iters}'
            )
        trained = dict(
            generator=model.iter_tc > 0 or runner.max_iters > model.iter_td,
            disc=runner.max_iters > model.iter_tc,
        )
        optimized = set(runner.optim_wrapper.keys())
        for name, is_trained in trained.items():
            if is_trained and name not in optimized:
                raise UserError(f'optim_wrapper.{name}: expected one, for the run trains {name}')
        if model.iter_tc == 0 and not runner._load_from:
            raise UserError(
                "iter_tc=0: the run begins behind the generator's phase: expected weights of an "
                'earlier run by --load-from, or a longer iter_tc'
            )
        self.phase = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        phase = runner.model.phase
        if phase is not self.phase:
            runner.train_loop.record_losses()
            runner.logger.info(f'Phase {phase.value!r} from iteration {runner.iter} on')
            scalars = runner.message_hub.log_scalars
            for name in [name for name in scalars if name.startswith('train/') and 'loss' in name]:
                del scalars[name]
                # Or mmengine would miss it in the checkpoint, and warn of it when the run goes on.
                runner.message_hub._resumed_keys.pop(name, None)
            self.phase = phase


@HOOKS.register_module()
class RuntimeInfoHook(MMEngineRuntimeInfoHook):
    """Iteration and learning rates for the log.

    mmengine's copies every loss from the device at every iteration; here `LoggerHook` has them
    copied, when it writes a line. Goes with `test_no_loss_is_copied_between_two_lines_of_the_log`.
    """

    def after_train_iter(self, *args, **kwargs) -> None:
        pass


@HOOKS.register_module()
class LoggerHook(MMEngineLoggerHook):
    """Writes a line of the log every `interval` iterations."""

    def __init__(self, interval: int):
        check_count('LoggerHook: interval', interval)
        super().__init__(interval=interval, log_metric_by_epoch=False)

    def after_train_iter(self, runner: Runner, batch_idx: int, *args, **kwargs) -> None:
        if self.every_n_inner_iters(batch_idx, self.interval):
            runner.train_loop.record_losses()
            super().after_train_iter(runner, batch_idx, *args, **kwargs)


@HOOKS.register_module()
class SkippedImagesHook(Hook):
    """Names each picture that training could not use once, and counts them.

    Raises `UserError` when more failed than `max_ratio` of the draws, or of a thousand draws if
    there were fewer.
    """

    def __init__(self, max_ratio: float = 0.01):
        if not 0 <= max_ratio <= 1:
            raise UserError(f'SkippedImagesHook: expected a max_ratio in [0, 1], got {max_ratio}')
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
class EMAHook(Hook):
    """Keeps the generator's exponential moving average, in which old weights fade by `decay`.

    Validation measures it, and checkpoints have it as `ema_state_dict`, which `tools/test.py` and
    the `Inpainter` take; training goes on with the weights themselves. For the first few times
    1 / (1 - decay) iterations it is worse than they are: it holds what the network knew before.
    """

    def __init__(self, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise UserError(f'EMAHook: expected a decay in [0, 1), got {decay}')
        self.decay, self.resumed = decay, None

    def before_train(self, runner: Runner) -> None:
        update = get_ema_multi_avg_fn(self.decay)
        self.average = AveragedModel(runner.model.generator, multi_avg_fn=update)
        if self.resumed:
            weights = {
                name.removeprefix('generator.'): value for name, value in self.resumed.items()
            }
            self.average.module.load_state_dict(weights)
            self.average.n_averaged += 1  # or the first update would begin anew

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        self.average.update_parameters(runner.model.generator)

    def before_val_epoch(self, runner: Runner) -> None:
        self.trained = runner.model.generator
        runner.model.generator = self.average.module

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        runner.model.generator = self.trained

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint['ema_state_dict'] = {
            f'generator.{name}': value.cpu()
            for name, value in self.average.module.state_dict().items()
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.resumed = checkpoint.get('ema_state_dict')


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves the run every `interval` iterations, before a validation, at the end and at a signal.

    The `max_keep_ckpts` newest checkpoints stay, and the weights of the best validation by the
    metric `save_best`. An `interval` of -1 is none, with -1 for `max_keep_ckpts` every one stays.
    What is older goes when the new is written; mmengine's hook of this name removes it before. At
    SIGTERM and SIGINT (Ctrl-C) the run is saved after the iteration and ends with the status 128 +
    the signal's number; a second SIGINT ends it at once. Raises `UserError` for a metric that no
    validation gives, and rather than save weights that are not finite.
    """

    priority = 'VERY_LOW'

    def __init__(self, interval: int, max_keep_ckpts: int = 3, save_best: str | None = None):
        for name, value in dict(interval=interval, max_keep_ckpts=max_keep_ckpts).items():
            if value != -1:
                check_count(f'CheckpointHook: {name}, if not -1', value)
        if not isinstance(save_best, str | None):
            raise UserError(f'CheckpointHook: save_best: expected a metric, got {save_best!r}')
        self.interval, self.max_keep_ckpts, self.save_best = interval, max_keep_ckpts, save_best
        self.signal = None

    def before_train(self, runner: Runner) -> None:
        loop = runner.train_loop
        if self.interval > 0:
            loop.check_accumulation(checkpoint_interval=self.interval)
        loop.check_accumulation(val_interval=loop.val_interval)
        if self.save_best and loop.metrics and self.save_best not in loop.metrics:
            raise UserError(
                'default_hooks.checkpoint.save_best: expected one of the metrics '
                f'{sorted(loop.metrics)}, got {self.save_best!r}'
            )
        self.handlers = {
            number: signal.signal(number, self._remember)
            for number in (signal.SIGTERM, signal.SIGINT)
        }

    def after_train(self, runner: Runner) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: object) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        done, loop = runner.iter + 1, runner.train_loop
        if (
            self.every_n_train_iters(runner, self.interval)
            or done == runner.max_iters
            or loop.validates_after(done)
            or (self.signal and done % loop.accumulation == 0)
        ):
            self._save(runner, f'iter_{done}.pth')
            if self.max_keep_ckpts > 0:
                self._remove(checkpoints(runner.work_dir)[: -self.max_keep_ckpts])
            self._stop_if_asked(runner)

    def after_val_iter(self, runner: Runner, *args, **kwargs) -> None:
        self._stop_if_asked(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        if self.save_best and self._is_best(metrics[self.save_best], runner):
            runner.message_hub.update_info('best_score', metrics[self.save_best])
            self._save(runner, f'best_{self.save_best}_iter_{runner.iter}.pth')
            former = Path(runner.work_dir).glob(f'best_{self.save_best}_iter_*.pth')
            self._remove(path for path in former if iteration(path) != runner.iter)

    def _is_best(self, score: float, runner: Runner) -> bool:
        best = runner.message_hub.runtime_info.get('best_score')
        if self.save_best.rpartition('/')[2] in HIGHER_IS_BETTER:
            return score > (-math.inf if best is None else best)
        return score < (math.inf if best is None else best)

    def _save(self, runner: Runner, name: str) -> None:
        runner.train_loop.record_losses()
        for parameter, value in runner.model.state_dict().items():
            if not value.isfinite().all():
                raise UserError(
                    f'{parameter} is not finite after iteration {runner.iter}: nothing was saved '
                    'since; lower the learning rate, and go on from the last checkpoint by --resume'
                )
        meta = dict(epoch=0, iter=iteration(Path(name)))
        runner.save_checkpoint(runner.work_dir, name, meta=meta)
        runner.logger.info(f'Saved {Path(runner.work_dir, name)}')

    @master_only
    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink()

    @master_only  # without whom the others cannot go on
    def _stop_if_asked(self, runner: Runner) -> None:
        if self.signal:
            name = signal.Signals(self.signal).name
            runner.logger.info(f'Stopped by {name}; go on by --resume')
            sys.exit(128 + self.signal)


@HOOKS.register_module()
class TrainSamplesHook(Hook):
    """Draws the first `max_images` of a training batch, original | masked | completed.

    The picture goes to the visualizer every `interval` iterations, with -1 never.
    """

    def __init__(self, interval: int, max_images: int = 4):
        if interval != -1:
            check_count('TrainSamplesHook: interval, if not -1', interval)
        check_count('TrainSamplesHook: max_images', max_images)
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
    working directory. Raises `UserError` if they cannot be written, for a folder before the work.
    """

    def __init__(self, out_dir: str | None = None, max_images: int | None = 16):
        if max_images is not None:
            check_count('CompletionsHook: max_images', max_images, least=0)
        self.out_dir, self.max_images = out_dir, max_images

    def _write(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: list[dict]) -> None:
        for i, sample in enumerate(outputs):
            number = (self.written + i) * get_world_size() + get_rank()
            if number < self.end:
                name = f'{number:05d}_{Path(sample["img_path"]).stem}.png'
                write_picture(picture_of(strip(sample)), self._folder(runner) / name)
        self.written += len(outputs)

    def _folder(self, runner: Runner) -> Path:
        return Path(self.out_dir or Path(runner.work_dir) / 'completions')

    def _make_folder(self, runner: Runner) -> None:
        if self.max_images != 0:
            make_folder(self._folder(runner))

    before_train = before_val = before_test = _make_folder

    def before_val_epoch(self, runner: Runner) -> None:
        self._begin(runner.val_dataloader)

    def before_test_epoch(self, runner: Runner) -> None:
        self._begin(runner.test_dataloader)

    def _begin(self, dataloader: DataLoader) -> None:
        # Past the last picture the processes draw the first ones again, to have equally many.
        self.written, self.end = 0, len(dataloader.dataset)
        if self.max_images is not None:
            self.end = min(self.end, self.max_images)

    after_val_iter = after_test_iter = _write


@VISBACKENDS.register_module()
class LocalVisBackend(MMEngineLocalVisBackend):
    """Keeps configuration, values and pictures in `vis_data` of the session.

    mmengine's loses a picture that cannot be written without a word; here that is a `UserError`, as
    it is for the others, with the file. Goes with
    `test_a_training_sample_or_value_that_cannot_be_written_ends_the_run`.
    """

    @force_init_env
    def add_config(self, config: Config, **kwargs) -> None:
        save_text(config.pretty_text, self._config_save_file)

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        path = Path(self._img_save_dir, f'{name}_{step}.png')
        make_folder(path.parent)
        write_picture(picture_of(cv2.cvtColor(image, cv2.COLOR_RGB2BGR)), path)

    def _dump(self, value_dict: dict, file_path: str, file_format: str) -> None:
        with saying(f'cannot write {file_path}'):
            super()._dump(value_dict, file_path, file_format)


@HOOKS.register_module()
class MetricsHook(Hook):
    """Writes what the last validation measured to `metrics.json` in the working directory."""

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        if is_main_process():
            save_json(metrics, Path(runner.work_dir) / 'metrics.json')


class TestProgressHook(Hook):
    """Moves a progress bar on with each picture tested."""

    def __init__(self, progress: Progress):
        self.progress = progress

    def before_test_epoch(self, runner: Runner) -> None:
        dataloader = runner.test_dataloader
        name = f'test, seed {dataloader.sampler.seed}'
        self.task = self.progress.add_task(name, total=len(dataloader.dataset))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: list[dict]
    ) -> None:
        self.progress.advance(self.task, len(outputs) * get_world_size())
