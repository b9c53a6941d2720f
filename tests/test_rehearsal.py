"""Whatever a configuration asks for that cannot be had is said before the first iteration."""

import itertools
import os
import re
import subprocess
from argparse import ArgumentParser
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT, random_image, run_tool, shrink
from mmengine.evaluator import BaseMetric
from torch import nn

from mmedit_gl.apis import Inpainter
from mmedit_gl.engine import Options, Runner, load_config
from mmedit_gl.errors import UserError, concerns, configures, one_sentence_errors
from mmedit_gl.registry import METRICS, MODELS

NAMES = itertools.count()


@MODELS.register_module()
class PickyLoss(nn.Module):
    """A loss of one's own that fails when it is computed."""

    def forward(self, logit, target_is_real, is_disc=False, mask=None):
        raise TypeError('expected as many pictures as the paper has')


LOG_DIR = '[0-9]' * 8 + '_' + '[0-9]' * 6
SAMPLER = 'gives pictures no seeds for their crops and holes: expected DrawSampler for training'


@pytest.fixture
def begin(data_root, tmp_path):
    """Builds a run of a small configuration with options, and trains or tests it."""

    def run(options: dict, mode: str = 'train') -> Runner:
        cfg = load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py')
        cfg = shrink(cfg, data_root)
        cfg.train_cfg.max_iters = 1
        cfg.merge_from_dict(options)
        cfg.experiment_name = f'rehearsal_{next(NAMES)}'
        cfg.setdefault('work_dir', str(tmp_path / cfg.experiment_name))
        runner = Runner.from_cfg(cfg)
        getattr(runner, mode)()
        return runner

    return run


