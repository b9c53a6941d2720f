"""Pieces joined without steps where they meet."""

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from mmedit_gl.pictures.membrane import screened
from mmedit_gl.pictures.texture.pieces import Sources

SIGMA = 10  # pixels over which colours of the completion come through where pieces do not fit
SPREAD = 15  # pixels: standard deviation of the Gaussian over which it is seen how they fit
FIT, WORST = 100, 1e4  # squared steps, added over the channels: pieces fit half; no step is more
UNFIT = 50  # such steps: pieces fit so ill that the completion, a blur, is no help
SHORT = 10  # how many times stronger they then keep their own colours
CYCLES = 6


def blend(
    sources: Sources, labels: Tensor, inside: Tensor, box: tuple[slice, slice], block: int
) -> Tensor:
    """The colours of a box laid out by `labels`, float32 `(h, w, 3)`.

    In pieces the gradients are theirs, where two meet the mean of both (Perez et al. 2003), with
    the completion as one of them at the border of what is `inside`. The more the steps between
    pieces around a place, the more its coarse colours are the completion's (a screened Poisson
    equation, Bhat et al. 2008); where they are large, the pieces keep their own, and the steps end
    within few pixels. `block` is how many pixels there are to one of the pieces' scale.
    """
    places = sources.places(box)
    moved = sources.moved(places, labels)
    laid = sources.colours(moved).permute(2, 0, 1)
    wanted, steps = torch.zeros_like(laid), torch.zeros(inside.shape)
    for axis, far in ((0, sources.step), (1, 1)):
        p, q = _next_to(labels, axis)
        meet = p != q
        ends = [end[meet] for end in _next_to(moved, axis)]
        # The gradients of both, each where its piece goes on beyond the border.
        beyond = ends[0] + far, ends[1] - far
        of_p = sources.colours(beyond[0]) - sources.colours(ends[0])
        of_q = sources.colours(ends[1]) - sources.colours(beyond[1])
        has_p = sources.there(beyond[0], p[meet])[:, None].float()
        has_q = sources.there(beyond[1], q[meet])[:, None].float()
        laid_there = sources.colours(ends[1]) - sources.colours(ends[0])
        both = (of_p * has_p + of_q * has_q) / (has_p + has_q).clamp(min=1)
        step = torch.zeros(3, *meet.shape)
        step[:, meet] = torch.where(has_p + has_q > 0, both - laid_there, 0).T
        square = step.square().sum(0).clamp(max=WORST) / 2
        for sign, of, all_steps in zip((-1, 1), _next_to(wanted, axis), _next_to(steps, axis)):
            of += sign * step
            all_steps += square
    free = inside.float()
    deviation = SPREAD * block
    misfit = _mean(steps * free, deviation) / _mean(free, deviation).clamp(min=1e-3)
    unfit = (misfit / (misfit + UNFIT)).square()
    pull = misfit / (misfit + FIT) / (SIGMA * block) ** 2 * (1 + SHORT * unfit)
    away = (1 - unfit) * (sources.colours(places).permute(2, 0, 1) - laid)  # to the completion
    source = (wanted + pull * away)[None]
    change = screened(source, free[None, None], pull[None, None], CYCLES)[0]
    return (laid + change).permute(1, 2, 0)


def _next_to(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Views of the first and the second of each two neighbours along an axis of the box."""
    axis += values.ndim - 2
    count = values.shape[axis] - 1
    return values.narrow(axis, 0, count), values.narrow(axis, 1, count)


def _mean(values: Tensor, deviation: float) -> Tensor:
    # On a coarser grid, where the Gaussian is short.
    factor = max(1, int(deviation // 5))
    small = F.avg_pool2d(values[None, None], factor, ceil_mode=True)[0, 0].numpy()
    small = cv2.GaussianBlur(small, (0, 0), deviation / factor, borderType=cv2.BORDER_CONSTANT)
    return torch.from_numpy(cv2.resize(small, values.shape[::-1], interpolation=cv2.INTER_LINEAR))
