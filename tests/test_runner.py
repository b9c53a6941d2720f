import itertools
import os
import re
from pathlib import Path

import cv2
import pytest
import torch
from conftest import ROOT, random_image, shrink
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook

from mmedit_gl.checkpoint import read_checkpoint
from mmedit_gl.datasets import ImageDataset
from mmedit_gl.engine import Runner, load_config
from mmedit_gl.errors import UserError

NUMBERS = itertools.count()


class LossKeeper(Hook):
    """What each iteration's training step gave, and the pictures it saw."""

    def before_train(self, runner):
        self.losses, self.pictures = {}, {}

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.losses[runner.iter] = {name: value.item() for name, value in outputs.items()}
        self.pictures[runner.iter] = data_batch['img_path']


def build(path: Path, work_dir: Path, **options) -> Runner:
    """A runner by a configuration file, with a name of its own: mmengine keeps logs by name."""
    cfg = load_config(path, options)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'run_{next(NUMBERS)}'
    return Runner.from_cfg(cfg)


def train(path: Path, work_dir: Path, **options) -> tuple[Runner, LossKeeper]:
    runner = build(path, work_dir, **options)
    keeper = LossKeeper()
    runner.register_hook(keeper)
    runner.train()
    return runner, keeper


def read_log(work_dir: Path) -> str:
    return '\n'.join(path.read_text() for path in sorted(work_dir.glob('*/*.log')))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path)['state_dict']


@pytest.fixture(scope='module')
def places(tmp_path_factory, data_root):
    """The shrunk Places configuration in a file, and its whole run."""
    folder = tmp_path_factory.mktemp('places')
    cfg = load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py')
    cfg = shrink(cfg, data_root)
    cfg.default_hooks.checkpoint.interval = 1
    cfg.dump(folder / 'small.py')
    _, keeper = train(folder / 'small.py', folder / 'whole')
    return folder / 'small.py', folder / 'whole', keeper


def test_resume_continues_in_the_same_phase(places, tmp_path):
    config, whole, expected = places
    runner, keeper = train(
        config, tmp_path, resume=True, load_from=str(whole / 'iter_3.pth'), randomness=dict(seed=0)
    )
    assert list(keeper.losses) == [3, 4, 5]
    assert "Phase 'discriminator' from iteration 3 on" in read_log(tmp_path)
    assert keeper.losses[3].keys() == {'fake_loss', 'real_loss'}
    for iteration in (3, 4, 5):
        assert keeper.pictures[iteration] == expected.pictures[iteration]
        assert keeper.losses[iteration] == expected.losses[iteration]  # to the last bit
    resumed, uninterrupted = weights(tmp_path / 'iter_6.pth'), weights(whole / 'iter_6.pth')
    assert resumed.keys() == uninterrupted.keys()
    for name, value in resumed.items():
        assert torch.equal(value, uninterrupted[name]), name
    assert runner.iter == 6


def test_resume_without_a_path_goes_on_from_the_latest_checkpoint(places, tmp_path):
    config, _, expected = places
    train(config, tmp_path, train_cfg=dict(max_iters=3))
    _, keeper = train(config, tmp_path, resume=True)
    assert list(keeper.losses) == [3, 4, 5]
    assert keeper.losses[5] == expected.losses[5]


def test_resume_reads_no_batch_in_vain(places, tmp_path, monkeypatch):
    config, whole, _ = places
    checkpoint = read_checkpoint(whole / 'iter_6.pth')
    checkpoint['meta']['iter'] = 400_000
    torch.save(checkpoint, tmp_path / 'late.pth')
    reads, read = [], ImageDataset.__getitem__
    monkeypatch.setattr(
        ImageDataset, '__getitem__', lambda self, item: reads.append(item) or read(self, item)
    )
    runner, keeper = train(
        config,
        tmp_path / 'work',
        resume=True,
        load_from=str(tmp_path / 'late.pth'),
        train_cfg=dict(max_iters=400_002, val_interval=10**9),
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
    )
    assert list(keeper.losses) == [400_000, 400_001]
    # Draws are numbered over the whole run, two for each iteration.
    seeds = [seed for _, seed in reads]
    rehearsed, read = seeds[:2], seeds[2:]
    assert rehearsed == read[:2]
    assert read == [(runner.seed, 800_000 + i) for i in range(4)]


