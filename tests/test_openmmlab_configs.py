"""Configuration files in the words of MMagic 1.x and of MMEditing 0.x."""

import copy
import re
from itertools import chain
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT, make_batch, random_image, run_tool, set_iteration
from mmengine import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

from mmedit_gl.apis import Inpainter, init_model
from mmedit_gl.checkpoint import read_checkpoint
from mmedit_gl.engine import (
    MultiOptimWrapperConstructor,
    Runner,
    generation,
    load_config,
    translate,
)
from mmedit_gl.errors import UserError
from mmedit_gl.registry import MODELS, PARAM_SCHEDULERS, TRANSFORMS

NETWORKS = """
norm_cfg = dict(type='SyncBN')
model = dict(
    type='GLInpaintor',
    encdec=dict(
        type='GLEncoderDecoder',
        encoder=dict(type='GLEncoder', norm_cfg=norm_cfg),
        dilation_neck=dict(type='GLDilationNeck', norm_cfg=norm_cfg),
        decoder=dict(type='GLDecoder', norm_cfg=norm_cfg)),
    disc=dict(
        type='GLDiscs',
        global_disc_cfg=dict(
            in_channels=3, max_channels=8, num_convs=4, fc_in_channels=128, fc_out_channels=8),
        local_disc_cfg=dict(
            in_channels=3, max_channels=8, num_convs=3, fc_in_channels=128, fc_out_channels=8,
            norm_cfg=norm_cfg)),
    loss_gan=dict(type='GANLoss', gan_type='vanilla', loss_weight=0.001),
    loss_l1_hole=dict(type='L1Loss', loss_weight=1.0))
"""
OF_1X = """
_base_ = ['networks.py']
default_scope = 'mmagic'
experiment_name = 'holes_1x'
save_dir = './work_dirs/'
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
model = dict(
    data_preprocessor=dict(type='mmagic.DataPreprocessor', mean=[127.5], std=[127.5]),
    train_cfg=dict(disc_step=1, iter_tc=1, iter_td=3, start_iter=0, local_size=(32, 32)))
size = (64, 64)
root = {root!r}
pipeline = [
    dict(type='LoadImageFromFile', key='gt'),
    dict(
        type='LoadMask',
        mask_mode='bbox',
        mask_config=dict(max_bbox_shape=24, max_bbox_delta=8, min_margin=8, img_shape=size)),
    dict(type='Crop', keys=['gt'], crop_size=(72, 72), random_crop=True),
    dict(type='Resize', keys=['gt'], scale=size, keep_ratio=False),
    dict(type='GetMaskedImage'),
    dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=False),
    dataset=dict(
        type='BasicImageDataset',
        data_root=root,
        data_prefix=dict(gt='data_large'),
        ann_file='places365_train_standard.txt',
        pipeline=pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BasicImageDataset',
        data_root=root,
        data_prefix=dict(gt='val_large'),
        ann_file='places365_val.txt',
        test_mode=True,
        pipeline=pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='MAE', mask_key='mask', scaling=100), dict(type='PSNR'), dict(type='SSIM')]
test_evaluator = val_evaluator
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    generator=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-4)),
    disc=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-4)))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=3)
val_cfg = dict(type='MultiValLoop')
test_cfg = dict(type='MultiTestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=1),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', interval=2, by_epoch=False, out_dir=save_dir, save_best='MAE'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='ConcatImageVisualizer', vis_backends=vis_backends, img_keys=['gt_img'])
custom_hooks = [dict(type='BasicVisualizationHook', interval=1)]
"""
OF_0X = """
_base_ = ['networks.py']
model = dict(pretrained=None)
train_cfg = dict(disc_step=1, iter_tc=1, iter_td=3, start_iter=0, local_size=(32, 32))
test_cfg = dict(metrics=['l1', 'psnr', 'ssim'])
size = (64, 64)
root = {root!r}
pipeline = [
    dict(type='LoadImageFromFile', key='gt_img'),
    dict(
        type='LoadMask',
        mask_mode='bbox',
        mask_config=dict(max_bbox_shape=24, max_bbox_delta=8, min_margin=8, img_shape=size)),
    dict(type='Crop', keys=['gt_img'], crop_size=(72, 72)),
    dict(type='Resize', keys=['gt_img'], scale=size, keep_ratio=False),
    dict(type='Normalize', keys=['gt_img'], mean=[127.5] * 3, std=[127.5] * 3, to_rgb=False),
    dict(type='GetMaskedImage'),
    dict(type='Collect', keys=['gt_img', 'masked_img', 'mask'], meta_keys=['gt_img_path']),
    dict(type='ImageToTensor', keys=['gt_img', 'masked_img', 'mask']),
    dict(type='ToTensor', keys=['mask_bbox'])]
data = dict(
    workers_per_gpu=0,
    train_dataloader=dict(samples_per_gpu=2, drop_last=True),
    val_dataloader=dict(samples_per_gpu=1),
    test_dataloader=dict(samples_per_gpu=1),
    train=dict(
        type='ImgInpaintingDataset',
        ann_file=f'{{root}}/places365_train_standard.txt',
        data_prefix=f'{{root}}/data_large',
        pipeline=pipeline,
        test_mode=False),
    val=dict(
        type='ImgInpaintingDataset',
        ann_file=f'{{root}}/places365_val.txt',
        data_prefix=f'{{root}}/val_large',
        pipeline=pipeline,
        test_mode=True),
    test=dict(
        type='ImgInpaintingDataset',
        ann_file=f'{{root}}/places365_val.txt',
        data_prefix=f'{{root}}/val_large',
        pipeline=pipeline,
        test_mode=True))
optimizers = dict(generator=dict(type='Adam', lr=4e-4), disc=dict(type='Adam', lr=4e-4))
lr_config = dict(policy='Fixed', by_epoch=False)
checkpoint_config = dict(by_epoch=False, interval=2)
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
visual_config = dict(type='MMEditVisualizationHook', output_dir='visual', interval=10)
evaluation = dict(interval=3, save_best='l1')
total_iters = 6
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = None
load_from = None
resume_from = None
workflow = [('train', 10000)]
exp_name = 'holes_0x'
find_unused_parameters = False
cudnn_benchmark = False
"""
GENERATIONS = {'1x': OF_1X, '0x': OF_0X}


@pytest.fixture
def theirs(tmp_path, data_root):
    """Writes a file of one generation; `more` is put at its end."""

    def write(name: str, more: str = ''):
        (tmp_path / 'networks.py').write_text(NETWORKS)
        path = tmp_path / f'holes_{name}.py'
        path.write_text(GENERATIONS[name].format(root=str(data_root)) + more)
        return path

    return write


@pytest.fixture
def small(theirs, monkeypatch):
    """A file of theirs with networks of a few channels, for which theirs has no word."""

    def load(path, options=None):
        cfg = load_config(path, options)
        for part in ('encoder', 'dilation_neck', 'decoder'):
            cfg.model.encdec[part].base_channels = 4
        return cfg

    return load


def test_the_commands_take_a_file_of_theirs_and_say_what_it_became(theirs, tmp_path):
    path, work_dir = theirs('1x'), tmp_path / 'run'
    options = ('--cfg-options', 'train_cfg.max_iters=1', 'model.train_cfg.iter_td=2')
    done = run_tool('train.py', path, '--work-dir', work_dir, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f'{path} is a configuration of MMagic 1.x, taken in the words of')
    said = ' '.join(done.stderr.split())
    assert 'iter_tc=1 is 2; iter_td=2 is 3' in said  # their option, before the translation
    assert "SyncBN is BN, with sync_bn='torch'" in said
    assert 'experiment_name' in said.partition('No effect')[2].partition('Differs')[0]
    assert 'shuffle=False' in said.partition('Differs')[2]
    checkpoint = work_dir / 'iter_1.pth'
    done = run_tool('test.py', path, checkpoint, '--work-dir', tmp_path / 'test', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '4 images' in done.stdout and 'PSNR' in done.stdout


@pytest.mark.parametrize('name', GENERATIONS)
def test_a_file_of_theirs_trains_through_three_phases_and_resumes(name, theirs, small, tmp_path):
    rate = {'1x': 'optim_wrapper.generator.optimizer.lr', '0x': 'optimizers.generator.lr'}[name]

    def run(resume: bool) -> str:
        cfg = small(theirs(name), {rate: 0.02})
        cfg.work_dir, cfg.resume = str(tmp_path / 'run'), resume
        cfg.experiment_name = f'phases_{name}_{resume}'
        runner = Runner.from_cfg(cfg)
        runner.train()
        return Path(runner.log_dir, f'{runner.timestamp}.log').read_text()

    log = run(resume=False)
    for phase, start in dict(generator=0, discriminator=2, joint=4).items():
        assert f"Phase '{phase}' from iteration {start} on" in log
    names = {path.name for path in (tmp_path / 'run').glob('*.pth')}
    best = {name for name in names if name.startswith('best_l1_iter_')}
    # every two iterations, at the validations after three and six, and all of them stay
    assert names - best == {f'iter_{i}.pth' for i in (2, 3, 4, 6)}
    scores = [float(score) for score in re.findall(r' l1: ([\d.]+)', log)]
    (best,) = best
    assert len(scores) == 2
    assert best == f'best_l1_iter_{3 * (1 + np.argmin(scores))}.pth'
    held = read_checkpoint(tmp_path / 'run' / best)['message_hub']['runtime_info']
    assert held['best_score'] == pytest.approx(min(scores), abs=1e-4)

    weights = read_checkpoint(tmp_path / 'run/iter_6.pth')['state_dict']
    (tmp_path / 'run/iter_6.pth').unlink()
    assert "Phase 'joint' from iteration 4 on" in run(resume=True)
    again = read_checkpoint(tmp_path / 'run/iter_6.pth')['state_dict']
    assert all(torch.equal(value, again[key]) for key, value in weights.items())


@pytest.mark.parametrize('name', GENERATIONS)
def test_both_generations_and_the_file_converted_are_the_same_run(name, theirs, tmp_path):
    path, ours = theirs(name), tmp_path / 'configs' / 'ours.py'
    done = run_tool('convert_config.py', path, ours, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f'Written: {ours}\n')
    text = ours.read_text()
    assert text.startswith(
        f'# Global&Local by the recipe of {path.name}.\n#   Source     {path.name}'
    )
    assert '#   Command    python tools/train.py CONFIG\n' in text
    assert max(map(len, text.splitlines())) <= 100
    assert "dict(type='PackInputs')" in text and 'GLEncoderDecoder' not in text  # differences only

    direct, converted = load_config(path).to_dict(), load_config(ours).to_dict()
    assert {key: value for key, value in converted.items() if key in direct} == direct
    rest = {key: value for key, value in converted.items() if key not in direct}
    assert all(value is None or key.startswith('_') for key, value in rest.items())
    other = load_config(theirs('0x' if name == '1x' else '1x'))
    for key in ('model', 'train_dataloader.sampler', 'train_cfg', 'sync_bn'):
        assert Config(direct).get(key) == other.get(key)


def test_a_run_of_theirs_trains_and_measures_joined_data_sets(theirs, small, tmp_path):
    more = """
data['train'] = dict(type='RepeatDataset', times=2, dataset=data['train'])
data['val'] = [data['val'], dict(type='RepeatDataset', times=2, dataset=data['val'])]
total_iters = 1
"""
    cfg = small(theirs('0x', more))
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'run'), 'joined'
    runner = Runner.from_cfg(cfg)
    runner.train()
    dataset = runner.train_dataloader.dataset
    assert len(dataset) == 2 * len(dataset.datasets[0])
    (evaluator,) = runner.val_loop.evaluator.metrics
    paths = [picture['img_path'] for picture in evaluator.pictures]
    assert len(paths) == 12 and paths[:4] == paths[4:8] == paths[8:] and len(set(paths)) == 4
    assert len({str(picture['mask_bbox']) for picture in evaluator.pictures}) > 4  # drawn anew


