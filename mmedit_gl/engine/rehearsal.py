"""Before the first iteration: what would fail after days fails now."""

from itertools import islice

import torch
from mmengine.runner import BaseLoop
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmedit_gl.errors import UserError, configures


@torch.no_grad()
def rehearse_training(model: nn.Module, dataloader: DataLoader) -> None:
    """One small batch through the pipeline, and its shapes through every phase.

    Raises `UserError` with the configuration's key for whatever fails.
    """
    with configures('train_dataloader'):
        batch = first_batch(dataloader, 2)
    with configures('model'):
        model.rehearse(batch)


@torch.no_grad()
def rehearse_evaluation(model: nn.Module, loop: BaseLoop, mode: str) -> dict[str, float]:
    """The metrics of `mode`, val or test, of a picture or two, by the pipeline and the networks.

    Raises `UserError` with the configuration's key for whatever fails.
    """
    with configures(f'{mode}_dataloader'):
        batch = first_batch(loop.dataloader, 2)
    with configures('model'):
        was_training = model.training
        outputs = model.eval().test_step(batch)
        model.train(was_training)
    with configures(f'{mode}_evaluator'):
        loop.evaluator.process(data_samples=outputs, data_batch=batch)
        return loop.evaluator.evaluate(len(outputs))


def first_batch(dataloader: DataLoader, count: int) -> dict:
    """The first samples that a loader would give, `count` if its batches hold so many.

    Raises `UserError` for a sampler that gives no seeds, with which every draw of a picture would
    be the same, for samples that are not packed, and for those that are not stacked.
    """
    with configures('sampler'):
        items = list(islice(dataloader.sampler, min(count, dataloader.batch_size)))
        if not all(isinstance(item, tuple) for item in items):
            raise UserError(
                f'{type(dataloader.sampler).__name__} gives pictures no seeds for their crops and '
                'holes: expected DrawSampler for training, EvaluationSampler else'
            )
    with configures('dataset'):
        samples = [dataloader.dataset[item] for item in items]
    with configures('dataset.pipeline'):
        if any('rng' in sample for sample in samples):
            raise UserError('expected PackInputs, which ends it')
    with configures('collate_fn'):
        batch = dataloader.collate_fn(samples)
        batch = batch[0] if isinstance(batch, list) else batch
        if not isinstance(batch, dict) or not isinstance(batch['gt_img'], Tensor):
            raise UserError("expected dict(type='default_collate'), which makes a batch of samples")
    return batch