@pytest.fixture
def refused(begin, tmp_path, capfd):
    """The sentence with which a command ends that begins such a run; it leaves the log alone."""

    def run(options: dict, mode: str = 'train') -> str:
        with pytest.raises(SystemExit) as end, one_sentence_errors():
            begin(options, mode)
        assert end.value.code == 2
        (line,) = capfd.readouterr().err.splitlines()
        written = {path for path in tmp_path.rglob('*') if path.is_file()}
        assert written == set(tmp_path.glob(f'rehearsal_*/{LOG_DIR}/**/*')) & written
        return line.removeprefix('error: ')

    return run


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        # loaders and what they are made of
        ({'train_dataloader.num_workers': -1}, 'train_dataloader: num_workers option should be'),
        ({'train_dataloader.batch_size': 0}, 'train_dataloader: batch_size should be a positive'),
        ({'train_dataloader.batch_size': 'two'}, "train_dataloader: .*batch_size='two'"),
        ({'train_dataloader.shufle': True}, 'train_dataloader: .*shufle'),
        (
            {'train_dataloader.sampler.type': 'InfiniteSampler'},
            f'train_dataloader.sampler: .*{SAMPLER}',
        ),
        (
            {'train_dataloader.sampler.type': 'DefaultSampler'},
            f'train_dataloader.sampler: .*{SAMPLER}',
        ),
        ({'val_dataloader.sampler.type': 'DefaultSampler'}, f'val_dataloader.sampler: .*{SAMPLER}'),
        (
            {'train_dataloader.sampler.type': 'Drawer'},
            'train_dataloader.sampler: Drawer is not in the',
        ),
        (
            {'train_dataloader.collate_fn.type': 'pseudo_collate'},
            'train_dataloader.collate_fn: expected',
        ),
        (
            {'val_dataloader.collate_fn.type': 'pseudo_collate'},
            'val_dataloader.collate_fn: expected',
        ),
        (
            {'train_dataloader.dataset.type': 'Pictures'},
            'train_dataloader.dataset: Pictures is not in the',
        ),
        ({'train_dataloader.dataset.data_rot': 'x'}, 'train_dataloader.dataset: .*data_rot'),
        ({'train_dataloader.dataset.data_root': 'nowhere'}, 'train_dataloader.dataset: .*nowhere'),
        ({'val_dataloader.dataset.ann_file': 'none.txt'}, 'val_dataloader.dataset: .*none.txt'),
        (
            {'train_dataloader.dataset.pipeline.1.type': 'Crop'},
            'train_dataloader.dataset.pipeline.1: Crop is not in the',
        ),
        (
            {'train_dataloader.dataset.pipeline.1.size': 3},
            'train_dataloader.dataset.pipeline.1: .*size',
        ),
        (
            {'train_dataloader.dataset.pipeline.3.mask_mode': 'disc'},
            'train_dataloader.dataset.pipeline.3: .*mask_mode',
        ),
        (
            {'train_dataloader.dataset.pipeline': []},
            'train_dataloader.dataset.pipeline: expected PackInputs',
        ),
        (
            {
                'train_dataloader.dataset': dict(
                    _delete_=True,
                    type='ClassBalancedDataset',
                    oversample_thr=0.1,
                    dataset=dict(type='DemoPhotos', split='val', pipeline=[]),
                )
            },
            "train_dataloader.dataset: .*type='ClassBalancedDataset'",
        ),
        (
            {
                'train_dataloader.dataset': dict(
                    _delete_=True,
                    type='RepeatDataset',
                    times=2,
                    dataset=dict(type='DemoPhotos', split='none', pipeline=[]),
                )
            },
            'train_dataloader.dataset.dataset: DemoPhotos: expected split in',
        ),
        (
            {
                'train_dataloader.dataset': dict(
                    _delete_=True, type='RepeatDataset', times=0, dataset=dict(type='DemoPhotos')
                )
            },
            'train_dataloader.dataset: RepeatDataset: times: expected a whole number of at least 1',
        ),
        # networks, in the phases that come after days too
        ({'model.type': 'GLInpainter'}, 'model: GLInpainter is not in the'),
        ({'model.lossy': 1}, 'model: .*lossy'),
        ({'model.encdec.encoder.base_channels': 'x'}, "model.encdec.encoder: .*base_channels='x'"),
        (
            {'model.encdec.encoder.base_channels': 8},
            'model: dilation_neck.dilation_convs.0.conv, Conv2d.16, .*, does not take what it gets',
        ),
        (
            {'model.disc.global_disc_cfg.fc_in_channels': 99},
            'model: a discriminator with fc_in_channels=99',
        ),
        (
            {'model.disc.local_disc_cfg.fc_in_channels': 99},
            'model: a discriminator with fc_in_channels=99',
        ),
        (
            {'model.disc.local_disc_cfg.in_channels': 4},
            'model: local_disc.conv1.conv, Conv2d.4, .*, does not take',
        ),
        ({'model.disc.global_disc_cfg.fc_out': 4}, 'model: .*fc_out'),
        ({'model.train_cfg.local_size': (32, 32, 32)}, 'model.train_cfg.local_size: expected'),
        (
            {'model.train_cfg.local_size': 8},
            'model: a hole of .* does not fit the local window of 8x8',
        ),
        ({'model.train_cfg.iter_t': 3}, 'model: .*iter_t'),
        (
            {'model.data_preprocessor.hole_colour': 3},
            'model.data_preprocessor: GLPreprocessor: expected hole_colour',
        ),
        ({'model.loss_gan.gan_type': 'wgan-gp'}, 'model.loss_gan: GANLoss: expected a gan_type'),
        ({'model.loss_gan.loss_weight': 'abc'}, "model.loss_gan: loss_weight: .*got 'abc'"),
        ({'model.loss_gan.loss_weight': -0.1}, 'model.loss_gan: loss_weight: .*got -0.1'),
        ({'model.loss_l1_hole.loss_weight': [1]}, r'model.loss_l1_hole: loss_weight: .*got \[1\]'),
        (
            {'model.loss_gan.gan_type': 'smgan'},
            r"model: GANLoss: gan_type 'smgan' judges each place: .*got \(2, 1\)",
        ),
        (
            {'model.loss_gan': dict(type='PickyLoss', _delete_=True)},
            'model: expected as many pictures as the paper has',
        ),
        ({'model.train_cfg.disc_step': 0}, 'model.train_cfg.disc_step: expected a whole number'),
        # optimizers
        (
            {'optim_wrapper.generator.optimizer.type': 'Adm'},
            "optim_wrapper.generator.optimizer.type: .*'Adm'",
        ),
        ({'optim_wrapper.generator.optimizer.lr': 'abc'}, "optim_wrapper.generator: .*lr='abc'"),
        ({'optim_wrapper.disc.optimizer.lr': -1}, 'optim_wrapper.disc: Invalid learning rate: -1'),
        ({'optim_wrapper.disc.optimizer.rate': 1}, 'optim_wrapper.disc: .*rate'),
        ({'optim_wrapper.disc.type': 'Wrapper'}, 'optim_wrapper.disc: Wrapper is not in'),
        (
            {'optim_wrapper.disc.accumulative_counts': 0},
            'optim_wrapper.disc: .*accumulative_counts=0',
        ),
        (
            {'optim_wrapper.disc.accumulative_counts': 1.5},
            'optim_wrapper.disc: accumulative_counts: expected a whole number .*got 1.5',
        ),
        (
            {'optim_wrapper.disc.optimizer.lr': float('inf')},
            'optim_wrapper.disc: optimizer.lr: expected a number of at least 0, got inf',
        ),
        (
            {'optim_wrapper.generator.paramwise_cfg': dict(bias_lr_mult=-1)},
            'optim_wrapper.generator: optimizer.lr: expected a number of at least 0, got -0.0004',
        ),
        *(
            (
                {'optim_wrapper.generator.clip_grad': clip_grad},
                f'optim_wrapper.generator.clip_grad: {said}',
            )
            for clip_grad, said in [
                (dict(max_norm=-1), 'max_norm: expected a number above 0, got -1'),
                (dict(max_norm='1'), "max_norm: expected a number above 0, got '1'"),
                (dict(max_norm=1, norm_type=0), 'norm_type: expected a number above 0, got 0'),
                (dict(type='value', clip_value=-1), 'clip_value: .* above 0, got -1'),
                (dict(max_nrm=1), ".*'max_no?r"),
                (dict(type='value', max_norm=1), ".*'(max_norm|clip_value)'"),
            ]
        ),
        ({'optim_wrapper.generator': None}, 'optim_wrapper.generator: expected one'),
        (
            {'optim_wrapper.disc': None, 'train_cfg.max_iters': 3},
            'optim_wrapper.disc: expected one, for the run trains disc',
        ),
        ({'optim_wrapper.constructor': 'Constructor'}, 'optim_wrapper: Constructor is not in'),
        # rates
        (
            {'param_scheduler': [dict(type='Step', by_epoch=False)]},
            'param_scheduler.*: Step is not in',
        ),
        ({'param_scheduler': [dict(type='StepLR', by_epoch=False)]}, 'param_scheduler.*step_size'),
        (
            {'param_scheduler': [dict(type='StepLR', step_size=3)]},
            'param_scheduler.*by_epoch=False',
        ),
        *(
            (
                {'param_scheduler': [dict(type=kind, by_epoch=False, **given)]},
                f'param_scheduler.generator.0: {kind}: {said}',
            )
            for kind, given, said in [
                ('StepLR', dict(step_size=3, gamma='abc'), "gamma: .* at least 0, got 'abc'"),
                ('StepLR', dict(step_size=3, gamma=-1), 'gamma: .* at least 0, got -1'),
                ('MultiStepLR', dict(milestones=['a']), "milestones: .* whole number .* got 'a'"),
                ('CosineAnnealingLR', dict(T_max=3, eta_min=-1), 'eta_min: .* got -1'),
                ('PolyLR', dict(power=float('nan')), 'power: .* got nan'),
            ]
        ),
        ({'param_scheduler': dict(generater=[])}, 'param_scheduler: generator is missing'),
        # the run
        ({'randomness.seed': -1}, 'randomness: .*seed=-1'),
        ({'randomness.seed': 'zero'}, "randomness: .*seed='zero'"),
        ({'randomness.sed': 1}, 'randomness: .*sed'),
        ({'log_processor.window_size': 0}, 'log_processor: window_size: .* at least 1, got 0'),
        ({'log_processor.window_size': 'x'}, "log_processor: window_size: .* got 'x'"),
        ({'log_level': 'LOUD'}, 'log_level: LOUD'),
        ({'visualizer.type': 'Painter'}, 'visualizer: Painter is not in the'),
        ({'visualizer.vis_backends': [dict(type='Backend')]}, 'visualizer: Backend is not in the'),
        ({'visualizer.vis_backends': [dict(type='MLflowVisBackend')]}, 'visualizer: .*mlflow'),
        ({'train_cfg.type': 'Loop'}, 'train_cfg: Loop is not in the'),
        ({'train_cfg.max_iter': 3}, 'train_cfg: .*max_iter'),
        ({'val_cfg.type': 'Loop'}, 'val_cfg: Loop is not in the'),
        ({'val_cfg': None}, 'val_cfg: expected beside val_dataloader, val_evaluator'),
        ({'train_dataloader': None}, 'train_dataloader: expected beside train_cfg, optim_wrapper'),
        ({'val_evaluator.type': 'Metrics'}, 'val_evaluator: Metrics is not in the'),
        ({'val_evaluator.baselines': ['magic']}, 'val_evaluator: .*magic'),
        ({'default_hooks.logger.intervall': 3}, 'default_hooks.logger: .*intervall'),
        (
            {'default_hooks.checkpoint.interval': 0},
            'default_hooks.checkpoint: CheckpointHook: interval, if not -1: expected',
        ),
        ({'default_hooks.own': dict(type='OwnHook')}, 'default_hooks.own: OwnHook is not in the'),
        (
            {'default_hooks.checkpoint.save_best': 'pnsr'},
            "default_hooks.checkpoint.save_best: expected one of .*'psnr'.*, got 'pnsr'",
        ),
        ({'default_hooks.checkpoint.save_best': [1]}, r'default_hooks.checkpoint: .*got \[1\]'),
        ({'default_hooks.runtime_info': None}, 'default_hooks.runtime_info: expected a hook'),
        ({'default_hooks.logger': None}, 'default_hooks.logger: expected a hook'),
        ({'default_hooks.param_scheduler': None}, 'default_hooks.param_scheduler: expected a'),
        ({'default_hooks.completions.max_images': 'x'}, 'default_hooks.completions: .*max_images'),
        ({'default_hooks': 3}, 'default_hooks: expected a dict, got 3'),
        ({'model': None}, 'model: expected a dict, got None'),
        ({'model.train_cfg': None}, 'model: train_cfg: expected iter_tc'),
        ({'train_dataloader.sampler': -1}, "train_dataloader.sampler: 'int' object has no"),
        ({'val_dataloader.dataset': 'x'}, "val_dataloader.dataset: expected a dict, got 'x'"),
        ({'default_scope': -1}, 'the configuration: .*scope'),
        ({'load_from': -1}, '-1 cannot be gone on with: expected str'),
        ({'custom_hooks': [dict(type='OwnHook')]}, 'custom_hooks.0: OwnHook is not in the'),
        (
            {'custom_hooks': [dict(type='EMAHook', decay=2)]},
            'custom_hooks.0: EMAHook: expected a decay',
        ),
    ],
)
def test_a_run_that_cannot_be_is_refused_by_one_sentence_with_the_key(options, said, refused):
    assert re.match(said, refused(options))


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (
            {'test_dataloader.sampler.type': 'DefaultSampler'},
            f'test_dataloader.sampler: .*{SAMPLER}',
        ),
        (
            {'test_dataloader.dataset.pipeline.0.type': 'Load'},
            'test_dataloader.dataset.pipeline.0: Load is not in the',
        ),
        (
            {
                'test_dataloader.dataset.pipeline.1.crop_size': 999,
                'test_dataloader.dataset.pipeline.1.allow_smaller': False,
            },
            'test_dataloader.dataset: .* too few for a crop',
        ),
        ({'test_evaluator.learned': ['taste']}, 'test_evaluator: .*taste'),
        ({'test_cfg': None}, 'test_cfg: expected beside test_dataloader, test_evaluator'),
    ],
)
def test_a_test_that_cannot_be_is_refused_by_one_sentence_with_the_key(options, said, refused):
    assert re.match(said, refused(options, 'test'))


