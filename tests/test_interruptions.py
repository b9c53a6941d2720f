"""What is left of a run that is killed, stopped, or goes wrong, and how it goes on."""

import json
import os
import random
import re
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import ROOT, shrink
from mmengine.hooks import Hook
from test_runner import build, read_log, train, weights
from torch import Tensor
from warm import Tool

from mmedit_gl.checkpoint import read_checkpoint
from mmedit_gl.engine import checkpoints, load_config
from mmedit_gl.errors import UserError, one_sentence_errors

EMA = [dict(type='EMAHook', decay=0.9)]
NO_VALIDATION = dict(val_cfg=None, val_dataloader=None, val_evaluator=None)
ONE_PHASE = {
    'model.disc': None,
    'optim_wrapper.disc': None,
    'model.train_cfg.iter_tc': 6,
    'model.train_cfg.iter_td': 6,
}


class Run(Tool):
    """`tools/train.py`, that is watched while it goes."""

    def __init__(self, config: Path, work_dir: Path, *args: str):
        script = ROOT / 'tools/train.py'
        super().__init__(script, config, '--work-dir', work_dir, *args, cwd=config.parent)

    def until(self, iteration: int, mode: str = 'train') -> int:
        """Wait for the log to come to this iteration; gives the one it says."""
        for line in self.lines():
            said = re.search(rf'Iter\({mode}\) \[ *(\d+)/', line)
            if said and int(said[1]) >= iteration:
                return int(said[1])
        raise AssertionError(self.end())


def write_config(folder: Path, data_root: Path, phase: int = 4) -> Path:
    """Three phases of so many iterations, two validations, all that a run has to remember."""
    cfg = load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py')
    cfg = shrink(cfg, data_root)
    (folder / 'val.txt').write_text((data_root / 'val_list.txt').read_text() * 10)
    cosine = dict(type='CosineAnnealingLR', by_epoch=False, T_max=3 * phase, eta_min=0)
    cfg.merge_from_dict(
        {
            'model.train_cfg.iter_tc': phase,
            'model.train_cfg.iter_td': 2 * phase,
            'train_cfg.max_iters': 3 * phase,
            'train_cfg.val_interval': 3 * phase // 2,
            'val_dataloader.batch_size': 1,  # slow, to be interrupted
            'val_dataloader.dataset.ann_file': str(folder / 'val.txt'),
            'log_processor.window_size': 1,
            'param_scheduler': dict(generator=[cosine], disc=[]),
            'custom_hooks': EMA,
        }
    )
    cfg.dump(folder / 'small.py')
    return folder / 'small.py'


def half_written(work_dir: Path) -> set:
    files = [entry for entry in os.scandir(work_dir) if entry.name.endswith('.part')]
    try:
        return {(entry.name, entry.stat().st_mtime_ns) for entry in files}
    except FileNotFoundError:  # complete by now
        return set()


def kill_at_random(config: Path, work_dir: Path, phase: int, kills: int, seed: int) -> list[tuple]:
    """Kill and resume a run, in each phase as often, every second time while it saves.

    Gives for each kill the exit status, the iteration, and whether a save was under way.
    """
    rng, killed = random.Random(seed), []
    work_dir.mkdir()
    iterations = [
        1 + number * 3 // kills * phase + rng.randrange(phase - 2) for number in range(kills)
    ]
    for number, iteration in enumerate(sorted(iterations)):
        before = half_written(work_dir)
        run = Run(config, work_dir, '--resume')
        reached = run.until(iteration)
        if number % 2:
            while not half_written(work_dir) - before and run.poll() is None:
                pass
        else:
            time.sleep(0.05 * rng.random())
        run.kill()
        status, *_ = run.end()
        killed.append((status, reached, bool(half_written(work_dir) - before)))
    return killed


def leaves(value, name: str = '') -> Iterator[tuple]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, f'{name}.{key}')
    elif isinstance(value, Tensor):
        yield name, (value.shape, value.dtype, value.numpy().tobytes())
    else:
        yield name, value


def state(path: Path) -> dict:
    """All that a run goes on from, by name; tensors as bytes."""
    checkpoint = read_checkpoint(path)
    parts = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
    held = {part: checkpoint[part] for part in parts if part in checkpoint}
    held['best_score'] = checkpoint['message_hub']['runtime_info'].get('best_score')
    held['iter'] = checkpoint['meta']['iter']
    return dict(leaves(held))


