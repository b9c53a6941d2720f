# Global&Local on CelebA-HQ as the paper trains it on faces: pictures of 160x160, 8 processes with a
# batch of 12 each.
#   Source     Iizuka et al. 2017
#   Expected   not yet measured; the paper reports none of these measures
#   Command    tools/dist_train.sh CONFIG 8
#   Cost       not yet measured
#   Differs from gl_256x256_8x12_celeba.py, OpenMMLab's recipe, as gl_256x256_paper_places.py does
#   from its own, and in size: the shorter edge at 160 to 178 and a crop of 160 of it, holes of 48
#   to 96, local windows of 96. It is validated at that size, not comparable with 256x256
#   Differs from the paper as gl_256x256_paper_places.py does, and in CelebA-HQ instead of CelebA.
#   Where the paper is silent on faces, the lengths of the phases (40,000, 10,000, and 300,000 in
#   all) and the batch are those of OpenMMLab's configuration for CelebA, and the discriminators
#   have the layers of those for scenes, whose last convolutions give 3x3 here
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl_paper.py',
    '../../_base_/datasets/celeba_hq.py',
    '../../_base_/schedules/gl_500k.py',
]

model = dict(
    # Blue, green, red: the middle of the range until the mean colour is computed.
    data_preprocessor=dict(hole_colour=(127.5, 127.5, 127.5)),
    disc=dict(
        global_disc_cfg=dict(fc_in_channels=512 * 3 * 3),
        local_disc_cfg=dict(fc_in_channels=512 * 3 * 3),
    ),
    train_cfg=dict(iter_tc=40_000, iter_td=50_000, local_size=(96, 96)),
    trained_hole=96,
)
_crop = dict(type='RandomCrop', crop_size=(160, 160))
_bbox = dict(
    type='LoadMask',
    mask_mode='bbox',
    mask_config=dict(max_bbox_shape=(96, 96), max_bbox_delta=96),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomResize', scale=(160, 178), interpolation='area'),
            _crop,
            dict(**_bbox, real_bbox=True),
            dict(type='PackInputs'),
        ]
    )
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=178, interpolation='area'),
            _crop,
            _bbox,
            dict(type='PackInputs'),
        ]
    )
)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=300_000)
