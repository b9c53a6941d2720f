# 37 photographs of four Debian packages, for training, and five of scikit-image, for testing, which
# no training has seen; pictures of 128x128. debian_photos.txt lists the first;
# mmedit_gl/apis/default/README.md says how to get them and whose they are.
_data_root = 'data/debian_photos'
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DrawSampler'),
    dataset=dict(
        type='ImageDataset',
        data_root=_data_root,
        ann_file='{{ fileDirname }}/debian_photos.txt',
        in_memory=512,
        pipeline=[
            dict(type='RandomResize', scale=(128, 512), interpolation='area'),
            dict(type='RandomCrop', crop_size=(128, 128)),
            dict(type='Flip', flip_ratio=0.5, direction='horizontal'),
            dict(type='Flip', flip_ratio=0.5, direction='vertical'),
            dict(
                type='LoadMask',
                mask_mode='bbox',
                mask_config=dict(max_bbox_shape=(64, 64), max_bbox_delta=40, min_margin=8),
            ),
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='EvaluationSampler'),
    dataset=dict(
        type='DemoPhotos',
        split='test',
        repeats=40,
        test_mode=True,
        pipeline=[
            dict(type='Resize', scale=170, interpolation='area'),
            dict(type='RandomCrop', crop_size=(128, 128)),
            dict(
                type='LoadMask',
                mask_mode='bbox',
                mask_config=dict(max_bbox_shape=(64, 64), max_bbox_delta=16, min_margin=8),
            ),
            dict(type='PackInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
# Two simple fills are scored on the same holes.
val_evaluator = dict(type='InpaintingMetrics', baselines=['mean', 'telea'])
test_evaluator = val_evaluator
