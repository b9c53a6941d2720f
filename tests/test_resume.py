"""A resumed run is the same run, in a folder of its own."""

import errno
import fcntl
import math
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from conftest import ROOT, shrink
from mmengine.hooks import Hook
from test_interruptions import NO_VALIDATION, Run
from test_runner import build, read_log, train
from torch import nn

from mmedit_gl.checkpoint import read_checkpoint
from mmedit_gl.engine import load_config
from mmedit_gl.engine.lock import locked
from mmedit_gl.engine.same_run import check_same_run, identity
from mmedit_gl.errors import UserError

COSINE = dict(type='CosineAnnealingLR', by_epoch=False, T_max=9, eta_min=1e-5)
STEPS = dict(type='MultiStepLR', by_epoch=False, milestones=[4, 7], gamma=0.5)
WARM_UP = dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=3)
SCHEDULES = dict(generator=[WARM_UP, STEPS], disc=[COSINE])


@pytest.fixture(autouse=True)
def plain_configs(monkeypatch):
    """mmengine formats a configuration four times a run, for a second: left out in this process."""
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))


class Rates(Hook):
    """The learning rates of each iteration."""

    def before_train(self, runner):
        self.of = {}

    def before_train_iter(self, runner, batch_idx, data_batch):
        self.of[runner.iter] = {
            name: tuple(group['lr'] for group in wrapper.optimizer.param_groups)
            for name, wrapper in runner.optim_wrapper.items()
        }


def rates(config: Path, work_dir: Path, **options) -> dict:
    runner = build(config, work_dir, **options)
    runner.register_hook(hook := Rates())
    runner.train()
    return hook.of


@pytest.fixture(scope='module')
def config(tmp_path_factory, data_root) -> Path:
    """Nine iterations, a checkpoint after each, both optimizers on a schedule.

    Beside it `validated.py`, the same with validations.
    """
    cfg = load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py')
    cfg = shrink(cfg, data_root)
    cfg.merge_from_dict(
        {
            'train_cfg.max_iters': 9,
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.train_samples': None,
            'param_scheduler': SCHEDULES,
        }
    )
    folder = tmp_path_factory.mktemp('resume')
    cfg.dump(folder / 'validated.py')
    cfg.merge_from_dict(NO_VALIDATION)
    cfg.dump(folder / 'small.py')
    return folder / 'small.py'


@pytest.fixture(scope='module')
def whole(config) -> tuple[Path, dict]:
    """A run of nine iterations, and its learning rates."""
    work_dir = config.parent / 'whole'
    return work_dir, rates(config, work_dir)


def last(whole: tuple[Path, dict]) -> dict:
    return dict(resume=True, load_from=str(whole[0] / 'iter_9.pth'))


@pytest.mark.filterwarnings('error:Detected call')
def test_a_schedule_of_the_discriminators_waits_for_its_phase_without_a_warning(config, tmp_path):
    assert list(rates(config, tmp_path, train_cfg=dict(max_iters=2))) == [0, 1]


def test_the_learning_rates_are_those_of_the_schedules(whole):
    _, of = whole
    assert list(of) == list(range(9))
    warm_up = [0.1, 0.55, 1, 1, 1, 1, 1, 1, 1]
    for i, (factor, drops) in enumerate(zip(warm_up, [0, 0, 0, 0, 1, 1, 1, 2, 2])):
        assert of[i]['generator'] == pytest.approx((4e-4 * factor * 0.5**drops,)), i
        cosine = 1e-5 + (4e-4 - 1e-5) * (1 + math.cos(math.pi * i / 9)) / 2
        assert of[i]['disc'] == pytest.approx((cosine,)), i


@pytest.mark.parametrize('done', [2, 4, 7])
def test_a_resumed_run_has_the_learning_rates_of_one_that_was_not_stopped(
    config, whole, tmp_path, done
):
    work_dir, expected = whole
    found = rates(config, tmp_path, resume=True, load_from=str(work_dir / f'iter_{done}.pth'))
    assert found == {i: expected[i] for i in range(done, 9)}  # to the last bit


