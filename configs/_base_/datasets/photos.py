# Photographs below a folder, for training, and others for measuring; crops of 256x256 with holes of
# many kinds and sizes. mmedit_gl/apis/default/README.md says how to get those of the small model.
_base_ = '../loaders.py'

_mix = dict(
    type='LoadMask',
    mask_mode='mix',
    mask_config=dict(
        sources=[
            dict(  # scratches, up to 8
                mask_mode='ff',
                mask_config=dict(
                    num_vertices=(4, 13), brush_width=(2, 15), max_loops=9, mirrored=True
                ),
                weight=0.3,
            ),
            dict(  # strokes of a brush over an object, one or two
                mask_mode='ff',
                mask_config=dict(
                    num_vertices=(4, 13), brush_width=(12, 49), max_loops=3, mirrored=True
                ),
                weight=0.1,
            ),
            dict(
                mask_mode='shapes',
                mask_config=dict(shape='box', size_range=(16, 176), max_shapes=2),
                weight=0.25,
            ),
            dict(
                mask_mode='shapes',
                mask_config=dict(shape='ellipse', size_range=(24, 192), max_shapes=2),
                weight=0.35,
            ),
        ],
    ),
)
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    dataset=dict(
        type='ImageDataset',
        data_root='data/photos/train',
        in_memory=320,
        pipeline=[
            dict(type='RandomResize', scale=(256, 352), interpolation='area'),
            dict(type='RandomCrop', crop_size=(256, 256)),
            dict(type='Flip', flip_ratio=0.5, direction='horizontal'),
            _mix,
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,  # pictures of many sizes
    num_workers=2,
    persistent_workers=True,
    dataset=dict(
        type='ImageDataset',
        data_root='data/photos/eval',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=384, interpolation='area'),
            _mix,
            dict(type='PackInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(baselines=['telea', 'ns'])
test_evaluator = val_evaluator
