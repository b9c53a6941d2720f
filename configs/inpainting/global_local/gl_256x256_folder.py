# Global&Local on a folder of one's own pictures: pictures of 256x256, holes of 96 to 128.
#   Source     this project, a template
#   Expected   not yet measured
#   Data       python tools/dataset_converters/folder.py PICTURES
#   Command    python tools/train.py configs/inpainting/global_local/gl_256x256_folder.py
#   Cost       not yet measured
#   Differs from gl_256x256_8x12_places.py: the paper's sizes of pictures (a shorter edge of 256 to
#   384) and holes, mirrored at random; a fifth of the length. --load-from CHECKPOINT starts from
#   trained weights
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl.py',
    '../../_base_/datasets/folder.py',
    '../../_base_/schedules/gl_500k.py',
]

model = dict(train_cfg=dict(iter_tc=18_000, iter_td=20_000))
train_cfg = dict(max_iters=100_000, val_interval=10_000)