@pytest.mark.parametrize('ends', [(4, 9), (3, 7, 9)])
def test_a_run_made_longer_has_the_learning_rates_of_one_as_long(config, whole, tmp_path, ends):
    found = {}
    for i, max_iters in enumerate(ends):
        found |= rates(config, tmp_path, resume=i > 0, train_cfg=dict(max_iters=max_iters))
    assert found == whole[1]


def test_a_run_made_shorter_and_longer_again_has_the_same_learning_rates(config, whole, tmp_path):
    work_dir, expected = whole
    source = dict(resume=True, load_from=str(work_dir / 'iter_3.pth'))
    found = rates(config, tmp_path, **source, train_cfg=dict(max_iters=5))
    found |= rates(config, tmp_path, resume=True)
    assert found == {i: expected[i] for i in range(3, 9)}


def reordered(names: list[str]) -> list[str]:
    """As OpenMMLab's generator has its parts: the decoder before the neck."""
    parts = ('generator.encoder', 'generator.decoder', 'generator.dilation_neck', 'disc')
    return [name for part in parts for name in names if name.startswith(f'{part}.')]


def as_theirs(path: Path, model: nn.Module, wrapped: bool) -> dict:
    """A checkpoint as OpenMMLab's code would have saved it, of several processes if `wrapped`."""
    saved = read_checkpoint(path)
    for key in ('run', 'trained_with'):
        del saved['meta'][key]
    for network, optimizer in saved['optimizer'].items():
        own = [name for name, _ in getattr(model, network).named_parameters(network)]
        states = dict(zip(own, (optimizer['state'].get(i) for i in range(len(own)))))
        names = reordered(own)
        optimizer['state'] = {i: states[n] for i, n in enumerate(names) if states[n]}
        groups = optimizer['param_groups']
        if len(groups) > 1:
            of = dict(zip(own, groups))
            groups[:] = [{**of[name], 'params': [i]} for i, name in enumerate(names)]
    saved['state_dict'] = {n: saved['state_dict'][n] for n in reordered([*saved['state_dict']])}
    if wrapped:
        saved['state_dict'] = {
            name.replace('.', '.module.', 1): value for name, value in saved['state_dict'].items()
        }
    return saved


@pytest.mark.parametrize('done', [1, 3, 6])
@pytest.mark.parametrize(
    ('paramwise', 'wrapped'),
    [(None, False), (None, True), (dict(custom_keys={'dec7': dict(lr_mult=0.1)}), False)],
)
def test_a_checkpoint_of_openmmlab_goes_on_to_the_same_bits(
    config, tmp_path, paramwise, wrapped, done
):
    options = {'train_cfg.max_iters': 7, 'optim_wrapper.generator.paramwise_cfg': paramwise}
    runner, _ = train(config, tmp_path / 'whole', **options)
    theirs = as_theirs(tmp_path / f'whole/iter_{done}.pth', runner.model, wrapped)
    own = [name for name, _ in runner.model.generator.named_parameters('generator')]
    assert reordered(own) != own
    torch.save(theirs, tmp_path / 'theirs.pth')
    source = dict(resume=True, load_from=str(tmp_path / 'theirs.pth'))
    train(config, tmp_path / 'resumed', **options, **source)
    ended, expected = (
        read_checkpoint(tmp_path / run / 'iter_7.pth') for run in ('resumed', 'whole')
    )
    for name, value in expected['state_dict'].items():
        assert torch.equal(ended['state_dict'][name], value), name
    for network, optimizer in expected['optimizer'].items():
        for i, moments in optimizer['state'].items():
            for key, value in moments.items():
                assert torch.equal(ended['optimizer'][network]['state'][i][key], value), (i, key)


def test_an_optimizer_of_fewer_parameters_is_refused(config, whole, tmp_path):
    saved = read_checkpoint(whole[0] / 'iter_3.pth')
    saved['optimizer']['disc']['param_groups'][0]['params'].pop()
    torch.save(saved, tmp_path / 'fewer.pth')
    source = dict(resume=True, load_from=str(tmp_path / 'fewer.pth'))
    with pytest.raises(
        UserError, match=r'fewer.pth: the optimizer of disc has \d+ parameters in 1'
    ):
        train(config, tmp_path / 'run', **source)


