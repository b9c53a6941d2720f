"""An image and a mask to a completed image."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine import Config
from mmengine.device import get_device
from PIL import Image

from mmedit_gl.checkpoint import (
    best_weights,
    load_weights,
    read_checkpoint,
    trained_otherwise,
)
from mmedit_gl.engine import load_config
from mmedit_gl.errors import UserError, configures
from mmedit_gl.models import GLInpaintor, GLPreprocessor, HoleAware, to_float, to_uint8
from mmedit_gl.pictures import (
    ImageLike,
    Picture,
    clone,
    picture_of,
    read_hole,
    textured,
    windows,
)
from mmedit_gl.pictures import postprocess as paper_postprocess
from mmedit_gl.registry import MODELS

# The small model that the package ships; its model card stands beside it.
DEFAULT = Path(__file__).parent / 'default'
MODES = 'texture', 'smooth', 'native'
CONTEXT = 160  # pixels around a reduced hole: as far as the network sees
NARROW = 24  # pixels: a wider completion is smooth beside its surroundings, at full scale too
STROKE = 12  # what is more than so many times as long as wide is one

# Of a hole: its box, which of the box's pixels it has, and the scale at which it is completed.
Part = tuple[tuple[slice, slice], np.ndarray, float]


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
) -> GLInpaintor:
    """The model of a configuration, ready to complete pictures.

    `config` may be a path or a name, as `load_config` takes it. `checkpoint` is a path or URL, read
    as `read_checkpoint` says; without it the weights are random. `device` is by default a GPU where
    there is one. Raises `UserError` for what cannot be loaded.
    """
    cfg = config if isinstance(config, Config) else load_config(config)
    with configures('model'):
        model = MODELS.build(cfg.model)
    if checkpoint is not None:
        content = read_checkpoint(checkpoint)
        if otherwise := trained_otherwise(model, content):
            raise UserError(f'{checkpoint} was trained in another model: {otherwise}')
        load_weights(model, best_weights(content), checkpoint)
    with configures('device'):
        return model.to(device or get_device(), memory_format=torch.channels_last).eval()


class Inpainter:
    """Completes pictures of any size, at the cost of their holes.

    `config` and `checkpoint` are those of `init_model`; without both it is the small model that the
    package ships. `precision` is `'fp32'` or `'bf16'`, twice as fast where the processor has it.
    `trained_hole` is that of the configuration's `GLInpaintor`.
    """

    def __init__(
        self,
        config: str | Path | Config | None = None,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        precision: str = 'fp32',
    ):
        if (config is None) != (checkpoint is None):
            raise UserError('a configuration and its checkpoint are given together, or neither')
        if config is None:
            config, checkpoint = DEFAULT / 'config.py', DEFAULT / 'weights.pth'
        self._use(init_model(config, checkpoint, device), precision)

    @classmethod
    def from_model(cls, model: GLInpaintor, precision: str = 'fp32') -> 'Inpainter':
        """An inpainter of a model that is there already, with the weights that it has now."""
        inpainter = cls.__new__(cls)
        inpainter._use(model, precision)
        return inpainter

    def _use(self, model: GLInpaintor, precision: str) -> None:
        generator = HoleAware(model.generator, precision)
        self.fill_native = partial(_fill_native, generator, model.data_preprocessor)
        self.trained_hole = model.trained_hole

    def __call__(
        self,
        image: ImageLike,
        mask: ImageLike,
        postprocess: bool = False,
        mode: str = 'texture',
    ) -> Image.Image | np.ndarray:
        """The picture with its hole filled; outside the hole it comes back bit for bit.

        `image` is a path, a PIL image, or an array as `picture_of` takes it, and comes back as the
        same kind, a path as a PIL image. `mask` is any of them, as `read_hole` takes it; an empty
        one gives the picture as it is, with a warning. `postprocess` and `mode` are those of
        `complete`. Raises `UserError` for what cannot be used.
        """
        return _answer(self.complete, image, mask, postprocess, mode)

    def batch(
        self,
        pairs: Iterable[tuple[ImageLike, ImageLike]],
        postprocess: bool = False,
        mode: str = 'texture',
    ) -> list[Image.Image | np.ndarray]:
        """The completions of pairs (image, mask), each as a call of its own gives it."""
        return [self(image, mask, postprocess, mode) for image, mask in pairs]

    def complete(
        self,
        picture: Picture,
        hole: np.ndarray,
        postprocess: bool = False,
        mode: str = 'texture',
        progress: Callable[[int, int], object] = lambda done, of: None,
    ) -> Picture:
        """The picture with its hole, uint8 `(H, W)`, 1 in the hole, filled.

        `mode='native'` is the network at full scale. `'smooth'` reduces: where a disc wider than
        `trained_hole` has room in a part of the hole, a window around it is completed at the scale
        at which it has not, and joined by Poisson cloning. `'texture'` does so too, and brings the
        texture of the surroundings, at full scale, into what was reduced and what is wider than 24
        pixels and no stroke. Without `trained_hole` every mode is native. `postprocess` is the
        paper's, of section 3. `progress` is called before each step with the number of steps that
        are done, and of all. Raises `UserError` for another mode.
        """
        if mode not in MODES:
            raise UserError(f'mode: expected one of {", ".join(MODES)}, got {mode!r}')
        if not hole.any():
            return picture.noting(f'the mask of {picture.name} is empty: it stays as it is')
        bgr = picture.bgr
        wide = _wide_parts(hole, mode, self.trained_hole)
        completed = _fill(self.fill_native, bgr, hole, *wide, progress)
        if postprocess:
            completed = paper_postprocess(bgr, completed, hole)
        return picture.filled(completed, hole)


def inpainting_inference(
    model: GLInpaintor, img: ImageLike, mask: ImageLike
) -> Image.Image | np.ndarray:
    """MMEditing's name for the network as it is: a call of an `Inpainter` with `mode='native'`."""
    complete = partial(Inpainter.from_model(model).complete, mode='native')
    return _answer(complete, img, mask)


