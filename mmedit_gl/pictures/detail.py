"""Fine detail for what was completed too smoothly, from the surroundings at full scale.

Contextual residual aggregation (Yi et al. 2020) with correspondences in the spirit of PatchMatch
(Barnes et al. 2009), without anything learned. A completion knows the coarse colours of a hole, and
its surroundings know how fine and how strong the texture is that goes on into it. Both tell what
the hole looks like, in cells of some pixels, and the surroundings are searched for what looks
alike. The hole is laid out with few large pieces of them, each moved as a whole, so that nothing is
averaged; pieces meet where they differ least. What is added to the completion is what a piece has
beyond its own coarse colours, in each band of frequencies as much as the completion lacks.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmedit_gl.pictures.membrane import membrane

REACH = 192  # blocks (pixels of the reduced scale) around a hole in which sources are sought
MOST = 320  # blocks along a hole at most: beyond, blocks are larger
CELL = 5  # blocks along the side of a cell
# Blocks: standard deviations of Gaussians. Colours beyond the coarse one are the completion's.
FINE, MIDDLE, COARSE = 0.8, 3, 10
THIN = 9  # cells: what is narrower around the hole, as a wire, does not go on into it
SMOOTH = 12  # pixels of a level: standard deviation of the Gaussian over which energies are taken
FADE = 4  # pixels of a level from the border of the hole on, over which its detail sets in
STEP = 2  # cells between the shifts of a first search
PIECES = 20  # at most
# How much these count beside colours, whose spread counts as 1.
AMPLITUDE, DIRECTION, APART = 1.2, 0.7, 2.7
LOST = 1.3  # what opening and the mean of logarithms take from amplitudes, by trial
SURE, UNLIKE = 3.5, 6  # costs of a cell: from where on detail is weaker, and where there is none
# Costs: of a cell that looks quite different, of one without a piece, of a source taken again, of
# a border between two pieces a block, and of what cannot be.
WORST, BARE, AGAIN, BORDER, NEVER = 20, 30, 2, 0.3, 1e4
GREY = np.float32([0.114, 0.587, 0.299])


def detail(
    completed: np.ndarray,
    hole: np.ndarray,
    box: tuple[slice, slice],
    part: np.ndarray,
    scale: float,
) -> np.ndarray:
    """What lies in a box of a completed picture, with fine detail in a part of the hole.

    `completed` is uint8 BGR `(H, W, 3)`. `hole` is uint8 `(H, W)`, 1 where nothing is known, from
    where no detail is taken. `part`, bool `(h, w)`, is what of the box was completed at `scale`, at
    most 1. The result is uint8 `(h, w, 3)`; elsewhere in the box it is `completed` bit for bit, as
    it is where nothing looks like it, and everywhere where the surroundings are too small to take
    from. The cost is that of the box.
    """
    block = max(round(1 / scale), -(-max(part.shape) // MOST), 1)
    margin, cell = REACH * block, CELL * block
    window = tuple(slice(max(0, s.start - margin), s.stop + margin) for s in box)
    within = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, window))
    wanted = np.zeros_like(hole[window])
    wanted[within] = part
    rest = (0, -wanted.shape[0] % cell, 0, -wanted.shape[1] % cell)  # to whole cells
    bgr = cv2.copyMakeBorder(completed[window], *rest, cv2.BORDER_REPLICATE)
    known = cv2.copyMakeBorder(1 - hole[window], *rest, cv2.BORDER_CONSTANT)
    wanted = cv2.copyMakeBorder(wanted, *rest, cv2.BORDER_REPLICATE)

    blocks = bgr.shape[1] // block, bgr.shape[0] // block
    small = cv2.resize(bgr, blocks, interpolation=cv2.INTER_AREA).astype(np.float32)
    coarse = cv2.GaussianBlur(small, (0, 0), COARSE, borderType=cv2.BORDER_REFLECT_101)
    small_known = (_resized(255 * known, blocks) == 255).astype(np.float32)
    small_wanted = _resized(255 * wanted, blocks) > 0
    cells = blocks[0] // CELL, blocks[1] // CELL
    cells_wanted = _resized(small_wanted.astype(np.float32), cells) > 0

    looks, sought, sources, energies = _looks(bgr, known, small - coarse, coarse, small_known)
    result = completed[box].copy()
    if 4 * sources.sum() < cells_wanted.sum():
        return result
    place = _box(cells_wanted)
    shifts, costs, pieces = _pieces(looks, sought, sources, cells_wanted, place)
    if not shifts:
        return result
    in_blocks, in_pixels = _scaled(place, CELL), _scaled(place, cell)
    shifts = [(CELL * y, CELL * x) for y, x in shifts]
    fine = (small - coarse) * small_known[..., None]
    pieces = _joined(pieces, costs, shifts, fine, small_known, small_wanted, in_blocks)
    # What is fine is cut off short, what is less fine goes over from piece to piece.
    middle = cv2.GaussianBlur(small, (0, 0), MIDDLE, borderType=cv2.BORDER_REFLECT_101)
    added = _copied(middle, coarse, small_known, pieces, shifts, in_blocks, MIDDLE)
    added = cv2.resize(added, [block * n for n in added.shape[1::-1]])
    added += _copied(bgr, middle, known, pieces, shifts, in_blocks, FINE)

    old, inside = bgr[in_pixels].astype(np.float32), wanted[in_pixels].astype(np.float32)
    depth = cv2.distanceTransform(wanted, cv2.DIST_L2, 5)[in_pixels]
    new = _enriched(old, added, inside, depth, [energy[place] for energy in energies])
    # Where nothing looks like the completion, what is alike least badly would be fragments in it.
    alike = ((UNLIKE - costs.amin(0)) / (UNLIKE - SURE)).clamp(0, 1).numpy()
    new = old + (new - old) * cv2.resize(alike, depth.shape[::-1])[..., None]
    new = new.round().clip(0, 255).astype(np.uint8)
    cut = tuple(slice(s.start - p.start, s.stop - p.start) for s, p in zip(within, in_pixels))
    np.copyto(result, new[cut], where=part[..., None])
    return result


def _looks(
    bgr: np.ndarray,
    known: np.ndarray,
    fine: np.ndarray,
    coarse: np.ndarray,
    small_known: np.ndarray,
) -> tuple[Tensor, Tensor, np.ndarray, list[np.ndarray]]:
    """How cells look, how they should in the hole, which are sources, and energies to be had.

    Looks are coarse colours, amplitudes in bands of an octave, the direction of gradients, and how
    much stands out by its amplitudes. Into the hole amplitudes and direction go on as a membrane;
    what stands out, as a sign on a wall, neither goes on into it nor is sought for it.
    """
    cells = coarse.shape[1] // CELL, coarse.shape[0] // CELL
    share = _resized(small_known, cells)
    usable, amplitudes = share > 0.5, []
    # As far as to what is coarse.
    levels = max(1, round(np.log2(1.7 * COARSE * bgr.shape[0] / coarse.shape[0])))
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
    certain = known.astype(np.float32)
    for _ in range(levels):
        lower = cv2.pyrDown(grey)
        band = grey - cv2.pyrUp(lower, dstsize=grey.shape[::-1])
        weight = _resized(certain, cells)
        energy = _resized(band * band * certain, cells) / np.maximum(weight, 1e-3)
        amplitudes.append(np.log1p(np.sqrt(energy)))
        grey, certain = lower, cv2.pyrDown(certain) ** 4  # hardly anything from beside the hole
    dy, dx = np.gradient(fine @ GREY)
    products = [_resized(p * small_known, cells) for p in (dx * dx, dy * dy, dx * dy)]
    weight = usable.astype(np.float32)
    xx, yy, xy = (_mean(p / np.maximum(share, 1e-3), weight, 1) for p in products)
    direction = [DIRECTION * p / (xx + yy + 4) for p in (xx - yy, 2 * xy)]
    amplitudes = [_mean(a, weight, 1) for a in amplitudes]

    # Without the closing, beside what is low in a few cells all the rest would stand out.
    kernel = np.ones((3, 3), np.uint8)
    closed = [cv2.morphologyEx(a, cv2.MORPH_CLOSE, kernel) for a in amplitudes]
    apart = [np.maximum(0, a - _opened(c, usable)) for a, c in zip(amplitudes, closed)]
    apart = np.linalg.norm(apart, axis=0)[None]
    on = np.stack([_opened(a, usable) for a in amplitudes] + direction).astype(np.float32)
    on = membrane(torch.from_numpy(on)[None], torch.from_numpy(1 - weight)[None, None])[0].numpy()
    sources = share > 0.999
    colours = _resized(coarse, cells).transpose(2, 0, 1)
    spread = max(10, colours[:, sources].std(axis=1).mean() / 2) if sources.any() else 1
    scale = np.float32(np.sqrt(3 / levels))
    looks = [AMPLITUDE * scale * np.stack(amplitudes), np.stack(direction), APART * scale * apart]
    sought = [AMPLITUDE * scale * on[:levels], on[levels:], np.zeros_like(apart)]
    looks, sought = (np.concatenate([colours / spread, *parts]) for parts in (looks, sought))
    energies = [(LOST * np.expm1(a)) ** 2 for a in on[:levels]]
    looks, sought = (torch.from_numpy(a.astype(np.float32)) for a in (looks, sought))
    return looks, sought, sources, energies


def _pieces(
    looks: Tensor,
    sought: Tensor,
    sources: np.ndarray,
    wanted: np.ndarray,
    box: tuple[slice, slice],
) -> tuple[list[tuple[int, int]], Tensor, Tensor]:
    """Shifts from the hole to sources, their costs `(n, h, w)`, and which a cell takes `(h, w)`."""
    inside = torch.from_numpy(wanted[box])
    inner = inside.float()
    (top, left), (height, width) = (s.start for s in box), inside.shape
    # A shift may lead beyond the window where the other end of the hole has its sources.
    beyond = max(height, width) // 2
    padded = F.pad(looks, (beyond,) * 4)
    there = F.pad(torch.from_numpy(sources.astype(np.float32)), (beyond,) * 4)
    lowest = -beyond - top, -beyond - left
    highest = wanted.shape[0] + beyond - box[0].stop, wanted.shape[1] + beyond - box[1].stop
    target = sought[(slice(None), *box)].contiguous()
    around = _sum(inner[None])[0].clamp(min=1e-3)

    def moved(cells: Tensor, shift: tuple[int, int]) -> Tensor:
        y, x = (s - low for s, low in zip(shift, lowest))
        return cells[..., y : y + height, x : x + width]

    def cost(shifts: list[tuple[int, int]]) -> Tensor:
        can = torch.stack([moved(there, shift) for shift in shifts]) > 0
        far = torch.stack([moved(padded, shift) for shift in shifts])
        own = far.sub_(target).square_().sum(1).clamp_(max=WORST)
        own = torch.where(can, own, float(WORST)).mul_(inner)
        away = torch.tensor([(y * y + x * x) ** 0.5 for y, x in shifts])[:, None, None]
        total = (own + _sum(own) / around + away / max(height, width)) / 2
        return torch.where(can, total, NEVER)

    def chosen(shifts: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], Tensor, Tensor]:
        """Greedily the shifts that lower the costs most; what is taken already costs more."""
        costs = torch.cat([target[:0], *(cost([shift]) for shift in shifts)])
        lowest_yet, pieces, found = BARE * inner, torch.zeros_like(inside, dtype=torch.long), []
        taken = torch.zeros_like(there)
        while shifts and len(found) < PIECES:
            again = costs + AGAIN * torch.stack([moved(taken, shift) for shift in shifts])
            gains = (lowest_yet - again).clamp_(min=0).mul_(inner).sum((1, 2))
            best = int(gains.argmax())
            if gains[best] < 0.01 * inner.sum():
                break
            better = (again[best] < lowest_yet) & inside
            pieces[better] = len(found)
            lowest_yet = torch.where(better, costs[best], lowest_yet)
            found.append(best)
            taken.zero_()
            for piece, index in enumerate(found):
                moved(taken, shifts[index]).add_(inside & (pieces == piece))
            taken = F.max_pool2d(taken[None], 3, 1, 1)[0]
        return [shifts[i] for i in found], costs[found], pieces

    # First all shifts of a coarse lattice, then those around the best.
    rows, columns = (range(a, b + 1, STEP) for a, b in zip(lowest, highest))
    best = [cost([(y, x) for x in columns]).min(0) for y in rows]
    least, row = torch.stack([b.values for b in best]).min(0)
    column = torch.stack([b.indices for b in best]).gather(0, row[None])[0]
    found = torch.stack([row, column])[:, inside & (least < NEVER)].unique(dim=1).T.tolist()
    found, _, _ = chosen([(rows[i], columns[j]) for i, j in found])
    steps = range(1 - STEP, STEP)
    near = {(y + dy, x + dx) for y, x in found for dy in steps for dx in steps}
    return chosen(
        sorted(s for s in near if all(a <= v <= b for a, v, b in zip(lowest, s, highest)))
    )


def _joined(
    pieces: Tensor,
    costs: Tensor,
    shifts: list[tuple[int, int]],
    fine: np.ndarray,
    known: np.ndarray,
    wanted: np.ndarray,
    box: tuple[slice, slice],
) -> np.ndarray:
    """Which shift each block takes, int `(h, w)`; `len(shifts)` outside the part.

    From the pieces of cells on, blocks change to what costs less (Besag's iterated conditional
    modes, one half of a chequerboard after the other). Where two pieces meet, it costs how much
    their fine detail differs; outside the part is the picture itself.
    """
    contrast = max(2.0, float(np.sqrt((fine[known > 0] ** 2).mean())))
    fine = torch.from_numpy(fine).permute(2, 0, 1) / contrast
    inside, own = torch.from_numpy(wanted[box]), (slice(None), *box)
    count = len(shifts)
    there = torch.stack([_shifted(torch.from_numpy(known), box, shift) for shift in shifts])
    layers = torch.stack([*(_shifted(fine, box, shift) for shift in shifts), fine[own]])
    costs = F.interpolate(costs[None].clamp(max=BARE), scale_factor=CELL, mode='bilinear')[0]
    costs = torch.where(there == 1, costs / (2 * CELL), NEVER) * inside
    labels = pieces.repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)
    valid = torch.gather(costs, 0, labels[None])[0] < NEVER
    labels = torch.where(inside, torch.where(valid, labels, costs.argmin(0)), count)
    numbers = torch.arange(count)[:, None, None]
    rows, columns = (torch.arange(n) for n in labels.shape)
    odd = (rows[:, None] + columns) % 2 == 1

    def laid(labels: Tensor) -> Tensor:
        return torch.gather(layers, 0, labels[None, None].expand(1, 3, -1, -1))[0]

    for _ in range(20):
        before = labels
        for half in (odd & inside, ~odd & inside):
            total = costs.clone()
            change = (layers[:count] - laid(labels)).square_().sum(1)
            for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
                other = torch.roll(labels, -step, axis)
                seam = (layers[:count] - laid(other)).square_().sum(1)
                seam += torch.roll(change, -step, axis + 1) + BORDER
                seam = torch.where(numbers == other, 0, seam)
                # What rolls around the box has no neighbour there.
                seam.select(axis + 1, -1 if step == 1 else 0).zero_()
                total += seam
            labels = torch.where(half, total.argmin(0), labels)
        if (labels != before).sum() <= 1e-3 * inside.sum():
            break
    return labels.numpy()


def _copied(
    picture: np.ndarray,
    low: np.ndarray,
    known: np.ndarray,
    pieces: np.ndarray,
    shifts: list[tuple[int, int]],
    box: tuple[slice, slice],
    deviation: float,
) -> np.ndarray:
    """What the pieces of a picture have beyond `low`, float32 `(h, w, 3)`, as fine as the picture.

    `low`, pieces, shifts, box and the deviation of the Gaussian that blurs the borders of pieces
    are in blocks. Where pieces overlap, their weights are divided by the root of the sum of their
    squares (Heitz and Neyret 2018), which keeps the variance.
    """
    block = picture.shape[0] // low.shape[0]
    height, width = (block * n for n in pieces.shape)
    total, squares = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    for piece, shift in enumerate(shifts):
        weight = (pieces == piece).astype(np.float32)
        weight = cv2.GaussianBlur(weight, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
        # Of the piece's box what has its source in the window.
        at = [s.start + n for s, n in zip(box, shift)]
        part = tuple(
            slice(max(s.start, -a), min(s.stop, n - a))
            for s, a, n in zip(_box(weight > 0.01), at, low.shape)
        )
        if any(s.start >= s.stop for s in part):
            continue
        source = tuple(slice(s.start + a, s.stop + a) for s, a in zip(part, at))
        size = tuple(block * n for n in weight[part].shape[::-1])
        under, weight = cv2.resize(low[source], size), cv2.resize(weight[part], size)
        part, source = _scaled(part, block), _scaled(source, block)
        weight = weight * known[source]
        total[part] += weight[..., None] * (picture[source] - under)
        squares[part] += weight * weight
    return total / np.sqrt(np.maximum(squares, 0.04))[..., None]


def _enriched(
    old: np.ndarray,
    added: np.ndarray,
    inside: np.ndarray,
    depth: np.ndarray,
    energies: list[np.ndarray],
) -> np.ndarray:
    """`old` with, in each octave, as much of `added` as it is short of the energies.

    All are float32: the pictures `(h, w, 3)`; `inside`, the share of a pixel that counts, and
    `depth`, its distance from the border of the hole in pixels, `(h, w)`; energies, from the finest
    octave on, of any size.
    """
    if not energies:
        return old
    size = old.shape[1::-1]
    share = cv2.pyrDown(inside)
    weight = np.maximum(share, 1e-3)[..., None]
    lower = [cv2.pyrDown(a * inside[..., None]) / weight for a in (old, added)]
    half = _resized(depth, share.shape[::-1]) / 2
    under = _enriched(*lower, (share > 0.3).astype(np.float32), half, energies[1:])
    bands = [a - cv2.pyrUp(low, dstsize=size) for a, low in zip((old, added), lower)]
    there, more = (_mean((band @ GREY) ** 2, inside, SMOOTH) for band in bands)
    short = cv2.resize(energies[0], size, interpolation=cv2.INTER_LINEAR) - there
    # The coarser, over the more pixels: what sets in at once draws the contour of the hole.
    gain = np.sqrt(np.clip(short / np.maximum(more, 1e-3), 0, 1)) * np.clip(depth / FADE, 0, 1)
    return cv2.pyrUp(under, dstsize=size) + bands[0] + gain[..., None] * bands[1]


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA)


def _mean(values: np.ndarray, weight: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian means of weighted values."""
    total, share = (
        cv2.GaussianBlur(a, (0, 0), deviation, borderType=cv2.BORDER_REFLECT_101)
        for a in (values * weight, weight)
    )
    return total / np.maximum(share, 1e-4)