def test_evaluation_is_strict_whatever_the_configuration_says(begin, data_root):
    options = {
        'val_dataloader.dataset.test_mode': False,
        'test_dataloader.dataset.test_mode': False,
    }
    assert begin(options).val_dataloader.dataset.test_mode
    assert begin(options, 'test').test_dataloader.dataset.test_mode


def test_a_rehearsal_changes_neither_weights_nor_random_numbers_nor_scores(begin, monkeypatch):
    def state(runner):
        values = [*runner.model.state_dict().values(), torch.get_rng_state()]
        return [value.clone() for value in values], np.random.get_state()[1].tolist()

    first = begin({})
    monkeypatch.setattr('mmedit_gl.engine.runner.rehearse_training', lambda *_: None)
    monkeypatch.setattr('mmedit_gl.engine.runner.rehearse_evaluation', lambda *_: None)
    plain = begin({})
    for ours, others in zip(*(state(runner)[0] for runner in (first, plain))):
        assert torch.equal(ours, others)
    assert state(first)[1] == state(plain)[1]
    (metric,) = first.val_loop.evaluator.metrics
    assert len(metric.pictures) == 4


@METRICS.register_module()
class Count(BaseMetric):
    """A metric of one's own, as mmengine has them."""

    def process(self, data_batch, data_samples):
        self.results += [sample['img_path'] for sample in data_samples]

    def compute_metrics(self, results):
        return dict(count=len(set(results)))