def test_a_checkpoint_without_optimizer_cannot_be_resumed(places, tmp_path):
    config, whole, _ = places
    checkpoint = read_checkpoint(whole / 'iter_3.pth')
    del checkpoint['optimizer']
    torch.save(checkpoint, tmp_path / 'c.pth')
    runner = build(config, tmp_path, resume=True, load_from=str(tmp_path / 'c.pth'))
    with pytest.raises(UserError, match='cannot be resumed: it lacks optimizer; to start a new'):
        runner.train()
    train(config, tmp_path, load_from=str(tmp_path / 'c.pth'), train_cfg=dict(max_iters=1))


def test_resume_does_not_run_the_configuration_that_a_checkpoint_quotes(places, tmp_path):
    config, whole, _ = places
    checkpoint = read_checkpoint(whole / 'iter_3.pth')
    checkpoint['meta']['config'] = f'open({str(tmp_path / "mark")!r}, "w")'
    torch.save(checkpoint, tmp_path / 'c.pth')
    _, keeper = train(
        config,
        tmp_path / 'work',
        resume=True,
        load_from=str(tmp_path / 'c.pth'),
        train_cfg=dict(max_iters=4),
    )
    assert list(keeper.losses) == [3]
    assert not (tmp_path / 'mark').exists()


def test_the_log_shows_the_losses_of_the_phase_and_no_others(places):
    _, whole, expected = places
    lines = re.findall(r'Iter\(train\) .*\[(\d)/6\](.*)', read_log(whole))
    shown = {
        int(iteration): {
            name: float(value) for name, value in re.findall(r'(\w*loss\w*): ([\d.]+)', line)
        }
        for iteration, line in lines
    }
    disc, generator = {'fake_loss', 'real_loss'}, {'loss_l1_hole'}
    names = [generator, generator, disc, disc, *[disc | generator | {'loss_g_fake'}] * 2]
    assert [shown[i].keys() for i in range(1, 7)] == names
    # The log smooths over the phase's own iterations.
    for first, last in [(0, 1), (2, 3), (4, 5)]:
        for name, value in shown[last + 1].items():
            mean = (expected.losses[first][name] + expected.losses[last][name]) / 2
            assert value == pytest.approx(mean, abs=1e-4), (last, name)
    for iteration, line in lines:
        for item in ('disc.lr: 4.0000e-04', 'generator.lr: 4.0000e-04', 'eta: ', 'time: '):
            assert item in line, iteration
    phases = re.findall(r"Phase '(\w+)' from iteration (\d) on", read_log(whole))
    assert phases == [('generator', '0'), ('discriminator', '2'), ('joint', '4')]