def differences(path: Path, expected: Path) -> list[str]:
    ours, theirs = state(path), state(expected)
    assert ours.keys() == theirs.keys()
    return [name for name, value in ours.items() if value != theirs[name]]


def scalars(work_dir: Path) -> list[dict]:
    """The lines of the log, those of all starts of the run."""
    paths = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def losses(work_dir: Path) -> list[tuple]:
    """(iteration, losses and learning rates) of each line."""
    return [
        (line['iter'], {name: v for name, v in line.items() if 'loss' in name or '.lr' in name})
        for line in scalars(work_dir)
        if 'iter' in line
    ]


@pytest.fixture(scope='module')
def config(tmp_path_factory, data_root) -> Path:
    return write_config(tmp_path_factory.mktemp('config'), data_root)


@pytest.fixture(scope='module')
def runs(config) -> tuple[Path, Path, list[tuple]]:
    """The working directories of a run that nothing stops, and of one with the same configuration.

    That is killed in each phase, at random, and then during its last validation.
    """
    whole, broken = config.parent / 'whole', config.parent / 'broken'
    unstopped = Run(config, whole)
    killed = kill_at_random(config, broken, phase=4, kills=3, seed=0)
    run = Run(config, broken, '--resume')
    run.until(1, 'val')
    run.kill()
    status, stdout, _ = run.end()
    assert status == -signal.SIGKILL
    assert 'psnr' not in stdout  # it had not ended
    status, stdout, stderr = Run(config, broken, '--resume').end()
    assert (status, stderr) == (0, '')
    assert 'Iter(train)' not in stdout
    status, _, stderr = unstopped.end()
    assert (status, stderr) == (0, '')
    return whole, broken, killed


@pytest.fixture
def whole(runs) -> Path:
    return runs[0]


