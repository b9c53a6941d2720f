"""An image and a mask to a completed image."""

from pathlib import Path

import numpy as np
import torch
from mmengine import Config
from mmengine.device import get_device
from PIL import Image, ImageOps

from mmedit_gl.datasets import binarize, mask2bbox
from mmedit_gl.engine import best_weights, load_config, load_weights, read_checkpoint
from mmedit_gl.errors import ImageError, UserError
from mmedit_gl.models import GLInpaintor
from mmedit_gl.registry import MODELS

ImageLike = str | Path | Image.Image | np.ndarray


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
) -> GLInpaintor:
    """The model of a configuration, ready to complete pictures.

    `checkpoint` is a path or URL, read as `read_checkpoint` says; without it the weights are
    random. `device` is by default a GPU where there is one. Raises `UserError` for what cannot be
    loaded.
    """
    cfg = config if isinstance(config, Config) else load_config(config)
    model = MODELS.build(cfg.model)
    if checkpoint is not None:
        load_weights(model, best_weights(read_checkpoint(checkpoint)), checkpoint)
    return model.to(device or get_device(), memory_format=torch.channels_last).eval()


class Inpainter:
    """Completes pictures of any size; the arguments are those of `init_model`."""

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path,
        device: str | torch.device | None = None,
    ):
        self.model = init_model(config, checkpoint, device)

    def __call__(self, image: ImageLike, mask: ImageLike) -> Image.Image | np.ndarray:
        """The picture with its hole filled; outside the hole it comes back bit for bit.

        `image` is a path, a PIL image of mode RGB, RGBA (alpha is kept) or L, or a uint8 BGR array
        `(H, W, 3)`. `mask` is a path, a PIL image or an array `(H, W)` of the same size; the hole
        is where it is at least half of white. An array gives an array, a PIL image one of the same
        mode, a path a PIL image. Raises `UserError` for anything else, for other sizes and for an
        empty mask.
        """
        if isinstance(image, (str, Path)):
            image = _open(image)
        hole = binarize(_mask_array(mask))
        bgr = image if isinstance(image, np.ndarray) else _bgr_array(image)
        if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8:
            raise UserError(
                f'expected a uint8 BGR array (H, W, 3), got {bgr.dtype} of shape {bgr.shape}'
            )
        if hole.shape != bgr.shape[:2]:
            raise UserError(
                f'the mask has {"x".join(map(str, hole.shape))} pixels, the image '
                f'{bgr.shape[0]}x{bgr.shape[1]}: expected the same height and width'
            )
        mask2bbox(hole)  # refuses an empty mask
        completed = self._complete(bgr, hole)
        return completed if image is bgr else _like(image, completed)

    @torch.inference_mode()
    def _complete(self, bgr: np.ndarray, hole: np.ndarray) -> np.ndarray:
        gt_img = torch.from_numpy(bgr.copy())[None]
        data = dict(gt_img=gt_img, mask=torch.from_numpy(hole)[None, None], img_path=[''])
        sample = self.model.val_step(data)[0]
        return np.ascontiguousarray(sample['fake_img'].permute(1, 2, 0).cpu().numpy())


def _open(path: str | Path) -> Image.Image:
    try:
        return ImageOps.exif_transpose(Image.open(path))
    except Exception as error:  # Pillow tells of broken files by SyntaxError and TypeError too
        raise ImageError(f'cannot read {path}: {error}') from None


def _mask_array(mask: ImageLike) -> np.ndarray:
    if isinstance(mask, (str, Path)):
        mask = _open(mask)
    if isinstance(mask, Image.Image):
        mask = np.asarray(mask.convert('L'))
    if not isinstance(mask, np.ndarray):
        raise UserError(
            f'expected a mask as a path, a PIL image or an array, got {type(mask).__name__}'
        )
    if mask.ndim != 2:
        raise UserError(f'expected a mask (H, W), got an array of shape {mask.shape}')
    return mask


def _bgr_array(image: Image.Image) -> np.ndarray:
    if not isinstance(image, Image.Image):
        raise UserError(
            f'expected an image as a path, a PIL image or an array, got {type(image).__name__}'
        )
    if image.mode not in ('RGB', 'RGBA', 'L'):
        raise UserError(f'expected an image of mode RGB, RGBA or L, got {image.mode}: convert it')
    # RGBA to RGB drops alpha and leaves the colours; L to RGB and back is exact.
    return np.asarray(image.convert('RGB'))[..., ::-1]


def _like(image: Image.Image, bgr: np.ndarray) -> Image.Image:
    completed = Image.fromarray(np.ascontiguousarray(bgr[..., ::-1])).convert(image.mode)
    if image.mode == 'RGBA':
        completed.putalpha(image.getchannel('A'))
    return completed
