"""Pieces that were laid out at a smaller scale, at full scale."""

from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from mmedit_gl.pictures.texture.pieces import Sources

RIM = 4  # blocks around a piece in which it is compared with what is around it
SAMPLES = 2000  # of these, at most
RELUCTANCE = 0.1  # share of the cost by which a move must be better, for each pixel of it


def enlarge(
    labels: Tensor, box: tuple[slice, slice], full: tuple[slice, slice], block: int
) -> Tensor:
    """Labels of a box of the small scale in a box of the full one, with smooth borders."""
    cut = tuple(
        slice(f.start - block * s.start, f.stop - block * s.start) for f, s in zip(full, box)
    )
    if block == 1:
        return labels[cut]
    size = [block * n for n in labels.shape[::-1]]
    result = np.zeros([s.stop - s.start for s in full], np.int64)
    most = np.zeros(result.shape, np.float32)
    for label in labels[labels > 0].unique().tolist():
        share = cv2.blur((labels == label).float().numpy(), (3, 3))
        share = cv2.resize(share, size, interpolation=cv2.INTER_CUBIC)[cut]
        better = share > most
        result[better], most[better] = label, share[better]
    return torch.from_numpy(result)


def align(sources: Sources, labels: Tensor, inside: Tensor, places: Tensor, block: int) -> Sources:
    """The sources with each shift, by up to a block, such that its piece fits to what is around it.

    Pieces are compared up to an offset of their colours, which is no step after blending. Those
    that touch most of what is known come first, and all once more when all have been moved.
    """
    near = torch.arange(-block, block + 1)
    moves = torch.cartesian_prod(near, near)
    moves = moves[moves.abs().sum(1).argsort(stable=True)]
    kernel = np.ones([2 * RIM * block + 1] * 2, np.uint8)
    rims = {}
    for label in labels[inside].unique().tolist():
        piece = (labels == label).numpy()
        rim = torch.from_numpy((cv2.dilate(piece.astype(np.uint8), kernel) == 1) & ~piece)
        touches = int((rim & ~inside).sum())
        rim = rim.flatten().nonzero()[:, 0]
        rims[label] = touches, rim[:: -(-len(rim) // SAMPLES)]
    rims.pop(0, None)
    order = sorted(rims, key=lambda label: -rims[label][0])
    shifts = sources.shifts.clone()
    aligned = replace(sources, shifts=shifts)
    for label in order * 2:
        rim = rims[label][1]
        at, others = places.flatten()[rim], labels.flatten()[rim]
        wanted = aligned.colours(aligned.moved(at, others))
        moved = aligned.moved(at, torch.tensor(label))
        moved = moved + (moves[:, :1] * aligned.step + moves[:, 1:])
        share = aligned.known.flatten()[moved][..., None].double()
        share /= share.sum(1, keepdim=True).clamp(min=1)
        error = (aligned.colours(moved) - wanted).double()
        offset = (error * share).sum(1, keepdim=True)
        costs = ((error - offset).square() * share).sum((1, 2))
        costs[share.sum((1, 2)) == 0] = torch.inf
        costs *= 1 + RELUCTANCE * moves.abs().sum(1)
        shifts[label] += moves[costs.argmin()]
    return aligned