OPTIMIZER = 'optim_wrapper.generator.optimizer'
PIPELINE = 'train_dataloader.dataset.pipeline'


def changed(config: Path, options: dict) -> list[dict]:
    """The identities of a run before and after a change."""
    config = config.with_name('validated.py')
    return [
        identity(cfg.to_dict(), None, 0, cfg.train_dataloader.batch_size)
        for cfg in (load_config(config), load_config(config, options))
    ]


@pytest.mark.parametrize(
    ('key', 'value', 'before'),
    [
        (f'{OPTIMIZER}.lr', 1e-5, '0.0004'),
        (f'{OPTIMIZER}.type', 'SGD', "'Adam'"),
        (f'{OPTIMIZER}.betas', (0.5, 0.999), 'no value'),
        (f'{OPTIMIZER}.weight_decay', 1e-2, 'no value'),
        ('optim_wrapper.disc.optimizer.lr', 1e-5, '0.0004'),
        ('optim_wrapper.generator.type', 'AmpOptimWrapper', "'OptimWrapper'"),
        ('optim_wrapper.generator.accumulative_counts', 2, 'no value'),
        ('optim_wrapper.generator.clip_grad', dict(max_norm=1), 'no value'),
        ('model.train_cfg.iter_tc', 3, '2'),
        ('model.train_cfg.iter_td', 5, '4'),
        ('model.train_cfg.local_size', (24, 24), '[32, 32]'),
        ('model.encdec.decoder.out_act', 'sigmoid', 'no value'),
        ('model.encdec.encoder.base_channels', 8, '4'),
        ('model.encdec.encoder.norm_cfg', None, "{'type': 'BN'}"),
        ('model.disc.local_disc_cfg.norm_cfg', None, "{'type': 'BN'}"),
        ('model.disc', None, '{'),
        ('model.loss_l1_hole.type', 'MSELoss', "'L1Loss'"),
        ('model.loss_gan.loss_weight', 0.5, '0.001'),
        ('model.data_preprocessor.hole_fill', 'membrane', 'no value'),
        ('train_dataloader.drop_last', False, 'True'),
        ('train_dataloader.sampler.type', 'InfiniteSampler', "'DrawSampler'"),
        ('train_dataloader.dataset.type', 'DemoPhotos', "'ImageDataset'"),
        ('train_dataloader.dataset.in_memory', 64, 'no value'),
        (f'{PIPELINE}.1.crop_size', (80, 80), '[72, 72]'),
        (f'{PIPELINE}.1.allow_smaller', False, 'True'),
        (f'{PIPELINE}.3.mask_config.max_bbox_shape', (16, 16), '[24, 24]'),
        ('sync_bn', None, "'torch'"),
    ],
)
def test_what_a_run_is_made_of_does_not_change(config, key, value, before):
    with pytest.raises(UserError) as error:
        check_same_run('W/iter_6.pth', *changed(config, {key: value}))
    said = re.fullmatch(
        rf'{key}: the run of W/iter_6\.pth has (.*), the configuration (.*); leave it as it was to '
        'go on, or start a new run from its weights by --load-from',
        str(error.value),
    )
    assert said[1].startswith(before)
    assert said[2] == repr(list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(
    'options',
    [
        {'train_cfg.max_iters': 20},
        {'train_cfg.val_interval': 2},
        NO_VALIDATION,
        {'val_dataloader.batch_size': 1},
        {'val_evaluator.baselines': ['telea']},
        {'test_dataloader.batch_size': 1},
        {'default_hooks.checkpoint.interval': 7},
        {'default_hooks.logger.interval': 7},
        {'default_hooks.completions': None},
        {'custom_hooks': [dict(type='EMAHook', decay=0.9)]},
        {'visualizer.vis_backends': []},
        {'log_level': 'DEBUG'},
        {'log_processor.window_size': 5},
        {'env_cfg.cudnn_benchmark': False},
        {'compile': True},
        {'launcher': 'pytorch'},
        {'load_from': 'elsewhere.pth'},
        {'work_dir': 'elsewhere'},
        {'randomness.deterministic': True},
        {'train_dataloader.num_workers': 8, 'train_dataloader.persistent_workers': True},
        {'train_dataloader.prefetch_factor': 4},
        {'train_dataloader.dataset.data_root': 'elsewhere'},
        {'train_dataloader.dataset.ann_file': 'elsewhere.txt'},
        {'train_dataloader.dataset.backend_args': dict(backend='lmdb', db_path='packed.lmdb')},
        {f'{PIPELINE}.3.mask_config.mask_list_file': 'elsewhere.txt'},
        {'model.train_cfg.local_size': [32, 32]},  # a list for the tuple of the file
    ],
)
def test_what_surrounds_a_run_may_change(config, options):
    before, after = changed(config, options)
    check_same_run('W/iter_6.pth', before, after)


def test_the_places_of_joined_data_sets_may_change_and_their_pictures_steps_not(config):
    def joined(step: str, **places) -> dict:
        part = dict(type='ImageDataset', pipeline=[dict(type=step)], **places)
        whole = dict(type='ConcatDataset', datasets=[part])
        return changed(config, {'train_dataloader.dataset': dict(_delete_=True, **whole)})[1]

    before, moved = joined('Flip', data_root='a'), joined('Flip', data_root='b', ann_file='l.txt')
    check_same_run('W/iter_6.pth', before, moved)
    with pytest.raises(UserError, match=r'^train_dataloader.dataset.datasets.0.pipeline.0.type: '):
        check_same_run('W/iter_6.pth', before, joined('Resize', data_root='a'))


@pytest.mark.parametrize(
    ('was', 'now', 'sentence'),
    [
        ((1, 2), (2, 1), None),
        ((2, 4), (1, 8), None),
        ((3, 4), (2, 6), None),
        (
            (2, 4),
            (1, 4),
            r'8 pictures \(2 processes with 4\), and .* 4 \(1 process with 4\); set it to 8',
        ),
        (
            (1, 8),
            (2, 8),
            r'8 pictures \(1 process with 8\), .* 16 \(2 processes with 8\); set it to 4',
        ),
        (
            (1, 2),
            (1, 4),
            r'2 pictures \(1 process with 2\), .* 4 \(1 process with 4\); set it to 2',
        ),
        ((2, 4), (3, 3), r'8 pictures .* 9 .*; start a number of processes that divides 8'),
    ],
)
def test_the_pictures_of_an_iteration_stay_in_any_number_of_processes(config, was, now, sentence):
    cfg = load_config(config).to_dict()

    def run(processes: int, batch_size: int) -> dict:
        loader = {**cfg['train_dataloader'], 'batch_size': batch_size}
        return identity({**cfg, 'train_dataloader': loader}, None, 0, processes * batch_size)

    if sentence is None:
        check_same_run('W/iter_6.pth', run(*was), run(*now))
        return
    begin = r'^train_dataloader\.batch_size: an iteration of the run of W/iter_6\.pth takes '
    with pytest.raises(UserError, match=f'{begin}{sentence} to go on, or .* by --load-from$'):
        check_same_run('W/iter_6.pth', run(*was), run(*now))


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (
            {'param_scheduler.disc.0.T_max': 20},
            r'param_scheduler\.disc\.0\.T_max: the run of .* has 9, the configuration 20; ',
        ),
        (
            {'param_scheduler.generator.1.milestones': [4, 7, 12]},
            r'param_scheduler\.generator\.1\.milestones: .* has \[4, 7\], the .* \[4, 7, 12\]; ',
        ),
        (
            {'param_scheduler.generator.1.gamma': 0.1},
            r'param_scheduler\.generator\.1\.gamma: the run of .* has 0\.5, the configuration 0\.1',
        ),
        (
            {'param_scheduler.generator.0.end': 5},
            r'param_scheduler\.generator\.0\.end: the run of .* has 3, the configuration 5; ',
        ),
        (
            {'param_scheduler.disc.0.end': 7},
            r'param_scheduler\.disc\.0\.end: the run of .* has no value, the configuration 7; ',
        ),
        (
            {'param_scheduler.disc': [COSINE, STEPS]},
            r"param_scheduler\.disc\.1: the run of .* has no value, the configuration \{'by_epoch'",
        ),
        (
            {'param_scheduler.generator': [STEPS]},
            r"param_scheduler\.generator\.0\.type: .* has 'LinearLR', the .* 'MultiStepLR'; ",
        ),
        ({'param_scheduler': None}, r'param_scheduler: .* has \{.*\}, the configuration None; '),
        ({f'{OPTIMIZER}.lr': 1e-5}, rf'{OPTIMIZER}\.lr: .* has 0\.0004, the configuration 1e-05; '),
        ({'randomness.seed': 7}, r'randomness\.seed: .* has 0, the configuration 7; leave it as '),
        (
            {'train_cfg.max_iters': 5},
            r'train_cfg\.max_iters=5: \S*/iter_9\.pth is of iteration 9, so that none is left to ',
        ),
        ({'train_cfg.max_iters': 9}, r'train_cfg\.max_iters=9: .* none is left to train; give mo'),
    ],
)
def test_another_run_is_refused_before_it_writes(config, whole, tmp_path, options, sentence):
    options = {'train_cfg.max_iters': 12, **last(whole), **options}
    with pytest.raises(UserError, match=f'^{sentence}'):
        train(config, tmp_path, **options)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == set()


