"""The generator, run only on what its holes depend on: the numbers of the full pass for less.

The generator is a stack of convolutions, so a box of its output depends on a window of the picture.
From the last layer to the first, each box tells which box of its input a layer needs; run forward,
each layer then computes no more than that. Zeros stand where a box reaches beyond the border of the
picture, as in the full pass, and nowhere else.
"""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mmedit_gl.errors import UserError
from mmedit_gl.models.generator import GLEncoderDecoder

DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)
CELLS = 256  # at most about so many boxes does a mask begin with
MIN_CELL = 128  # pixels a side
BAND = 2**21  # values of the first layer's output that are held at once

Box = tuple[int, int, int, int]  # top, left, bottom, right, the last two excluded


class Layer:
    """A convolution with its batch norm folded in, and what it does to an interval of an axis.

    Intervals, `[start, stop)` in pixels, may be integers or arrays of them.
    """

    def __init__(self, module: ConvModule, dtype: torch.dtype):
        conv = module.conv
        self.kernel, self.stride = conv.kernel_size[0], conv.stride[0]
        self.dilation, self.padding = conv.dilation[0], conv.padding[0]
        self.transposed = isinstance(conv, nn.ConvTranspose2d)
        weight, bias = conv.weight.detach(), conv.bias
        norm = module.norm if module.with_norm else None
        if isinstance(norm, _BatchNorm) and norm.running_mean is not None:
            statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            weight, bias = fuse_conv_bn_weights(weight, bias, *statistics, self.transposed)
            norm = None
        self.norm = copy.deepcopy(norm)
        self.weight = weight.to(dtype, memory_format=torch.channels_last)
        self.bias = bias if bias is None else bias.detach().to(dtype)
        activate = module.activate if module.with_activation else nn.Identity()
        self.activate = copy.deepcopy(activate).to(dtype)
        taps = self.kernel**2 / (self.stride**2 if self.transposed else 1)
        self.flops = 2 * taps * conv.in_channels * conv.out_channels  # for a pixel of the output

    def size(self, size: int) -> int:
        """Length of the output of the whole picture, by that of the input."""
        if self.transposed:
            return (size - 1) * self.stride - 2 * self.padding + self.kernel
        return (size + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    def needs(self, start, stop):
        """The interval of the input that `[start, stop)` of the output is computed from."""
        if self.transposed:
            first = -((self.kernel - 1 - self.padding - start) // self.stride)
            return first, (stop - 1 + self.padding) // self.stride + 1
        first, last = start * self.stride - self.padding, (stop - 1) * self.stride - self.padding
        return first, last + self.dilation * (self.kernel - 1) + 1

    def step(self, start, stop, size: int) -> tuple['Step', tuple]:
        """How `[start, stop)` is computed from an input of length `size`, and from what of it."""
        first, last = self.needs(start, stop)
        inside = np.maximum(first, 0), np.minimum(last, size)
        zeros = excess = 0, 0
        if self.transposed:  # nothing comes from zeros
            origin = inside[0] * self.stride - self.padding
            end = (inside[1] - 1) * self.stride - self.padding + self.kernel
            excess = start - origin, end - stop
        else:
            zeros = inside[0] - first, last - inside[1]
        return Step(zeros, stop - start, excess), inside

    def __call__(self, x: Tensor, rows: 'Step', columns: 'Step') -> Tensor:
        # Zeros and excess that both ends have are the convolution's own matter: nothing is copied.
        zeros = [min(step.zeros) for step in (rows, columns)]
        excess = [min(step.excess) for step in (rows, columns)]
        missing = [z - zeros[i] for i in (1, 0) for z in (rows, columns)[i].zeros]
        if any(missing):
            x = F.pad(x, missing)
        if self.transposed:
            x = F.conv_transpose2d(x, self.weight, self.bias, self.stride, excess)
        else:
            x = F.conv2d(x, self.weight, self.bias, self.stride, zeros, self.dilation)
        top, left = rows.excess[0] - excess[0], columns.excess[0] - excess[1]
        x = x[..., top : top + rows.length, left : left + columns.length]
        if self.norm is not None:
            x = self.norm(x)
        return self.activate(x)


@dataclass(frozen=True)
class Step:
    """What a layer does along one axis."""

    zeros: tuple[int, int]  # before and after the part of the input that is in the picture
    length: int  # of the output
    excess: tuple[int, int]  # what is computed beside it


@dataclass(frozen=True)
class Plan:
    """One pass: `box` of the picture is computed from its `window`.

    The first two layers, whose output is by far the largest, run in bands of rows, that it stays in
    the processor's cache: `bands` are their rows in the window, and their steps.
    """

    box: Box
    window: Box
    bands: list[tuple[slice, list[Step]]]
    rows: list[Step]  # of the layers after those
    columns: list[Step]


class HoleAware:
    """A trained generator, run on what its holes depend on and no more.

    `precision` is `'fp32'`, within 1e-4 of the full pass, or `'bf16'`. The weights are copied, with
    batch norm folded into the convolutions; with a norm that looks at the whole picture every pass
    is a full one. Raises `UserError` for another precision.
    """

    def __init__(self, generator: GLEncoderDecoder, precision: str = 'fp32'):
        if precision not in DTYPES:
            raise UserError(f'expected precision in {sorted(DTYPES)}, got {precision!r}')
        self.dtype = DTYPES[precision]
        modules = [module for module in generator.modules() if isinstance(module, ConvModule)]
        self.layers = [Layer(module, self.dtype) for module in modules]
        self.is_local = all(layer.norm is None for layer in self.layers)
        self.residual, self.out_act = generator.residual, generator.decoder.out_act

    def plans(self, mask: np.ndarray) -> list[Plan]:
        """The passes that fill the holes of a mask `(H, W)`, 1 in the hole; none without a hole.

        Their boxes are chosen for few operations in all: the hole's parts in a grid of cells are
        the first, the two that gain most by it are joined until one is left, and the best of these
        groupings is taken. A full pass is chosen where that costs no more.
        """
        if not mask.any():
            return []
        whole = np.array([[0, 0, *mask.shape]])
        boxes = self._join(_cells(mask), mask.shape) if self.is_local else whole
        if self._cost(boxes, mask.shape).sum() >= self._cost(whole, mask.shape).sum():
            boxes = whole
        return [self._plan(box, mask.shape) for box in boxes.tolist()]

    def __call__(self, plan: Plan, masked_img: Tensor, mask: Tensor) -> Tensor:
        """`fake_res` in `plan.box`, from `masked_img` and `mask` in `plan.window`.

        `(N, 3, h, w), (N, 1, h, w)` to `(N, 3, bottom - top, right - left)`, values in [-1, 1].
        """
        x = torch.cat([masked_img, mask], dim=1)
        x = x.to(self.dtype, memory_format=torch.channels_last)
        head, tail = slice(0, 2), slice(2, None)
        bands = [self._run(head, x[:, :, rows], steps, plan.columns) for rows, steps in plan.bands]
        x = self._run(tail, torch.cat(bands, dim=2), plan.rows, plan.columns)
        top, left, bottom, right = plan.box
        x = x[..., : bottom - top, : right - left].to(masked_img.dtype)
        if self.residual:
            y, x0 = plan.window[:2]
            x = masked_img[..., top - y : bottom - y, left - x0 : right - x0] + x
        return self.out_act(x)

    def fill(self, masked_img: Tensor, mask: Tensor) -> Tensor:
        """`fake_res` in the holes of a batch, any values elsewhere.

        `(N, 3, H, W), (N, 1, H, W) -> (N, 3, H, W)`, values in [-1, 1]. Each picture has the same
        bits in any batch and with any number of threads.
        """
        masks = mask[:, 0].to('cpu', torch.uint8).numpy()

        @torch.no_grad()
        def fill_picture(i: int) -> Tensor:
            fake_res = torch.zeros_like(masked_img[i])
            for plan in self.plans(masks[i]):
                top, left, bottom, right = plan.window
                window = slice(i, i + 1), ..., slice(top, bottom), slice(left, right)
                filled = self(plan, masked_img[window], mask[window])
                top, left, bottom, right = plan.box
                fake_res[:, top:bottom, left:right] = filled[0]
            return fake_res

        run = _side_by_side if mask.device.type == 'cpu' else map
        return torch.stack(list(run(fill_picture, range(len(masks)))))

    def _run(self, part: slice, x: Tensor, rows: list[Step], columns: list[Step]) -> Tensor:
        for layer, row, column in zip(self.layers[part], rows, columns[part]):
            x = layer(x, row, column)
        return x

    def _sizes(self, length: int) -> list[int]:
        """Length of every layer's input, and last of the output, for the whole picture."""
        sizes = [length]
        for layer in self.layers:
            sizes.append(layer.size(sizes[-1]))
        return sizes

    def _steps(self, part: slice, start, stop, length: int) -> tuple[list[Step], tuple]:
        """How layers compute `[start, stop)` of an axis, and the interval they start from."""
        steps = []
        for layer, size in zip(self.layers[part][::-1], self._sizes(length)[:-1][part][::-1]):
            step, (start, stop) = layer.step(start, stop, size)
            steps.append(step)
        return steps[::-1], (start, stop)

    def _cost(self, boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Operations of the passes that compute each of `boxes`, `(..., 4)`."""
        top, left, bottom, right = np.moveaxis(boxes, -1, 0)
        rows, _ = self._steps(slice(None), top, bottom, shape[0])
        columns, _ = self._steps(slice(None), left, right, shape[1])
        return sum(la.flops * r.length * c.length for la, r, c in zip(self.layers, rows, columns))

    def _join(self, boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        def gain(some: np.ndarray, others: np.ndarray) -> np.ndarray:
            apart = self._cost(some, shape) + self._cost(others, shape)
            return apart - self._cost(_hull(some, others), shape)

        gains = gain(boxes[:, None], boxes[None])
        np.fill_diagonal(gains, -np.inf)
        total, best, gained = 0, boxes.copy(), 0
        while len(boxes) > 1:
            i, j = sorted(np.unravel_index(gains.argmax(), gains.shape))
            total += gains[i, j]
            boxes[i] = _hull(boxes[i], boxes[j])
            boxes = np.delete(boxes, j, axis=0)
            gains = np.delete(np.delete(gains, j, axis=0), j, axis=1)
            gains[i] = gains[:, i] = gain(boxes[i], boxes)
            gains[i, i] = -np.inf
            if total >= gained:
                best, gained = boxes.copy(), total
        return best

    def _plan(self, box: Box, shape: tuple[int, int]) -> Plan:
        top, left, bottom, right = box
        if not self.is_local:  # a size that is no multiple of 4 has rows and columns beyond it
            bottom, right = (self._sizes(length)[-1] for length in shape)
        columns, (first, last) = self._steps(slice(None), left, right, shape[1])
        rows, (start, stop) = self._steps(slice(2, None), top, bottom, shape[0])
        values = 2 * self.layers[0].weight.shape[0] * (last - first)  # for a row of the band
        band = max(1, BAND // values) if self.is_local else stop - start
        parts = [
            self._steps(slice(0, 2), row, min(row + band, stop), shape[0])
            for row in range(start, stop, band)
        ]
        window = (parts[0][1][0], first, parts[-1][1][1], last)
        bands = [(slice(a - window[0], b - window[0]), steps) for steps, (a, b) in parts]
        return Plan(tuple(box), window, bands, rows, columns)


def _side_by_side(function: Callable, items: Iterable) -> list:
    """What a function makes of each item, on one thread of torch: more may add in another order."""
    threads = torch.get_num_threads()
    try:
        with ThreadPool(threads, torch.set_num_threads, (1,)) as pool:
            return pool.map(function, items)
    finally:
        torch.set_num_threads(threads)  # of new threads and of MKL, which the pool's have set


def _hull(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The smallest box around each two."""
    corners = np.minimum(boxes, others)[..., :2], np.maximum(boxes, others)[..., 2:]
    return np.concatenate(corners, axis=-1)


def _cells(mask: np.ndarray) -> np.ndarray:
    """Tight boxes `(n, 4)` of the hole in each cell of a grid, which begins where the hole does."""
    side = max(MIN_CELL, math.isqrt(mask.size // CELLS))
    rows, corner = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))[0]
    boxes = []
    for top in range(rows[0], rows[-1] + 1, side):
        band = mask[top : top + side, corner:]
        for left in np.unique(np.flatnonzero(band.any(axis=0)) // side * side):
            cell = band[:, left : left + side]
            y, x = np.flatnonzero(cell.any(axis=1)), corner + np.flatnonzero(cell.any(axis=0))
            boxes.append((top + y[0], left + x[0], top + y[-1] + 1, left + x[-1] + 1))
    return np.array(boxes)
