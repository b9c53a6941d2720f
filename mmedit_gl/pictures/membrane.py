"""The smoothest continuation of a picture into its hole."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CYCLES = 8  # of multigrid: within 1e-4 in [-1, 1]
COARSEST = 8  # pixels of the longer side, where the halving ends
# Steps of Chebyshev's iteration for what a grid is to smooth: eigenvalues of the Laplacian, over
# that of its diagonal, from 0.1 to 2.
SWEEPS = 4
STEPS = [1 / (1.05 + 0.95 * math.cos(math.pi * (i + 0.5) / SWEEPS)) / 4 for i in range(SWEEPS)]


# An operator of its own: what traces a model sees one node, and `apis.onnx` has another for it.
# Not by `custom_op`, whose first call loads torch's compiler, for over a second.
torch.library.define(
    'mmedit_gl::membrane', f'(Tensor img, Tensor mask, int cycles={CYCLES}) -> Tensor'
)


def membrane(img: Tensor, mask: Tensor, cycles: int = CYCLES) -> Tensor:
    """Pictures whose hole continues what is around it harmonically, by Laplace's equation.

    `(N, C, H, W), (N, 1, H, W) -> (N, C, H, W)`, floats, `mask` 1 in the hole. Each connected part
    of a hole (a pixel has four neighbours) depends on the pixels that it borders on alone; at the
    border of the picture it is level. Without anything around the hole it is 0. `cycles` of
    multigrid improve a solution found from coarse to fine: none leaves errors of a tenth of the
    range, each takes most of what is left. It has no gradient.
    """
    return torch.ops.mmedit_gl.membrane(img, mask, cycles)


def _solved(img: Tensor, mask: Tensor, cycles: int = CYCLES) -> Tensor:
    levels = max(0, math.ceil(math.log2(max(img.shape[-2:]) / COARSEST)))
    values = (img * (1 - mask)).contiguous()
    u = _from_coarse_to_fine(values, mask, levels)
    for _ in range(cycles):
        u = _cycle(u, None, mask, levels)
    return u


def _no_gradient(ctx, gradient: Tensor) -> None:
    raise NotImplementedError('a membrane has no gradient')


torch.library.impl('mmedit_gl::membrane', 'CompositeExplicitAutograd', _solved)
torch.library.register_autograd('mmedit_gl::membrane', _no_gradient)


@torch.library.register_fake('mmedit_gl::membrane')
def _(img: Tensor, mask: Tensor, cycles: int = CYCLES) -> Tensor:
    return torch.empty_like(img, memory_format=torch.contiguous_format)


def _from_coarse_to_fine(values: Tensor, free: Tensor, levels: int) -> Tensor:
    """A first solution; `values` are 0 where `free` is 1."""
    known = 1 - free
    if levels == 0:
        count = known.sum((-2, -1), keepdim=True).clamp(min=1)
        start = values.sum((-2, -1), keepdim=True) / count
    else:
        share = _halved(known)
        coarse = _halved(values) / share.clamp(min=0.25)
        coarse_free = (share == 0).to(values.dtype)
        start = _doubled(_from_coarse_to_fine(coarse, coarse_free, levels - 1), values)
    return _smooth(torch.where(free == 1, start, values), None, free, STEPS)


def _cycle(u: Tensor, f: Tensor | None, free: Tensor, levels: int) -> Tensor:
    """A V-cycle towards a Laplacian of `f`, None for 0, where `free` is 1."""
    u = _smooth(u, f, free, STEPS)
    if levels > 0:
        rest = _laplacian(u).neg_() if f is None else f - _laplacian(u)
        # A coarse pixel is free where all of its four are.
        coarse_free = (_halved(free) == 1).to(u.dtype)
        rest = _halved(rest.mul_(free)).mul_(4 * coarse_free)
        change = _cycle(torch.zeros_like(rest), rest, coarse_free, levels - 1)
        u.addcmul_(free, _doubled(change, u))
    return _smooth(u, f, free, STEPS[::-1])


def _smooth(u: Tensor, f: Tensor | None, free: Tensor, steps: list[float]) -> Tensor:
    """Moves `u`, in place, towards a Laplacian of `f` where `free` is 1."""
    for step in steps:
        rest = _laplacian(u)
        if f is not None:
            rest.sub_(f)
        u.addcmul_(free, rest, value=step)
    return u


def _laplacian(u: Tensor) -> Tensor:
    around = F.pad(u, (1, 1, 1, 1), mode='replicate')
    # In place: to come by new memory takes longer than to add.
    result = around[..., :-2, 1:-1] + around[..., 2:, 1:-1]
    result += around[..., 1:-1, :-2]
    result += around[..., 1:-1, 2:]
    return result.sub_(u, alpha=4)


def _halved(x: Tensor) -> Tensor:
    """Means of 2x2 pixels; an odd side is continued by one."""
    height, width = x.shape[-2:]
    return F.avg_pool2d(F.pad(x, (0, width % 2, 0, height % 2), mode='replicate'), 2)


def _doubled(x: Tensor, target: Tensor) -> Tensor:
    height, width = target.shape[-2:]
    return F.interpolate(x, scale_factor=2, mode='bilinear')[..., :height, :width]
