# Scratches of 3 to 12 pixels in photographs of 384 pixels.
_base_ = '../global_local/gl_256x256_photos.py'

test_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.test_dataloader.dataset.pipeline[:2],  # reading, scale
            dict(
                type='LoadMask',
                mask_mode='ff',
                mask_config=dict(
                    num_vertices=(4, 13), brush_width=(3, 13), max_loops=5, mirrored=True
                ),
            ),
            dict(type='PackInputs'),
        ]
    )
)