def test_joined_data_sets_averages_and_policies_are_converted_too(theirs, tmp_path):
    more = """
data['train'] = [data['train'], dict(type='RepeatDataset', times=2, dataset=data['train'])]
lr_config = dict(policy='CosineAnnealing', min_lr=0, warmup='exp', warmup_iters=2)
custom_hooks = [dict(type='EMAHook')]
log_config['hooks'] = [dict(type='WandbLoggerHook', init_kwargs=dict(project='holes'))]
optimizers['disc']['paramwise_cfg'] = dict(bias_lr_mult=2.0)
"""
    path, ours = theirs('0x', more), tmp_path / 'ours.py'
    done = run_tool('convert_config.py', path, ours, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    direct, converted = load_config(path).to_dict(), load_config(ours).to_dict()
    assert {key: value for key, value in converted.items() if key in direct} == direct
    datasets = converted['train_dataloader']['dataset']['datasets']
    assert [part['type'] for part in datasets] == ['ImageDataset', 'RepeatDataset']
    assert converted['model']['trained_hole'] == 24


def test_a_converted_file_trains_to_the_same_bits(theirs, small, tmp_path):
    path, ours = theirs('1x'), tmp_path / 'ours.py'
    assert run_tool('convert_config.py', path, ours, cwd=tmp_path).returncode == 0
    weights = []
    for file in (path, ours):
        cfg = small(file)
        cfg.work_dir = str(tmp_path / f'run_{file.stem}')
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        Runner.from_cfg(cfg).train()
        weights.append(read_checkpoint(f'{cfg.work_dir}/iter_6.pth')['state_dict'])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_nothing_is_written_over_and_what_is_ours_is_not_converted(theirs, tmp_path):
    path, ours = theirs('1x'), tmp_path / 'ours.py'
    ours.write_text('mine')
    done = run_tool('convert_config.py', path, ours, cwd=tmp_path)
    assert (done.returncode, ours.read_text()) == (2, 'mine')
    assert done.stderr == f'error: {ours} is there already: give another name, or remove it\n'
    published = ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py'
    done = run_tool('convert_config.py', published, tmp_path / 'new.py', cwd=tmp_path)
    assert done.returncode == 2
    assert 'is no configuration of MMEditing or MMagic' in done.stderr
    assert not (tmp_path / 'new.py').exists()


@pytest.mark.parametrize(('start_iter', 'disc_step'), [(0, 1), (2, 1), (0, 3), (2, 2)])
def test_the_losses_are_those_of_a_textbook_loop_that_counts_as_theirs(
    start_iter, disc_step, theirs, small
):
    # Theirs counts from start_iter, and leaves a phase when the count has passed its number.
    iter_tc, iter_td, tops_lefts = 3, 5, [(16, 16), (8, 20)]
    options = {
        'model.train_cfg.iter_tc': iter_tc,
        'model.train_cfg.iter_td': iter_td,
        'model.train_cfg.start_iter': start_iter,
        'model.train_cfg.disc_step': disc_step,
        'model.loss_l1_valid': dict(type='L1Loss', loss_weight=0.5),
        'optim_wrapper.generator.optimizer': dict(type='SGD', lr=0.1, momentum=0.9),
    }
    cfg = small(theirs('1x'), options)
    init_default_scope('mmedit_gl')
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(0)
        model = MODELS.build(cfg.model).train()
        generator, disc = copy.deepcopy(model.generator), copy.deepcopy(model.disc)
        images = np.stack([random_image(seed, 64, 64) for seed in (1, 2)])
        batch = make_batch(images, [[*corner, 32, 32] for corner in tops_lefts])
        wrappers = {name: cfg.optim_wrapper[name] for name in ('generator', 'disc')}
        wrapper = MultiOptimWrapperConstructor(wrappers)(model)
        g_optimizer = torch.optim.SGD(generator.parameters(), lr=0.1, momentum=0.9)
        d_optimizer = torch.optim.Adam(disc.parameters(), lr=4e-4)
        gt_img = (batch['gt_img'].permute(0, 3, 1, 2).double() - 127.5) / 127.5
        mask = batch['mask'].double()

        def judge(img):
            local = [img[i, :, t : t + 32, s : s + 32] for i, (t, s) in enumerate(tops_lefts)]
            return disc(img, torch.stack(local))

        disc_steps = 0
        for iteration, cur_iter in enumerate(range(start_iter, start_iter + 10)):
            expected = {}
            fake_res = generator(gt_img * (1 - mask), mask)
            fake_img = gt_img * (1 - mask) + fake_res * mask
            if cur_iter > iter_tc:
                d_optimizer.zero_grad()
                expected['fake_loss'] = F.softplus(judge(fake_img.detach())).mean()
                expected['fake_loss'].backward()
                expected['real_loss'] = F.softplus(-judge(gt_img)).mean()
                expected['real_loss'].backward()
                d_optimizer.step()
                disc_steps = (disc_steps + 1) % disc_step
            if cur_iter <= iter_tc or (cur_iter > iter_td and disc_steps == 0):
                error, rest = (fake_res - gt_img).abs(), 1 - mask
                expected['loss_l1_hole'] = (error * mask).sum() / (3 * mask.sum())
                expected['loss_l1_valid'] = 0.5 * (error * rest).sum() / (3 * rest.sum())
                loss = sum(expected[name] for name in ('loss_l1_hole', 'loss_l1_valid'))
                if cur_iter > iter_td:
                    expected['loss_g_fake'] = 0.001 * F.softplus(-judge(fake_img)).mean()
                    loss = loss + expected['loss_g_fake']
                g_optimizer.zero_grad()
                loss.backward()
                g_optimizer.step()
            set_iteration(iteration)
            found = model.train_step(batch, wrapper)
            assert {name: value.item() for name, value in found.items()} == pytest.approx(
                {name: value.item() for name, value in expected.items()}, rel=1e-9
            )
    finally:
        torch.set_default_dtype(torch.float32)


def steps(*own, read=None, mask=None):
    """Options that give training a pipeline."""
    read = read or dict(type='LoadImageFromFile', key='gt')
    mask = mask or dict(mask_mode='bbox', mask_config=dict(max_bbox_shape=(20, 24)))
    return {'train_dataloader.dataset.pipeline': [read, dict(type='LoadMask', **mask), *own]}


def pipeline(*own, mask=None):
    bbox = dict(max_bbox_shape=(20, 24), max_bbox_delta=40, min_margin=20)
    mask = mask or dict(mask_mode='bbox', mask_config=bbox)
    ours = [dict(type='LoadImageFromFile'), *own, dict(type='LoadMask', **mask)]
    return {'train_dataloader.dataset.pipeline': [*ours, dict(type='PackInputs')]}


def load(theirs, name, options):
    """A file of theirs with options on the command line, or with some text at its end."""
    if isinstance(options, str):
        return load_config(theirs(name, options))
    return load_config(theirs(name), options)


OF_TWO_LISTS = dict(type='ImgInpaintingDataset', ann_file=['a.txt', 'b.txt'], data_prefix='p')
READ, BOX = dict(type='LoadImageFromFile', key='gt_img'), dict(max_bbox_shape=9)
NORMALIZE = dict(type='Normalize', keys=['gt_img'], mean=[127.5] * 3, std=[127.5] * 3)
BEST = "default_hooks['checkpoint']['save_best']"
SAVED = 'default_hooks.checkpoint.save_best'
OF_TWO_PREFIXES = [
    dict(type='MAE', prefix='all'),
    dict(type='MAE', mask_key='mask', prefix='hole'),
    dict(type='SSIM', prefix='all'),
]
FILE_MASKS = {'train_dataloader.dataset.data_prefix.mask': 'masks'}


@pytest.mark.parametrize(
    ('name', 'options', 'expected'),
    [
        # the model
        (
            '1x',
            {'model.data_preprocessor.mean': 127.5},
            {'model.data_preprocessor': dict(type='GLPreprocessor')},
        ),
        (
            '1x',
            {'model.data_preprocessor.type': 'EditDataPreprocessor'},
            {'model.data_preprocessor.type': 'GLPreprocessor'},
        ),
        (
            '1x',
            {'model.loss_tv': None, 'model.loss_out_percep': False},
            {'model.loss_gan.loss_weight': 0.001},
        ),
        (
            '1x',
            {'model.loss_l1_hole': dict(type='MSELoss', loss_weight=2.0, reduction='mean')},
            {'model.loss_l1_hole': dict(type='MSELoss', loss_weight=2.0)},
        ),
        (
            '1x',
            {'model.loss_gan': dict(gan_type='lsgan', real_label_val=0.9, fake_label_val=0.1)},
            {
                'model.loss_gan': dict(
                    type='GANLoss',
                    gan_type='lsgan',
                    loss_weight=0.001,
                    real_label_val=0.9,
                    fake_label_val=0.1,
                )
            },
        ),
        (
            '1x',
            {'model.loss_l1_valid': dict(type='L1Loss', loss_weight=2.0, reduction='mean')},
            {'model.loss_l1_valid': dict(type='L1Loss', loss_weight=2.0)},
        ),
        (
            '1x',
            {'model.encdec.decoder.in_channels': 256, 'model.encdec.decoder.out_act': 'clip'},
            {
                'model.encdec.decoder': dict(
                    type='GLDecoder', norm_cfg=dict(type='BN'), out_act='clip'
                )
            },
        ),
        (
            '1x',
            {'model.encdec.dilation_neck.conv_type': 'conv'},
            {'model.encdec.dilation_neck': dict(type='GLDilationNeck', norm_cfg=dict(type='BN'))},
        ),
        # without norm_cfg theirs has no batch norm, and num_convs is 5
        (
            '1x',
            {'model.disc.local_disc_cfg': dict(_delete_=True, in_channels=3, max_channels=8)},
            {
                'model.disc.local_disc_cfg': dict(
                    norm_cfg=None, num_convs=5, in_channels=3, max_channels=8
                )
            },
        ),
        (
            '1x',
            {'model.disc.local_disc_cfg.norm_cfg.type': 'IN'},
            {'model.disc.local_disc_cfg.norm_cfg': dict(type='IN'), 'sync_bn': 'torch'},
        ),
        (
            '1x',
            {'model.disc.local_disc_cfg.out_act_cfg': dict(type='LeakyReLU', negative_slope=0.2)},
            {'model.disc.local_disc_cfg.out_act_cfg': dict(type='LeakyReLU', negative_slope=0.2)},
        ),
        (
            '1x',
            {'model.train_cfg.start_iter': 2},
            {'model.train_cfg': dict(disc_step=1, iter_tc=0, iter_td=2, local_size=(32, 32))},
        ),
        (
            '0x',
            {'train_cfg.iter_td': 9, 'train_cfg.start_iter': 1},
            {'model.train_cfg': dict(disc_step=1, iter_tc=1, iter_td=9, local_size=(32, 32))},
        ),
        ('0x', {'model.pretrained': 'w.pth'}, {'load_from': 'w.pth', 'resume': False}),
        # pictures
        (
            '1x',
            {'train_dataloader.num_workers': 3, 'train_dataloader.persistent_workers': True},
            {
                'train_dataloader.num_workers': 3,
                'train_dataloader.persistent_workers': True,
                'train_dataloader.collate_fn': dict(type='default_collate'),
            },
        ),
        (
            '1x',
            {'val_dataloader.sampler': dict(type='DefaultSampler', round_up=False)},
            {
                'val_dataloader.sampler': dict(type='EvaluationSampler'),
                'train_dataloader.sampler': dict(type='DrawSampler'),
            },
        ),
        (
            '1x',
            {
                'val_dataloader': [
                    dict(
                        dataset=dict(
                            type='BasicImageDataset', data_root='r', data_prefix=dict(gt='v')
                        )
                    )
                ]
            },
            {
                'val_dataloader.dataset': dict(
                    type='ImageDataset', data_root='r', data_prefix=dict(gt='v'), test_mode=True
                )
            },
        ),
        (
            '1x',
            {
                'train_dataloader.dataset.metainfo': dict(a=1),
                'train_dataloader.dataset.filename_tmpl': dict(gt='{}'),
            },
            {'train_dataloader.dataset.data_prefix': dict(gt='data_large')},
        ),
        (
            '0x',
            {'data.workers_per_gpu': 2, 'data.train_dataloader.samples_per_gpu': 7},
            {
                'train_dataloader.num_workers': 2,
                'train_dataloader.batch_size': 7,
                'train_dataloader.persistent_workers': True,
                'val_dataloader.num_workers': 2,
                'val_dataloader.batch_size': 1,
            },
        ),
        (
            '0x',
            {'data.samples_per_gpu': 5, 'data.train_dataloader': dict(_delete_=True)},
            {
                'train_dataloader.batch_size': 5,
                'test_dataloader.batch_size': 1,
                'train_dataloader.drop_last': True,
            },
        ),
        (
            '0x',
            {
                'data.train': dict(
                    _delete_=True,
                    type='RepeatDataset',
                    times=9,
                    dataset=dict(type='ImgInpaintingDataset', ann_file='l.txt', data_prefix='p'),
                )
            },
            {
                'train_dataloader.dataset': dict(
                    type='RepeatDataset',
                    times=9,
                    dataset=dict(
                        type='ImageDataset',
                        data_root='',
                        data_prefix=dict(gt='p'),
                        ann_file='l.txt',
                    ),
                )
            },
        ),
        (
            '0x',
            {'data.val': dict(_delete_=True, **OF_TWO_LISTS)},
            {
                'val_dataloader.dataset': dict(
                    type='ConcatDataset',
                    datasets=[
                        dict(
                            type='ImageDataset',
                            data_root='',
                            data_prefix=dict(gt='p'),
                            ann_file=file,
                            test_mode=True,
                        )
                        for file in ('a.txt', 'b.txt')
                    ],
                )
            },
        ),
        (
            '1x',
            {
                'train_dataloader.dataset': dict(
                    _delete_=True,
                    type='ConcatDataset',
                    datasets=[
                        dict(type='BasicImageDataset', data_root='a', ann_file='l.txt'),
                        dict(
                            type='RepeatDataset',
                            times=3,
                            dataset=dict(
                                type='mmagic.BasicImageDataset', data_root='b', ann_file='l.txt'
                            ),
                        ),
                    ],
                )
            },
            {
                'train_dataloader.dataset': dict(
                    type='ConcatDataset',
                    datasets=[
                        dict(type='ImageDataset', data_root='a', ann_file='l.txt'),
                        dict(
                            type='RepeatDataset',
                            times=3,
                            dataset=dict(type='ImageDataset', data_root='b', ann_file='l.txt'),
                        ),
                    ],
                )
            },
        ),
        (
            '0x',
            {'evaluation': None},
            {
                'val_dataloader': None,
                'val_cfg': None,
                'val_evaluator': None,
                'test_cfg.type': 'TestLoop',
                'train_cfg': dict(type='TrainLoop', max_iters=6, val_interval=6),
            },
        ),
        # steps
        (
            '1x',
            steps(dict(type='Crop', keys=['gt'], crop_size=(9, 8))),
            pipeline(dict(type='RandomCrop', allow_smaller=True, crop_size=(9, 8))),
        ),
        (
            '1x',
            steps(dict(type='Crop', keys=['gt'], crop_size=(9, 8), random_crop=False)),
            pipeline(dict(type='CenterCrop', allow_smaller=True, crop_size=(9, 8))),
        ),
        (
            '1x',
            steps(
                dict(type='Resize', keys='gt', scale=(9, 8), keep_ratio=True, interpolation='area')
            ),
            pipeline(dict(type='Resize', scale=(9, 8), keep_ratio=True, interpolation='area')),
        ),
        (
            '1x',
            steps(dict(type='Resize', keys=['gt'], scale=(-1, 96), keep_ratio=True)),
            pipeline(dict(type='Resize', scale=96, keep_ratio=True)),
        ),
        (
            '1x',
            steps(dict(type='Flip', keys=['gt'], flip_ratio=0.3, direction='vertical')),
            pipeline(dict(type='Flip', flip_ratio=0.3, direction='vertical')),
        ),
        ('1x', steps(dict(type='mmcv.Flip', keys=['gt'])), pipeline(dict(type='Flip'))),
        (
            '1x',
            steps(dict(type='GetMaskedImage', zero_value=127.5), dict(type='PackEditInputs')),
            pipeline(),
        ),
        (
            '1x',
            steps(
                read=dict(
                    type='LoadImageFromFile',
                    key='gt',
                    channel_order='bgr',
                    color_type='color',
                    to_float32=True,
                )
            ),
            pipeline(),
        ),
        # masks
        (
            '1x',
            steps(mask=dict(mask_config=dict(max_bbox_shape=9, img_shape=(64, 64)))),
            pipeline(
                mask=dict(
                    mask_mode='bbox',
                    mask_config=dict(max_bbox_delta=40, min_margin=20, max_bbox_shape=9),
                )
            ),
        ),
        (
            '1x',
            steps(
                mask=dict(
                    mask_mode='irregular',
                    mask_config=dict(
                        img_shape=(9, 9),
                        num_vertices=(4, 8),
                        max_angle=4,
                        length_range=(10, 100),
                        brush_width=9,
                        area_ratio_range=(0.1, 0.2),
                    ),
                )
            ),
            pipeline(
                mask=dict(
                    mask_mode='irregular',
                    mask_config=dict(
                        num_vertices=(4, 8),
                        max_angle=4,
                        length_range=(10, 100),
                        brush_width=9,
                        area_ratio_range=(0.1, 0.2),
                    ),
                )
            )
            | {'model.trained_hole': None},
        ),
        (
            '1x',
            steps(
                mask=dict(
                    mask_mode='ff',
                    mask_config=dict(
                        num_vertices=5,
                        mean_angle=1.2,
                        angle_range=0.4,
                        brush_width=(12, 40),
                        dtype='uint8',
                    ),
                )
            ),
            pipeline(
                mask=dict(
                    mask_mode='ff',
                    mask_config=dict(
                        num_vertices=5, mean_angle=1.2, angle_range=0.4, brush_width=(12, 40)
                    ),
                )
            ),
        ),
        (
            '1x',
            steps(
                mask=dict(
                    mask_mode='set',
                    mask_config=dict(
                        mask_list_file='l.txt',
                        prefix='m',
                        io_backend='local',
                        color_type='unchanged',
                        file_client_kwargs=dict(),
                    ),
                )
            ),
            pipeline(
                mask=dict(mask_mode='set', mask_config=dict(mask_list_file='l.txt', prefix='m'))
            ),
        ),
        (
            '1x',
            steps(mask=dict(mask_mode='file'))
            | FILE_MASKS
            | {'train_dataloader.dataset.data_root': 'r'},
            pipeline(mask=dict(mask_mode='file', mask_config=dict(mask_dir='r/masks')))
            | {'train_dataloader.dataset.data_prefix': dict(gt='data_large')},
        ),
        # optimizers and rates
        (
            '1x',
            {
                'optim_wrapper.disc': dict(
                    type='AmpOptimWrapper',
                    optimizer=dict(type='AdamW', lr=1e-3),
                    clip_grad=dict(max_norm=1),
                    accumulative_counts=2,
                    loss_scale='dynamic',
                )
            },
            {
                'optim_wrapper.disc': dict(
                    type='AmpOptimWrapper',
                    optimizer=dict(type='AdamW', lr=1e-3),
                    clip_grad=dict(max_norm=1),
                    accumulative_counts=2,
                )
            },
        ),
        (
            '1x',
            {'param_scheduler': dict(type='StepLR', by_epoch=False, step_size=3)},
            {'param_scheduler': dict(type='StepLR', by_epoch=False, step_size=3)},
        ),
        (
            '0x',
            {'optimizers.disc': dict(type='SGD', lr=0.1)},
            {
                'optim_wrapper.disc': dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
                'optim_wrapper.constructor': 'MultiOptimWrapperConstructor',
            },
        ),
        (
            '0x',
            {'lr_config': dict(policy='Step', by_epoch=False, step=3, gamma=0.5)},
            {
                'param_scheduler': [
                    dict(type='PolicyLR', policy='Step', by_epoch=False, step=3, gamma=0.5)
                ]
            },
        ),
        (
            '0x',
            {'lr_config': dict(policy='step', step=[2, 4])},
            {
                'param_scheduler': [
                    dict(type='PolicyLR', policy='Step', by_epoch=False, step=[2, 4])
                ]
            },
        ),
        (
            '0x',
            {'lr_config': dict(policy='poly', power=2, min_lr=1e-5)},
            {
                'param_scheduler': [
                    dict(
                        type='PolicyLR',
                        policy='Poly',
                        by_epoch=False,
                        power=2,
                        min_lr=1e-5,
                        max_iters=6,
                    )
                ]
            },
        ),
        (
            '0x',
            {
                'optimizers.generator.weight_decay': 1e-4,
                'optimizers.generator.paramwise_cfg': dict(bias_decay_mult=0.0),
            },
            {
                'optim_wrapper.generator': dict(
                    type='OptimWrapper',
                    optimizer=dict(type='Adam', lr=4e-4, weight_decay=1e-4),
                    paramwise_cfg=dict(norm_decay_mult=1.0, bias_decay_mult=0.0),
                )
            },
        ),
        (
            '1x',
            {'optim_wrapper.disc.paramwise_cfg': dict(bias_lr_mult=2.0)},
            {'optim_wrapper.disc.paramwise_cfg': dict(bias_lr_mult=2.0)},
        ),
        (
            '1x',
            {'custom_hooks': [dict(type='EMAHook', momentum=0.25, priority='HIGH')]},
            {'custom_hooks': [dict(type='EMAHook', decay=0.75, priority='HIGH')]},
        ),
        (
            '0x',
            {'custom_hooks': [dict(type='EMAHook', warm_up=50)]},
            {'custom_hooks': [dict(type='EMAHook', decay=0.9998)]},
        ),
        (
            '0x',
            {'custom_hooks': [dict(type='EMAHook', momentum=0.01)]},
            {'custom_hooks': [dict(type='EMAHook', decay=0.99)]},
        ),
        # the run
        (
            '1x',
            {
                'default_hooks.checkpoint.max_keep_ckpts': 2,
                'default_hooks.checkpoint.save_best': 'Places/SSIM',
            },
            {
                'default_hooks.checkpoint': dict(
                    type='CheckpointHook', interval=2, max_keep_ckpts=2, save_best='ssim'
                )
            },
        ),
        (
            '1x',
            {'default_hooks.checkpoint.save_best': 'auto'},
            {
                'default_hooks.checkpoint.save_best': 'l1',
                'default_hooks.checkpoint.max_keep_ckpts': -1,
            },
        ),
        (
            '1x',
            "val_evaluator = dict(type='Evaluator', metrics=[dict(type='PSNR', crop_border=0)])"
            f"\n{BEST} = 'PSNR'",
            {'val_evaluator': dict(type='InpaintingMetrics'), SAVED: 'psnr'},
        ),
        ('0x', {'test_cfg.metrics': None}, {'test_evaluator': dict(type='InpaintingMetrics')}),
        ('1x', {'model.test_cfg': dict(metrics=None)}, {'model.disc.type': 'GLDiscs'}),
        *(
            ('1x', f'val_evaluator = {metrics}\n{BEST} = {given!r}', {SAVED: expected})
            for metrics, given, expected in [
                ([dict(type='MAE')], 'MAE', 'l1_image'),
                ([dict(type='MAE', mask_key='mask')], 'MAE', 'l1'),
                ([dict(type='MAE', mask_key=None)], 'auto', 'l1_image'),
                ([dict(type='PSNR'), dict(type='MAE')], 'auto', 'psnr'),
                ([dict(type='PSNR'), dict(type='MAE')], ['MAE'], 'l1_image'),
                (OF_TWO_PREFIXES, 'hole/MAE', 'l1'),
                (OF_TWO_PREFIXES, 'all/MAE', 'l1_image'),
                (OF_TWO_PREFIXES, 'all/SSIM', 'ssim'),
                (OF_TWO_PREFIXES, 'MAE', 'l1_image'),
            ]
        ),
        (
            '1x',
            {
                'default_hooks.checkpoint.save_best': ['PSNR'],
                'default_hooks.checkpoint.rule': ['greater'],
            },
            {SAVED: 'psnr'},
        ),
        ('0x', {'evaluation.save_best': 'psnr', 'evaluation.rule': 'greater'}, {SAVED: 'psnr'}),
        (
            '1x',
            {'visualizer.vis_backends': [dict(type='VisBackend'), dict(type='WandbVisBackend')]},
            {
                'visualizer.vis_backends': [
                    dict(type='LocalVisBackend'),
                    dict(type='TensorboardVisBackend'),
                    dict(type='WandbVisBackend'),
                ]
            },
        ),
        (
            '1x',
            {'randomness': dict(seed=3), 'load_from': 'w.pth', 'resume': True, 'work_dir': 'here'},
            {'randomness.seed': 3, 'load_from': 'w.pth', 'resume': True, 'work_dir': 'here'},
        ),
        (
            '1x',
            {'env_cfg': dict(cudnn_benchmark=False), 'log_level': 'DEBUG'},
            {
                'env_cfg.cudnn_benchmark': False,
                'env_cfg.dist_cfg.backend': 'nccl',
                'log_level': 'DEBUG',
            },
        ),
        (
            '1x',
            {'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=9)},
            {'train_cfg': dict(type='TrainLoop', max_iters=9, val_interval=1000)},
        ),
        ('0x', {'resume_from': 'r.pth'}, {'load_from': 'r.pth', 'resume': True}),
        (
            '0x',
            {'total_iters': 9, 'evaluation.interval': 4},
            {'train_cfg': dict(type='TrainLoop', max_iters=9, val_interval=4)},
        ),
        (
            '0x',
            {'checkpoint_config': dict(interval=5, max_keep_ckpts=3)},
            {
                'default_hooks.checkpoint': dict(
                    type='CheckpointHook', interval=5, max_keep_ckpts=3, save_best='l1'
                )
            },
        ),
        (
            '0x',
            {
                'dist_params': dict(backend='gloo'),
                'mp_start_method': 'fork',
                'opencv_num_threads': 2,
            },
            {
                'env_cfg': dict(
                    cudnn_benchmark=False,
                    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=2),
                    dist_cfg=dict(backend='gloo'),
                )
            },
        ),
        (
            '0x',
            {'evaluation': dict(_delete_=True, interval=3)},
            {
                'default_hooks.checkpoint': dict(
                    type='CheckpointHook', interval=2, max_keep_ckpts=-1, save_best=None
                )
            },
        ),
        ('0x', {'log_config.interval': 7}, {'default_hooks.logger.interval': 7}),
        (
            '0x',
            {
                'log_config.hooks': [
                    dict(type='TextLoggerHook'),
                    dict(type='WandbLoggerHook', init_kwargs=dict(project='p'), commit=False),
                    dict(type='MlflowLoggerHook', exp_name='e', log_model=False),
                    dict(type='NeptuneLoggerHook', init_kwargs=dict(project='q'), with_step=True),
                    dict(type='ClearMLLoggerHook'),
                    dict(type='DvcliveLoggerHook'),
                ]
            },
            {
                'visualizer.vis_backends': [
                    dict(type='LocalVisBackend'),
                    dict(type='TensorboardVisBackend'),
                    dict(type='WandbVisBackend', init_kwargs=dict(project='p'), commit=False),
                    dict(type='MLflowVisBackend', exp_name='e'),
                    dict(type='NeptuneVisBackend', init_kwargs=dict(project='q')),
                    dict(type='ClearMLVisBackend'),
                    dict(type='DVCLiveVisBackend'),
                ]
            },
        ),
        (
            '0x',
            {
                'data.samples_per_gpu': 5,
                'data.workers_per_gpu': 2,
                'data.val_samples_per_gpu': 3,
                'data.val_workers_per_gpu': 1,
                **{f'data.{mode}_dataloader': None for mode in ('train', 'val', 'test')},
            },
            {
                'train_dataloader.batch_size': 5,
                'train_dataloader.num_workers': 2,
                'val_dataloader.batch_size': 3,
                'val_dataloader.num_workers': 1,
                'test_dataloader.batch_size': 3,
            },
        ),
    ],
)
def test_a_word_of_theirs_becomes_ours(name, options, expected, theirs):
    cfg = load(theirs, name, options)
    for key, value in expected.items():
        found = cfg
        for part in key.split('.'):
            found = found.get(part)
        assert found == value, key


# Names of one and the same thing in the releases of 1.x, beside those of the last one.
NAMES_OF_1X = {
    '1.0.0rc0': dict(
        default_scope='mmedit',
        preprocessor='EditDataPreprocessor',
        pack='PackEditInputs',
        val='ValLoop',
        test='TestLoop',
    ),
    '1.0.0rc3': dict(
        default_scope='mmedit',
        preprocessor='EditDataPreprocessor',
        pack='PackEditInputs',
        val='GenValLoop',
        test='GenTestLoop',
        timer='GenIterTimerHook',
        log='GenLogProcessor',
        backend='GenVisBackend',
        tensorboard='TensorboardGenVisBackend',
        wandb='WandbGenVisBackend',
        pavi='PaviGenVisBackend',
        evaluator='GenEvaluator',
        drawing='GenVisualizationHook',
    ),
    '1.0.0rc6': dict(
        default_scope='mmedit',
        preprocessor='EditDataPreprocessor',
        pack='PackEditInputs',
        val='EditValLoop',
        test='EditTestLoop',
        timer='EditIterTimerHook',
        log='EditLogProcessor',
        evaluator='EditEvaluator',
    ),
    '1.2.0': dict(backend='VisBackend', drawing='VisualizationHook'),
}


def in_words_of(
    default_scope='mmagic',
    preprocessor='DataPreprocessor',
    pack='PackInputs',
    val='MultiValLoop',
    test='MultiTestLoop',
    timer='IterTimerHook',
    log='LogProcessor',
    backend='LocalVisBackend',
    tensorboard='TensorboardVisBackend',
    wandb='WandbVisBackend',
    pavi='PaviVisBackend',
    evaluator='Evaluator',
    drawing='BasicVisualizationHook',
) -> dict:
    backends = [dict(type=name) for name in (backend, tensorboard, wandb, pavi)]
    metrics = [dict(type='MAE', mask_key='mask', scaling=100), dict(type='PSNR')]
    return {
        'default_scope': default_scope,
        'model.data_preprocessor.type': preprocessor,
        **steps(dict(type='Crop', keys=['gt'], crop_size=(72, 72)), dict(type=pack)),
        'val_cfg.type': val,
        'test_cfg.type': test,
        'default_hooks.timer.type': timer,
        'log_processor': dict(type=log, window_size=50, by_epoch=False),
        'visualizer.vis_backends': backends,
        'val_evaluator': [dict(type=evaluator, metrics=metrics)],
        'custom_hooks': [dict(type=drawing, interval=1)],
    }


@pytest.mark.parametrize('release', NAMES_OF_1X)
def test_the_names_of_every_release_of_1x_say_the_same_run(release, theirs, capsys):
    last = load_config(theirs('1x'), in_words_of()).to_dict()
    capsys.readouterr()
    words = in_words_of(**NAMES_OF_1X[release])
    assert load_config(theirs('1x'), words).to_dict() == last
    said = ' '.join(capsys.readouterr().err.split())
    assert 'VisBackend, for which mmengine has no backend' in said.partition('No effect')[2]
    assert last['log_processor'] == dict(type='LogProcessor', window_size=50, by_epoch=False)
    assert last['visualizer']['vis_backends'][2:] == [dict(type='WandbVisBackend')]
    assert (last['val_cfg'], last['test_cfg']) == (dict(type='ValLoop'), dict(type='TestLoop'))


def test_the_files_of_0x_with_a_service_that_is_gone_and_metrics_of_their_own_are_read(
    theirs, capsys
):
    plain = load_config(theirs('0x')).to_dict()
    capsys.readouterr()
    options = {
        'log_config.hooks': [dict(type='IterTextLoggerHook'), dict(type='PaviLoggerHook')],
        'evaluation.metric_dict': dict(l1=dict()),
        'visual_config.type': 'VisualizationHook',
    }
    options['log_config.hooks'][1]['init_kwargs'] = dict(project='mmedit')
    assert load_config(theirs('0x'), options).to_dict() == plain
    said = ' '.join(capsys.readouterr().err.split())
    assert 'evaluation.metric_dict: InpaintingMetrics measures all that it has' in said
    assert 'PaviLoggerHook, for which mmengine has no backend' in said.partition('No effect')[2]


def test_without_data_test_what_data_val_says_is_tested_and_that_is_said(theirs, capsys):
    plain = load_config(theirs('0x')).to_dict()
    assert 'is tested' not in ' '.join(capsys.readouterr().err.split())
    options = {'data.test': None, 'test_cfg': None, 'data.val.ann_file': 'other.txt'}
    cfg = load_config(theirs('0x'), options).to_dict()
    said = ' '.join(capsys.readouterr().err.split())
    assert 'what data.val says is tested, for there is no data.test' in said
    assert cfg['test_dataloader'] == cfg['val_dataloader']
    assert cfg['test_dataloader']['dataset']['ann_file'] == 'other.txt'
    for key in ('test_cfg', 'test_evaluator', 'model'):
        assert cfg[key] == plain[key]


def test_a_service_logs_at_the_interval_of_all_and_what_it_has_no_word_for_is_said(theirs, capsys):
    hook = dict(type='WandbLoggerHook', interval=50, log_artifact=True)
    load_config(theirs('0x'), {'log_config.hooks': [hook]})
    said = ' '.join(capsys.readouterr().err.split())
    assert 'WandbLoggerHook is WandbVisBackend' in said
    assert 'log_config.hooks[0].log_artifact' in said.partition('No effect')[2]
    differs = said.partition('Differs')[2]
    assert 'log_config.hooks[0].interval: a line is written every 1' in differs


@pytest.mark.parametrize(
    ('name', 'options', 'title', 'sentence'),
    [
        ('1x', {'train_dataloader.dataset.serialize_data': False}, 'No effect', 'serialize_data'),
        ('1x', {'train_dataloader.dataset.recursive': True}, 'No effect', 'recursive, beside ann_'),
        ('1x', {'val_dataloader.sampler.round_up': False}, 'No effect', 'sampler.round_up'),
        ('1x', {'auto_scale_lr': dict(enable=False)}, 'No effect', 'auto_scale_lr'),
        *(
            ('1x', {f'model.{name}': value}, 'No effect', f'model.{name}')
            for name, value in dict(
                loss_tv=dict(type='MaskedTVLoss'),
                loss_gp=dict(type='GradientPenaltyLoss'),
                loss_composed_percep=dict(type='PerceptualLoss'),
                loss_out_percep=True,
            ).items()
        ),
        (
            '1x',
            steps(read=dict(type='LoadImageFromFile', key='gt', use_cache=True)),
            'No effect',
            '(LoadImageFromFile).use_cache',
        ),
        (
            '1x',
            steps(read=dict(type='LoadImageFromFile', key='gt', to_float32=True)),
            'Differs',
            'to_float32=True: what is resized is rounded to whole numbers',
        ),
        (
            '1x',
            {'optim_wrapper.disc.type': 'AmpOptimWrapper'},
            'Differs',
            'AmpOptimWrapper: networks compute in bfloat16, where theirs of GLInpaintor stay in',
        ),
        (
            '1x',
            {'val_dataloader.sampler.shuffle': True},
            'Differs',
            'val_dataloader: shuffle=True: pictures are evaluated in order',
        ),
        (
            '1x',
            {'default_hooks.checkpoint.save_last': False},
            'Differs',
            'save_last=False: the last iteration is saved',
        ),
        (
            '1x',
            "val_evaluator = [dict(type='MAE', prefix='all')]",
            'Changed',
            'all/MAE is l1_image; InpaintingMetrics measures all that it has',
        ),
        (
            '1x',
            "val_evaluator = [dict(type='MAE', mask_key='mask', scaling=255)]",
            'Differs',
            'l1 is MAE with scaling=100, not 255',
        ),
        ('1x', "val_evaluator = [dict(type='MAE')]", 'Differs', 'is MAE with scaling=100, not 1'),
        (
            '1x',
            {'optim_wrapper.generator.accumulative_counts': 2},
            'Differs',
            'optim_wrapper.generator.accumulative_counts=2: so many gradients make a step',
        ),
        ('0x', {}, 'Differs', 'l1 is in percent of the range: 50 times that of 0.x'),
        (
            '1x',
            steps(dict(type='Flip', keys=['gt']), mask=dict(mask_mode='file')) | FILE_MASKS,
            'Differs',
            "Flip turns a mask of mask_mode='file' with its picture",
        ),
    ],
)
def test_what_has_another_meaning_or_none_is_said_where_it_is_written(
    name, options, title, sentence, theirs, capsys
):
    def said(options):
        capsys.readouterr()
        load(theirs, name, options)
        lines = re.split('(Changed|No effect|Differs) ', ' '.join(capsys.readouterr().err.split()))
        return dict(zip(lines[1::2], lines[2::2])).get(title, '')

    assert sentence in said(options)
    if options:
        assert sentence not in said({})


@pytest.mark.parametrize('how', ['nearest', 'bilinear', 'bicubic', 'area', 'lanczos'])
def test_pictures_are_resized_by_their_interpolations(how, theirs):
    resize = dict(type='Resize', keys=['gt'], scale=(20, 30), interpolation=how)
    cfg = load(theirs, '1x', steps(resize))
    (step,) = [s for s in cfg.train_dataloader.dataset.pipeline if s.type == 'Resize']
    init_default_scope('mmedit_gl')
    img = random_image(0, 48, 56)
    found = TRANSFORMS.build(step)(dict(gt_img=img))['gt_img']
    assert np.array_equal(found, mmcv.imresize(img, (20, 30), interpolation=how, backend='cv2'))


@pytest.mark.parametrize('size', [(512, 513), (513, 512), (300, 200), (97, 1001), (96, 96)])
def test_a_shorter_edge_of_theirs_gives_their_size_rounded_upwards(size, theirs):
    resize = dict(type='Resize', keys=['gt'], scale=(-1, 256), keep_ratio=True)
    cfg = load(theirs, '1x', steps(resize))
    (step,) = [s for s in cfg.train_dataloader.dataset.pipeline if s.type == 'Resize']
    init_default_scope('mmedit_gl')
    found = TRANSFORMS.build(step)(dict(gt_img=np.zeros((*size, 3), np.uint8)))['gt_img']
    expected = [int(edge * (256 / min(size)) + 0.5) for edge in size]
    assert found.shape[:2] == tuple(expected)
    theirs_shape = mmcv.imrescale(np.zeros((*size, 3), np.uint8), (np.inf, 256)).shape
    assert found.shape == theirs_shape


@pytest.mark.parametrize(
    ('name', 'options', 'parts'),
    [
        (
            '1x',
            {'model.type': 'DeepFillv1Inpaintor'},
            ["model.type: 'DeepFillv1Inpaintor' has no counterpart", "'GLInpaintor'"],
        ),
        (
            '1x',
            {'model.loss_disc_shift': dict(type='DiscShiftLoss')},
            ['model.loss_disc_shift=', 'has no counterpart in this project: take it out'],
        ),
        *(
            (
                '1x',
                {
                    'model.data_preprocessor': dict(
                        _delete_=True, type='EditDataPreprocessor', **{given: 127.5}
                    )
                },
                [f'model.data_preprocessor.{missing}: expected 127.5, for the default of'],
            )
            for given, missing in (('mean', 'std'), ('std', 'mean'))
        ),
        (
            '1x',
            {'model.data_preprocessor.data_keys': None},
            ['model.data_preprocessor.data_keys: None', "expected 'gt_img'"],
        ),
        *(
            (
                '0x',
                {'data.train.pipeline': [READ, dict(type='LoadMask', mask_config=BOX), *steps]},
                ['data.train.pipeline: expected Normalize among its steps, before GetMaskedImage'],
            )
            for steps in ([], [dict(type='GetMaskedImage'), NORMALIZE])
        ),
        ('1x', {'model.loss_l1_hole.reduction': 'sum'}, ["model.loss_l1_hole.reduction: 'sum'"]),
        (
            '1x',
            {'model.encdec.dilation_neck.conv_type': 'gated_conv'},
            ["model.encdec.dilation_neck.conv_type: 'gated_conv'", "expected 'conv'"],
        ),
        (
            '1x',
            {'model.encdec.decoder.out_act': 'sigmoid'},
            ["model.encdec.decoder.out_act: 'sigmoid'"],
        ),
        (
            '1x',
            {'model.disc.local_disc_cfg.with_spectral_norm': True},
            ['model.disc.local_disc_cfg.with_spectral_norm: True'],
        ),
        (
            '1x',
            {'model.disc.global_disc_cfg.norm_cfg': dict(type='BN')},
            ['norm_cfg: BN in some networks, SyncBN in others'],
        ),
        (
            '1x',
            {'model.data_preprocessor.mean': [0, 0, 0]},
            ['model.data_preprocessor.mean: [0, 0, 0]', 'expected 127.5'],
        ),
        (
            '1x',
            {'model.train_cfg.iter_tc': None},
            ['model.train_cfg.iter_tc: expected a number of iterations, got None'],
        ),
        (
            '1x',
            {'model.train_cfg.start_iter': 4, 'resume': True},
            ['model.train_cfg.start_iter=4 with a run that is resumed'],
        ),
        ('1x', {'model.encdec': 3}, ['model.encdec: expected a dict, got 3']),
        (
            '1x',
            {'train_dataloader.sampler.type': 'MyS'},
            ["train_dataloader.sampler.type: 'MyS'", "'InfiniteSampler' or 'DefaultSampler'"],
        ),
        (
            '1x',
            {'train_dataloader.dataset.type': 'AdobeComp1kDataset'},
            ["train_dataloader.dataset.type: 'AdobeComp1kDataset'"],
        ),
        (
            '1x',
            {'train_dataloader.batchsize': 2},
            ['train_dataloader.batchsize=2 has no', "did you mean 'batch_size'?"],
        ),
        (
            '1x',
            {'val_dataloader': [dict(), dict()]},
            ['val_dataloader: expected one loader, got 2'],
        ),
        (
            '1x',
            steps(dict(type='ColorJitter', keys=['gt'])),
            ['train_dataloader.dataset.pipeline[2] (ColorJitter) has no counterpart', 'Crop'],
        ),
        (
            '1x',
            steps(dict(type='Crop', keys=['gt', 'mask'], crop_size=(9, 9))),
            ["pipeline[2] (Crop).keys: ['gt', 'mask']"],
        ),
        (
            '1x',
            steps(dict(type='Crop', keys=['gt'], crop_size=(9, 9), is_pad_zeros=True)),
            ['(Crop).is_pad_zeros: True'],
        ),
        (
            '1x',
            steps(read=dict(type='LoadImageFromFile', key='gt', channel_order='rgb')),
            ["pipeline[0] (LoadImageFromFile).channel_order: 'rgb'"],
        ),
        (
            '1x',
            steps(dict(type='LoadMask')),
            ['pipeline: expected one LoadMask among its steps, got 2'],
        ),
        (
            '1x',
            steps(mask=dict(mask_mode='disc')),
            ["pipeline[1] (LoadMask).mask_mode: 'disc'", "'bbox' or"],
        ),
        (
            '1x',
            steps(mask=dict(mask_config=dict(max_bbox_shap=9))),
            ['mask_config.max_bbox_shap=9', "did you mean 'max_bbox_shape'"],
        ),
        (
            '1x',
            steps(mask=dict(mask_mode='file')),
            ["train_dataloader.dataset.data_prefix: mask_mode 'file' takes the masks of its key"],
        ),
        ('1x', {'optim_wrapper.refiner': dict(type='OptimWrapper')}, ['optim_wrapper.refiner=']),
        (
            '1x',
            {'optim_wrapper.disc.type': 'ApexOptimWrapper'},
            ["optim_wrapper.disc.type: 'ApexOptimWrapper'"],
        ),
        (
            '1x',
            {'train_cfg.type': 'EpochBasedTrainLoop'},
            ["train_cfg.type: 'EpochBasedTrainLoop'"],
        ),
        (
            '1x',
            {'val_evaluator': [dict(type='PSNR'), dict(type='NIQE')]},
            ["val_evaluator[1].type: 'NIQE'"],
        ),
        ('1x', "val_evaluator = dict(type='PSNR', convert_to='Y')", ["convert_to: 'Y'"]),
        (
            '1x',
            {'default_hooks.checkpoint.by_epoch': True},
            ['default_hooks.checkpoint.by_epoch: True'],
        ),
        (
            '1x',
            {'default_hooks.checkpoint.save_best': 'NIQE'},
            ["default_hooks.checkpoint.save_best: 'NIQE'", "'PSNR'"],
        ),
        (
            '1x',
            {'custom_hooks': [dict(type='ExponentialMovingAverageHook')]},
            ["custom_hooks[0].type: 'ExponentialMovingAverageHook'"],
        ),
        (
            '1x',
            {'optimizer_config': dict(grad_clip=dict(max_norm=3))},
            ['optimizer_config=', 'has no counterpart'],
        ),
        ('1x', {'trian_cfg': 3}, ['trian_cfg=3', "did you mean 'train_cfg'"]),
        (
            '0x',
            {'optimizers': dict(_delete_=True, type='Adam', lr=1e-4)},
            ["optimizers.type='Adam' has no counterpart"],
        ),
        (
            '0x',
            {'lr_config.policy': 'CosineRestart'},
            ['lr_config.periods: expected periods of together at least total_iters=6, got None'],
        ),
        (
            '0x',
            {'lr_config.policy': 'OneCycle'},
            ["lr_config.policy: 'OneCycle'", "expected 'Fixed' or 'Step'"],
        ),
        (
            '0x',
            {'lr_config': dict(policy='step', step=3, warmup_by_epoch=True)},
            ['lr_config.warmup_by_epoch: True'],
        ),
        (
            '0x',
            {'custom_hooks': [dict(type='EMAHook', momentum=0.1, warm_up=11)]},
            ['custom_hooks[0].warm_up=11', 'at most 1 / momentum', 'momentum is 0.1'],
        ),
        (
            '0x',
            {'custom_hooks': [dict(type='EMAHook', momentum=0.1)]},
            ['custom_hooks[0].warm_up=100', 'at most 1 / momentum'],
        ),
        (
            '1x',
            {'custom_hooks': [dict(type='EMAHook', momentum='0.1')]},
            ["custom_hooks[0].momentum: expected a number, got '0.1'"],
        ),
        (
            '0x',
            {'lr_config': dict(policy='CosineRestart', periods=9, min_lr=0)},
            ['lr_config.periods: expected periods of together at least total_iters=6, got 9'],
        ),
        ('0x', "lr_config = 'Fixed'", ["lr_config: expected a dict, got 'Fixed'"]),
        (
            '1x',
            {'custom_hooks': [dict(type='EMAHook', ema_type='StochasticWeightAverage')]},
            ["custom_hooks[0].ema_type: 'StochasticWeightAverage'"],
        ),
        (
            '1x',
            {'custom_hooks': [dict(type='EMAHook', begin_iter=100)]},
            ['custom_hooks[0].begin_iter: 100', 'expected 0'],
        ),
        (
            '1x',
            {'train_dataloader.dataset': dict(_delete_=True, type='ClassBalancedDataset')},
            ["train_dataloader.dataset.type: 'ClassBalancedDataset'"],
        ),
        (
            '1x',
            {'optim_wrapper.paramwise_cfg': dict(bias_lr_mult=2.0)},
            ["optim_wrapper.paramwise_cfg={'bias_lr_mult': 2.0} has no counterpart"],
        ),
        (
            '0x',
            {'log_config.hooks': [dict(type='MyLoggerHook')]},
            ["log_config.hooks[0].type: 'MyLoggerHook'", "'WandbLoggerHook'"],
        ),
        (
            '0x',
            {'log_config.hooks': [dict(type='WandbLoggerHook', init_kwarg={})]},
            ['log_config.hooks[0].init_kwarg={}', "did you mean 'init_kwargs'?"],
        ),
        (
            '1x',
            {'default_hooks.timer.type': 'MyTimerHook'},
            ["default_hooks.timer.type: 'MyTimerHook'", "'IterTimerHook' or"],
        ),
        ('1x', {'log_processor': dict(by_epoch=True)}, ['log_processor.by_epoch: True']),
        (
            '1x',
            {'model.pretrained': 'w.pth'},
            ["model.pretrained='w.pth' has no counterpart", 'weights are given by load_from'],
        ),
        (
            '1x',
            {'auto_scale_lr': dict(enable=True, base_batch_size=96)},
            ['auto_scale_lr.enable=True has no counterpart in this project: give the rates'],
        ),
        (
            '1x',
            {'train_dataloader.collate_fn': dict(type='my_collate')},
            ["train_dataloader.collate_fn: {'type': 'my_collate'}", 'pseudo_collate'],
        ),
        (
            '1x',
            {'default_hooks.checkpoint.save_best': ['PSNR', 'MAE']},
            [
                'default_hooks.checkpoint.save_best: expected one metric, by which weights are ',
                "kept, got ['PSNR', 'MAE']",
            ],
        ),
        (
            '1x',
            "val_evaluator = [dict(type='PSNR')]",  # with save_best='MAE'
            ["default_hooks.checkpoint.save_best: 'MAE' has no counterpart", "expected 'PSNR'"],
        ),
        (
            '1x',
            {'default_hooks.checkpoint.rule': 'greater'},
            ["default_hooks.checkpoint.rule='greater' has no counterpart", 'of l1', 'is less'],
        ),
        (
            '0x',
            {'evaluation.save_best': 'psnr', 'evaluation.rule': 'less'},
            ["evaluation.rule='less' has no counterpart", 'of psnr', 'is greater'],
        ),
        *(
            ('1x', f'val_evaluator = [dict(type="MAE", {key}={value!r})]', [said])
            for key, value, said in [
                (
                    'pred_key',
                    'fake_res',
                    "val_evaluator[0].pred_key: 'fake_res' has no counterpart",
                ),
                ('gt_key', 'input', "val_evaluator[0].gt_key: 'input' has no counterpart"),
                ('mask_key', 'trimap', "val_evaluator[0].mask_key: 'trimap' has no counterpart"),
                ('crop_border', 2, 'val_evaluator[0].crop_border=2 has no counterpart'),
            ]
        ),
        ('1x', "val_evaluator = [dict(type='PSNR', scaling=100)]", ['[0].scaling=100 has no']),
        ('1x', {'custom_hooks': ['EMAHooks']}, ["custom_hooks[0].type: 'EMAHooks'"]),
        (
            '1x',
            steps(dict(type='Resize', keys=['gt'], scale=(-1, 96))),
            ['(Resize).scale=(-1, 96): expected keep_ratio=True'],
        ),
        ('0x', {'test_cfg.metrics': ['l1', 'niqe']}, ["test_cfg.metrics: 'niqe'"]),
        (
            '0x',
            {'data.train.type': 'SRFolderDataset'},
            ["data.train.type: 'SRFolderDataset'", "'ImgInpaintingDataset'"],
        ),
        ('0x', {'data.train.pipelin': []}, ['data.train.pipelin=[]', "did you mean 'pipeline'"]),
        (
            '0x',
            {'data.train.pipeline': [dict(type='Normalize', keys=['gt_img'], mean=[0] * 3)]},
            ['data.train.pipeline[0] (Normalize).mean: [0, 0, 0]'],
        ),
        ('0x', {'evaluation.by_epoch': True}, ['evaluation.by_epoch: True']),
        (
            '0x',
            {'checkpoint_config.create_symlink': True},
            ['checkpoint_config.create_symlink=True'],
        ),
        (
            '0x',
            {'train_cfg.start_iter': 4, 'resume_from': 'r.pth'},
            ['train_cfg.start_iter=4 with a run that is resumed'],
        ),
    ],
)
def test_what_would_have_an_effect_and_has_no_counterpart_is_refused_by_its_key(
    name, options, parts, theirs
):
    with pytest.raises(UserError) as raised:
        load(theirs, name, options)
    assert all(part in str(raised.value) for part in parts), raised.value


SQUARE, WIDE = dict(img_shape=(64, 64)), dict(img_shape=(64, 96))
ANYWHERE = 'strokes begin anywhere in a picture that is not square'
TURNS = "Flip turns a mask of mask_mode='file' with its picture"
FLIP = dict(type='Flip', keys=['gt'], flip_ratio=0.5)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (steps(mask=dict(mask_mode='ff', mask_config=SQUARE)), set()),
        (steps(mask=dict(mask_mode='ff', mask_config=WIDE)), {ANYWHERE}),
        (steps(mask=dict(mask_mode='irregular', mask_config=WIDE)), {ANYWHERE}),
        (steps(FLIP), set()),
        (steps(mask=dict(mask_mode='file')) | FILE_MASKS, set()),
        (steps(FLIP, mask=dict(mask_mode='file')) | FILE_MASKS, {TURNS}),
    ],
)
def test_masks_that_come_out_differently_are_said(options, said, theirs, capsys):
    load(theirs, '1x', options)
    differs = ' '.join(capsys.readouterr().err.split()).partition('Differs')[2]
    assert {sentence for sentence in (ANYWHERE, TURNS) if sentence in differs} == said


