"""The completion network of Iizuka et al. 2017, Table 1."""

from collections import OrderedDict

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmedit_gl.errors import UserError
from mmedit_gl.registry import MODELS

# Rows of Table 1; the width is in units of `base_channels`.
# (width, kernel, stride)
ENCODER = [(1, 5, 1), (2, 3, 2), (2, 3, 1), (4, 3, 2), (4, 3, 1), (4, 3, 1)]
DILATIONS = [2, 4, 8, 16]
# (width, kernel, upsampling)
DECODER = [(4, 3, 1), (4, 3, 1), (2, 4, 2), (2, 3, 1), (1, 4, 2), (0.5, 3, 1)]

BATCH_NORM = dict(type='BN')
RELU = dict(type='ReLU')


@MODELS.register_module()
class GLEncoder(nn.Sequential):
    """Picture and mask to features: `(N, 4, H, W) -> (N, 4 * base_channels, H/4, W/4)`."""

    def __init__(
        self,
        base_channels: int = 64,
        norm_cfg: dict | None = BATCH_NORM,
        act_cfg: dict = RELU,
    ):
        layers, channels = OrderedDict(), 4
        for i, (width, kernel, stride) in enumerate(ENCODER, start=1):
            layers[f'enc{i}'] = ConvModule(
                channels,
                width * base_channels,
                kernel,
                stride,
                padding=kernel // 2,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
            channels = width * base_channels
        super().__init__(layers)


@MODELS.register_module()
class GLDilationNeck(nn.Module):
    """Dilated convolutions, which widen the receptive field to 307 pixels (section 3.2).

    `(N, 4 * base_channels, H/4, W/4)` to the same shape.
    """

    def __init__(
        self,
        base_channels: int = 64,
        norm_cfg: dict | None = BATCH_NORM,
        act_cfg: dict = RELU,
    ):
        super().__init__()
        channels = 4 * base_channels
        self.dilation_convs = nn.Sequential(
            *(
                ConvModule(
                    channels,
                    channels,
                    3,
                    padding=dilation,
                    dilation=dilation,
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                )
                for dilation in DILATIONS
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.dilation_convs(x)


class Sigmoid(nn.Module):
    """The sigmoid, stretched to [-1, 1]: `2 * sigmoid(x) - 1`."""

    def forward(self, x: Tensor) -> Tensor:
        return (x / 2).tanh()  # the same, and exact about 0 in half precision


OUTPUTS = dict(clip=nn.Hardtanh, sigmoid=Sigmoid)


@MODELS.register_module()
class GLDecoder(nn.Sequential):
    """Features to picture: `(N, 4 * base_channels, H/4, W/4) -> (N, 3, H, W)`, in [-1, 1].

    `out_act` is `'clip'`, as published, or `'sigmoid'`, as in the paper. Raises `UserError` for
    another, and for odd `base_channels`.
    """

    def __init__(
        self,
        base_channels: int = 64,
        norm_cfg: dict | None = BATCH_NORM,
        act_cfg: dict = RELU,
        out_act: str = 'clip',
    ):
        if base_channels % 2:
            raise UserError(f'base_channels must be even, got {base_channels}')
        if out_act not in OUTPUTS:
            raise UserError(f'GLDecoder: expected out_act in {sorted(OUTPUTS)}, got {out_act!r}')
        layers, channels = OrderedDict(), 4 * base_channels
        for i, (width, kernel, upsampling) in enumerate(DECODER, start=1):
            layers[f'dec{i}'] = ConvModule(
                channels,
                int(width * base_channels),
                kernel,
                upsampling,
                padding=1,
                conv_cfg=dict(type='Conv' if upsampling == 1 else 'deconv'),
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
            channels = int(width * base_channels)
        layers['dec7'] = ConvModule(channels, 3, 3, padding=1, act_cfg=None)
        layers['out_act'] = OUTPUTS[out_act]()
        super().__init__(layers)
        # So that training starts within [-1, 1]: what is clipped has no gradient.
        nn.init.normal_(self.dec7.conv.weight, std=0.02)


@MODELS.register_module()
class GLEncoderDecoder(nn.Module):
    """The generator: completes pictures of any size.

    Where H or W is no multiple of 4, the convolutions' own zero padding fills up the last
    row and column of features, and what exceeds the picture is cut off. With `residual` the decoder
    gives what is added to `masked_img`, whose hole is then to be filled already. Raises `UserError`
    for `residual` with another output than `'clip'`.
    """

    def __init__(self, encoder: dict, dilation_neck: dict, decoder: dict, residual: bool = False):
        if residual and decoder.get('out_act', 'clip') != 'clip':
            raise UserError(
                "GLEncoderDecoder: residual=True adds to a picture, which goes with out_act='clip' "
                f'of the decoder, got {decoder["out_act"]!r}'
            )
        super().__init__()
        self.residual = residual
        self.encoder = MODELS.build(encoder)
        self.dilation_neck = MODELS.build(dilation_neck)
        self.decoder = MODELS.build(decoder)

    def forward(self, masked_img: Tensor, mask: Tensor) -> Tensor:
        """`fake_res` from `masked_img`, whose hole is filled, and `mask`, 1 in the hole.

        `(N, 3, H, W), (N, 1, H, W) -> (N, 3, H, W)`, values in [-1, 1].
        """
        x = torch.cat([masked_img, mask], dim=1)
        x = self.dilation_neck(self.encoder(x))
        *layers, out_act = self.decoder
        for layer in layers:
            x = layer(x)
        x = x[..., : mask.shape[-2], : mask.shape[-1]]
        return out_act(masked_img + x if self.residual else x)
