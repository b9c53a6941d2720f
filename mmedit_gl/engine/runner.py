"""mmengine's Runner and training loop, where this project needs them to differ."""

import logging
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size, is_main_process
from mmengine.model import convert_sync_batchnorm
from mmengine.runner import BaseLoop
from mmengine.runner import Runner as MMEngineRunner
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from mmedit_gl.engine.checkpoint import load_weights, read_checkpoint
from mmedit_gl.engine.mmengine_fixes import init_gloo, is_worth_reading
from mmedit_gl.errors import UserError
from mmedit_gl.registry import LOOPS


class Runner(MMEngineRunner):
    """Loads strictly, resumes completely, and wraps each network by itself in a distributed run."""

    def setup_env(self, env_cfg: dict) -> None:
        init_gloo(self.launcher)
        super().setup_env(env_cfg)

    def build_logger(self, *args, **kwargs) -> logging.Logger:
        logger = super().build_logger(*args, **kwargs)
        logger.addFilter(is_worth_reading)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                # The environment, the configuration and the list of hooks are in the file.
                handler.addFilter(lambda record: '\n' not in record.getMessage().strip())
        return logger

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register hooks by name; None leaves one out, of mmengine's or of this project's."""
        # mmengine takes None for those that it would register by itself, and asserts on others.
        own = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
        hooks = {n: hook for n, hook in (hooks or {}).items() if hook is not None or n in own}
        super().register_default_hooks(hooks)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        # The layout of memory in which convolutions are fastest, on CPUs and GPUs alike.
        model = model.to(memory_format=torch.channels_last)
        if not self.distributed:
            return super().wrap_model(model_wrapper_cfg, model)
        if sync_bn := self.cfg.get('sync_bn'):
            model = convert_sync_batchnorm(model, sync_bn)
        model = model.to(get_device())
        for name, network in model.parallel.items():
            if network is not None:
                model.parallel[name] = DistributedDataParallel(network, broadcast_buffers=False)
        return model

    def load_checkpoint(self, filename: str, map_location: str = 'cpu') -> dict:
        """Read a checkpoint and load its weights; see `read_checkpoint` and `load_weights`."""
        checkpoint = read_checkpoint(filename, map_location)
        # mmengine would run the configuration that a checkpoint of 2020 quotes.
        if isinstance(meta := checkpoint.get('meta'), dict):
            meta.pop('config', None)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        load_weights(self.model, checkpoint['state_dict'], filename)
        self.logger.info(f'Loaded the weights of {filename}')
        return checkpoint

    def resume(self, filename: str, **kwargs) -> None:
        """Go on where the run that saved this checkpoint was.

        Raises `UserError` for a checkpoint that holds less than a run: its weights alone can be
        started from with `load_from`.
        """
        checkpoint = read_checkpoint(filename)
        needed = {'meta', 'state_dict', 'optimizer', 'message_hub'}
        if missing := needed - checkpoint.keys():
            raise UserError(
                f'{filename} cannot be resumed: it lacks {", ".join(sorted(missing))}; to start a '
                'new run from its weights, use --load-from'
            )
        super().resume(filename, resume_param_scheduler=self.param_schedulers is not None, **kwargs)

    def save_checkpoint(self, out_dir: str, filename: str, *args, **kwargs) -> None:
        """Write a checkpoint; the file is complete or not there."""
        kwargs['save_param_scheduler'] = self.param_schedulers is not None
        beside = f'{filename}.part'
        super().save_checkpoint(out_dir, beside, *args, **kwargs)
        if is_main_process():
            Path(out_dir, beside).replace(Path(out_dir, filename))


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
        self.max_iters, self.max_epochs = max_iters, 1
        self.val_interval, self.val_begin = val_interval, 1
        # Where the run is; mmengine's Runner.resume sets them under these names.
        self._iter, self._epoch = 0, 0
        self.stop_training = False

    @property
    def iter(self) -> int:
        return self._iter

    @property
    def epoch(self) -> int:
        return self._epoch

    def run(self) -> nn.Module:
        runner = self.runner
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        self.dataloader.sampler.start = self._iter * self.dataloader.batch_size * get_world_size()
        batches = iter(self.dataloader)
        while self._iter < self.max_iters and not self.stop_training:
            runner.model.train()
            data_batch = next(batches)
            runner.call_hook('before_train_iter', batch_idx=self._iter, data_batch=data_batch)
            outputs = runner.model.train_step(data_batch, runner.optim_wrapper)
            runner.call_hook(
                'after_train_iter', batch_idx=self._iter, data_batch=data_batch, outputs=outputs
            )
            self._iter += 1
            if runner.val_loop is not None and (
                self._iter % self.val_interval == 0 or self._iter == self.max_iters
            ):
                runner.val_loop.run()
        runner.call_hook('after_train_epoch')
        runner.call_hook('after_train')
        return runner.model
