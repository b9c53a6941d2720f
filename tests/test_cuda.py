"""What a GPU would be given, without one: its tensors are fake, with a shape and no values.

So this shows where each tensor is and what waits for the GPU. It cannot show kernels, their numbers
or their speed, backward passes, for which autograd wants a real GPU, or several processes.
"""

import numpy as np
import pytest
import torch
from conftest import ROOT, make_batch, random_image, set_iteration
from mmengine import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmedit_gl.engine import load_config
from mmedit_gl.evaluation import colour, l1, l1_image, psnr, ssim
from mmedit_gl.models import HoleAware, composite, to_uint8
from mmedit_gl.pictures.membrane import _solved
from mmedit_gl.registry import MODELS

MEMBRANE = torch.ops.mmedit_gl.membrane.default


class GPU(TorchDispatchMode):
    """Tensors of the CPU are real, those of the GPU fake; what is copied back is an error.

    So is the reading of a value, for which `FakeTensorMode`, which goes around this, has none.
    `largest` is the number of values of the largest tensor that the CPU has computed, `precisions`
    are those of the GPU's convolutions.
    """

    def __init__(self):
        super().__init__()
        self.largest, self.precisions = 0, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not any(is_on_gpu(leaf) for leaf in tree_leaves((args, kwargs))):
            with unset_fake_temporarily():
                result = func(*args, **kwargs)
            self.largest = max([self.largest, *(x.numel() for x in tensors(result))])
            return result
        result = func(*args, **kwargs)
        assert all(x.is_cuda for x in tensors(result)), f'{func} copies to the CPU'
        if func is torch.ops.aten.convolution.default:
            self.precisions |= {x.dtype for x in args[:2]}
        if func is MEMBRANE:  # what it does is not seen by a fake
            with self:
                computed = _solved(*args, **kwargs)
            assert (computed.device, computed.shape) == (result.device, result.shape)
        return result


def is_on_gpu(leaf) -> bool:
    """Whether an argument is a tensor there, or says that the result is to be."""
    device = leaf.device if isinstance(leaf, Tensor) else leaf
    return isinstance(device, torch.device) and device.type == 'cuda'


def tensors(tree) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


@pytest.fixture
def gpu(monkeypatch):
    """The fake GPU, on which autocast works and backward passes are none."""
    monkeypatch.setattr(torch.cuda.amp.common, 'amp_definitely_not_available', lambda: False)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: True)
    monkeypatch.setattr(Tensor, 'backward', lambda loss: None)
    init_default_scope('mmedit_gl')
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), GPU() as gpu:
        yield gpu


def config(name: str) -> Config:
    return load_config(ROOT / f'configs/inpainting/global_local/{name}.py')


def batch(size: int = 256) -> dict:
    images = np.stack([random_image(seed, size, size) for seed in (1, 2)])
    boxes = [[size // 8, size // 4, size // 2, size // 3], [size // 2, 0, size // 2, size // 2]]
    return make_batch(images, boxes)


@pytest.mark.parametrize(
    ('name', 'wrapper', 'precision'),
    [
        ('gl_256x256_8x12_places', 'OptimWrapper', torch.float32),
        ('gl_256x256_8x12_places', 'AmpOptimWrapper', torch.bfloat16),
        ('gl_256x256_photos', 'AmpOptimWrapper', torch.bfloat16),
    ],
)
def test_a_training_step_copies_nothing_back_and_computes_windows_alone_on_the_cpu(
    name, wrapper, precision, gpu
):
    cfg = config(name)
    cfg.merge_from_dict({f'optim_wrapper.{part}.type': wrapper for part in ('generator', 'disc')})
    model = MODELS.build(cfg.model).to('cuda').train()
    optim_wrapper, data = build_optim_wrapper(model, cfg.optim_wrapper), batch()
    in_the_hole = {'loss_l1_hole', 'loss_mean_colour'} & dict(model.named_children()).keys()
    for iteration, names in [
        (0, in_the_hole),
        (model.iter_tc, {'fake_loss', 'real_loss'}),
        (model.iter_td, {'fake_loss', 'real_loss', *in_the_hole, 'loss_g_fake'}),
    ]:
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        set_iteration(iteration)
        gpu.largest = 0
        losses = model.train_step(data, optim_wrapper)
        assert losses.keys() == names
        for loss in losses.values():
            assert (loss.device.type, loss.shape, loss.dtype) == ('cuda', (), torch.float32)
        assert gpu.largest == data['mask_bbox'].numel()
    assert gpu.precisions == {precision}


@pytest.mark.parametrize(
    ('name', 'precision'), [('gl_256x256_8x12_places', 'fp32'), ('gl_256x256_photos', 'bf16')]
)
def test_a_completion_stays_on_the_gpu_once_its_windows_are_planned(name, precision, gpu):
    model = MODELS.build(config(name).model).to('cuda').eval()
    data = batch(64)
    inputs = model.data_preprocessor(data)
    assert model(**inputs).shape == (2, 3, 64, 64)
    # `HoleAware.fill` reads the masks: the one copy back, of what the loader has just given.
    hole_aware = HoleAware(model.generator, precision)
    fake_res = torch.zeros_like(inputs['gt_img'])
    for i, mask in enumerate(data['mask'][:, 0].numpy()):
        (plan,) = hole_aware.plans(mask)
        top, left, bottom, right = plan.window
        window = slice(i, i + 1), ..., slice(top, bottom), slice(left, right)
        top, left, bottom, right = plan.box
        fake_res[i : i + 1, :, top:bottom, left:right] = hole_aware(
            plan, inputs['masked_img'][window], inputs['mask'][window]
        )
    fake_img = to_uint8(composite(inputs, fake_res))
    assert (fake_img.shape, fake_img.dtype) == ((2, 3, 64, 64), torch.uint8)


def test_pictures_are_scored_on_the_gpu(gpu):
    data = batch()
    target, mask = data['gt_img'].to('cuda').permute(0, 3, 1, 2), data['mask'].to('cuda')
    pred = target.flip(0)
    gpu.largest = 0
    for scores in (
        l1(pred, target, mask),
        colour(pred, target, mask),
        l1_image(pred, target),
        psnr(pred, target),
        ssim(pred, target),
    ):
        assert (scores.device.type, scores.shape, scores.dtype) == ('cuda', (2,), torch.float64)
    assert gpu.largest == 0


def test_what_waits_for_the_gpu_or_mixes_devices_is_seen(gpu):
    values = torch.zeros(3, device='cuda')
    with pytest.raises(AssertionError, match='copies to the CPU'):
        values.cpu()
    with pytest.raises(AssertionError, match='copies to the CPU'):
        torch.zeros(3).copy_(values)
    with pytest.raises(DataDependentOutputException):
        values[0].item()
    with pytest.raises(DynamicOutputShapeException):
        values.nonzero()
    with pytest.raises(RuntimeError, match='device'):
        values + torch.zeros(3)
    with pytest.raises(RuntimeError, match='device'):
        torch.cat([values, torch.zeros(3)])
