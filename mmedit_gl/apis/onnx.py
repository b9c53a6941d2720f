"""A trained generator as an ONNX file, which completes pictures without torch and this package."""

import copy
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmedit_gl.errors import UserError
from mmedit_gl.files import check_place, whole
from mmedit_gl.models import GLInpaintor, GLPreprocessor, to_float, to_uint8

CHECKED = [(1, 64, 64), (2, 96, 160), (1, 75, 131), (1, 256, 256)]  # batch, height, width
ROUNDED = 1e-3  # share of the samples that may be rounded the other way, by one level

# `mmedit_gl.pictures.membrane` as ONNX writes it, in a graph for pictures of every size: conjugate
# gradients for each channel of each picture, until the Laplacian is about 0.
MEMBRANE = """
<domain: "mmedit_gl", opset_import: ["": 18]>
membrane (img, mask) => (x) {
    one = Constant <value_float = 1.0> ()
    tolerance = Constant <value_float = 5e-7> ()
    most = Constant <value_ints = [100000]> ()
    stencil = Constant <value_floats = [0.0, 1.0, 0.0, 1.0, -4.0, 1.0, 0.0, 1.0, 0.0]> ()
    shape = Constant <value_ints = [3, 1, 3, 3]> ()
    square = Constant <value_ints = [1, 1, 3, 3]> ()
    pads = Constant <value_ints = [0, 0, 1, 1, 0, 0, 1, 1]> ()
    axes = Constant <value_ints = [2, 3]> ()
    tiny = Constant <value_float = 1e-30> ()
    one_kernel = Reshape (stencil, square)
    kernel = Expand (one_kernel, shape)
    known = Sub (one, mask)
    x_0 = Mul (img, known)
    x_padded = Pad <mode = "edge"> (x_0, pads)
    laplacian = Conv <group = 3> (x_padded, kernel)
    rest_0 = Mul (laplacian, mask)
    squares = Mul (rest_0, rest_0)
    squared_0 = ReduceSum <keepdims = 1> (squares, axes)
    always = Cast <to = 9> (one)
    x, rest, step, squared = Loop (most, always, x_0, rest_0, rest_0, squared_0) <
        body = iteration (int64 i, bool before, x_in, rest_in, step_in, squared_in)
            => (bool goes_on, x_out, rest_out, step_out, squared_out) {
            padded = Pad <mode = "edge"> (step_in, pads)
            curvature = Conv <group = 3> (padded, kernel)
            change = Mul (curvature, mask)
            products = Mul (step_in, change)
            product = ReduceSum <keepdims = 1> (products, axes)
            falling = Neg (product)
            divisor = Max (falling, tiny)
            length = Div (squared_in, divisor)
            x_change = Mul (length, step_in)
            x_out = Add (x_in, x_change)
            rest_change = Mul (length, change)
            rest_out = Add (rest_in, rest_change)
            rest_squares = Mul (rest_out, rest_out)
            squared_out = ReduceSum <keepdims = 1> (rest_squares, axes)
            last = Max (squared_in, tiny)
            share = Div (squared_out, last)
            kept = Mul (share, step_in)
            step_out = Add (rest_out, kept)
            size = Abs (rest_out)
            largest = ReduceMax <keepdims = 0> (size)
            goes_on = Greater (largest, tolerance)
        }
    >
}
"""


class Completion(nn.Module):
    """The graph of the file: pictures and masks as people have them, to completed pictures.

    `image`, uint8 RGB `(N, H, W, 3)`, and `mask`, uint8 `(N, H, W)`, where hole is what is at least
    half of white (128 of 255, or 1 where none of a mask's values exceeds 1), to `completed`, which
    is `image` but for the hole. RGB, as all libraries but OpenCV have it.
    """

    def __init__(self, generator: nn.Module, preprocessor: GLPreprocessor):
        super().__init__()
        self.generator, self.preprocessor = generator, preprocessor

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        img, mask = image.permute(0, 3, 1, 2).flip(1).float(), mask[:, None].float()
        threshold = torch.where(mask.amax((1, 2, 3), keepdim=True) > 1, 128.0, 1.0)
        mask = (mask >= threshold).float()
        fake_res = self.generator(self.preprocessor.cut_hole(to_float(img), mask), mask)
        completed = to_uint8(fake_res).flip(1).permute(0, 2, 3, 1)
        return torch.where(mask.permute(0, 2, 3, 1) == 1, completed, image)