def _opened(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Usable values without what is high in fewer than `THIN` cells across; 0 elsewhere."""
    kernel = np.ones((THIN, THIN), np.uint8)
    low = cv2.erode(np.where(usable, values, np.float32(np.inf)), kernel)
    opened = cv2.dilate(np.where(usable, low, np.float32(-np.inf)), kernel)
    return np.where(usable, opened, 0)


def _sum(values: Tensor) -> Tensor:
    """Means over 7x7 cells, with zeros beyond the border."""
    for kernel, padding in (((7, 1), (3, 0)), ((1, 7), (0, 3))):
        values = F.avg_pool2d(values[:, None], kernel, 1, padding)[:, 0]
    return values


def _shifted(values: Tensor, box: tuple[slice, slice], shift: tuple[int, int]) -> Tensor:
    """What lies at a box moved by a shift; zeros beyond the border."""
    rows, columns = (slice(s.start + n, s.stop + n) for s, n in zip(box, shift))
    height, width = values.shape[-2:]
    pad = -columns.start, columns.stop - width, -rows.start, rows.stop - height
    return F.pad(values, pad)


def _box(where: np.ndarray) -> tuple[slice, slice]:
    left, top, width, height = cv2.boundingRect(where.astype(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _scaled(box: tuple[slice, slice], factor: float) -> tuple[slice, slice]:
    return tuple(slice(round(factor * s.start), round(factor * s.stop)) for s in box)
