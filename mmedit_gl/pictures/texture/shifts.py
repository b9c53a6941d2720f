"""Shifts of a picture onto itself under which what surrounds a hole goes on in it."""

import cv2
import numpy as np
import torch

WINDOWS = 16  # on the border of the hole; every second one is also matched at twice its side
SIDE = 48  # pixels of a window, at most a third of the picture's shorter side
EACH = 6  # shifts that a window proposes
APART = 4  # pixels between two of them, at least
SHARE = 0.7  # of a window that must be known at the other end of a shift


def find_shifts(picture: np.ndarray, known: np.ndarray, part: np.ndarray) -> list[tuple[int, int]]:
    """Shifts (down, right) from a hole to places that look like windows on its border.

    `picture` is uint8 `(H, W, 3)`; `known` and `part`, bool `(H, W)`, are where sources lie and
    what is to be filled. A window compares its known pixels with those at the other end of each
    shift, by the mean of their squared differences, and proposes the shifts with the least. All
    shifts are tried at once by Fourier transforms. The sums are whole numbers, rounded from float64
    transforms, so the shifts do not depend on the machine.
    """
    around = cv2.dilate(part.astype(np.uint8), np.ones((3, 3), np.uint8)) & known
    border = np.argwhere(around)
    if not len(border):
        return []
    colours = torch.from_numpy(picture.astype(np.float64)).permute(2, 0, 1) - 128
    layers = torch.cat([torch.ones_like(colours[:1]), colours]) * torch.from_numpy(known)
    layers = torch.cat([layers, layers[1:].square().sum(0, keepdim=True)])
    size = [cv2.getOptimalDFTSize(n) for n in known.shape]
    sources = torch.fft.rfft2(layers, size)[[4, 1, 2, 3, 0]]
    sources[1:4] *= -2
    side = min(SIDE, min(known.shape) // 3)
    found = set()
    for index, middle in enumerate(_spread(border)):
        for half in (side // 2, side) if index % 2 == 0 else (side // 2,):
            rows, columns = (slice(max(0, n - half), n + half + 1) for n in middle)
            window = layers[:, rows, columns]
            # By where the first pixel of the window comes to lie: sums of (a - b)^2.
            error = torch.fft.irfft2((torch.fft.rfft2(window, size).conj() * sources).sum(0), size)
            height, width = window.shape[1:]
            share = cv2.boxFilter(known.astype(np.float32), -1, (width, height), anchor=(0, 0))[
                : known.shape[0] - height + 1, : known.shape[1] - width + 1
            ]
            error = error[: share.shape[0], : share.shape[1]].round().numpy()
            cost = np.where(share < SHARE, np.inf, error / np.maximum(share, SHARE))
            found.update((y - rows.start, x - columns.start) for y, x in _least(cost))
    return sorted(found - {(0, 0)})


def _spread(places: np.ndarray) -> list[list[int]]:
    """Places far from each other: after the first, always the farthest from those before."""
    chosen = [0]
    distance = ((places - places[0]) ** 2).sum(1)
    while len(chosen) < min(WINDOWS, len(places)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((places - places[chosen[-1]]) ** 2).sum(1))
    return places[chosen].tolist()


def _least(cost: np.ndarray) -> list[tuple[int, int]]:
    """Places of the least costs, apart from each other."""
    found = []
    while len(found) < EACH:
        y, x = divmod(int(cost.argmin()), cost.shape[1])
        if cost[y, x] == np.inf:
            break
        found.append((y, x))
        cost[max(0, y - APART) : y + APART + 1, max(0, x - APART) : x + APART + 1] = np.inf
    return found
