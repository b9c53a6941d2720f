"""The post-processing of Iizuka et al. 2017 (section 3): fast marching, then Poisson cloning.

`cv2.seamlessClone`, which the authors' code calls, solves in the bounding rectangle of the hole: in
any other shape its result does not meet the picture at the border of the hole. Here it does.
"""

from collections.abc import Iterator

import cv2
import numpy as np

RADIUS = 3  # pixels: how far off fast marching takes a colour from
LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
TOLERANCE = 1e-3  # levels, of the Laplacian: the solution is then right to less than one
COARSEST = 8  # pixels a side


def postprocess(image: np.ndarray, completed: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Adapt the colours of a completed picture to those around its hole.

    Fast marching (Telea 2004) fills the hole from around it. Of that the outermost pixels of the
    hole stay, and `completed` is cloned into the rest (Perez et al. 2003). `image`, `completed` and
    the result are uint8 BGR `(H, W, 3)`, `hole` is uint8 `(H, W)`, 1 in the hole; outside the hole
    the result is `image` bit for bit. The cost is that of the hole.
    """
    target = image.copy()
    for window, part in _windows(hole, margin=2 * RADIUS + 2):
        filled = cv2.inpaint(image[window], hole[window], RADIUS, cv2.INPAINT_TELEA)
        np.copyto(target[window], filled, where=part[..., None])
    return clone(completed, target, cv2.erode(hole, np.ones((3, 3), np.uint8)))


def clone(source: np.ndarray, target: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Poisson cloning (Perez et al. 2003): the details of `source`, the colours of `target`.

    In the hole the result has the gradients of `source`, and meets `target` at the border of the
    hole; of `target` only what is outside counts, of `source` the hole and one pixel around it. At
    the border of the picture nothing is to be met; without anything around the hole the result is
    `source`. The pictures are uint8 BGR `(H, W, 3)`, `hole` is uint8 `(H, W)`, 1 in the hole;
    outside the hole the result is `target` bit for bit. The cost is that of the hole.
    """
    result = target.copy()
    for window, part in _windows(hole, margin=1):
        free = part.astype(np.float32)
        known = cv2.dilate(free, np.ones((3, 3), np.uint8)) - free
        # What is added to the source has no gradients but those that its border asks for.
        offset = np.subtract(target[window], source[window], dtype=np.float32)
        cloned = source[window] + _membrane(offset * known[..., None], known, free)
        cloned = cloned.round().clip(0, 255).astype(np.uint8)
        np.copyto(result[window], cloned, where=part[..., None])
    return result


def _windows(hole: np.ndarray, margin: int) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Windows that cover the hole with a margin, and which pixels of the hole each stands for.

    One for each connected part, or one for all where that is no larger than they are together.
    """
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(hole, connectivity=8)
    boxes, whole = boxes[1:, :4], np.array([cv2.boundingRect(hole)])
    apart, together = ((b[:, 2:] + 2 * margin).prod(axis=1).sum() for b in (boxes, whole))
    if together <= apart:
        boxes, labels = whole, hole
    for label, (x, y, width, height) in enumerate(boxes, start=1):
        top, left = max(0, y - margin), max(0, x - margin)
        window = slice(top, y + height + margin), slice(left, x + width + margin)
        yield window, labels[window] == label


def _membrane(values: np.ndarray, known: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The harmonic continuation of `values`, `(h, w, 3)`, given where `known`, to where `free`.

    `known` and `free`, `(h, w)`, are 0 or 1; what is free is surrounded by what is known, or by the
    border of the window. All are float32, and `values` are 0 elsewhere. Conjugate gradients, that
    begin with the solution at half the size.
    """
    height, width = free.shape
    if max(height, width) > COARSEST and free.any():
        size = (width + 1) // 2, (height + 1) // 2
        share, values_half, free_half = (
            cv2.resize(array, size, interpolation=cv2.INTER_AREA) for array in (known, values, free)
        )
        values_half /= np.maximum(share, 1e-6)[..., None]
        known_half = share > 1e-6
        free_half = (free_half > 1e-6) & ~known_half
        values_half = values_half * known_half[..., None]
        half = _membrane(values_half, np.float32(known_half), np.float32(free_half))
        start = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        start = np.full_like(values, 1) * values.sum((0, 1)) / max(1, known.sum())
    free = free[..., None]
    x = values + start * free

    def residual(x: np.ndarray) -> np.ndarray:
        return cv2.filter2D(x, -1, LAPLACIAN, borderType=cv2.BORDER_REPLICATE) * free

    rest = residual(x)
    step, squared = rest.copy(), np.vdot(rest, rest)
    for _ in range(4 * (height + width)):  # far more than it takes
        if squared <= TOLERANCE**2 * free.sum():
            break
        change = residual(step)
        length = -squared / np.vdot(step, change)
        x += length * step
        rest += length * change
        squared, before = np.vdot(rest, rest), squared
        step = rest + squared / before * step
    return x
