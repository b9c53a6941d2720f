"""mmengine's Runner and training loop, where this project needs them to differ."""

import logging
import math
import os
import re
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import torch
from mmengine import Config
from mmengine.device import get_device
from mmengine.dist import broadcast, get_rank, get_world_size, is_main_process, master_only
from mmengine.model import convert_sync_batchnorm
from mmengine.optim import OptimWrapperDict
from mmengine.runner import BaseLoop, LogProcessor
from mmengine.runner import Runner as MMEngineRunner
from mmengine.visualization import Visualizer
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from mmedit_gl.checkpoint import (
    best_weights,
    discriminators_differ,
    load_weights,
    optimizers_in_order,
    read_checkpoint,
    trained_otherwise,
)
from mmedit_gl.engine.lock import locked
from mmedit_gl.engine.mmengine_fixes import init_gloo, is_worth_reading
from mmedit_gl.engine.processes import PictureLoader, keep_memory
from mmedit_gl.engine.rehearsal import rehearse_evaluation, rehearse_training
from mmedit_gl.engine.same_run import check_same_run, identity
from mmedit_gl.errors import UserError, check_count, check_number, concerns, configures
from mmedit_gl.files import make_folder, remove_left, save_text, whole
from mmedit_gl.registry import LOOPS

# Parts of a run that go together.
PARTS = [
    ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    ('val_dataloader', 'val_cfg', 'val_evaluator'),
    ('test_dataloader', 'test_cfg', 'test_evaluator'),
]
SECTIONS = ('default_hooks', 'env_cfg', 'log_processor', 'randomness', 'visualizer', *chain(*PARTS))
# Hooks without which a run would not know its iteration, its losses or its rates.
NEEDED = ('runtime_info', 'logger', 'param_scheduler')
# What torch refuses of a loader without worker processes.
OF_WORKERS = ('persistent_workers', 'prefetch_factor', 'multiprocessing_context')
# The least values of what a schedule computes rates from.
OF_RATES = dict(
    **dict.fromkeys(('gamma', 'factor', 'start_factor', 'end_factor', 'power', 'eta_min'), 0),
    **dict.fromkeys(('step_size', 'T_max', 'total_iters'), 1),
)
# What each launcher tells its processes.
LAUNCHERS = dict(
    pytorch=('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
    mpi=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
)


class Runner(MMEngineRunner):
    """Loads strictly, resumes completely, and wraps each network by itself in a distributed run."""

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'Runner':
        """Raises `UserError` for a run without a model, or with a part of a training or evaluation.

        What is to be built is said in dicts.
        """
        if os.name == 'nt':
            raise UserError('training and testing run on Linux and macOS: on Windows, in WSL')
        for key in ('model', *SECTIONS):
            kinds = (dict, list) if key.endswith('evaluator') else dict
            if not isinstance(cfg.get(key), kinds) and (key == 'model' or cfg.get(key) is not None):
                raise UserError(f'{key}: expected a dict, got {cfg.get(key)!r}')
        for parts in PARTS:
            given = [part for part in parts if cfg.get(part) is not None]
            if given and len(given) < len(parts):
                missing = ', '.join(part for part in parts if part not in given)
                raise UserError(
                    f'{missing}: expected beside {", ".join(given)}: give all of them, or set all '
                    'to None'
                )
        make_folder(Path(cfg.work_dir))
        with concerns('the configuration'):
            return super().from_cfg(cfg)

    def configures(self, key: str) -> AbstractContextManager:
        """What fails here is the fault of what stands at this key of the configuration."""
        return configures(key, self.cfg.get(key))

    def setup_env(self, env_cfg: dict) -> None:
        missing = [name for name in LAUNCHERS.get(self.launcher, ()) if name not in os.environ]
        if missing:
            raise UserError(
                f'--launcher {self.launcher}: {missing[0]} is not in the environment: start the '
                'processes by tools/dist_train.sh, torchrun, srun or mpirun'
            )
        gpus = torch.cuda.device_count()
        if not gpus:
            keep_memory()
        if self.launcher == 'pytorch' and 0 < gpus <= int(os.environ['LOCAL_RANK']):
            raise UserError(
                f'--launcher pytorch: expected a GPU for each process of a machine, got {gpus} for '
                f'more: start {gpus}, or set CUDA_VISIBLE_DEVICES= to train on CPUs'
            )
        with configures(f'--launcher {self.launcher}'):
            init_gloo(self.launcher)
        with self.configures('env_cfg'):
            super().setup_env(env_cfg)

    def set_randomness(self, *args, **kwargs) -> None:
        with self.configures('randomness'):
            super().set_randomness(*args, **kwargs)
        if self._randomness_cfg.get('diff_rank_seed'):
            self._seed -= get_rank()  # what is drawn for pictures follows from that of the run

    def build_log_processor(self, log_processor: dict) -> LogProcessor:
        with self.configures('log_processor'):
            processor = super().build_log_processor(log_processor)
            check_count('window_size', processor.window_size)
            return processor

    def build_visualizer(self, *args, **kwargs) -> Visualizer:
        with self.configures('visualizer'):
            visualizer = super().build_visualizer(*args, **kwargs)
            if is_main_process():
                for backend in visualizer._vis_backends.values():
                    _ = backend.experiment  # one that is not installed says so
        return visualizer

    def build_model(self, model: dict | nn.Module) -> nn.Module:
        with self.configures('model'):
            return super().build_model(model)

    def build_logger(self, *args, **kwargs) -> logging.Logger:
        with self.configures('log_level'):
            logger = super().build_logger(*args, **kwargs)
        logger.addFilter(is_worth_reading)
        # A full disk is said by what comes after a line of the log, and once.
        logging.raiseExceptions = False
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                # The environment, the configuration and the list of hooks are in the file.
                handler.addFilter(lambda record: '\n' not in record.getMessage().strip())
        return logger

    @master_only
    def dump_config(self) -> None:
        """mmengine's, when training begins: a run that is refused writes over no other's."""
        if isinstance(self._train_loop, BaseLoop):
            name = Path(self.cfg.filename or f'{self.timestamp}.py').name
            save_text(self.cfg.dump(), Path(self.work_dir, name))

    def train(self) -> nn.Module:
        """Raises `UserError` in the folder of another run, at work or over."""
        with locked(self.work_dir) as no_lock:
            if no_lock:
                self.logger.warning(f'{self.work_dir} cannot be locked against others: {no_lock}')
            self._check_work_dir()
            if is_main_process() and not no_lock:
                remove_left(Path(self.work_dir))
            networks = self.model.parallel
            try:
                return super().train()
            finally:
                self.model.parallel = networks  # what wraps them would keep the group alive

    def _check_work_dir(self) -> None:
        if not any(Path(self.work_dir).glob('*iter_*.pth')):
            return
        if not self._resume:
            raise UserError(
                f'{self.work_dir} holds the checkpoints of an earlier run: go on with it by '
                '--resume, or start a new one in another place by --work-dir'
            )
        source = Path(self._load_from or Path(self.work_dir, 'latest'))
        if source.parent.resolve() != Path(self.work_dir).resolve():
            raise UserError(
                f'{self.work_dir} holds checkpoints, and {source} is none of them: go on from the '
                'latest there by --resume alone, or give another --work-dir'
            )

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register hooks by name; None leaves one out, of mmengine's or of this project's."""
        # mmengine takes None for those that it would register by itself, and asserts on others.
        own = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
        hooks = {n: hook for n, hook in (hooks or {}).items() if hook is not None or n in own}
        for name in NEEDED:
            if name in hooks and hooks[name] is None:
                raise UserError(f'default_hooks.{name}: expected a hook, without which no run goes')
        with self.configures('default_hooks'):
            super().register_default_hooks(hooks)

    def register_custom_hooks(self, hooks: list) -> None:
        with self.configures('custom_hooks'):
            super().register_custom_hooks(hooks)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        # torch has synchronised batch norm for GPUs only.
        if self.distributed and torch.cuda.is_available() and (kind := self.cfg.get('sync_bn')):
            model = convert_sync_batchnorm(model, kind)
        # The layout of memory in which convolutions are fastest, on CPUs and GPUs alike.
        return model.to(get_device(), memory_format=torch.channels_last)

    def _maybe_compile(self, target: str) -> None:
        """Wrap what the training step calls: for several processes, and for `compile = True`."""
        if target == 'train_step':
            networks = self.model.parallel
            self.model.parallel = {name: net and self._wrap(net) for name, net in networks.items()}

    def _wrap(self, network: nn.Module) -> nn.Module:
        if self.distributed:
            network = DistributedDataParallel(network)
            # Each process has its own batch statistics. As an argument torch 2.15 warns of it.
            network.broadcast_buffers = False
        return torch.compile(network) if self.cfg.get('compile') else network

    def build_param_scheduler(self, scheduler: dict | list) -> dict:
        """mmengine's; raises `UserError` for a schedule that never acts or cannot be saved.

        So it does for numbers that give no rate.
        """
        with self.configures('param_scheduler'):
            built = super().build_param_scheduler(scheduler)
        for name, schedules in built.items():
            for i, schedule in enumerate(schedules):
                where = f'param_scheduler.{name}.{i}: {type(schedule).__name__}'
                # One that looks at the metrics acts after each validation.
                if schedule.by_epoch and not getattr(schedule, 'need_val_args', False):
                    raise UserError(
                        f'{where} counts epochs, and a run is a single one, so that it would never '
                        'act: set by_epoch=False, and its lengths in iterations'
                    )
                for key, value in schedule.state_dict().items():
                    if key in OF_RATES and value is not None:
                        check_number(f'{where}: {key}', value, OF_RATES[key])
                for milestone in getattr(schedule, 'milestones', ()):
                    check_count(f'{where}: milestones', milestone)
                # mmengine would warn of an optimizer that waits for its phase.
                schedule.optimizer._global_step = 0
                if any(map(callable, schedule.state_dict().values())):
                    raise UserError(
                        f'{where} keeps a function, with which no checkpoint could be read: take '
                        'LinearLR and CosineAnnealingLR, one after the other'
                    )
        return built

    def build_optim_wrapper(self, optim_wrapper: dict) -> OptimWrapperDict:
        with self.configures('optim_wrapper'):
            return super().build_optim_wrapper(optim_wrapper)

    def build_train_loop(self, loop: dict) -> BaseLoop:
        self._train_dataloader = self._loader('train_dataloader', self._train_dataloader)
        with self.configures('train_cfg'):
            return super().build_train_loop(loop)

    def build_val_loop(self, loop: dict) -> BaseLoop:
        self._prepare('val')
        with self.configures('val_cfg'):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: dict) -> BaseLoop:
        self._prepare('test')
        with self.configures('test_cfg'):
            loop = super().build_test_loop(loop)
        rehearse_evaluation(self.model, loop, 'test')
        return loop

    def _prepare(self, mode: str) -> None:
        """Builds the loader and the evaluator of an evaluation."""
        loader = self._loader(f'{mode}_dataloader', getattr(self, f'_{mode}_dataloader'))
        loader.dataset.test_mode = True  # strict, whatever the configuration says
        with self.configures(f'{mode}_evaluator'):
            evaluator = self.build_evaluator(getattr(self, f'_{mode}_evaluator'))
        setattr(self, f'_{mode}_dataloader', loader)
        setattr(self, f'_{mode}_evaluator', evaluator)

    def _loader(self, key: str, dataloader: dict | DataLoader) -> PictureLoader:
        if isinstance(dataloader, PictureLoader):  # mmengine asks again at each test
            return dataloader
        with self.configures(key):
            loader = self.build_dataloader(dataloader, seed=self.seed)
            with configures('dataset'):
                if not isinstance(loader.dataset, Dataset):
                    raise UserError(f'expected a dict, got {loader.dataset!r}')
        collate = _in_one if key == 'train_dataloader' else _by_size
        loader.collate_fn = partial(collate, loader.collate_fn)
        return loader

    @staticmethod
    def build_dataloader(dataloader: dict | DataLoader, *args, **kwargs) -> PictureLoader:
        """mmengine's, in pinned memory where there is a GPU to copy to.

        What is said of worker processes says nothing where there are none.
        """
        if isinstance(dataloader, dict):
            gpu = torch.cuda.is_available()
            collate = dict(type='default_collate')
            of_workers = () if dataloader.get('num_workers') else OF_WORKERS
            given = {key: value for key, value in dataloader.items() if key not in of_workers}
            dataloader = {'pin_memory': gpu, 'collate_fn': collate, **given}
        loader = MMEngineRunner.build_dataloader(dataloader, *args, **kwargs)
        loader.__class__ = PictureLoader  # mmengine has no name for another
        loader.worker_init_fn = partial(_init_worker, loader.worker_init_fn)
        return loader

    def load_checkpoint(self, filename: str, map_location: str = 'cpu') -> dict:
        """Read a checkpoint and load its weights; see `read_checkpoint` and `load_weights`.

        Of one with other discriminators a new run takes the generator alone.
        """
        checkpoint = read_checkpoint(filename, map_location)
        # mmengine would run the configuration that a checkpoint of 2020 quotes.
        if isinstance(meta := checkpoint.get('meta'), dict):
            meta.pop('config', None)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        weights = checkpoint['state_dict'] if self._resume else best_weights(checkpoint)
        if otherwise := trained_otherwise(self.model, checkpoint):
            if not isinstance(self._train_loop, BaseLoop):
                raise UserError(f'{filename} was trained in another model: {otherwise}')
            self.logger.warning(f'{filename} was trained in another model: {otherwise}')
        if not self._resume and discriminators_differ(self.model, weights):
            weights = {key: value for key, value in weights.items() if key.startswith('generator.')}
            self.logger.info(f'The discriminators of {filename} are of another architecture: left')
        load_weights(self.model, weights, filename)
        if self._resume:
            checkpoint['optimizer'] = optimizers_in_order(self.model, checkpoint, filename)
        self.logger.info(f'Loaded the weights of {filename}')
        return checkpoint

    def load_or_resume(self) -> None:
        if self._resume and self._load_from is None:
            if latest := self._latest_checkpoint():
                self._load_from = str(latest)
            else:
                self.logger.info(f'No checkpoint in {self.work_dir}: the run begins')
                self._resume = False
        with concerns(f'{self._load_from} cannot be gone on with'):
            super().load_or_resume()

    def _latest_checkpoint(self) -> Path | None:
        """The newest checkpoint of the working directory that can be read to its end."""
        paths = checkpoints(self.work_dir)
        for path in reversed(paths):
            try:
                read_checkpoint(path)
                return path
            except UserError as error:
                self.logger.warning(f'Skipped: {error}')
        if paths:
            raise UserError(
                f'none of the {len(paths)} checkpoints in {self.work_dir} can be read: begin anew '
                'in another place by --work-dir, from weights by --load-from if there are any'
            )
        return None

    def resume(self, filename: str, **kwargs) -> None:
        """Go on where the run that saved this checkpoint was.

        Raises `UserError` for a checkpoint that holds less than a run, whose weights alone can be
        started from with `load_from`, for one of another run than the configuration says or that
        has come to its end, and where the run would write over later checkpoints.
        """
        checkpoint = read_checkpoint(filename)
        needed = {'meta', 'state_dict', 'optimizer', 'message_hub'}
        if missing := needed - checkpoint.keys():
            raise UserError(
                f'{filename} cannot be resumed: it lacks {", ".join(sorted(missing))}; to start a '
                'new run from its weights, use --load-from'
            )
        latest = self._latest_checkpoint()
        if latest and iteration(latest) > checkpoint['meta']['iter']:
            raise UserError(
                f'{self.work_dir} holds later checkpoints than {filename}, up to {latest.name}, '
                'which the run would write over: give another --work-dir'
            )
        self._check_same_run(filename, checkpoint['meta'])
        schedules = list(chain(*(self.param_schedulers or {}).values()))
        ends = [schedule.end for schedule in schedules if 'run' in checkpoint['meta']]
        super().resume(filename, resume_param_scheduler=self.param_schedulers is not None, **kwargs)
        for schedule, end in zip(schedules, ends):
            # One that ended with a shorter run has left out the step after its last iteration.
            behind = schedule._global_step == schedule.end < end
            schedule.end = end
            if behind:
                schedule._global_step -= 1
                schedule.step()
        for loop in (self.train_loop, self.val_loop):
            if loop is not None:  # built before the seed of the run was known
                loop.dataloader.sampler.seed = self.seed

    def _check_same_run(self, source: str, meta: dict) -> None:
        done, max_iters = meta['iter'], self.max_iters
        # At its end a run may have been stopped while it validated.
        if done > max_iters or (done == max_iters and self.val_loop is None):
            raise UserError(
                f'train_cfg.max_iters={max_iters}: {source} is of iteration {done}, so that none '
                'is left to train; give more to go on'
            )
        if 'run' in meta:
            seed = self._randomness_cfg.get('seed')
            given = self._identity(meta['seed'] if seed is None else seed)
            check_same_run(source, meta['run'], given)
        else:
            self.logger.info(f'{source} keeps no configuration to compare with the one given')

    def _identity(self, seed: int) -> dict:
        step_size = self.train_dataloader.batch_size * get_world_size()
        return identity(self.cfg.to_dict(), self.param_schedulers, seed, step_size)

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args, **kwargs) -> None:
        """Write a checkpoint; the file is complete or not there.

        Raises `UserError` if it cannot be written.
        """
        kwargs['save_param_scheduler'] = self.param_schedulers is not None
        kwargs['meta'] = {
            **kwargs.get('meta', {}),
            'run': self._identity(self.seed),
            'trained_with': self.model.trained_with,
        }
        try:
            with whole(Path(out_dir, filename), synced=True) as part:
                super().save_checkpoint(out_dir, part.name, *args, **kwargs)
        except UserError as error:
            raise UserError(
                f'{error}: make room, and go on from the one before by --resume'
            ) from None


@LOOPS.register_module()
class TrainLoop(BaseLoop):
    """Trains for `max_iters` iterations and validates every `val_interval` and at the end.

    mmengine's loop reads and throws away every batch up to the iteration that a run resumes at;
    this one tells the sampler. Goes with `test_resume_reads_no_batch_in_vain`.
    """

    def __init__(
        self, runner: Runner, dataloader: dict | DataLoader, max_iters: int, val_interval: int
    ):
        super().__init__(runner, dataloader)
        check_count('max_iters', max_iters, least=0)
        check_count('val_interval', val_interval)
        self.max_iters, self.max_epochs = max_iters, 1
        self.val_interval, self.val_begin = val_interval, 1
        # Where the run is; mmengine's Runner.resume sets them under these names.
        self._iter, self._epoch = 0, 0
        self.stop_training = False
        self.metrics = {}  # of a rehearsed validation
        # Losses on the device, which no iteration waits for: (iteration, losses, img_paths).
        self.pending = []

    @property
    def iter(self) -> int:
        return self._iter

    @property
    def epoch(self) -> int:
        return self._epoch

    def run(self) -> nn.Module:
        runner = self.runner
        model = runner.model
        with configures('train_dataloader.sampler'):
            done = self._iter * self.dataloader.batch_size * get_world_size()
            self.dataloader.sampler.start = done
        rehearse_training(model, self.dataloader)
        if runner.val_loop is not None:
            self.metrics = rehearse_evaluation(model, runner.val_loop, 'val')
        self.check_accumulation(
            iter_tc=model.iter_tc, iter_td=model.iter_td, max_iters=self.max_iters
        )
        runner.call_hook('before_train')
        runner.dump_config()
        runner.call_hook('before_train_epoch')
        batches = iter(self.dataloader)
        # A run that was stopped during a validation begins with it.
        self._validate_if_due()
        while self._iter < self.max_iters and not self.stop_training:
            runner.model.train()
            data_batch = next(batches)
            runner.call_hook('before_train_iter', batch_idx=self._iter, data_batch=data_batch)
            outputs = runner.model.train_step(data_batch, runner.optim_wrapper)
            self.pending.append((self._iter, outputs, data_batch['img_path']))
            runner.call_hook(
                'after_train_iter', batch_idx=self._iter, data_batch=data_batch, outputs=outputs
            )
            self._iter += 1
            self._validate_if_due()
        runner.call_hook('after_train_epoch')
        runner.call_hook('after_train')
        return runner.model

    def validates_after(self, iteration: int) -> bool:
        """Whether a validation is due when so many iterations are done."""
        return self.runner.val_loop is not None and (
            iteration == self.max_iters or (iteration > 0 and iteration % self.val_interval == 0)
        )

    def _validate_if_due(self) -> None:
        if self.validates_after(self._iter):
            for buffer in self.runner.model.buffers():
                broadcast(buffer)  # all processes measure the model that is saved
            self.runner.val_loop.run()

    def record_losses(self) -> None:
        """Take the losses since the last call to the log, in one copy from the device.

        Raises `UserError` for a loss that is not finite.
        """
        if not self.pending:
            return
        values = torch.stack([loss for _, losses, _ in self.pending for loss in losses.values()])
        values = iter(values.tolist())
        for iteration, losses, img_paths in self.pending:
            for name in losses:
                if not math.isfinite(value := next(values)):
                    raise UserError(
                        f'{name} is {value} at iteration {iteration}, on {", ".join(img_paths)}: '
                        'nothing was saved since; look at these pictures, or lower the learning '
                        'rate, and go on from the last checkpoint by --resume'
                    )
                self.runner.message_hub.update_scalar(f'train/{name}', value)
        self.pending.clear()

    @property
    def accumulation(self) -> int:
        """After how many iterations no gradient waits for its optimizer."""
        wrappers = self.runner.optim_wrapper.values()
        counts = math.lcm(*(wrapper._accumulative_counts for wrapper in wrappers))
        return counts * self.runner.model.disc_step if counts > 1 else 1

    def check_accumulation(self, **lengths: int) -> None:
        """`UserError` for the first length, in iterations, after which gradients would be lost."""
        disc_step = self.runner.model.disc_step
        times = f' times disc_step={disc_step}' if disc_step > 1 else ''
        for name, length in lengths.items():
            if length % self.accumulation:
                raise UserError(
                    f'{name}={length} is no multiple of '
                    f'accumulative_counts={self.accumulation // disc_step}{times}: make it one, '
                    'for the gradients that wait there would be lost'
                )


def _by_size(collate: Callable[[list], dict], samples: list[dict]) -> list[dict]:
    """A batch for each run of pictures of one size."""
    return [collate(list(group)) for _, group in groupby(samples, _size)]


def _in_one(collate: Callable[[list], dict], samples: list[dict]) -> dict:
    if len(sizes := set(map(_size, samples))) > 1:
        raise UserError(
            f'pictures of {" and ".join(sorted(sizes))} pixels do not make one batch: bring them '
            'to one size in the pipeline, or set batch_size=1'
        )
    return collate(samples)


def _size(sample: dict) -> str:
    height, width, _ = sample['gt_img'].shape
    return f'{height}x{width}'


def _init_worker(init: Callable[[int], None] | None, worker_id: int) -> None:
    """Let a worker outlive the SIGTERM that all processes of the run get, by torchrun or Slurm.

    The iteration that it comes in needs its pictures; it ends at the one of the run's own process.
    """
    if hasattr(signal, 'sigwaitinfo'):  # macOS does not say who sent a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_await_end, daemon=True).start()
    if init:
        init(worker_id)


def _await_end() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def iteration(path: Path) -> int:
    """The number in a checkpoint's name, `iter_<number>.pth` or `best_psnr_iter_<number>.pth`."""
    return int(path.stem.rpartition('_')[2])


def checkpoints(work_dir: str | Path) -> list[Path]:
    """A run's checkpoints, the oldest first."""
    paths = Path(work_dir).glob('iter_*.pth')
    return sorted((p for p in paths if re.fullmatch(r'iter_\d+', p.stem)), key=iteration)
