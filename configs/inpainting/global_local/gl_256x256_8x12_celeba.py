# Global&Local on CelebA-HQ: pictures of 256x256, 8 processes with a batch of 12 each.
#   Source     OpenMMLab's recipe; released weights gl_256x256_8x12_celeba_20200619-5af0493f.pth
#   Expected   l1 6.678 %, PSNR 26.780 dB, SSIM 0.904 (published); not yet measured here
#   Command    tools/dist_train.sh CONFIG 8
#   Cost       not yet measured
#   Length     the published table says 500,000 iterations, the published configuration 300,000
#   Pictures   of 1024x1024, and of 512x512: crops of 384 resized to 256, as published; of 256x256:
#              the whole face, as it is, which is another task than the published numbers measure
#   Differs from the published configuration, gl_8xb12_celeba-256x256.py of MMagic, in iter_tc and
#   iter_td, shuffle (there every pass has the same order), dec7 and EvaluationSampler, with the
#   reasons in gl_256x256_8x12_places.py, and in ann_file, tools/dataset_converters/celeba_hq.py's
#   Differs from the paper as gl_256x256_8x12_places.py does
_base_ = [
    '../../_base_/default_runtime.py',
    '../../_base_/models/gl.py',
    '../../_base_/datasets/celeba_hq.py',
    '../../_base_/schedules/gl_500k.py',
]

model = dict(train_cfg=dict(iter_tc=40_001, iter_td=50_001))
train_cfg = dict(max_iters=300_002)
