# Photographs that scikit-image ships, at hand with a shorter edge of 256; pictures of 128x128 with
# holes of 24 to 56.
_base_ = '../loaders.py'

_bbox = dict(
    type='LoadMask',
    mask_mode='bbox',
    mask_config=dict(max_bbox_shape=(56, 56), max_bbox_delta=64, min_margin=10),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        type='DemoPhotos',
        split='train',
        pipeline=[
            dict(type='RandomResize', scale=(128, 320)),
            dict(type='RandomCrop', crop_size=(128, 128)),
            dict(type='Flip', flip_ratio=0.5, direction='horizontal'),
            dict(type='Flip', flip_ratio=0.5, direction='vertical'),
            _bbox,
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    num_workers=0,
    dataset=dict(
        type='DemoPhotos',
        split='val',
        repeats=8,
        pipeline=[
            dict(type='Resize', scale=170),
            dict(type='RandomCrop', crop_size=(128, 128)),
            _bbox,
            dict(type='PackInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
# Simple fills are scored on the same holes, the one too that the network begins with.
val_evaluator = dict(baselines=['mean', 'telea', 'membrane'])
test_evaluator = val_evaluator
