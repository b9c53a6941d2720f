"""Simple ways to fill a hole, for a model to be measured against.

Each takes a uint8 picture `(H, W, 3)` and a mask `(H, W)`, 1 in the hole, and gives the picture
completed.
"""

import cv2
import numpy as np


def mean_colour(img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The hole gets the mean colour of the pixels around it, all those of the picture."""
    filled = img.copy()
    filled[mask == 1] = img[mask == 0].mean(axis=0).round()
    return filled


def telea(img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fast marching (Telea 2004), radius 3 pixels."""
    return cv2.inpaint(np.ascontiguousarray(img), mask, 3, cv2.INPAINT_TELEA)


BASELINES = dict(mean=mean_colour, telea=telea)