def places(part, key=()):
    """The keys to everything within a configuration."""
    inner = dict(enumerate(part)) if isinstance(part, list) else part
    for name, value in inner.items() if isinstance(inner, dict) else ():
        yield (*key, name)
        yield from places(value, (*key, name))


@pytest.mark.parametrize('name', GENERATIONS)
def test_a_value_of_the_wrong_kind_is_said_in_a_sentence_wherever_it_stands(name, theirs):
    more = {
        '1x': "custom_hooks.append(dict(type='EMAHook', momentum=0.1))",
        '0x': "lr_config = dict(policy='CosineRestart', periods=[9], min_lr=0, warmup='linear')\n"
        "custom_hooks = [dict(type='EMAHook', momentum=0.01, warm_up=3)]",
    }
    given = Config.fromfile(theirs(name, more[name])).to_dict()
    refused = 0
    for *above, last in list(places(given)):
        for junk in (3, 'x', [3]):
            cfg = copy.deepcopy(given)
            part = cfg
            for key in above:
                part = part[key]
            part[last] = junk
            try:
                if generation(cfg):
                    translate(cfg)
            except UserError as error:
                refused += 1
                assert '\n' not in str(error)
    assert refused > 100
    with pytest.raises(UserError, match=r'^model.encdec.encoder.norm_cfg: expected .* got 3: '):
        load(theirs, name, {'model.encdec.encoder.norm_cfg': 3})