def test_a_checkpoint_is_complete_or_not_there(places, tmp_path, monkeypatch):
    config, whole, _ = places
    assert sorted(path.name for path in whole.glob('iter_*')) == [
        f'iter_{i}.pth' for i in range(1, 7)
    ]
    runner = build(config, tmp_path)

    def put(self, obj: bytes, filepath: str) -> None:
        Path(filepath).write_bytes(obj[: len(obj) // 2])
        raise OSError('no space left on device')

    monkeypatch.setattr(LocalBackend, 'put', put)
    with pytest.raises(UserError, match=r'cannot write .*/iter_1\.pth: no space left.*: make room'):
        runner.train()
    assert not list(tmp_path.glob('*.pth*'))


def test_every_checkpoint_is_synced(places, tmp_path, monkeypatch):
    synced = set()
    monkeypatch.setattr(os, 'fsync', lambda number: synced.add(os.fstat(number).st_ino))
    train(places[0], tmp_path, **{'train_cfg.max_iters': 2})
    saved = {path.stat().st_ino for path in tmp_path.glob('*.pth')}
    assert len(saved) == 3  # of two iterations, and the best
    assert saved <= synced


@pytest.mark.parametrize('name', ['vis_image/train_samples_3.png', 'scalars.json'])
def test_a_training_sample_or_value_that_cannot_be_written_ends_the_run(places, tmp_path, name):
    runner = build(places[0], tmp_path)
    path = Path(runner.log_dir, 'vis_data', name)
    path.mkdir(parents=True)
    with pytest.raises(UserError, match=f'^cannot write {path}: Is a directory$'):
        runner.train()


@pytest.mark.parametrize('max_images', [4, 0])
def test_a_folder_for_completions_is_tried_before_the_training(places, tmp_path, max_images):
    hook = dict(type='CompletionsHook', out_dir='/proc/self/fd', max_images=max_images)
    options = {'default_hooks.completions': hook, 'train_cfg.max_iters': 2}
    if max_images:
        with pytest.raises(UserError, match=r'^cannot write to the folder /proc/self/fd: '):
            train(places[0], tmp_path, **options)
    else:
        train(places[0], tmp_path, **options)
    assert (tmp_path / 'iter_2.pth').exists() is (max_images == 0)


def test_a_hook_of_the_project_can_be_left_out(places, tmp_path):
    config, _, _ = places
    options = {'default_hooks.train_samples': None, 'default_hooks.checkpoint': None}
    runner = build(config, tmp_path, **options)
    names = {type(hook).__name__ for hook in runner.hooks}
    assert 'PhaseHook' in names
    assert not names & {'TrainSamplesHook', 'CheckpointHook'}


def test_adversarial_phases_without_a_discriminator_are_refused_at_once(places, tmp_path):
    config, _, _ = places
    options = {'model.disc': None, 'optim_wrapper.disc': None}
    runner = build(config, tmp_path, **options)
    with pytest.raises(UserError, match='after iteration iter_tc=2 the discriminators are'):
        runner.train()
    options.update({'model.train_cfg.iter_tc': 6, 'model.train_cfg.iter_td': 6})
    _, keeper = train(config, tmp_path, **options)
    assert [step.keys() for step in keeper.losses.values()] == [{'loss_l1_hole'}] * 6
    assert all(name.startswith('generator.') for name in weights(tmp_path / 'iter_6.pth'))


def test_a_schedule_that_begins_after_the_run_is_refused(places, tmp_path):
    late = dict(type='LinearLR', by_epoch=False, start_factor=0.1, begin=6)
    runner = build(places[0], tmp_path, param_scheduler=dict(generator=[late], disc=[]))
    message = r'^param_scheduler: end should be .* begin=6, end=6 '
    with pytest.raises(UserError, match=message):
        runner.train()


def pictures_with_bad_ones(folder: Path, good: int, bad: int) -> Path:
    (folder / 'data_large').mkdir()
    names = [f'{i:04d}.jpg' for i in range(good + bad)]
    for i, name in enumerate(names[:good]):
        cv2.imwrite(str(folder / 'data_large' / name), random_image(i, 80, 90))
    for name in names[good:]:
        (folder / 'data_large' / name).write_bytes(b'no picture')
    (folder / 'train_list.txt').write_text(''.join(f'data_large/{n}\n' for n in names))
    return folder


def skipping(root: Path, **options) -> dict:
    return dict(
        train_dataloader=dict(dataset=dict(data_root=str(root))),
        model=dict(train_cfg=dict(iter_tc=100, iter_td=100)),
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        **options,
    )


def test_an_unreadable_picture_is_skipped_counted_and_named_once(places, tmp_path):
    root = pictures_with_bad_ones(tmp_path, good=5, bad=1)
    options = skipping(root, train_cfg=dict(max_iters=9))  # 18 draws: three passes
    _, keeper = train(places[0], tmp_path / 'work', **options)
    log = read_log(tmp_path / 'work')
    assert log.count(f'Skipped: cannot read {root}/data_large/0005.jpg: not an image') == 1
    count, draws = map(int, re.search(r'Skipped (\d+) of (\d+) pictures drawn', log).groups())
    assert 3 <= count <= 6
    assert draws == 18 + count
    assert all('0005' not in path for paths in keeper.pictures.values() for path in paths)


def test_more_than_one_percent_of_unreadable_pictures_stop_the_run(places, tmp_path):
    root = pictures_with_bad_ones(tmp_path, good=2, bad=8)
    options = skipping(root, train_cfg=dict(max_iters=100))
    with pytest.raises(UserError) as error:
        train(places[0], tmp_path / 'work', **options)
    failed = re.match(
        rf'(\d+) of \d+ pictures drawn could not be used, more than 1%; the last: .*{root}',
        str(error.value),
    )
    assert int(failed[1]) > 10  # 1 % of a thousand


def test_the_share_of_unreadable_pictures_has_an_effect(places, tmp_path):
    root = pictures_with_bad_ones(tmp_path, good=5, bad=1)
    options = skipping(root, train_cfg=dict(max_iters=9))
    with pytest.raises(UserError, match='more than 0%'):
        train(
            places[0],
            tmp_path / 'work',
            **options,
            default_hooks=dict(skipped_images=dict(max_ratio=0.0)),
        )