def export_onnx(model: GLInpaintor, path: str | Path) -> str:
    """Write a model's generator, with batch norm folded in, to an ONNX file; gives its summary.

    Inputs and output are those of `Completion`, of any batch size, height and width. Before the
    file is there, onnxruntime must give what torch gives at the sizes of `CHECKED`, to a level in
    255 and all but `ROUNDED` of the samples exactly. Raises `UserError` where it does not, where
    the packages are missing, and where `path` cannot be written.
    """
    try:
        for name in ('onnx', 'onnxruntime', 'onnxscript'):
            import_module(name)
    except ImportError:
        raise UserError(
            f'cannot export to ONNX, for {name} is not installed: pip install "mmedit_gl[onnx]"'
        ) from None
    path = Path(path)
    check_place(path)
    proto = _graph(model)
    difference = _check(proto, model)
    with whole(path) as part:
        part.write_bytes(proto.SerializeToString())
    return (
        f'{path}: {path.stat().st_size / 1e6:.1f} MB, opset {proto.opset_import[0].version}, '
        f'checked against torch at {len(CHECKED)} sizes, largest difference {difference} of 255'
    )


def _folded(generator: nn.Module) -> nn.Module:
    """A copy of the generator for inference, with batch norm folded into the convolutions."""
    generator = copy.deepcopy(generator).cpu().eval()
    for module in list(generator.modules()):
        if isinstance(module, ConvModule) and isinstance(module.norm, _BatchNorm):
            transposed = isinstance(module.conv, nn.ConvTranspose2d)
            module.conv = fuse_conv_bn_eval(module.conv, module.norm, transposed)
            setattr(module, module.norm_name, nn.Identity())
    return generator


def _graph(model: GLInpaintor):
    """The graph as an `onnx.ModelProto`."""
    import onnx
    from onnxscript.values import Op, Opset

    function = onnx.parser.parse_function(MEMBRANE)
    schema = onnx.defs.OpSchema(
        function.name,
        function.domain,
        1,
        inputs=[onnx.defs.OpSchema.FormalParameter(name, 'T') for name in function.input],
        outputs=[onnx.defs.OpSchema.FormalParameter(name, 'T') for name in function.output],
        type_constraints=[('T', ['tensor(float)'], '')],
    )
    node = Op(Opset(function.domain, 1), function.name, schema)
    parts = _folded(model.generator), copy.deepcopy(model.data_preprocessor)
    image, mask = map(torch.from_numpy, _sample(2, 75, 131))
    axes = {i: torch.export.Dim(name) for i, name in enumerate(('batch', 'height', 'width'))}
    with warnings.catch_warnings():
        # Of torch itself, for the two inputs have the same axes.
        warnings.filterwarnings('ignore', message='.*axis name: .* will not be used')
        program = torch.onnx.export(
            Completion(*parts).cpu().eval(),
            (image, mask),
            input_names=['image', 'mask'],
            output_names=['completed'],
            dynamic_shapes=(axes, axes),
            custom_translation_table={
                torch.ops.mmedit_gl.membrane.default: lambda img, mask: node(img, mask)
            },
            dynamo=True,
            verbose=False,
        )
    proto = program.model_proto
    if model.data_preprocessor.hole_fill == 'membrane':
        function.opset_import[0].version = proto.opset_import[0].version
        proto.functions.append(function)
        proto.opset_import.append(onnx.helper.make_opsetid(function.domain, 1))
    return proto


def _check(proto, model: GLInpaintor) -> int:
    """The largest difference, in levels, between what onnxruntime and torch give."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=['CPUExecutionProvider']
    )
    parts = copy.deepcopy((model.generator, model.data_preprocessor))
    completion = Completion(*parts).cpu().eval()
    largest = 0
    for size in CHECKED:
        image, mask = _sample(*size)
        with torch.inference_mode():
            expected = completion(torch.from_numpy(image), torch.from_numpy(mask)).numpy()
        (given,) = session.run(None, dict(image=image, mask=mask))
        differences = np.abs(given.astype(int) - expected)
        share = np.count_nonzero(differences) / differences.size
        if differences.max() > 1 or share > ROUNDED:
            raise UserError(
                'no ONNX file is written, for onnxruntime does not give what torch gives: at '
                f'{size} differences of up to {differences.max()} levels in {share:.2%} of the '
                f'samples, expected 1 in at most {ROUNDED:.2%}; try other versions of the two'
            )
        largest = max(largest, int(differences.max()))
    return largest


def _sample(batch: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of noise with a hole of half their sides."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    mask = np.zeros((batch, height, width), np.uint8)
    mask[:, height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = 255
    return image, mask
