# Networks, losses and optimizers, with the published values.
model = dict(
    type='GLInpaintor',
    data_preprocessor=dict(type='GLPreprocessor'),
    encdec=dict(
        type='GLEncoderDecoder',
        encoder=dict(type='GLEncoder', norm_cfg=dict(type='BN')),
        dilation_neck=dict(type='GLDilationNeck', norm_cfg=dict(type='BN')),
        decoder=dict(type='GLDecoder', norm_cfg=dict(type='BN')),
    ),
    disc=dict(
        type='GLDiscs',
        global_disc_cfg=dict(  # judges the whole picture of 256x256
            in_channels=3,
            max_channels=512,
            num_convs=6,
            fc_in_channels=512 * 4 * 4,
            fc_out_channels=1024,
            norm_cfg=dict(type='BN'),
        ),
        local_disc_cfg=dict(  # judges the window of `local_size` around the hole
            in_channels=3,
            max_channels=512,
            num_convs=5,
            fc_in_channels=512 * 4 * 4,
            fc_out_channels=1024,
            norm_cfg=dict(type='BN'),
        ),
    ),
    loss_l1_hole=dict(type='L1Loss', loss_weight=1.0),
    loss_gan=dict(type='GANLoss', gan_type='vanilla', loss_weight=0.001),
    # A leaf config adds iter_tc and iter_td.
    train_cfg=dict(local_size=(128, 128)),
    # Pixels: the tools complete wider holes at a reduced scale.
    trained_hole=128,
)
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    generator=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-4, fused=True)),
    disc=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-4, fused=True)),
)