def test_a_metric_of_ones_own_is_rehearsed_and_forgets_it(begin):
    evaluator = dict(_delete_=True, type='Count')
    options = {'val_evaluator': evaluator, 'default_hooks.checkpoint.save_best': None}
    runner = begin(options)
    assert runner.message_hub.get_scalar('val/count').current() == 4


def several_sizes(mode: str, folder: Path) -> dict:
    """Options for a loader to take pictures of two sizes as they are."""
    for i, (height, width) in enumerate([(70, 72), (70, 72), (80, 90), (70, 72), (80, 90)]):
        cv2.imwrite(str(folder / f'{i}.png'), random_image(i, height, width))
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadMask', mask_mode='bbox', mask_config=dict(max_bbox_shape=(20, 20))),
        dict(type='PackInputs'),
    ]
    dataset = dict(pipeline=pipeline, ann_file='', data_root=str(folder))
    return {f'{mode}_dataloader.dataset.{key}': value for key, value in dataset.items()}


def test_pictures_of_several_sizes_do_not_make_a_batch_of_a_training(begin, tmp_path_factory):
    options = several_sizes('train', tmp_path_factory.mktemp('pictures'))
    options['train_dataloader.batch_size'] = 5  # all of them
    said = 'pictures of 70x72 and 80x90 pixels do not make one batch: bring them to one size in'
    with pytest.raises(UserError, match=f'^train_dataloader.collate_fn: {said}'):
        begin(options)