def test_a_resumed_run_prints_no_warning(config, whole, tmp_path):
    # In the second phase, which has taken the losses of the first out of the log.
    options = {'train_cfg.max_iters': 4, 'log_level': 'INFO'}
    train(config, tmp_path, resume=True, load_from=str(whole[0] / 'iter_3.pth'), **options)
    assert "Phase 'discriminator' from iteration 3 on" in read_log(tmp_path)
    assert 'WARNING' not in read_log(tmp_path)


def test_a_schedule_that_depends_on_the_length_of_the_run_stays_as_it_was(config, tmp_path):
    falling = dict(type='PolyLR', by_epoch=False, eta_min=1e-6, power=2)
    options = {'param_scheduler': dict(generator=[falling], disc=[]), 'train_cfg.max_iters': 3}
    begun = rates(config, tmp_path, **options)
    options['train_cfg.max_iters'] = 5
    message = r'^param_scheduler\.generator\.0\.end: the run of .* has 3, the configuration 5; '
    with pytest.raises(UserError, match=message):
        train(config, tmp_path, resume=True, **options)
    options['param_scheduler'] = dict(generator=[dict(falling, end=3)], disc=[])
    found = rates(config, tmp_path, resume=True, **options)
    assert list(found) == [3, 4]
    assert begun[2]['generator'] == pytest.approx((1e-6,)) == found[4]['generator']


