# Global&Local on Places365 as the paper trains it: pictures of 256x256, 8 processes with a batch of
# 12 each.
#   Source     Iizuka et al. 2017
#   Expected   not yet measured; the paper reports none of these measures
#   Command    tools/dist_train.sh CONFIG 8
#   Cost       not yet measured; the paper's took two months on four K80 GPUs
#   Differs from gl_256x256_8x12_places.py, OpenMMLab's recipe, as the paper does: squared error in
#   the hole instead of L1, 0.0004 instead of 0.001 as weight of the adversarial loss, ADADELTA
#   instead of Adam, a sigmoid instead of clipping, the mean colour in the hole, a window around
#   another random hole for the real picture, holes of 96 to 128 anywhere, the shorter edge at 256
#   to 384 and a crop of 256 of it; phases change at 90,000 and 100,000 of 500,000 iterations, not
#   one or two later. Validation is the same: the two can be compared
#   Differs from the paper: Places365-Standard instead of the 8,097,967 pictures of Places2; the
#   squared error is a mean over the hole, of values in [-1, 1], which is four times that in [0, 1];
#   grey instead of the mean colour, until that is computed:
#   `python tools/dataset_converters/mean_colour.py CONFIG` prints what to write below. Where the
#   paper is silent: ADADELTA has the defaults of torch (rate 1, rho 0.9), pictures are resized by
#   area, the discriminators have OpenMMLab's batch norm and start of their linear layers, and holes
#   are drawn as OpenMMLab draws them
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl_paper.py',
    '../../_base_/datasets/places365.py',
    '../../_base_/schedules/gl_500k.py',
]

model = dict(
    # Blue, green, red: the middle of the range until the mean colour is computed.
    data_preprocessor=dict(hole_colour=(127.5, 127.5, 127.5)),
    train_cfg=dict(iter_tc=90_000, iter_td=100_000),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomResize', scale=(256, 384), interpolation='area'),
            dict(type='RandomCrop', crop_size=(256, 256)),
            dict(
                type='LoadMask',
                mask_mode='bbox',
                mask_config=dict(max_bbox_shape=(128, 128), max_bbox_delta=64),
                real_bbox=True,
            ),
            dict(type='PackInputs'),
        ]
    )
)
