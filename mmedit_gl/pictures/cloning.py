"""The post-processing of Iizuka et al. 2017 (section 3): fast marching, then Poisson cloning.

`cv2.seamlessClone`, which the authors' code calls, solves in the bounding rectangle of the hole: in
any other shape its result does not meet the picture at the border of the hole. Here it does.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from mmedit_gl.pictures.membrane import membrane

RADIUS = 3  # pixels: how far off fast marching takes a colour from


def postprocess(image: np.ndarray, completed: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Adapt the colours of a completed picture to those around its hole.

    Fast marching (Telea 2004) fills the hole from around it. Of that the outermost pixels of the
    hole stay, and `completed` is cloned into the rest (Perez et al. 2003). `image`, `completed` and
    the result are uint8 BGR `(H, W, 3)`, `hole` is uint8 `(H, W)`, 1 in the hole; outside the hole
    the result is `image` bit for bit. The cost is that of the hole.
    """
    target = image.copy()
    for window, part in windows(hole, margin=2 * RADIUS + 2):
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
    for window, part in windows(hole, margin=1):
        # What is added to the source has no gradients but those that its border asks for.
        offset = np.subtract(target[window], source[window], dtype=np.float32)
        offset = torch.from_numpy(offset).permute(2, 0, 1)[None]
        offset = membrane(offset, torch.from_numpy(hole[window])[None, None].float())
        cloned = source[window] + offset[0].permute(1, 2, 0).numpy()
        cloned = cloned.round().clip(0, 255).astype(np.uint8)
        np.copyto(result[window], cloned, where=part[..., None])
    return result


def windows(hole: np.ndarray, margin: int) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
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