def test_pictures_of_several_sizes_are_tested_in_batches_of_one_size(begin, tmp_path_factory):
    options = several_sizes('test', tmp_path_factory.mktemp('pictures'))
    scores = []
    for batch_size in (1, 3):
        runner = begin({**options, 'test_dataloader.batch_size': batch_size}, 'test')
        (metric,) = runner.test_evaluator.metrics
        scores.append(metric.pictures)
        sizes = [tuple(batch['gt_img'].shape[:3]) for batch in runner.test_dataloader]
    assert sizes == [(2, 70, 72), (1, 80, 90), (1, 70, 72), (1, 80, 90)]
    names = [[Path(picture['img_path']).name for picture in pictures] for pictures in scores]
    assert names == [[f'{i}.png' for i in range(5)]] * 2
    for alone, together in zip(*scores):
        assert together['scores']['model']['l1'] == pytest.approx(alone['scores']['model']['l1'])


def test_a_loader_without_workers_takes_what_is_said_of_workers(begin):
    loader = begin({}).cfg.train_dataloader
    loader.update(persistent_workers=True, prefetch_factor=3, multiprocessing_context='spawn')
    alone, two = (
        Runner.build_dataloader({**loader, 'num_workers': count}, seed=0) for count in (0, 2)
    )
    assert (alone.num_workers, alone.persistent_workers) == (0, False)
    (batch, *_) = itertools.islice(alone, 1)
    assert batch['gt_img'].shape == (2, 64, 64, 3)
    assert (two.num_workers, two.persistent_workers, two.prefetch_factor) == (2, True, 3)


