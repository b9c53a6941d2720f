# Global&Local in miniature, on photographs that scikit-image ships: a quarter of the channels.
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl.py',
    '../../_base_/datasets/demo_photos.py',
]

_disc = dict(base_channels=16, max_channels=128, num_convs=5, fc_in_channels=128 * 4 * 4)
model = dict(
    encdec=dict(
        encoder=dict(base_channels=16),
        dilation_neck=dict(base_channels=16),
        decoder=dict(base_channels=16),
    ),
    disc=dict(
        global_disc_cfg=dict(**_disc, fc_out_channels=128),
        local_disc_cfg=dict(**{**_disc, 'num_convs': 4}, fc_out_channels=128),
    ),
    train_cfg=dict(iter_tc=300, iter_td=330, local_size=(64, 64)),
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(lr=1e-3)),
)
train_cfg = dict(type='TrainLoop', max_iters=400, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=100, max_keep_ckpts=1),
    train_samples=dict(interval=100),
)
