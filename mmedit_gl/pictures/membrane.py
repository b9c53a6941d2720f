"""The smoothest continuation of a picture into its hole."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CYCLES = 8  # of multigrid: within 1e-4 in [-1, 1]
SWEEPS = 4  # of smoothing on every grid, before and after the next coarser one
COARSEST = 8  # pixels of the longer side, where the halving ends


# An operator of its own: what traces a model sees one node, and `apis.onnx` has another for it.
# Not by `custom_op`, whose first call loads torch's compiler, for over a second.
torch.library.define(
    'mmedit_gl::membrane',
    f'(Tensor img, Tensor mask, int cycles={CYCLES}, int sweeps={SWEEPS}) -> Tensor',
)


def membrane(img: Tensor, mask: Tensor, cycles: int = CYCLES, sweeps: int = SWEEPS) -> Tensor:
    """Pictures whose hole continues what is around it harmonically, by Laplace's equation.

    `(N, C, H, W), (N, 1, H, W) -> (N, C, H, W)`, floats, `mask` 1 in the hole. Each connected part
    of a hole (a pixel has four neighbours) depends on the pixels that it borders on alone; at the
    border of the picture it is level. Without anything around the hole it is 0. `cycles` of
    multigrid improve a solution found from coarse to fine: none leaves errors of a tenth of the
    range, each takes most of what is left, with fewer `sweeps` less. It has no gradient.
    """
    return torch.ops.mmedit_gl.membrane(img, mask, cycles, sweeps)


def _solved(img: Tensor, mask: Tensor, cycles: int = CYCLES, sweeps: int = SWEEPS) -> Tensor:
    """Solves `u = known + free * (mean of the four neighbours of u)`, here and on coarser grids."""
    free = [mask]
    for _ in range(_halvings(img)):
        # By the third power, what is known in part is nearly known. Were it all known, a hole would
        # shrink from grid to grid; were it free by its share, it would grow.
        free.append(_halved(free[-1]) ** 3)
    known, steps = (img * (1 - mask)).contiguous(), _steps(sweeps)
    u = _from_coarse_to_fine(known, free, steps)
    for _ in range(cycles):
        u = _cycle(u, known, free, steps, steps)
    return u


def screened(source: Tensor, mask: Tensor, pull: Tensor, cycles: int = CYCLES) -> Tensor:
    """Solves `(4 + pull) u = (sum of the four neighbours of u) + source` in a hole; else `u` is 0.

    `(N, C, H, W), (N, 1, H, W), (N, 1, H, W) -> (N, C, H, W)`, floats, `mask` 1 in the hole, `pull`
    at least 0; at the border of the picture `u` is level. The more cycles, the closer.
    """
    known, free = source * mask / (4 + pull), [mask * 4 / (4 + pull)]
    for _ in range(_halvings(source)):
        mask, pull = _halved(mask) ** 3, 4 * _halved(pull)
        free.append(mask * 4 / (4 + pull))
    u, steps = torch.zeros_like(known), _steps(SWEEPS)
    for _ in range(cycles):
        u = _cycle(u, known, free, steps, steps)
    return u


def _halvings(img: Tensor) -> int:
    return math.ceil(math.log2(max(1, max(img.shape[-2:]) / COARSEST)))


def _steps(sweeps: int) -> list[float]:
    """Chebyshev's iteration for what a grid is to smooth: eigenvalues from 0.1 to 2."""
    roots = (math.cos(math.pi * (i + 0.5) / sweeps) for i in range(sweeps))
    return [1 / (1.05 + 0.95 * root) for root in roots]


def _no_gradient(ctx, gradient: Tensor) -> None:
    raise NotImplementedError('a membrane has no gradient')


torch.library.impl('mmedit_gl::membrane', 'CompositeExplicitAutograd', _solved)
torch.library.register_autograd('mmedit_gl::membrane', _no_gradient)


@torch.library.register_fake('mmedit_gl::membrane')
def _(img: Tensor, mask: Tensor, cycles: int = CYCLES, sweeps: int = SWEEPS) -> Tensor:
    return torch.empty_like(img, memory_format=torch.contiguous_format)


def _from_coarse_to_fine(known: Tensor, free: list[Tensor], steps: list[float]) -> Tensor:
    """A first solution; `free` is that of this grid and of all coarser ones."""
    here, *coarser = free
    if coarser:
        # In a coarse pixel the mean of what is known in it, as far as it is known.
        share = (1 - coarser[0]) / (1 - _halved(here)).clamp(min=1e-6)
        start = _doubled(_from_coarse_to_fine(_halved(known) * share, coarser, steps), known)
    else:
        share = (1 - here).sum((-2, -1), keepdim=True).clamp(min=1e-6)
        start = known.sum((-2, -1), keepdim=True) / share
    return _smooth(torch.addcmul(known, here, start), known, here, steps)


def _cycle(
    u: Tensor, known: Tensor, free: list[Tensor], before: list[float], steps: list[float]
) -> Tensor:
    """A V-cycle, in place, with the steps `before` on the way down and `steps` on the way up."""
    here, *coarser = free
    _smooth(u, known, here, before)
    if coarser:
        rest = _halved(_wanted(u, known, here).sub_(u))
        # The first step from nothing.
        change = _cycle(rest * steps[0], rest, coarser, steps[1:], steps)
        # A coarse pixel is as wide as two, and the rest grows with the square.
        u.addcmul_(here, _doubled(change, u), value=4)
    return _smooth(u, known, here, steps)


def _smooth(u: Tensor, known: Tensor, free: Tensor, steps: list[float]) -> Tensor:
    """Moves `u`, in place, towards what it should be."""
    for step in steps:
        u.lerp_(_wanted(u, known, free), step)
    return u


def _wanted(u: Tensor, known: Tensor, free: Tensor) -> Tensor:
    """What the neighbours of each pixel ask for."""
    around = F.pad(u, (1, 1, 1, 1), mode='replicate')
    # Above and left of one pixel is right and below of another: each pair is added once.
    pairs = around[..., :-1, 1:] + around[..., 1:, :-1]
    # In place: to come by new memory takes longer than to add.
    result = torch.add(pairs[..., :-1, :-1], pairs[..., 1:, 1:], out=around[..., 1:-1, 1:-1])
    return torch.addcmul(known, free, result, value=0.25, out=result)


def _halved(x: Tensor) -> Tensor:
    """Means of 2x2 pixels, at an odd side of what there is of them."""
    return F.avg_pool2d(x, 2, ceil_mode=True)


def _doubled(x: Tensor, target: Tensor) -> Tensor:
    height, width = target.shape[-2:]
    return F.interpolate(x, scale_factor=2, mode='bilinear')[..., :height, :width]