def test_a_file_has_variables_of_its_own_but_no_settings_that_nobody_reads(theirs, capsys):
    own = "\ncrop = dict(type='Crop', keys=['gt'], crop_size=(9, 9))\nnames = [3]\nmy_seed = 1234\n"
    load_config(theirs('1x', own + 'train_dataloader["dataset"]["pipeline"].insert(2, crop)'))
    said = ' '.join(capsys.readouterr().err.split())
    assert 'crop' not in said.partition('No effect')[2]
    assert 'names; my_seed' in said.partition('No effect')[2]
    with pytest.raises(UserError, match=r'^crop=.* has no counterpart in this project: take it'):
        load_config(theirs('1x', own))


@pytest.mark.parametrize('name', GENERATIONS)
def test_a_run_that_begins_in_a_later_phase_begins_from_weights_alone(
    name, theirs, small, tmp_path, capsys
):
    section = {'1x': 'model.train_cfg', '0x': 'train_cfg'}[name]
    cfg = small(theirs(name), {f'{section}.start_iter': 9})
    said = ' '.join(capsys.readouterr().err.split())
    assert 'start_iter=9: training begins in the joint phase, from weights (--load-from)' in said
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'run'), f'refused_{name}'
    with pytest.raises(UserError, match=r"begins behind the generator's phase: .* by --load-from"):
        Runner.from_cfg(cfg).train()
    assert not list((tmp_path / 'run').glob('*.pth'))
    cfg.load_from = str(tmp_path / 'weights.pth')
    torch.save(dict(state_dict=init_model(cfg, device='cpu').state_dict()), cfg.load_from)
    cfg.experiment_name = f'joint_{name}'
    runner = Runner.from_cfg(cfg)
    runner.train()
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert "Phase 'joint' from iteration 0 on" in log
    assert "Phase 'generator'" not in log