def test_a_schedule_may_be_written_in_another_way(config, whole, tmp_path):
    written = dict(SCHEDULES, disc=[dict(COSINE, begin=0, end=12, verbose=False)])
    options = {'param_scheduler': written, 'train_cfg.max_iters': 12}
    assert list(rates(config, tmp_path, **last(whole), **options)) == [9, 10, 11]


def test_a_checkpoint_without_a_configuration_goes_on_uncompared(config, whole, tmp_path):
    checkpoint = read_checkpoint(whole[0] / 'iter_4.pth')
    del checkpoint['meta']['run']
    torch.save(checkpoint, tmp_path / 'older.pth')
    options = {'resume': True, 'load_from': str(tmp_path / 'older.pth'), 'log_level': 'INFO'}
    found = rates(config, tmp_path / 'work', **options)
    assert found == {i: whole[1][i] for i in range(4, 9)}
    line = f'{tmp_path}/older.pth keeps no configuration to compare with the one given'
    assert read_log(tmp_path / 'work').count(line) == 1


def test_a_schedule_that_counts_epochs_is_refused(config, tmp_path):
    for counts in ({}, dict(by_epoch=True)):
        schedule = dict(type='CosineAnnealingLR', T_max=6, **counts)
        options = {'param_scheduler': dict(generator=[], disc=[STEPS, schedule])}
        message = r'^param_scheduler\.disc\.1: CosineAnnealingLR counts epochs, .*: set by_epoch=F'
        with pytest.raises(UserError, match=message):
            train(config, tmp_path, **options)


