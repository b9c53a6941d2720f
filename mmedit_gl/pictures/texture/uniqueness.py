"""What occurs once in a picture, as a nose or the base of a glass, is not to be there twice."""

import cv2
import numpy as np

GRAIN = 4  # pixels that are one here, so that textures are alike
THING = 7  # grains along the side of a square that is compared, and of the shortest shift
LEAST = (
    0.25  # of a square that must be known under both shifts, as it is in a corner of the picture
)
RING = 12  # pixels around a hole, by which it is judged what is usual in it
MOST = 4000  # a difference; beyond, things are no more unique


def uniqueness(
    picture: np.ndarray, known: np.ndarray, part: np.ndarray, shifts: list[tuple[int, int]]
) -> np.ndarray:
    """How much less a place is like any other than places around the hole are.

    `picture` is uint8 `(H, W, 3)`, `known` and `part` are bool `(H, W)`, as in `find_shifts`, whose
    `shifts` are tried. The result, float32 `(H, W)` and at least 0, is the least mean squared
    difference, added over the channels, of the square around a place from those under the shifts,
    less the median of that around the hole; a place that cannot be compared has 0.
    """
    rest = (0, -known.shape[0] % GRAIN, 0, -known.shape[1] % GRAIN)
    picture = cv2.copyMakeBorder(picture, *rest, cv2.BORDER_REPLICATE)
    there = cv2.copyMakeBorder(255 * known.astype(np.uint8), *rest, cv2.BORDER_CONSTANT)
    size = [n // GRAIN for n in there.shape[::-1]]
    picture, there = (cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in (picture, there))
    picture, there = picture.astype(np.float32), (there == 255).astype(np.float32)
    least = np.full(there.shape, np.inf, np.float32)
    for shift in _once({(round(y / GRAIN), round(x / GRAIN)) for y, x in shifts}):
        here, other = (
            tuple(slice(max(0, n), max(0, size + min(0, n))) for n, size in zip(s, there.shape))
            for s in (shift, [-n for n in shift])
        )
        both = there[here] * there[other]
        if not both.any():
            continue
        error = np.square(picture[here] - picture[other]).sum(2) * both
        # Whole numbers below 2^24, so that float32 is exact.
        error, count = (
            cv2.boxFilter(a, -1, (THING, THING), normalize=False, borderType=cv2.BORDER_CONSTANT)
            for a in (error, both)
        )
        error = np.where(count >= LEAST * THING**2, error / np.maximum(count, 1), np.inf)
        for place in here, other:
            np.minimum(least[place], error, out=least[place])
    compared = np.isfinite(least)
    least = np.where(compared, np.minimum(least, MOST), 0)
    enlarged = [GRAIN * n for n in size]
    least = cv2.resize(least, enlarged, interpolation=cv2.INTER_LINEAR)
    least = least[: known.shape[0], : known.shape[1]]
    around = cv2.dilate(part.astype(np.uint8), np.ones([2 * RING + 1] * 2, np.uint8)) == 1
    around &= known
    return np.maximum(least - (np.median(least[around]) if around.any() else 0), 0)


def _once(shifts: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Shifts that are not short, each or its opposite, which compares the same."""
    long = {max(s, (-s[0], -s[1])) for s in shifts if max(map(abs, s)) >= THING}
    return sorted(long)
