# Boxes of 48 to 64 pixels in photographs of 384 pixels.
_base_ = '../global_local/gl_256x256_photos.py'

test_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.test_dataloader.dataset.pipeline[:2],  # reading, scale
            dict(
                type='LoadMask',
                mask_mode='bbox',
                mask_config=dict(max_bbox_shape=(64, 64), max_bbox_delta=32, min_margin=8),
            ),
            dict(type='PackInputs'),
        ]
    )
)
