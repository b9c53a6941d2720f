# Ellipses about 120 pixels wide in photographs of 384 pixels.
_base_ = '../global_local/gl_256x256_photos.py'

test_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.test_dataloader.dataset.pipeline[:2],  # reading, scale
            dict(
                type='LoadMask',
                mask_mode='shapes',
                mask_config=dict(
                    shape='ellipse', size_range=(120, 120), max_aspect=1.5, inside=True
                ),
            ),
            dict(type='PackInputs'),
        ]
    )
)