def test_a_run_killed_in_each_phase_ends_as_if_it_had_not_been(runs):
    whole, work_dir, killed = runs
    assert [status for status, *_ in killed] == [-signal.SIGKILL] * 3
    assert [(reached - 1) // 4 for _, reached, _ in killed] == [0, 1, 2]
    assert {name.split('.')[1] for name in state(whole / 'iter_12.pth')} == {
        *('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'best_score', 'iter')
    }
    assert differences(work_dir / 'iter_12.pth', whole / 'iter_12.pth') == []
    assert not list(work_dir.glob('*.part'))


def test_a_run_killed_in_each_phase_logs_the_losses_that_it_would_have(runs):
    whole, work_dir, _ = runs
    expected = dict(losses(whole))
    assert list(expected) == list(range(1, 13))
    lines = losses(work_dir)
    assert len(lines) > 12  # some iterations were done twice
    assert {iteration for iteration, _ in lines} == expected.keys()
    for iteration, values in lines:
        assert values == expected[iteration], iteration  # to the last bit


def test_a_validation_that_was_killed_is_made_again(runs):
    whole, work_dir, _ = runs
    assert (work_dir / 'metrics.json').read_text() == (whole / 'metrics.json').read_text()
    (best,), (expected,) = work_dir.glob('best*'), whole.glob('best*')
    assert best.name == expected.name
    assert differences(best, expected) == []


def test_a_run_stopped_by_sigterm_or_ctrl_c_is_saved_and_goes_on(config, whole, tmp_path):
    workers = ('train_dataloader.num_workers=2', 'val_dataloader.num_workers=2')
    for number, iteration in ((signal.SIGTERM, 2), (signal.SIGINT, 7)):
        run = Run(config, tmp_path, '--resume', '--cfg-options', *workers)
        reached = run.until(iteration)
        os.killpg(run.pid, number)  # to the workers too, as from torchrun or a terminal
        status, stdout, stderr = run.end()
        assert (status, stderr) == (128 + number, '')
        latest = checkpoints(tmp_path)[-1]
        done = read_checkpoint(latest)['meta']['iter']
        assert latest.name == f'iter_{done}.pth'
        lines = [int(line) for line in re.findall(r'Iter\(train\) \[ *(\d+)/', stdout)]
        assert max([reached, *lines]) == done < 12
        assert stdout.endswith(f'Stopped by {number.name}; go on by --resume\n')
    assert Run(config, tmp_path, '--resume').end()[0] == 0
    assert differences(tmp_path / 'iter_12.pth', whole / 'iter_12.pth') == []


class Raise(Hook):
    """Sends this process a signal in an iteration."""

    def __init__(self, number: signal.Signals, iteration: int):
        self.number, self.iteration = number, iteration

    def before_train_iter(self, runner, batch_idx, data_batch):
        if runner.iter == self.iteration:
            signal.raise_signal(self.number)


def test_a_signal_waits_for_the_gradients_of_an_accumulation(small_config, tmp_path):
    path = small_config(**{**ONE_PHASE, 'optim_wrapper.generator.accumulative_counts': 2})
    runner = build(path, tmp_path / 'work')
    runner.register_hook(Raise(signal.SIGTERM, 2))
    with pytest.raises(SystemExit) as stopped:
        runner.train()
    assert stopped.value.code == 143
    assert checkpoints(tmp_path / 'work')[-1].name == 'iter_4.pth'


def copies(whole: Path, work_dir: Path, *numbers: int) -> None:
    work_dir.mkdir()
    for number in numbers:
        shutil.copy(whole / f'iter_{number}.pth', work_dir)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def test_a_truncated_checkpoint_is_skipped_and_named(config, whole, tmp_path):
    copies(whole, tmp_path / 'work', 8, 10, 12)
    truncate(tmp_path / 'work/iter_12.pth')
    _, keeper = train(config, tmp_path / 'work', resume=True)
    assert list(keeper.losses) == [10, 11]
    (warning,) = re.findall('WARNING - (.*)', read_log(tmp_path / 'work'))
    assert warning == (
        f'Skipped: cannot read the checkpoint {tmp_path}/work/iter_12.pth: it is truncated, or not '
        'a file of torch.save'
    )
    read_checkpoint(tmp_path / 'work/iter_12.pth')


def test_a_run_whose_checkpoints_are_all_truncated_is_not_begun_anew(config, whole, tmp_path):
    copies(whole, tmp_path / 'work', 2, 4)
    for path in checkpoints(tmp_path / 'work'):
        truncate(path)
    runner = build(config, tmp_path / 'work', resume=True)
    with pytest.raises(UserError, match=r'none of the 2 checkpoints in .*/work can be read: begin'):
        runner.train()


@pytest.fixture(scope='module')
def short(tmp_path_factory, data_root) -> Path:
    """The shrunk Places configuration: two iterations a phase."""
    cfg = load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py')
    path = tmp_path_factory.mktemp('short') / 'small.py'
    shrink(cfg, data_root).dump(path)
    return path


@pytest.fixture(scope='module')
def averaged(short) -> Path:
    """A run with a moving average; validations and checkpoints after each iteration."""
    options = {
        'train_cfg.val_interval': 1,
        'default_hooks.checkpoint.interval': 1,
        'optim_wrapper.generator.optimizer.lr': 0.02,  # some steps are for the worse
        'custom_hooks': EMA,
    }
    train(short, short.parent / 'averaged', **options)
    return short.parent / 'averaged'


@pytest.fixture
def refused(capfd):
    """The sentence with which `tools/train.py` ends, with the status 2."""

    def run(config: Path, work_dir: Path, **options) -> str:
        with pytest.raises(SystemExit) as end, one_sentence_errors():
            train(config, work_dir, **options)
        assert end.value.code == 2
        (line,) = capfd.readouterr().err.splitlines()
        return line

    return run


@pytest.fixture
def file_limit():
    """Sets the size at which the system refuses to write more to a file."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_a_full_disk_leaves_the_former_checkpoint(short, tmp_path, refused, file_limit):
    train(short, tmp_path, train_cfg=dict(max_iters=2), **NO_VALIDATION)
    # The optimizer of the second phase makes checkpoints larger.
    file_limit((tmp_path / 'iter_2.pth').stat().st_size + 50_000)
    line = refused(short, tmp_path, resume=True)
    assert line.startswith(f'error: cannot write {tmp_path}/iter_4.pth: File too large: make room')
    assert line.endswith(', and go on from the one before by --resume')
    assert [path.name for path in tmp_path.glob('*.pth*')] == ['iter_2.pth']
    file_limit(resource.RLIM_INFINITY)
    _, keeper = train(short, tmp_path, resume=True)
    assert list(keeper.losses) == [2, 3, 4, 5]


def test_a_full_disk_is_one_sentence_where_the_log_meets_it_too(capfd):
    with pytest.raises(SystemExit) as end, one_sentence_errors():
        Path('/dev/full').write_text('a line')
    assert end.value.code == 2
    room = 'make room, and begin again; a training goes on by --resume'
    assert capfd.readouterr().err == f'error: No space left on device: {room}\n'


def test_ctrl_c_is_itself_while_a_configuration_is_formatted(short, monkeypatch, capfd):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    cfg = load_config(short)
    monkeypatch.setattr('mmengine.config.config.FormatCode', interrupted)
    with pytest.raises(SystemExit) as end, one_sentence_errors():
        print(cfg.pretty_text)
    assert end.value.code == 130
    assert capfd.readouterr().err == 'error: interrupted\n'


def test_a_loss_that_is_not_finite_ends_a_run_and_nothing_is_saved(short, tmp_path, refused):
    # The learning rate explodes after the second iteration, and no line of the log looks at it.
    explode = dict(type='MultiStepLR', by_epoch=False, milestones=[2], gamma=1e30)
    options = {
        'default_hooks.logger.interval': 100,
        'model.train_cfg.iter_tc': 6,
        'model.train_cfg.iter_td': 6,
        'param_scheduler': dict(generator=[explode], disc=[]),
    }
    line = refused(short, tmp_path, **options)
    said = (
        r'error: loss_l1_hole is (nan|inf) at iteration 3, on (\S+/\d{8}.jpg(, )?){2}: nothing .*'
    )
    assert re.fullmatch(said, line)
    assert [path.name for path in tmp_path.glob('*.pth*')] == ['iter_2.pth']


def test_the_log_may_be_rarer_than_checkpoints_and_none_has_a_broken_loss(
    short, averaged, tmp_path
):
    checkpoint = read_checkpoint(averaged / 'iter_1.pth')
    del checkpoint['ema_state_dict']
    next(iter(checkpoint['state_dict'].values()))[:] = float('inf')
    torch.save(checkpoint, tmp_path / 'broken.pth')
    options = {
        'load_from': str(tmp_path / 'broken.pth'),
        'default_hooks.logger.interval': 100,
        'default_hooks.checkpoint.interval': 1,
    }
    with pytest.raises(UserError, match=r'loss_l1_hole is nan at iteration 0, on .*, .*: nothing'):
        train(short, tmp_path / 'work', **options)
    assert not list((tmp_path / 'work').glob('*.pth*'))


def test_weights_that_are_not_finite_are_not_saved(short, tmp_path):
    options = {
        'optim_wrapper.generator.optimizer.lr': 1e300,
        'default_hooks.checkpoint.interval': 1,
    }
    with pytest.raises(UserError, match=r'generator.\S+ is not finite after iteration 0: nothing'):
        train(short, tmp_path, **options)
    assert not list(tmp_path.glob('*.pth*'))


def test_a_worker_that_is_killed_ends_the_run_in_one_sentence(short, tmp_path):
    options = ('num_workers=1', 'persistent_workers=True')
    options = [f'train_dataloader.{option}' for option in options]
    run = Run(short, tmp_path, '--cfg-options', 'train_cfg.max_iters=10000', *options)
    run.until(3)
    pid = run.pid
    worker = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()[0]
    os.kill(int(worker), signal.SIGKILL)
    begin = time.monotonic()
    status, stdout, stderr = run.end()
    assert time.monotonic() - begin < 60
    assert status == 1
    assert re.fullmatch(
        rf'error: process {worker}, which loads pictures, ended \(SIGKILL, as where memory is '
        r'short\): begin again; a training goes on by --resume\n',
        stderr,
    )
    assert 'Traceback' not in stdout


@pytest.mark.parametrize(('metric', 'best_of'), [('psnr', max), ('l1', min)])
def test_the_newest_checkpoints_stay_and_the_best_one(short, tmp_path, metric, best_of):
    options = {
        'train_cfg.val_interval': 1,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': 2,
        'default_hooks.checkpoint.save_best': metric,
        'optim_wrapper.generator.optimizer.lr': 0.02,
    }
    train(short, tmp_path, **options)
    scores = {line['step']: line[metric] for line in scalars(tmp_path) if metric in line}
    assert list(scores) == [1, 2, 3, 4, 5, 6]
    best = best_of(scores, key=scores.get)
    assert best < 6
    left = sorted(path.name for path in tmp_path.glob('*.pth*'))
    assert left == [f'best_{metric}_iter_{best}.pth', 'iter_5.pth', 'iter_6.pth']
    checkpoint = read_checkpoint(tmp_path / f'best_{metric}_iter_{best}.pth')
    assert checkpoint['meta']['iter'] == best
    assert checkpoint['message_hub']['runtime_info']['best_score'] == scores[best]


def test_without_an_interval_checkpoints_come_with_validations_and_at_the_end(short, tmp_path):
    options = {
        'train_cfg.val_interval': 2,
        'train_cfg.max_iters': 5,
        'default_hooks.checkpoint.interval': -1,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        'default_hooks.checkpoint.save_best': None,
    }
    train(short, tmp_path, **options)
    left = sorted(path.name for path in tmp_path.glob('*.pth*'))
    assert left == ['iter_2.pth', 'iter_4.pth', 'iter_5.pth']


def test_the_moving_average_is_one(averaged):
    states = [read_checkpoint(averaged / f'iter_{i}.pth') for i in range(1, 7)]
    generator = {n for n in states[-1]['state_dict'] if n.startswith('generator.')}
    assert states[-1]['ema_state_dict'].keys() == generator
    for name, value in states[-1]['ema_state_dict'].items():
        steps = [state['state_dict'][name] for state in states]
        expected = steps[0]
        if 'running' not in name and 'num_batches' not in name:
            for step in steps[1:]:
                expected = 0.9 * expected + 0.1 * step
        else:
            expected = steps[-1]  # batch statistics are averages already
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)


def test_the_moving_average_is_what_is_measured(short, averaged, tmp_path):
    expected = json.loads((averaged / 'metrics.json').read_text())
    checkpoint = averaged / 'iter_6.pth'
    assert build(short, tmp_path, load_from=str(checkpoint)).test() == expected
    torch.save({'state_dict': weights(checkpoint)}, tmp_path / 'trained.pth')
    trained = build(short, tmp_path, load_from=str(tmp_path / 'trained.pth')).test()
    assert abs(trained['psnr'] - expected['psnr']) > 0.1


def test_there_is_no_moving_average_unless_it_is_asked_for(short, tmp_path):
    train(short, tmp_path, train_cfg=dict(max_iters=1))
    assert 'ema_state_dict' not in read_checkpoint(tmp_path / 'iter_1.pth')


@pytest.fixture
def accumulating(small_config) -> Path:
    """One phase without batch statistics and with holes of one size, for sums to be the same."""
    path = small_config(**ONE_PHASE)
    cfg = load_config(path)
    for part in ('encoder', 'dilation_neck', 'decoder'):
        cfg.model.encdec[part].norm_cfg = None
    cfg.train_dataloader.dataset.pipeline[-2].mask_config.max_bbox_delta = 0
    cfg.optim_wrapper.generator.optimizer = dict(type='SGD', lr=0.1, momentum=0.9)
    cfg.dump(path)
    return path


def test_gradients_of_two_batches_make_the_step_of_their_union(accumulating, tmp_path):
    double = {
        'train_dataloader.batch_size': 4,
        'train_cfg.max_iters': 3,
        'model.train_cfg.iter_tc': 3,
        'model.train_cfg.iter_td': 3,
        'default_hooks.checkpoint.interval': 1,
    }
    _, expected = train(accumulating, tmp_path / 'double', **double)
    halves = {'optim_wrapper.generator.accumulative_counts': 2}
    _, keeper = train(accumulating, tmp_path / 'halves', **halves)
    for step in range(3):
        pictures = keeper.pictures[2 * step] + keeper.pictures[2 * step + 1]
        assert pictures == expected.pictures[step]
        loss = sum(keeper.losses[2 * step + i]['loss_l1_hole'] for i in (0, 1)) / 2
        assert loss == pytest.approx(expected.losses[step]['loss_l1_hole'], rel=1e-5)
    begun = weights(tmp_path / 'double/iter_1.pth')
    ended = weights(tmp_path / 'double/iter_3.pth')
    for name, value in weights(tmp_path / 'halves/iter_6.pth').items():
        torch.testing.assert_close(value, ended[name], rtol=0, atol=1e-5)
    assert max((ended[name] - begun[name]).abs().max() for name in ended) > 1e-3


@pytest.mark.parametrize(
    ('option', 'name'),
    [
        ('default_hooks.checkpoint.interval', 'checkpoint_interval'),
        ('train_cfg.val_interval', 'val_interval'),
        ('train_cfg.max_iters', 'max_iters'),
        ('model.train_cfg.iter_tc', 'iter_tc'),
        ('model.train_cfg.iter_td', 'iter_td'),
    ],
)
def test_gradients_that_would_be_lost_are_refused(short, tmp_path, option, name):
    options = {'optim_wrapper.disc.accumulative_counts': 2, option: 3}
    with pytest.raises(UserError, match=f'^{name}=3 is no multiple of accumulative_counts=2: '):
        train(short, tmp_path, **options)


def test_gradients_of_steps_that_wait_for_the_discriminators_are_not_lost(short, tmp_path):
    options = {
        'optim_wrapper.generator.accumulative_counts': 2,
        'model.train_cfg': dict(iter_tc=6, iter_td=8, disc_step=3),
    }
    expected = '^iter_td=8 is no multiple of accumulative_counts=2 times disc_step=3: '
    with pytest.raises(UserError, match=expected):
        train(short, tmp_path, **options)


def test_a_run_does_not_write_over_later_checkpoints(short, averaged, tmp_path):
    copies(averaged, tmp_path / 'work', 1, 2, 4)
    options = dict(resume=True, load_from=str(tmp_path / 'work/iter_2.pth'))
    with pytest.raises(UserError, match=r'holds later checkpoints than \S*/iter_2.pth, .* iter_4'):
        train(short, tmp_path / 'work', **options)
    options['optim_wrapper.generator.optimizer.lr'] = 0.02
    _, keeper = train(short, tmp_path / 'elsewhere', **options)
    assert list(keeper.losses) == [2, 3, 4, 5]


def test_a_run_without_a_fixed_seed_resumes_with_its_own(short, tmp_path):
    options = {'randomness.seed': None, **NO_VALIDATION}
    begun, _ = train(short, tmp_path / 'work', **options, train_cfg=dict(max_iters=2))
    resumed, keeper = train(short, tmp_path / 'work', resume=True, **options)
    assert resumed.seed == begun.seed
    options = {'randomness.seed': begun.seed, **NO_VALIDATION}
    _, expected = train(short, tmp_path / 'fixed', **options)
    for iteration in (2, 3, 4, 5):
        assert keeper.pictures[iteration] == expected.pictures[iteration]
        assert keeper.losses[iteration] == expected.losses[iteration]
    assert differences(tmp_path / 'work/iter_6.pth', tmp_path / 'fixed/iter_6.pth') == []


def copied(config: Path, work_dir: Path, monkeypatch, **options) -> list[int]:
    """The iterations in which the value of a loss was asked for, each as often as it was."""
    asked = []

    class Loss(Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            if function in (Tensor.item, Tensor.tolist, Tensor.__float__, Tensor.cpu):
                asked.append(runner.iter + 1)
            return super().__torch_function__(function, types, args, kwargs)

    def train_step(*args):
        return {name: loss.as_subclass(Loss) for name, loss in step(*args).items()}

    runner = build(config, work_dir, **options)
    step = runner.model.train_step
    monkeypatch.setattr(runner.model, 'train_step', train_step)
    runner.train()
    return asked


def test_no_loss_is_copied_between_two_lines_of_the_log(short, tmp_path, monkeypatch):
    options = {'default_hooks.logger.interval': 2, **NO_VALIDATION}
    assert copied(short, tmp_path / 'ours', monkeypatch, **options) == [2, 4, 6]
    options['default_hooks.runtime_info.type'] = 'mmengine.RuntimeInfoHook'
    asked = copied(short, tmp_path / 'theirs', monkeypatch, **options)
    assert set(asked) == {1, 2, 3, 4, 5, 6}