def test_a_schedule_whose_checkpoints_could_not_be_read_is_refused(config, tmp_path):
    cycle = dict(type='OneCycleLR', by_epoch=False, eta_max=1e-3, total_steps=9)
    options = {'param_scheduler': dict(generator=[cycle], disc=[])}
    with pytest.raises(UserError, match=r'^param_scheduler\.generator\.0: OneCycleLR keeps a func'):
        train(config, tmp_path, **options)


def test_a_schedule_that_looks_at_the_metrics_acts_after_a_validation(small_config, tmp_path):
    # What stays the same is no better: each validation but the first halves the rate.
    plateau = dict(type='ReduceOnPlateauLR', monitor='num_images', patience=0, factor=0.5)
    schedules = dict(generator=[plateau], disc=[])
    options = {'train_cfg.val_interval': 2, 'param_scheduler': schedules}
    found = rates(small_config(), tmp_path, **options)
    halvings = [0, 0, 0, 0, 1, 1]
    for i, halved in enumerate(halvings):
        assert found[i]['generator'] == pytest.approx((4e-4 * 0.5**halved,)), i


def contents(work_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in work_dir.iterdir() if path.is_file()}


@pytest.mark.parametrize('held', ['iter_2.pth', 'iter_9.pth', 'best_psnr_iter_3.pth'])
def test_the_checkpoints_of_another_run_are_not_touched(config, whole, tmp_path, held):
    (tmp_path / held).write_bytes(b'of another run')
    (tmp_path / 'small.py').write_bytes(b'its configuration')
    options = dict(resume=True, load_from=str(whole[0] / 'iter_6.pth'))
    before = contents(tmp_path)
    message = rf'{tmp_path} holds checkpoints, and {whole[0]}/iter_6.pth is none of them: go on '
    with pytest.raises(UserError, match=message):
        train(config, tmp_path, **options)
    assert contents(tmp_path) == before


def test_a_second_run_in_a_folder_is_refused_until_the_first_is_gone(config, tmp_path):
    options = ['train_cfg.max_iters=100000', 'train_dataloader.num_workers=1']
    options += ['default_hooks.checkpoint.interval=100000']  # it writes nothing meanwhile
    first = Run(config, tmp_path, '--cfg-options', *options)
    first.until(2)
    worker = int(Path(f'/proc/{first.pid}/task/{first.pid}/children').read_text().split()[0])
    before = set(tmp_path.iterdir())
    second = Run(config, tmp_path, '--resume')
    status, _, stderr = second.end()
    assert status == 2
    assert re.fullmatch(
        rf'error: another run is at work in {tmp_path} \(process {first.pid} on \S+\): '
        'wait for its end, or give another --work-dir\n',
        stderr,
    )
    written = set(tmp_path.iterdir()) - before
    assert all(path.is_dir() and re.fullmatch(r'\d{8}_\d{6}', path.name) for path in written)
    # A process that loads pictures may outlive the one that was killed, and holds nothing.
    os.kill(worker, signal.SIGSTOP)
    first.kill()
    first.end()
    os.kill(worker, 0)
    with locked(tmp_path):
        pass
    os.kill(worker, signal.SIGKILL)


def test_a_disk_without_locks_is_trained_on_and_said(config, tmp_path, monkeypatch):
    def lockf(*args) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'lockf', lockf)
    train(config, tmp_path, train_cfg=dict(max_iters=1))
    (line,) = re.findall('WARNING - (.*)', read_log(tmp_path))
    assert line == f'{tmp_path} cannot be locked against others: No locks available'