def _answer(complete: Callable, image: ImageLike, mask: ImageLike, *options):
    picture = picture_of(image)
    completed = complete(picture, read_hole(mask, picture.pixels.shape[:2]), *options)
    result = completed.as_given()
    for note in completed.notes:
        warnings.warn(note, stacklevel=3)
    return result


def _wide_parts(
    hole: np.ndarray, mode: str, trained_hole: int | None
) -> tuple[list[Part], list[Part]]:
    """The parts of a hole to complete at a smaller scale, and those to get texture."""
    reduced, smooth = [], []
    native = mode == 'native' or trained_hole is None
    for box, part in () if native else _parts(hole):
        width = _width(box, part, hole.shape)
        scale = min(1, trained_hole / width)
        if scale < 1:
            reduced.append((box, part, scale))
        if mode == 'texture' and (scale < 1 or width > max(NARROW, max(part.shape) / STROKE)):
            smooth.append((box, part, scale))
    return reduced, smooth


def _fill(
    fill_native: Callable,
    bgr: np.ndarray,
    hole: np.ndarray,
    reduced: list[Part],
    smooth: list[Part],
    progress: Callable[[int, int], object],
) -> np.ndarray:
    """uint8 BGR `(H, W, 3)` with its hole filled, its parts as `_wide_parts` gives them."""
    steps = len(reduced) + 1 + len(smooth)
    completed, left = bgr.copy(), hole.copy()  # left is to be filled at full scale
    for done, (box, part, scale) in enumerate(reduced):
        progress(done, steps)
        _fill_reduced(fill_native, completed, left, box, part, scale)
        left[box][part] = 0
    progress(len(reduced), steps)
    fill_native(completed, left, left)
    fine = []
    for done, place in enumerate(smooth, start=len(reduced) + 1):
        progress(done, steps)
        fine.append(textured(completed, hole, *place))
    for (box, part, _), pixels in zip(smooth, fine):
        np.copyto(completed[box], pixels, where=part[..., None])
    return completed


