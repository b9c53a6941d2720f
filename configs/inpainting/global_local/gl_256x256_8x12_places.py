# Global&Local on Places365: pictures of 256x256, 8 processes with a batch of 12 each.
#   Source     OpenMMLab's recipe; released weights gl_256x256_8x12_places_20200619-52a040a8.pth
#   Expected   l1 11.164 %, PSNR 23.152 dB, SSIM 0.862 (published); not yet measured here
#   Command    tools/dist_train.sh CONFIG 8
#   Cost       not yet measured
#   Differs from the paper: L1 instead of squared error, 0.001 instead of 0.0004 as weight of the
#   adversarial loss, Adam instead of ADADELTA, clipping instead of a sigmoid, grey instead of the
#   mean colour in the hole, the fake picture's window for the real one too, holes of 108 to 128
#   instead of 96 to 128, crops of 384 resized to 256
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl.py',
    '../../_base_/datasets/places365.py',
    '../../_base_/schedules/gl_500k.py',
]

model = dict(train_cfg=dict(iter_tc=90_000, iter_td=100_000))
