# Places365 as tools/dataset_converters/places365.py lists it; `data_root` may be a link:
#   data/places365/train_list.txt, val_list.txt      data_large/a/airfield/00000001.jpg
#   data/places365/data_large/a/airfield/00000001.jpg
#   data/places365/val_large/Places365_val_00000001.jpg
# The official lists are read as they are with ann_file='places365_train_standard.txt' and
# data_prefix=dict(img='data_large'), 'places365_val.txt' and 'val_large'.
# Crops of 384 are resized to 256. An edge of less than 384 pixels is taken whole: pictures of
# 256x256 as they are.
_base_ = '../loaders.py'

_bbox = dict(  # sides of 108 to 128
    type='LoadMask',
    mask_mode='bbox',
    mask_config=dict(max_bbox_shape=(128, 128), max_bbox_delta=40, min_margin=20),
)
train_dataloader = dict(
    batch_size=12,
    num_workers=4,
    dataset=dict(
        type='ImageDataset',
        data_root='data/places365',
        ann_file='train_list.txt',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomCrop', crop_size=(384, 384), allow_smaller=True),
            dict(type='Resize', scale=(256, 256)),
            _bbox,
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    dataset=dict(
        type='ImageDataset',
        data_root='data/places365',
        ann_file='val_list.txt',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomCrop', crop_size=(384, 384), allow_smaller=True),
            dict(type='Resize', scale=(256, 256)),
            _bbox,
            dict(type='PackInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
