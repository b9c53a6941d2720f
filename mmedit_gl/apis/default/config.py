# What the package's small model is: the model of gl_128x128_photos.py in the configs, and the holes
# of its training.
_parts = dict(base_channels=32, norm_cfg=dict(type='BN'))
model = dict(
    type='GLInpaintor',
    data_preprocessor=dict(type='GLPreprocessor'),
    encdec=dict(
        type='GLEncoderDecoder',
        encoder=dict(type='GLEncoder', **_parts),
        dilation_neck=dict(type='GLDilationNeck', **_parts),
        decoder=dict(type='GLDecoder', **_parts),
    ),
)
_load_mask = dict(type='LoadMask', mask_mode='bbox', mask_config=dict(max_bbox_shape=(64, 64)))
train_dataloader = dict(dataset=dict(pipeline=[_load_mask]))