def test_a_loader_without_collate_fn_stacks_its_samples(begin):
    loader = begin({}).cfg.train_dataloader
    assert loader.pop('collate_fn') == dict(type='default_collate')
    (batch, *_) = itertools.islice(Runner.build_dataloader(loader, seed=0), 1)
    assert batch['gt_img'].shape == (2, 64, 64, 3)


def test_weights_with_other_discriminators_give_their_generator(begin):
    source = begin({})
    path = f'{source.work_dir}/iter_1.pth'
    other = begin(
        {
            'model.disc.local_disc_cfg.fc_out_channels': 5,
            'load_from': path,
            'train_cfg.max_iters': 0,
        }
    )
    for name, value in other.model.generator.state_dict().items():
        assert torch.equal(value, source.model.generator.state_dict()[name])
    log = Path(other.log_dir, f'{other.timestamp}.log').read_text()
    assert f'The discriminators of {path} are of another architecture: left' in log


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (
            {'model.data_preprocessor.hole_colour': (1, 2, 3)},
            r"hole_colour was '127.* '1\.00",
        ),
        (
            {'model.data_preprocessor.hole_fill': 'membrane'},
            "hole_fill was 'colour' and is",
        ),
        ({'model.encdec.residual': True}, 'residual was False and is True'),
        ({'model.encdec.decoder.out_act': 'sigmoid'}, "out_act was 'Hardtanh' and is 'Sigmoid'"),
    ],
)
def test_weights_remember_what_they_were_trained_with(options, said, begin):
    source = begin({})
    weights = {'load_from': f'{source.work_dir}/iter_1.pth'}
    other = source.cfg.copy()
    other.merge_from_dict(options)
    with pytest.raises(UserError, match=f'iter_1.pth was trained in another model: .*{said}'):
        Inpainter(other, weights['load_from'], 'cpu')
    with pytest.raises(UserError, match=f'iter_1.pth was trained in another model: .*{said}'):
        begin({**options, **weights}, 'test')
    trained = begin({**options, **weights})  # on purpose, maybe: said, and gone on
    log = Path(trained.log_dir, f'{trained.timestamp}.log').read_text()
    assert re.search(f'iter_1.pth was trained in another model: .*{said}', log)
    Inpainter(source.cfg, weights['load_from'], 'cpu')
    begin(weights, 'test')


def test_keys_within_one_another_make_a_path_and_sentences_that_have_it_stay():
    path = configures('a'), configures('b'), configures('[2]')
    with pytest.raises(UserError, match=r'^a\.b\[2\]: it is 3$'), path[0], path[1], path[2]:
        raise AssertionError('it  is\n3')
    with pytest.raises(UserError, match=r'^a: KIND is missing$'), configures('a'):
        raise KeyError('KIND')
    with pytest.raises(UserError, match=r'^a\.b: expected 3$'), configures('a'):
        raise UserError('a.b: expected 3')
    with pytest.raises(UserError, match=r'^a: ZeroDivisionError$'), configures('a'):
        raise ZeroDivisionError


