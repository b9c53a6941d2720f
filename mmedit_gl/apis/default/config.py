# What the package's small model is: the model of gl_256x256_photos.py in the configs.
_norm = dict(norm_cfg=dict(type='BN'))
model = dict(
    type='GLInpaintor',
    data_preprocessor=dict(type='GLPreprocessor', hole_fill='membrane'),
    encdec=dict(
        type='GLEncoderDecoder',
        encoder=dict(type='GLEncoder', **_norm),
        dilation_neck=dict(type='GLDilationNeck', **_norm),
        decoder=dict(type='GLDecoder', **_norm),
        residual=True,
    ),
    trained_hole=192,
)
