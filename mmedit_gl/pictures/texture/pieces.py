"""A hole laid out with few large pieces of its surroundings.

The energy is that of a shift map (Pritch et al. 2009; He and Sun 2012): a shift costs where its
coarse colours stray from those of the completion, and two shifts cost where they meet, by how much
they differ there. It is minimized in cells of some pixels first, then in pixels along the borders.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmedit_gl.pictures.membrane import membrane
from mmedit_gl.pictures.texture.propagation import propagate

CELL = 8  # pixels along the side of a cell
# Costs are mean squared differences of a pixel's colours, added over the channels.
COARSE, FINE = 10, 3  # pixels: standard deviations of the Gaussians that leave coarse colours
WIDE = 40  # pixels: that of looks with what is around, which tell parts of other things
AMPLITUDE = 45  # of a logarithm, beside colours
LOOKS = (20, 1), (5, 2)  # of coarse and of wide looks: distances that cost nothing, and weights
FAR = 80  # a distance of looks; beyond, it costs no more
UNIQUE = 1  # of what occurs once, as much as its squared difference from all else
SAMPLE = 4  # pixels between two places at which looks are compared
SEAM, EDGE = 2, 4  # of a border between pieces: beside a cell, and a pixel
KNOWN = 2  # how much more it counts to fit to what is known than to another piece
USUAL = 3000  # of two textures, which differ at random; where they differ more, looks count more
COMPLETION = 100_000  # of the completion itself in place of a piece
NEVER = 1e7  # of a source that is not known
FIRST_ROUNDS, ROUNDS, FINE_ROUNDS = 8, 40, 25  # of messages
LIKELY = 70  # labels of a cell after the first rounds


@dataclass
class Sources:
    """A picture as it is seen under shifts.

    `picture` is `(H, W, 3)` and `known` bool `(H, W)`, both with a margin that no shift leaves. The
    first shift is none: under it the picture is the completion, and all of it counts as known.
    """

    picture: Tensor
    known: Tensor
    margin: int
    shifts: Tensor

    @classmethod
    def of(
        cls,
        picture: np.ndarray,
        known: np.ndarray,
        shifts: list[tuple[int, int]],
        box: tuple[slice, slice],
        beyond: int,
    ):
        """The sources of a box and of so many pixels beyond it."""
        shifts = torch.tensor([(0, 0), *shifts])
        lowest, highest = shifts.amin(0).tolist(), shifts.amax(0).tolist()
        lowest = [-s.start - n for s, n in zip(box, lowest)]
        highest = [s.stop + n - size for s, n, size in zip(box, highest, known.shape)]
        margin = max(0, *lowest, *highest) + beyond
        wide = cv2.copyMakeBorder(picture, *[margin] * 4, cv2.BORDER_REPLICATE)
        known = np.pad(known, margin)
        return cls(torch.from_numpy(wide), torch.from_numpy(known), margin, shifts)

    @property
    def step(self) -> int:
        """From a place to the one below; places are counted through the rows of `picture`."""
        return self.picture.shape[1]

    def places(self, box: tuple[slice, slice]) -> Tensor:
        """Those of a box of the picture, `(h, w)`."""
        rows, columns = (torch.arange(s.start, s.stop) + self.margin for s in box)
        return rows[:, None] * self.step + columns

    def moved(self, places: Tensor, labels: Tensor) -> Tensor:
        return places + (self.shifts[:, 0] * self.step + self.shifts[:, 1])[labels]

    def colours(self, places: Tensor) -> Tensor:
        return self.picture.flatten(0, 1)[places].float()

    def there(self, places: Tensor, labels: Tensor) -> Tensor:
        """Whether moved places are sources of their labels."""
        return self.known.flatten()[places] | (labels == 0)


def look(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How places look: coarse colours, and the logarithm of the amplitude of what is finer.

    `(H, W, 3)`, `(H, W)` to float32 `(H, W, 8)`: coarse looks, then the same over a wider Gaussian.
    The colours are the completion's where nothing is known; there the amplitude goes on as a
    membrane from what is known, for a completion is smooth.
    """
    colours, weight = picture.astype(np.float32), known.astype(np.float32)
    grey = cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)
    fine = (grey - _blurred(grey, FINE)) ** 2
    energy = _blurred(fine * weight, COARSE) / np.maximum(_blurred(weight, COARSE), 1e-3)
    amplitude = torch.from_numpy(AMPLITUDE * np.log1p(np.sqrt(energy)))[None, None]
    amplitude = membrane(amplitude, torch.from_numpy(1 - weight)[None, None])[0, 0].numpy()
    wide = _blurred(np.dstack([colours, amplitude]), WIDE)
    return np.dstack([_blurred(colours, COARSE), amplitude, wide])


