# A folder of one's own pictures as tools/dataset_converters/folder.py lists it:
#   data/my_pictures/train_list.txt, val_list.txt    pictures/holiday/1.jpg
#   data/my_pictures/pictures                        a link to the folder
# Pictures are shrunk, for photographs of many megapixels show little in 256x256 of their pixels;
# where decoding them keeps a GPU waiting, give more workers. Loaders are those of Places365.
_base_ = './places365.py'

_bbox = dict(
    type='LoadMask',
    mask_mode='bbox',
    mask_config=dict(max_bbox_shape=(128, 128), max_bbox_delta=64, min_margin=20),
)
train_dataloader = dict(
    num_workers=2,
    dataset=dict(
        data_root='data/my_pictures',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomResize', scale=(256, 384), interpolation='area'),
            dict(type='RandomCrop', crop_size=(256, 256)),
            dict(type='Flip', flip_ratio=0.5, direction='horizontal'),
            _bbox,
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        data_root='data/my_pictures',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=320, interpolation='area'),
            dict(type='RandomCrop', crop_size=(256, 256)),
            _bbox,
            dict(type='PackInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
# Two simple fills are scored on the same holes.
val_evaluator = dict(baselines=['mean', 'telea'])
test_evaluator = val_evaluator
