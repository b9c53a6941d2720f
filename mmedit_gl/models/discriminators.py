"""The global and the local discriminator (Iizuka et al. 2017, section 3.3)."""

from collections import OrderedDict

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmedit_gl.errors import UserError
from mmedit_gl.models.generator import BATCH_NORM, RELU
from mmedit_gl.registry import MODELS


@MODELS.register_module()
class MultiLayerDiscriminator(nn.Sequential):
    """Convolutions of stride 2, each twice as wide, then a fully connected layer.

    `(N, in_channels, H, W) -> (N, fc_out_channels)`. `fc_in_channels` is the number of values
    that the last convolution gives: its channels times `H * W / 4 ** num_convs`. `act_cfg` is the
    activation of the convolutions, `out_act_cfg` that of the fully connected layer, None for none.
    """

    def __init__(
        self,
        in_channels: int,
        max_channels: int,
        num_convs: int,
        fc_in_channels: int,
        fc_out_channels: int = 1024,
        kernel_size: int = 5,
        base_channels: int = 64,
        norm_cfg: dict | None = BATCH_NORM,
        act_cfg: dict = RELU,
        out_act_cfg: dict | None = RELU,
    ):
        widths = [min(base_channels * 2**i, max_channels) for i in range(num_convs)]
        layers = OrderedDict()
        for i, (before, width) in enumerate(zip([in_channels, *widths], widths), start=1):
            layers[f'conv{i}'] = ConvModule(
                before,
                width,
                kernel_size,
                stride=2,
                padding=kernel_size // 2,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
        layers['flatten'] = nn.Flatten()
        fc = OrderedDict(linear=nn.Linear(fc_in_channels, fc_out_channels))
        if out_act_cfg is not None:
            fc['activate'] = MODELS.build(out_act_cfg)
        layers['fc'] = nn.Sequential(fc)
        super().__init__(layers)

    def forward(self, x: Tensor) -> Tensor:
        *convs, fc = self
        features = x
        for layer in convs:
            features = layer(features)
        if features.shape[1] != fc.linear.in_features:
            raise UserError(
                f'a discriminator with fc_in_channels={fc.linear.in_features} cannot judge a '
                f'picture of {x.shape[2]}x{x.shape[3]} pixels: set it to {features.shape[1]}, or '
                'change the size of the pictures or of the local window'
            )
        return fc(features)


@MODELS.register_module()
class GLDiscs(nn.Module):
    """Both discriminators and the layer that joins them.

    `global_disc_cfg` and `local_disc_cfg` are the arguments of a `MultiLayerDiscriminator`. Fully
    connected layers begin as in OpenMMLab's recipe: normal weights with a standard deviation of
    0.02, biases of 0.
    """

    def __init__(self, global_disc_cfg: dict, local_disc_cfg: dict):
        super().__init__()
        self.global_disc = MODELS.build(dict(type='MultiLayerDiscriminator', **global_disc_cfg))
        self.local_disc = MODELS.build(dict(type='MultiLayerDiscriminator', **local_disc_cfg))
        branches = (self.global_disc, self.local_disc)
        self.fc = nn.Linear(sum(branch.fc.linear.out_features for branch in branches), 1)
        for layer in (*(branch.fc.linear for branch in branches), self.fc):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, img: Tensor, local_img: Tensor) -> Tensor:
        """Logit, positive for a real picture.

        `(N, 3, H, W), (N, 3, local_size, local_size) -> (N, 1)`, pictures in [-1, 1].
        """
        features = [self.global_disc(img), self.local_disc(local_img)]
        return self.fc(torch.cat(features, dim=1))