# What str() gives of these is a number, a quoted key or an encoding.
WORDS = {
    'No such file or directory: none/a. b': lambda: Path('none/a. b').read_text(),
    'Is a directory: /': lambda: Path('/').read_text(),
    'File exists: /proc': lambda: Path('/proc').mkdir(),
    'No space left on device': lambda: Path('/dev/full').write_text('a'),
    'no disk': lambda: throw(OSError('no disk')),
    'OSError': lambda: throw(OSError()),
    'model.encdec is missing': lambda: {}['model.encdec'],
    '3 is missing': lambda: {}[3],
    'No class of that name': lambda: throw(KeyError('No class of that name')),
    "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte": b'\xff'.decode,
    'Connection refused': lambda: throw(URLError(ConnectionRefusedError(111, os.strerror(111)))),
    "Command '['false']' returned non-zero exit status 1.": lambda: subprocess.run(
        ['false'], check=True
    ),
}


def throw(error: Exception) -> None:
    raise error


@pytest.mark.parametrize('said', WORDS)
def test_what_the_system_says_is_said_in_words_with_the_file(said):
    for context in (configures('key'), concerns('key')):
        with pytest.raises(UserError) as refused, context:
            WORDS[said]()
        assert str(refused.value) == f'key: {said}'


def test_a_folder_of_a_visualizer_that_cannot_be_made_is_named(refused):
    backend = dict(type='LocalVisBackend', save_dir='/dev/null/none')
    options = {'visualizer.vis_backends': [backend]}
    said = "visualizer: Not a directory: /dev/null/none (given type='Visualizer')"
    assert refused(options) == said


def test_a_machine_without_slurm_is_told_what_it_lacks(refused, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    for name in ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'):
        monkeypatch.setenv(name, '1')
    said = '--launcher slurm: No such file or directory: scontrol'
    assert refused({'launcher': 'slurm'}) == said


def test_a_value_on_the_command_line_keeps_its_spaces():
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=Options)
    values = [
        'dir=my masks/a b',
        'number= 3',
        'pair=(1, 2)',
        "dict={'a b': [1, 2]}",
        'quoted="c d"',
    ]
    expected = dict(dir='my masks/a b', number=3, pair=(1, 2), dict={'a b': [1, 2]}, quoted='c d')
    assert parser.parse_args(['--cfg-options', *values]).cfg_options == expected


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (('--work-dir', 'file'), 'cannot make the folder'),
        (('--launcher', 'pytorch'), '--launcher pytorch: RANK is not in the environment'),
        (
            ('--cfg-options', 'train_cfg.max_iters'),
            '--cfg-options: expected KEY=VALUE, got train_cfg',
        ),
        (('--cfg-options', 'model.encdec={"type": '), '--cfg-options: expected KEY=VALUE'),
        (
            ('--cfg-options', 'optim_wrapper.generator.optimizer={"type": "Adm"}'),
            'optim_wrapper.generator.optimizer.type: expected an optimizer of torch',
        ),
    ],
)
def test_a_command_line_that_cannot_be_ends_with_status_2_and_one_sentence(
    arguments, said, tmp_path
):
    (tmp_path / 'file').write_text('mine')
    done = run_tool('train.py', 'gl_128x128_demo', *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr
    assert (tmp_path / 'file').read_text() == 'mine'


def test_more_processes_than_gpus_are_refused(refused, monkeypatch):
    environment = dict(
        RANK='1', LOCAL_RANK='1', WORLD_SIZE='2', MASTER_ADDR='localhost', MASTER_PORT='1'
    )
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    assert refused({'launcher': 'pytorch'}).startswith(
        '--launcher pytorch: expected a GPU for each process of a machine, got 1 for more: start 1,'
    )


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r'^device: '):
        Inpainter(device='cuda:99')(random_image(0, 8, 8), np.zeros((8, 8), np.uint8))
