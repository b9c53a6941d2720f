# Half of the channels, pictures of 128x128, holes of 24 to 64 in training and of 48 to 64 in the
# test, on freely licensed photographs: the small model that the package ships.
#   Source     this project; mmedit_gl/apis/default/README.md says how to get the photographs
#   Result     l1 11.494 %, PSNR 24.321 dB, SSIM 0.864 on 200 holes in 5 photographs that it never
#              saw; on the same holes mean colour has 16.339 %, 22.297 dB, 0.835, Telea's fast
#              marching 11.566 %, 23.947 dB, 0.868
#   Cost       1 hour on two cores that have bfloat16
#   Command    python tools/train.py configs/inpainting/global_local/gl_128x128_photos.py
#   Differs from gl_256x256_8x12_places.py: size and length; the generator alone, by l1 in the hole,
#   in mixed precision, with a learning rate that begins at 1e-3 and falls to zero
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl.py',
    '../../_base_/datasets/debian_photos.py',
    '../../_base_/schedules/gl_500k.py',
]

_iters = 9_000
model = dict(
    encdec=dict(
        encoder=dict(base_channels=32),
        dilation_neck=dict(base_channels=32),
        decoder=dict(base_channels=32),
    ),
    disc=None,
    loss_gan=None,
    train_cfg=dict(iter_tc=_iters, iter_td=_iters),
)
optim_wrapper = dict(generator=dict(type='AmpOptimWrapper', optimizer=dict(lr=1e-3)), disc=None)
param_scheduler = dict(
    generator=[
        dict(type='LinearLR', by_epoch=False, start_factor=0.01, begin=0, end=200),
        dict(type='CosineAnnealingLR', by_epoch=False, T_max=_iters - 200, eta_min=0, begin=200),
    ],
)
train_cfg = dict(max_iters=_iters, val_interval=1_000)
default_hooks = dict(
    checkpoint=dict(interval=250, max_keep_ckpts=1),
    train_samples=dict(interval=1_000),
)
