"""Classical ways to fill a hole, for a model to be measured against.

Each takes a uint8 picture `(H, W, 3)` and a mask `(H, W)`, 1 in the hole, and gives the picture
completed, `UserError` where nothing is around the hole. None sees what is under it: OpenCV reads
there where a hole meets the border, so all begin with the mean colour.
"""

from types import ModuleType

import cv2
import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmedit_gl.errors import UserError
from mmedit_gl.models import to_float, to_uint8
from mmedit_gl.pictures import membrane
from mmedit_gl.registry import MODELS


def mean_colour(img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The hole gets the mean colour of the pixels around it, all those of the picture."""
    if mask.all():
        raise UserError('the mask covers the whole picture: there is nothing to fill it from')
    filled = img.copy()
    filled[mask == 1] = img[mask == 0].mean(axis=0).round()
    return filled


def telea(img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fast marching (Telea 2004), radius 3 pixels."""
    return cv2.inpaint(mean_colour(img, mask), mask, 3, cv2.INPAINT_TELEA)


def navier_stokes(img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Isophotes carried on as a fluid's flow (Bertalmio et al. 2001), radius 3 pixels."""
    return cv2.inpaint(mean_colour(img, mask), mask, 3, cv2.INPAINT_NS)


def harmonic(img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The smoothest continuation of what is around: where `hole_fill='membrane'` begins."""
    around = torch.from_numpy(mean_colour(img, mask)).permute(2, 0, 1)
    pictures = to_float(around[None].float())
    hole = torch.from_numpy(mask)[None, None].float()
    return to_uint8(membrane(pictures, hole))[0].permute(1, 2, 0).numpy()


def patchmatch(img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Patches of 7x7 pixels from elsewhere in the picture (Barnes et al. 2009), from one seed."""
    library = import_patchmatch()
    library.set_random_seed(0)
    return library.inpaint(mean_colour(img, mask), mask, patch_size=3)


def import_patchmatch() -> ModuleType:
    """Raises `UserError` where PyPatchMatch is not installed or cannot be used."""
    try:
        import patchmatch
    except ImportError:
        raise UserError(
            'patchmatch is computed by PyPatchMatch: pip install "mmedit_gl[patchmatch]"'
        ) from None
    if not patchmatch.patchmatch_available:
        raise UserError('PyPatchMatch has no compiled part here: see its page on how to build it')
    return patchmatch


BASELINES = dict(
    mean=mean_colour,
    telea=telea,
    ns=navier_stokes,
    membrane=harmonic,
    patchmatch=patchmatch,
)


@MODELS.register_module()
class Unfilled(BaseModel):
    """Stands in for a network where classical methods alone are measured."""

    def __init__(self):
        super().__init__()
        self.parallel = {}

    def forward(
        self, gt_img: Tensor, mask: Tensor, img_path: list[str], mode: str, **others
    ) -> list[dict]:
        """`gt_img`, `mask` and `img_path` of each picture, as `GLInpaintor` predicts them."""
        gt_img = gt_img.permute(0, 3, 1, 2)
        return [dict(gt_img=g, mask=m, img_path=p) for g, m, p in zip(gt_img, mask, img_path)]