@torch.inference_mode()
def _fill_native(
    generator: HoleAware,
    preprocessor: GLPreprocessor,
    bgr: np.ndarray,
    hole: np.ndarray,
    part: np.ndarray,
) -> None:
    device = generator.layers[0].weight.device
    cuts = _cuts(preprocessor, bgr, hole)
    for plan in generator.plans(part):
        window, box = _slices(plan.window), _slices(plan.box)
        masked_img = to_float(bgr[window].astype(np.float32))
        for place, where, colours in cuts:
            inside, of = zip(*map(_common, window, place))
            np.copyto(masked_img[inside], colours[of], where=where[of][..., None])
        masked_img = torch.from_numpy(masked_img).to(device).permute(2, 0, 1)[None]
        mask = torch.from_numpy(hole[window]).to(device)[None, None].float()
        fake_res = to_uint8(generator(plan, masked_img, mask))[0].permute(1, 2, 0).cpu().numpy()
        np.copyto(bgr[box], fake_res, where=part[box][..., None] == 1)


def _cuts(
    preprocessor: GLPreprocessor, bgr: np.ndarray, hole: np.ndarray
) -> list[tuple[tuple[slice, slice], np.ndarray, np.ndarray]]:
    """What `masked_img` has in the hole, `(h, w, 3)`, by windows and where in them it is.

    A part of the hole may reach beyond what the network sees at once, and depends on all around it.
    """
    cuts = []
    for window, where in windows(hole, margin=1):
        img = to_float(torch.from_numpy(bgr[window]).to(preprocessor.device).permute(2, 0, 1)[None])
        mask = torch.from_numpy(hole[window]).to(img)[None, None]
        colours = preprocessor.cut_hole(img, mask)[0].permute(1, 2, 0).cpu().numpy()
        cuts.append((window, where, colours))
    return cuts


def _common(side: slice, other: slice) -> tuple[slice, slice]:
    """What two intervals have in common, counted from the start of each."""
    start = max(side.start, other.start)
    stop = max(start, min(side.stop, other.stop))
    return slice(start - side.start, stop - side.start), slice(
        start - other.start, stop - other.start
    )


def _fill_reduced(
    fill_native: Callable,
    bgr: np.ndarray,
    hole: np.ndarray,
    box: tuple[slice, slice],
    part: np.ndarray,
    scale: float,
) -> None:
    """Fills the part of the hole in a box, in place, with what fills it at a smaller scale."""
    margin = round(CONTEXT / scale)
    window = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in box)
    img = bgr[window]
    inside = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, window))
    target = np.zeros(img.shape[:2], np.uint8)
    target[inside] = part

    height, width = target.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = {
        # What covers any of the hole is hole: its colour is not that of the surroundings.
        name: (cv2.resize(255 * mask, size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
        for name, mask in dict(hole=hole[window], part=target).items()
    }
    small = cv2.resize(img, size, interpolation=cv2.INTER_AREA)
    fill_native(small, reduced['hole'], reduced['part'])
    small = _extended(small, reduced['part'])
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    img[:] = clone(large, img, target)


def _extended(img: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The picture with the colours of a part carried on beyond it, as far as cubics look.

    Enlarged, the part then has no trace of the step to what is around it.
    """
    inside = part[..., None].astype(np.float32)
    weight, colours = (cv2.blur(values, (7, 7)) for values in (inside, img * inside))
    carried = colours / np.maximum(weight, 1e-6)[..., None]
    beyond = (weight > 1e-6) & (part == 0)
    return np.where(beyond[..., None], carried.round(), img).astype(np.uint8)


def _parts(hole: np.ndarray) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """The connected parts of a hole, each by its box and which of the box's pixels it has."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(hole, connectivity=8)
    for label, (x, y, width, height, _) in enumerate(stats[1:], start=1):
        box = _slices((y, x, y + height, x + width))
        yield box, labels[box] == label


def _width(box: tuple[slice, slice], part: np.ndarray, shape: tuple[int, int]) -> float:
    """Diameter in pixels of the largest disc in a part of a hole.

    Beyond the border of the picture nothing is known, so a disc may reach there.
    """
    known = [(int(side.start > 0), int(side.stop < size)) for side, size in zip(box, shape)]
    distance = cv2.distanceTransform(np.pad(part.astype(np.uint8), known), cv2.DIST_L2, 5)
    return 2 * float(distance.max())


def _slices(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    top, left, bottom, right = box
    return slice(top, bottom), slice(left, right)
