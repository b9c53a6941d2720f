# Global&Local in miniature: a quarter of the channels, pictures of 128x128, holes of 24 to 56, on
# photographs that scikit-image ships.
#   Source     this project, to see the whole path at work
#   Expected   l1 8.9 %, PSNR 29.3 dB, SSIM 0.939 on 16 holes in 2 photographs; on the same holes
#              the membrane with which it begins has 9.4 %, 29.2 dB, 0.938, mean colour 16.4 %,
#              25.5 dB, 0.913, Telea's fast marching 10.0 %, 27.8 dB, 0.938: in so short a time the
#              network learns little more than not to spoil it
#   Cost       5 minutes on two AVX2 cores
#   Command    python tools/train.py configs/inpainting/global_local/gl_128x128_demo.py
#   Differs from gl_256x256_8x12_places.py: size and length; pictures mirrored at random; the hole
#   begins as the membrane of its border, and the network adds to it; the generator's learning rate
#   falls to zero over the run, so that the short joint phase refines what the first has learned
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl.py',
    '../../_base_/datasets/demo_photos.py',
    '../../_base_/schedules/gl_500k.py',
]

_disc = dict(base_channels=16, max_channels=128, fc_in_channels=128 * 4 * 4, fc_out_channels=256)
model = dict(
    data_preprocessor=dict(hole_fill='membrane'),
    encdec=dict(
        residual=True,
        encoder=dict(base_channels=16),
        dilation_neck=dict(base_channels=16),
        decoder=dict(base_channels=16),
    ),
    disc=dict(
        global_disc_cfg=dict(num_convs=5, **_disc),
        local_disc_cfg=dict(num_convs=4, **_disc),
    ),
    train_cfg=dict(iter_tc=740, iter_td=770, local_size=(64, 64)),
    trained_hole=56,
)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=5e-4)))
param_scheduler = dict(
    generator=[dict(type='CosineAnnealingLR', by_epoch=False, T_max=800, eta_min=0)],
    disc=[],
)
train_cfg = dict(max_iters=800, val_interval=800)
default_hooks = dict(
    logger=dict(interval=20),  # so that each phase ends with a line
    checkpoint=dict(interval=400, max_keep_ckpts=1),
    train_samples=dict(interval=400),
)
