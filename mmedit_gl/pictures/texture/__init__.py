"""What goes on around a wide hole goes on in it: its surroundings, copied in large pieces.

A completion knows the coarse colours of a hole, and its surroundings know its edges and textures.
The surroundings propose shifts of the picture onto itself (`shifts`). The hole is laid out with few
pieces of it under these shifts, which fit to each other, to what is known and to the coarse colours
of the completion (`pieces`), and which hold no thing that occurs once (`uniqueness`). At full scale
the pieces are aligned (`alignment`) and joined without steps (`blending`).
"""

import cv2
import numpy as np
import torch

from mmedit_gl.pictures.texture.alignment import align, enlarge
from mmedit_gl.pictures.texture.blending import blend
from mmedit_gl.pictures.texture.pieces import CELL, Sources, lay_cells, lay_pixels, look
from mmedit_gl.pictures.texture.shifts import find_shifts
from mmedit_gl.pictures.texture.uniqueness import uniqueness

REACH = 192  # pixels of the scale of pieces around a hole in which sources are sought
MOST = 256  # such pixels along a hole at most: beyond, the scale is smaller


@torch.inference_mode()
def textured(
    completed: np.ndarray,
    hole: np.ndarray,
    box: tuple[slice, slice],
    part: np.ndarray,
    scale: float,
) -> np.ndarray:
    """What lies in a box of a completed picture, with a part of the hole laid out with texture.

    `completed` is uint8 BGR `(H, W, 3)`. `hole` is uint8 `(H, W)`, 1 where nothing is known, from
    where nothing is copied. `part`, bool `(h, w)`, is what of the box was completed at `scale`, at
    most 1. The result is uint8 `(h, w, 3)`; elsewhere in the box it is `completed` bit for bit, as
    it is everywhere where the surroundings are too small to copy from. The cost is that of the box.
    """
    block = max(round(1 / scale), -(-max(part.shape) // MOST), 1)
    window = tuple(slice(max(0, s.start - REACH * block), s.stop + REACH * block) for s in box)
    within = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, window))
    picture, known = completed[window], hole[window] == 0
    wanted = np.zeros_like(known)
    wanted[within] = part

    small, small_known, small_wanted = _reduced(picture, known, wanted, block)
    shifts = find_shifts(small, small_known, small_wanted)
    result = completed[box].copy()
    if not shifts:
        return result
    unique = uniqueness(small, small_known, small_wanted, shifts)
    looks = np.dstack([look(small, small_known), unique])
    around = _in_cells(small_wanted)
    inside = torch.from_numpy(_cut(small_wanted, around))
    sources, looks = (Sources.of(a, small_known, shifts, around, CELL) for a in (small, looks))
    cells = lay_cells(sources, looks, inside, around)
    labels = lay_pixels(sources, cells, inside, around)
    if not labels.any():
        return result

    # At full scale, with a pixel around.
    full = tuple(
        slice(max(0, s.start - 1), min(s.stop + 1, n)) for s, n in zip(within, known.shape)
    )
    inside = torch.from_numpy(wanted[full])
    labels = enlarge(labels, around, full, block) * inside
    if block > 1:
        shifts = [(block * y, block * x) for y, x in shifts]
        sources = Sources.of(picture, known, shifts, full, 2 * block + 1)
        sources = align(sources, labels, inside, sources.places(full), block)
        labels = labels * sources.there(sources.moved(sources.places(full), labels), labels)
    laid = blend(sources, labels, inside, full, block).numpy()
    offset = tuple(s.start - f.start for s, f in zip(within, full))
    laid = laid[offset[0] :, offset[1] :][: part.shape[0], : part.shape[1]]
    np.copyto(result, laid.round().clip(0, 255).astype(np.uint8), where=part[..., None])
    return result


def _reduced(
    picture: np.ndarray, known: np.ndarray, wanted: np.ndarray, block: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The scale of pieces: known is what is in all of a block, wanted what is in any of it."""
    rest = (0, -known.shape[0] % block, 0, -known.shape[1] % block)
    picture = cv2.copyMakeBorder(picture, *rest, cv2.BORDER_REPLICATE)
    masks = [
        cv2.copyMakeBorder(255 * m.astype(np.uint8), *rest, cv2.BORDER_CONSTANT)
        for m in (known, wanted)
    ]
    size = [n // block for n in picture.shape[1::-1]]
    small, known, wanted = (
        cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in (picture, *masks)
    )
    return small, known == 255, wanted > 0


def _in_cells(wanted: np.ndarray) -> tuple[slice, slice]:
    """A box of whole cells around what is wanted, with half a cell before it."""
    left, top, width, height = cv2.boundingRect(wanted.astype(np.uint8))
    pairs = (top, height), (left, width)
    return tuple(
        slice(start - CELL // 2, start - CELL // 2 + CELL * -(-(size + CELL) // CELL))
        for start, size in pairs
    )


def _cut(values: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """What lies in a box, with zeros beyond the border."""
    values = np.pad(values, 2 * CELL)
    return values[tuple(slice(s.start + 2 * CELL, s.stop + 2 * CELL) for s in box)]
