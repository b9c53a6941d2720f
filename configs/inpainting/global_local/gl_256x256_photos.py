# Global&Local on freely licensed photographs: pictures of 256x256 with holes of many kinds, up to
# 192 pixels wide. The model that the package ships is this run's iter_47500.pth, the end of its
# first phase, trained in parts: mmedit_gl/apis/default/README.md says how.
#   Source     this project; mmedit_gl/apis/default/README.md says how to get the photographs
#   Result     mmedit_gl/apis/default/README.md
#   Cost       0.028 s an iteration on one H200 GPU with 15 workers, 0.031 s on an H100; in the
#              joint phase 0.042 s on an H200
#   Command    python tools/train.py configs/inpainting/global_local/gl_256x256_photos.py
#   Differs from gl_256x256_8x12_places.py: the hole begins as the harmonic membrane of its border,
#   and the network adds to it; boxes, ellipses and strokes; pictures mirrored at random; one
#   process with a batch of 32; mixed precision; a loss of the hole's mean colour; a learning rate
#   that falls from 1e-3, again from 4e-4, and in the joint phase to zero; 0.002 as weight of the
#   adversarial loss
#   Chosen by short runs: l1 in the hole over the better of Telea's and Navier-Stokes', photographs
#   never seen, for strokes, boxes, ellipses of 120 and of 170 pixels. Half of the channels, crops
#   of 128x128, l1 alone:
#     37 photographs, boxes, hole grey             144,000 samples   1.96  1.05  0.96  0.97
#     these photographs, mixed holes, hole grey    144,000 samples   1.28  1.05  0.91  0.88
#     the same, hole filled smoothly, residual      48,000 samples   1.07  1.02  0.95  0.94
#   This run without the loss of the mean colour, 48 photographs; last the median of the mean
#   gradient in the holes of 120 pixels, over the original's:
#     after iteration 37,500                     1,200,000 samples   0.79  0.77  0.84  0.83  0.22
#     after the joint phase from there           1,344,000 samples   0.80  0.78  0.86  0.84  0.47
#   To the eye the discriminators' sharpness is a woven pattern after so few iterations.
#   Error of the mean colour in strokes over Navier-Stokes', 97 photographs:
#     after iteration 37,500                     1,200,000 samples   0.82
#     10,000 more with the mean colour's loss    1,520,000 samples   0.76
#     7,500 more with twice its weight, strokes in half of the samples, and 2,019 of the 2,403
#     pictures                                   1,760,000 samples   0.77
#   In these runs strokes were a little thicker, and all bent within the same range of angles.
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl.py',
    '../../_base_/datasets/photos.py',
    '../../_base_/schedules/gl_500k.py',
]

_again, _iter_tc, _iter_td, _iters = 37_500, 47_500, 48_500, 53_000
model = dict(
    data_preprocessor=dict(hole_fill='membrane'),
    encdec=dict(residual=True),
    loss_mean_colour=dict(type='MeanColourLoss'),
    loss_gan=dict(loss_weight=0.002),
    train_cfg=dict(iter_tc=_iter_tc, iter_td=_iter_td),
    trained_hole=192,
)
optim_wrapper = dict(
    generator=dict(type='AmpOptimWrapper', optimizer=dict(lr=1e-3)),
    disc=dict(type='AmpOptimWrapper'),
)
param_scheduler = dict(
    generator=[
        dict(type='LinearLR', by_epoch=False, start_factor=0.01, begin=0, end=500),
        dict(
            type='CosineAnnealingLR',
            by_epoch=False,
            T_max=_again - 500,
            eta_min=5e-5,
            begin=500,
            end=_again,
        ),
        dict(type='MultiStepLR', by_epoch=False, milestones=[_again], gamma=8),
        dict(
            type='CosineAnnealingLR',
            by_epoch=False,
            T_max=_iter_tc - _again,
            eta_min=1e-5,
            begin=_again,
            end=_iter_tc,
        ),
        dict(type='MultiStepLR', by_epoch=False, milestones=[_iter_tc], gamma=5),
        dict(
            type='LinearLR',
            by_epoch=False,
            start_factor=1,
            end_factor=0.01,
            begin=_iter_td,
            end=_iters,
        ),
    ],
    disc=[],
)
train_cfg = dict(max_iters=_iters, val_interval=6_000)
default_hooks = dict(
    checkpoint=dict(interval=1_500, max_keep_ckpts=5),
    train_samples=dict(interval=5_000),
)