def _blurred(values: np.ndarray, deviation: float) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), deviation, borderType=cv2.BORDER_REFLECT_101)


def lay_cells(sources: Sources, looks: Sources, inside: Tensor, box: tuple[slice, slice]) -> Tensor:
    """The label of each cell of a box, int `(h / CELL, w / CELL)`, -1 where none of it is `inside`.

    `looks` are those of `sources`, and last how unique they are; `inside`, bool `(h, w)`, is to be
    filled.
    """
    wide = tuple(slice(s.start - CELL // 2, s.stop + CELL // 2) for s in box)
    places, around = sources.places(box), sources.places(wide)
    sampled = places[SAMPLE // 2 :: SAMPLE, SAMPLE // 2 :: SAMPLE]
    own, own_look = sources.colours(around), looks.colours(sampled)[..., :-1]
    known = sources.known.flatten()[around]
    fine = (sources.colours(sampled) - own_look[..., :3]).square().sum(2)
    seen = sources.known.flatten()[sampled].numpy()
    # By numpy, whose sums do not depend on the number of threads.
    contrast = 2 * (fine.numpy() * seen).sum(dtype=np.float64) / max(1, seen.sum())
    weight = max(1, float(contrast) / USUAL)
    costs = []
    for label in torch.arange(len(sources.shifts)):
        missing = _cells(inside & ~sources.there(sources.moved(places, label), label))
        look_there, unique = looks.colours(sources.moved(sampled, label)).split([8, 1], dim=2)
        away = (look_there - own_look).square()
        stray = UNIQUE * weight * _cells(unique[..., 0], CELL // SAMPLE)
        for part, (free, count) in zip(away.split(4, dim=2), LOOKS):
            distance = _cells(part.sum(2).sqrt(), CELL // SAMPLE)
            stray += count * weight * (distance - free).clamp(0, FAR - free).square()
        moved = sources.moved(around, label)
        error = (sources.colours(moved) - own).square().sum(2)
        error = error * (known & sources.there(moved, label))
        fit = F.avg_pool2d(error[None], 2 * CELL, CELL)[0]
        costs.append(stray + KNOWN * fit + NEVER * missing + COMPLETION * (label == 0))
    filled = _cells(inside) > 0
    costs = torch.stack(costs)[:, filled].T
    edges = [_cell_edges(sources, places, filled, axis) for axis in (0, 1)]
    # Few labels are likely at a cell after some rounds.
    likely = propagate(costs, edges, FIRST_ROUNDS).argsort(dim=1, stable=True)[:, :LIKELY]
    edges = [(a, b, _of(pairs, likely[a], likely[b])) for a, b, pairs in edges]
    best = propagate(costs.gather(1, likely), edges, ROUNDS).argmin(1, keepdim=True)
    labels = torch.full(filled.shape, -1)
    labels[filled] = likely.gather(1, best)[:, 0]
    return labels


def _of(pairs: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Costs of pairs of some of the labels, `(m, k, k)`."""
    number = torch.arange(len(pairs))[:, None, None]
    return pairs[number, first[:, :, None], second[:, None]]


def _cells(values: Tensor, side: int = CELL) -> Tensor:
    """Means over cells."""
    return F.avg_pool2d(values[None].float(), side)[0]


def _cell_edges(
    sources: Sources, places: Tensor, filled: Tensor, axis: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Cells with the next one along an axis, and how much shifts differ on a square between."""
    a, b = _neighbours(filled, axis)
    corners = places[::CELL, ::CELL][filled][a]
    corners = corners + CELL // 2 * (sources.step if axis == 0 else 1)
    square = torch.arange(CELL)[:, None] * sources.step + torch.arange(CELL)
    labels = torch.arange(len(sources.shifts))
    pairs = []
    for part in corners.split(128):  # all at once, they would fill the memory
        moved = sources.moved((part[:, None] + square.flatten())[:, None], labels[:, None])
        colours = sources.colours(moved).flatten(2) - 128
        squares = colours.square().sum(2)
        # Whole numbers below 2^24, so that float32 is exact.
        pairs.append(squares[:, :, None] + squares[:, None] - 2 * colours @ colours.mT)
    pairs = torch.cat(pairs).div_(CELL**2).add_(SEAM)
    pairs.diagonal(dim1=1, dim2=2).zero_()
    return a, b, pairs


def _neighbours(where: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Pairs of places in `where` that are next to each other, by their numbers there."""
    numbers = torch.full(where.shape, -1)
    numbers[where] = torch.arange(int(where.sum()))
    count = where.shape[axis] - 1
    a, b = numbers.narrow(axis, 0, count), numbers.narrow(axis, 1, count)
    both = (a >= 0) & (b >= 0)
    return a[both], b[both]


def lay_pixels(sources: Sources, cells: Tensor, inside: Tensor, box: tuple[slice, slice]) -> Tensor:
    """The label of each pixel of a box, int `(h, w)`, 0 where it is not `inside`.

    A pixel takes the label of its cell, or of one of the three cells nearest to it besides.
    """
    places, step = sources.places(box)[inside], sources.step
    own, *others = _nearest(cells, inside)
    labels = torch.stack([own, *(torch.where(other < 0, own, other) for other in others)], 1)
    moved = sources.moved(places[:, None], labels)
    colours = sources.colours(moved)
    costs = COMPLETION * (labels == 0) + NEVER * ~sources.there(moved, labels)
    edges = []
    for axis, far in ((0, step), (1, 1)):
        a, b = _neighbours(inside, axis)
        # How much two labels differ at either end of the border between two pixels.
        here = colours[a][:, :, None] - sources.colours(moved[b] - far)[:, None]
        there = sources.colours(moved[a] + far)[:, :, None] - colours[b][:, None]
        pairs = here.square_().sum(3) + there.square_().sum(3) + EDGE
        pairs[labels[a][:, :, None] == labels[b][:, None]] = 0
        edges.append((a, b, pairs))
        for side in (far, -far):  # a neighbour that is known
            known = sources.known.flatten()[places + side][:, None]
            error = sources.colours(moved + side) - sources.colours(places + side)[:, None]
            costs += KNOWN * error.square().sum(2) * known
    result = torch.zeros(inside.shape, dtype=torch.long)
    best = propagate(costs, edges, FINE_ROUNDS).argmin(1, keepdim=True)
    result[inside] = labels.gather(1, best)[:, 0]
    return result


def _nearest(cells: Tensor, inside: Tensor) -> list[Tensor]:
    """The labels of the four cells nearest to each pixel, its own first, each `(n,)`."""
    padded = F.pad(cells, (1, 1, 1, 1), value=-1)
    rows, columns = inside.nonzero().T
    own_row, own_column = rows // CELL + 1, columns // CELL + 1
    row = own_row + torch.where(rows % CELL < CELL // 2, -1, 1)
    column = own_column + torch.where(columns % CELL < CELL // 2, -1, 1)
    pairs = (own_row, own_column), (row, own_column), (own_row, column), (row, column)
    return [padded[pair] for pair in pairs]