def rates(schedule: dict, count: int) -> list[float]:
    """Of two groups of parameters, of rates 0.1 and 0.2, at each iteration."""
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [dict(params=parameters[:1]), dict(params=parameters[1:], lr=0.2)]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=0.1))
    scheduler = PARAM_SCHEDULERS.build({**schedule, 'optimizer': wrapper})
    found = []
    for _ in range(count):
        found.append([group['lr'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        scheduler.step()
    return found


def half_wave(part: float) -> float:
    return np.cos(np.pi * part / 2) ** 2


def linear_warm_up(i: int) -> float:
    return min(1, 0.25 + 0.75 * i / 4)


WARM_UP = dict(warmup='linear', warmup_iters=4, warmup_ratio=0.25)


@pytest.mark.parametrize(
    ('policy', 'rate'),
    [
        (dict(policy='Step', step=3, gamma=0.5), lambda i, b: b * 0.5 ** (i // 3)),
        (dict(policy='Step', step=[2, 7]), lambda i, b: b * 0.1 ** ((i >= 2) + (i >= 7))),
        (dict(policy='step', step=2, min_lr=0.003), lambda i, b: max(b * 0.1 ** (i // 2), 0.003)),
        (
            dict(policy='Poly', power=0.9, min_lr=1e-3),
            lambda i, b: (b - 1e-3) * (1 - i / 10) ** 0.9 + 1e-3,
        ),
        (dict(policy='Exp', gamma=0.8), lambda i, b: b * 0.8**i),
        (dict(policy='Inv', gamma=0.5, power=2), lambda i, b: b / (1 + 0.5 * i) ** 2),
        (
            dict(policy='Linear', target_lr=0.01, start=4, interval=2),
            lambda i, b: b - (b - 0.01) * {4: 0, 5: 0, 6: 1, 7: 1, 8: 2, 9: 2}.get(i, 0) / 3,
        ),
        (
            dict(policy='CosineAnnealing', min_lr=0.02),
            lambda i, b: 0.02 + (b - 0.02) * half_wave(i / 10),
        ),
        (
            dict(policy='CosineAnnealing', min_lr_ratio=0.3, **WARM_UP),
            lambda i, b: linear_warm_up(i) * b * (0.3 + 0.7 * half_wave(i / 10)),
        ),
        (
            dict(policy='CosineRestart', periods=[4, 6], restart_weights=[1, 0.5], min_lr=0.02),
            lambda i, b: (
                0.02 + (b - 0.02) * (half_wave(i / 4) if i < 4 else half_wave((i - 4) / 6) / 2)
            ),
        ),
        (dict(policy='Fixed', **WARM_UP), lambda i, b: linear_warm_up(i) * b),
        (
            dict(policy='Step', step=3, gamma=0.5, warmup='exp', warmup_iters=5, warmup_ratio=0.01),
            lambda i, b: 0.01 ** max(0, 1 - i / 5) * b * 0.5 ** (i // 3),
        ),
        (
            dict(policy='Fixed', warmup='constant', warmup_iters=3),
            lambda i, b: b * (0.1 if i < 3 else 1),
        ),
    ],
)
def test_rates_are_those_of_the_policy_at_every_iteration(policy, rate, theirs):
    options = {'lr_config': dict(_delete_=True, **policy), 'total_iters': 10}
    (schedule,) = load_config(theirs('0x'), options).param_scheduler
    expected = [rate(i, base) for i in range(10) for base in (0.1, 0.2)]
    found = [lr for lrs in rates(schedule, 10) for lr in lrs]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ('schedule', 'message'),
    [
        (dict(policy='Steps'), "expected policy in .*, got 'Steps'"),
        (dict(policy='Step'), "policy 'Step': missing .* 'step', expected step, gamma, min_lr"),
        (dict(policy='Fixed', gamma=1), "policy 'Fixed': got an unexpected .* expected nothing"),
        (dict(policy='Fixed', warmup='cos'), "expected warmup in .*, got 'cos'"),
        (dict(policy='Fixed', warmup='exp'), 'warmup_iters: expected a whole number of at least 1'),
        (
            dict(policy='Fixed', warmup='exp', warmup_iters=3, warmup_ratio=0),
            r'expected warmup_ratio in \(0, 1\], got 0',
        ),
        (
            dict(policy='CosineAnnealing', max_iters=9),
            'expected either min_lr or min_lr_ratio',
        ),
    ],
)
def test_a_policy_without_sense_is_refused(schedule, message):
    with pytest.raises(UserError, match=message):
        rates(dict(type='PolicyLR', **schedule), 1)


def test_a_run_of_theirs_has_the_rates_of_its_policy_and_resumes_in_them(theirs, small, tmp_path):
    policy = dict(policy='CosineAnnealing', min_lr=1e-5, **WARM_UP)
    options = {'lr_config': dict(_delete_=True, **policy), 'custom_hooks': None}
    found = {}

    class Rates(Hook):
        def before_train_iter(self, runner, *args, **kwargs):
            found[runner.iter] = [*chain(*runner.optim_wrapper.get_lr().values())]

    def run(resume):
        cfg = small(theirs('0x'), options)
        cfg.work_dir, cfg.resume = str(tmp_path / 'run'), resume
        cfg.experiment_name = f'policy_{resume}'
        runner = Runner.from_cfg(cfg)
        runner.register_hook(Rates())
        runner.train()

    expected = [linear_warm_up(i) * (1e-5 + (4e-4 - 1e-5) * half_wave(i / 6)) for i in range(6)]
    run(resume=False)
    assert list(found) == list(range(6))
    assert [found[i] for i in range(6)] == [pytest.approx([rate] * 2) for rate in expected]
    whole = dict(found)
    for name in ('iter_6.pth', 'iter_4.pth'):
        (tmp_path / 'run' / name).unlink()
    found.clear()
    run(resume=True)
    assert found == {i: whole[i] for i in (3, 4, 5)}


@pytest.mark.parametrize(('name', 'bias_of_norm'), [('1x', 0.0), ('0x', 1e-3)])
def test_parameters_have_the_rates_and_decays_that_paramwise_cfg_gives_their_names(
    name, bias_of_norm, theirs, small
):
    # Of 0.x, bias_decay_mult is not that of norms.
    keys = dict(encoder=dict(lr_mult=0.1, decay_mult=0.5))
    paramwise = dict(bias_lr_mult=2.0, bias_decay_mult=0.0, custom_keys=keys)
    place = {'1x': 'optim_wrapper.generator.optimizer', '0x': 'optimizers.generator'}[name]
    options = {f'{place}.weight_decay': 1e-3}
    options[f'{place.removesuffix(".optimizer")}.paramwise_cfg'] = paramwise
    cfg = small(theirs(name), options)
    init_default_scope('mmedit_gl')
    model = MODELS.build(cfg.model)
    wrappers = dict(generator=cfg.optim_wrapper.generator)
    groups = MultiOptimWrapperConstructor(wrappers)(model)['generator'].optimizer.param_groups
    found = {id(g['params'][0]): (g['lr'], g['weight_decay']) for g in groups}
    kinds = dict(model.generator.named_modules())
    seen = set()
    for parameter, value in model.generator.named_parameters():
        module, _, kind = parameter.rpartition('.')
        is_norm = isinstance(kinds[module], torch.nn.BatchNorm2d)
        if parameter.startswith('encoder'):
            expected = (4e-5, 5e-4)
        elif kind == 'bias':
            expected = (4e-4, bias_of_norm) if is_norm else (8e-4, 0.0)
        else:
            expected = (4e-4, 1e-3)
        assert found[id(value)] == pytest.approx(expected), parameter
        seen.add((expected, is_norm, kind))
    assert len(found) == len(dict(model.generator.named_parameters()))
    assert len(seen) == 7  # encoder, bias or weight, of a norm or not; the only bias is the last


@pytest.mark.parametrize('name', GENERATIONS)
def test_the_moving_average_is_that_of_their_momentum(name, theirs, small, tmp_path):
    hook = dict(type='EMAHook', momentum=0.25, **{'1x': {}, '0x': dict(warm_up=4)}[name])
    interval = {'1x': 'default_hooks.checkpoint', '0x': 'checkpoint_config'}[name] + '.interval'
    rate = {'1x': 'optim_wrapper.generator.optimizer.lr', '0x': 'optimizers.generator.lr'}[name]
    cfg = small(theirs(name), {'custom_hooks': [hook], interval: 1, rate: 0.02})
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'run'), f'average_{name}'
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    Runner.from_cfg(cfg).train()
    saved = [read_checkpoint(tmp_path / f'run/iter_{i}.pth') for i in range(1, 7)]
    parameters = dict(MODELS.build(cfg.model).generator.named_parameters())
    average = {key: saved[0]['state_dict'][f'generator.{key}'].double() for key in parameters}
    for checkpoint in saved:
        for key in average:
            weights = checkpoint['state_dict'][f'generator.{key}'].double()
            average[key] = 0.75 * average[key] + 0.25 * weights
            held = checkpoint['ema_state_dict'][f'generator.{key}'].double()
            torch.testing.assert_close(held, average[key], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(held, weights, atol=1e-3)


def test_batch_norm_that_is_not_of_all_processes_stays_so(theirs):
    path = theirs('1x')
    networks = path.parent / 'networks.py'
    networks.write_text(NETWORKS.replace('SyncBN', 'BN'))
    cfg = load_config(path)
    assert cfg.sync_bn is None
    assert cfg.model.encdec.encoder.norm_cfg == dict(type='BN')


def test_a_model_of_0x_is_one_by_its_phases_alone(theirs, tmp_path):
    theirs('0x')
    path = tmp_path / 'model.py'
    phases = dict(disc_step=1, start_iter=0, iter_tc=2, iter_td=3, local_size=(32, 32))
    path.write_text(f'{NETWORKS}train_cfg = {phases}\ntest_cfg = dict()\n')
    expected = dict(disc_step=1, iter_tc=3, iter_td=4, local_size=(32, 32))
    assert load_config(path).model.train_cfg == expected


def test_processes_but_the_first_say_nothing(theirs, capsys, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    load_config(theirs('1x'))
    assert capsys.readouterr().err == ''


def test_a_file_with_a_model_alone_completes_pictures(theirs, tmp_path):
    theirs('0x')
    path = tmp_path / 'model.py'
    path.write_text(NETWORKS + 'total_iters = 6\n')
    weights = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=init_model(path, device='cpu').state_dict()), weights)
    image, mask = random_image(0, 40, 48), np.zeros((40, 48), np.uint8)
    mask[10:20, 12:30] = 255
    completed = Inpainter(path, weights, 'cpu')(image, mask)
    assert np.array_equal(completed[mask == 0], image[mask == 0])
    assert not np.array_equal(completed, image)
