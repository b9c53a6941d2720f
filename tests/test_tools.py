"""The commands that a user types, and what they say of bad input."""

import base64
import hashlib
import json
import os
import re
import resource
import runpy
import subprocess
import sys
import zlib
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
import rich
import torch
from conftest import ROOT, random_image, run_tool, seeded_state_dict, shrink
from mmengine.dataset import default_collate
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from test_checkpoint import Reduced
from test_runner import pictures_with_bad_ones, read_log

import mmedit_gl
from mmedit_gl.apis import Inpainter, init_model
from mmedit_gl.checkpoint import read_checkpoint
from mmedit_gl.cli import main
from mmedit_gl.datasets import bbox2mask
from mmedit_gl.engine import load_config
from mmedit_gl.evaluation import l1
from mmedit_gl.registry import DATASETS

NO_DISC = ('model.disc=None', 'optim_wrapper.disc=None')


@pytest.fixture(scope='module')
def config(tmp_path_factory, data_root) -> Path:
    cfg = load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py')
    path = tmp_path_factory.mktemp('config') / 'small.py'
    shrink(cfg, data_root).dump(path)
    return path


COMMAND = ('-c', 'from mmedit_gl.cli import main; main()')


@pytest.mark.parametrize('unbuffered', ['', '1'])
@pytest.mark.parametrize(
    'command',
    [
        (*COMMAND, '--help'),
        (*COMMAND, 'plot-log', '--help'),
        (ROOT / 'tools/plot_log.py', 'run'),
        (ROOT / 'tools/convert_config.py', '--help'),
    ],
)
def test_a_command_ends_in_silence_when_nobody_reads_on(command, unbuffered, tmp_path):
    path = tmp_path / 'run/20260101_000000/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('{"loss_l1_hole": 0.5, "step": 1}\n')
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONUNBUFFERED': unbuffered},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    # As that of a shell's `yes | head`; argparse says by itself that it has helped.
    status = 0 if command[-1] == '--help' and len(command) != 3 else 141
    assert (done.returncode, done.stderr) == (status, '')


def test_the_command_tells_its_version(capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['mmedit-gl', '--version'])
    main()
    assert capsys.readouterr().out == f'mmedit-gl {mmedit_gl.__version__}\n'


@pytest.fixture(scope='module')
def trained(config):
    """The working directory that `tools/train.py` leaves, and what it printed."""
    work_dir = config.parent / 'trained'
    done = run_tool('train.py', config, '--work-dir', work_dir, cwd=config.parent)
    assert done.returncode == 0, done.stderr
    return work_dir, done


@pytest.fixture(scope='module')
def tested(trained, config):
    """What `tools/test.py` printed of it; its files are in the folder `tested`."""
    folder = config.parent / 'tested'
    args = (config, trained[0] / 'iter_6.pth', '--work-dir', folder / 'work')
    args += ('--out', folder / 'new/m.json', '--show-dir', folder / 'shown')
    done = run_tool('test.py', *args, cwd=config.parent)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def tool(monkeypatch, capfd):
    """Runs a tool in this process, which saves its imports; gives status, stdout and stderr."""

    def run(name: str, *args) -> tuple[int, str, str]:
        for singleton in (MessageHub, MMLogger, Visualizer, DefaultScope):
            singleton._instance_dict.clear()  # as in a new process
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        capfd.readouterr()
        try:
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
            status = 0
        except SystemExit as end:
            status = end.code
        return status, *capfd.readouterr()

    return run


def one_sentence(status: int, stdout: str, stderr: str) -> str:
    """The one line on stderr of a command that ended for a mistake of its user."""
    assert status == 2, stderr
    assert 'Traceback' not in stdout + stderr
    (line,) = [line for line in stderr.splitlines() if line.strip()]
    assert line.startswith('error: ')
    assert len(line) > len('error: ')
    return line


@pytest.fixture
def refused(tool, config, tmp_path):
    """What a tool says of bad input; nothing half-written must be left."""

    def run(name: str, *args, config: Path = config) -> str:
        work_dir, out = tmp_path / 'work', tmp_path / 'out.json'
        extra = ['--out', out] if name == 'test.py' else []
        line = one_sentence(*tool(name, config, *args, '--work-dir', work_dir, *extra))
        left = [p for p in work_dir.rglob('*') if p.suffix in ('.pth', '.part', '.png')]
        assert left == []
        assert not (work_dir / 'metrics.json').exists()
        assert not out.exists()
        return line

    return run


def table_row(stdout: str) -> list[float]:
    (row,) = re.findall(r'^model' + 5 * r' +([\d.]+)' + '$', stdout, re.MULTILINE)
    return [float(value) for value in row]


def assert_table_is(stdout: str, metrics: dict) -> None:
    head = r'^ +l1 in the hole \(%\) +mean colour \(%\) +l1 \(%\) +PSNR \(dB\) +SSIM$'
    assert re.search(head, stdout, re.MULTILINE)
    expected = [metrics[name] for name in ('l1', 'colour', 'l1_image', 'psnr', 'ssim')]
    assert table_row(stdout) == pytest.approx(expected, abs=5.1e-4)
    assert f'\n{metrics["num_images"]} images\n' in stdout


def test_train_leaves_checkpoints_log_metrics_and_pictures(trained):
    work_dir, done = trained
    names = ['best_psnr_iter_6.pth', *(f'iter_{i}.pth' for i in (2, 4, 6))]
    assert sorted(p.name for p in work_dir.glob('*.pth')) == names
    metrics = json.loads((work_dir / 'metrics.json').read_text())
    assert metrics.keys() == {'l1', 'colour', 'l1_image', 'psnr', 'ssim', 'num_images'}
    assert metrics['num_images'] == 4
    assert_table_is(done.stdout, metrics)
    (log_dir,) = (path.parent for path in work_dir.glob('*/*.log'))
    assert done.stdout.endswith(
        f'\nWritten: {work_dir}/iter_6.pth, {log_dir}, {work_dir}/metrics.json, '
        f'{work_dir}/completions\n'
    )
    completions = sorted(p.name for p in (work_dir / 'completions').iterdir())
    assert completions == [f'{i:05d}_Places365_val_{i:08d}.png' for i in range(4)]
    (log,) = work_dir.glob('*/*.log')
    for i in range(1, 7):
        assert f'[{i}/6]' in log.read_text()
        assert f'[{i}/6]' in done.stdout
    (events,) = work_dir.glob('*/vis_data/events.out.tfevents.*')
    assert b'loss_l1_hole' in events.read_bytes()
    samples = sorted(p.name for p in work_dir.glob('*/vis_data/vis_image/*.png'))
    assert samples == ['train_samples_3.png', 'train_samples_6.png']
    picture = cv2.imread(str(next(work_dir.glob('*/vis_data/vis_image/*.png'))))
    assert picture.shape == (2 * 64, 3 * 64 + 8, 3)


def test_training_and_testing_print_no_warning(trained, tested):
    (log,) = (path.read_text() for path in trained[0].glob('*/*.log'))
    for done in (trained[1], tested):
        assert not re.search('Warning|WARNING', done.stdout + done.stderr)
    assert 'WARNING' not in log


def test_pictures_show_original_masked_and_completed(trained, data_root):
    work_dir, _ = trained
    strip = cv2.imread(str(work_dir / 'completions/00001_Places365_val_00000001.png'))
    original, masked, completed = strip[:, :64], strip[:, 68:132], strip[:, 136:]
    hole = (masked == 255).all(axis=2) & (completed != masked).any(axis=2)
    assert 20 * 20 * 0.9 <= hole.sum() <= 24 * 24
    assert np.array_equal(original[~hole], completed[~hole])
    assert not np.array_equal(original[hole], completed[hole])


def test_test_prints_and_writes_the_metrics_of_the_run(trained, config, tested):
    work_dir, folder = trained[0], config.parent / 'tested'
    found = json.loads((folder / 'new/m.json').read_text())
    metrics = json.loads((work_dir / 'metrics.json').read_text())
    assert_table_is(tested.stdout, metrics)
    for name in ('l1', 'colour', 'l1_image', 'psnr', 'ssim'):
        assert found['summary']['model'][name] == dict(mean=metrics[name], standard_error=None)
        assert np.mean(found['methods']['model'][name]) == pytest.approx(metrics[name])
    assert found['about'] == dict(
        config=config.stem,
        checkpoint='iter_6.pth',
        sha256=hashlib.sha256((work_dir / 'iter_6.pth').read_bytes()).hexdigest(),
        seed=0,
        draws=1,
        version=mmedit_gl.__version__,
    )
    names = [Path(image['img_path']).name for image in found['images']]
    assert names == [f'Places365_val_{i:08d}.jpg' for i in range(4)]
    assert '100%' in tested.stdout  # the progress bar
    for path in (work_dir / 'completions').iterdir():
        shown = cv2.imread(str(folder / 'shown' / path.name))
        assert np.array_equal(shown, cv2.imread(str(path)))
    assert len(list((folder / 'shown').iterdir())) == 4
    assert not list((folder / 'work').rglob('*.png'))


@pytest.mark.parametrize('name', ['gl_256x256_8x12_places', 'gl_256x256_8x12_celeba'])
def test_a_checkpoint_of_2020_is_measured_in_its_published_configuration(name, tmp_path):
    names = ['00001.png', '00002.png']
    for i, file in enumerate(names):
        cv2.imwrite(str(tmp_path / file), random_image(i, 390, 400))
    (tmp_path / 'val_list.txt').write_text('\n'.join(names))
    checkpoint = tmp_path / 'released.pth'
    torch.save(
        dict(
            meta=dict(env_info='', config='', seed=None, iter=500_000, mmcv_version='0.6.2'),
            state_dict=OrderedDict(seeded_state_dict()),
            optimizer=dict(generator={}, disc={}),
        ),
        checkpoint,
        _use_new_zipfile_serialization=False,
    )
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    checkpoint = checkpoint.rename(tmp_path / f'{name}_20200619-{digest[:8]}.pth')
    config = ROOT / f'configs/inpainting/global_local/{name}.py'
    options = ['--cfg-options', f'test_dataloader.dataset.data_root={tmp_path}']
    options += ['test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    out = tmp_path / 'metrics.json'
    done = run_tool('test.py', config, checkpoint, '--out', out, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    cfg = load_config(config)
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    samples = [DATASETS.build(cfg.test_dataloader.dataset)[i] for i in range(2)]
    samples = init_model(cfg, checkpoint).val_step(default_collate(samples))
    expected = (
        torch.stack(
            [l1(*(s[key][None] for key in ('fake_img', 'gt_img', 'mask'))) for s in samples]
        )
        .mean()
        .item()
    )
    found = json.loads(out.read_text())
    assert len(found['images']) == 2
    assert found['summary']['model']['l1']['mean'] == pytest.approx(expected, rel=1e-4)


def test_metrics_do_not_depend_on_the_batch_size_or_workers(trained, config, tmp_path, tool):
    args = (config, trained[0] / 'iter_6.pth', '--work-dir', tmp_path, '--draws', '2')
    args += ('--baseline', 'telea', 'patchmatch')
    contents = []
    for batch_size, num_workers in ((2, 0), (3, 1), (1, 2)):
        out = tmp_path / f'{batch_size}.json'
        loader = dict(batch_size=batch_size, num_workers=num_workers)
        options = (f'test_dataloader.{key}={value}' for key, value in loader.items())
        assert tool('test.py', *args, '--out', out, '--cfg-options', *options)[0] == 0
        contents.append(out.read_bytes())
    assert contents[0] == contents[1] == contents[2]
    assert len(json.loads(contents[0])['images']) == 8


@pytest.mark.parametrize('mode', ['texture', 'smooth'])
def test_with_a_mode_the_model_is_measured_as_it_is_used_too(trained, config, tmp_path, tool, mode):
    checkpoint, out = trained[0] / 'iter_6.pth', tmp_path / 'm.json'
    wide = 'test_dataloader.dataset.pipeline.3.mask_config.max_bbox_shape=(40,40)'
    args = (config, checkpoint, '--mode', mode, '--baseline', 'mean', '--work-dir', tmp_path)
    report = ('--out', out, '--report', tmp_path)
    assert tool('test.py', *args, *report, '--cfg-options', wide)[0] == 0
    methods = json.loads(out.read_text())['methods']
    assert list(methods) == ['model', mode, 'mean']

    cfg = load_config(config)
    cfg.test_dataloader.dataset.pipeline[3].mask_config.max_bbox_shape = (40, 40)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    inpainter = Inpainter(config, checkpoint)
    for used, method in (('native', 'model'), (mode, mode)):
        for index, found in enumerate(methods[method]['l1']):
            sample = dataset[index, (0, index)]
            bgr, hole = sample['gt_img'].numpy(), sample['mask'][0].numpy()
            error = abs(inpainter(bgr, hole, mode=used).astype(int) - bgr)[hole == 1]
            # In whole pictures and around holes alone, sums may round to other bytes.
            assert found == pytest.approx(100 / 255 * error.mean(), abs=2e-3)
    assert np.ptp([methods['model']['l1'], methods[mode]['l1']], axis=0).min() > 0.1
    page = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert page.count(f'<img alt="{mode}"') == page.count('<img alt="model"') > 0


def test_draws_are_runs_with_as_many_seeds(trained, config, tmp_path, tool):
    args = (config, '--work-dir', tmp_path, trained[0] / 'iter_6.pth')  # options between them
    shown = tmp_path / 'shown'
    out = tmp_path / 'm.json'
    status, stdout, _ = tool('test.py', *args, '--draws', '3', '--out', out, '--show-dir', shown)
    assert status == 0
    found = json.loads(out.read_text())
    means = []
    for seed in range(3):
        options = ('--cfg-options', f'randomness.seed={seed}')
        assert tool('test.py', *args, '--out', tmp_path / 'one.json', *options)[0] == 0
        one = json.loads((tmp_path / 'one.json').read_text())
        means.append(one['summary']['model']['l1']['mean'])
        assert found['methods']['model']['l1'][4 * seed :][:4] == one['methods']['model']['l1']
        crcs = [image['crc32'] for image in found['images'] if image['draw'] == seed]
        assert crcs == [image['crc32'] for image in one['images']]
    assert len(set(means)) == 3
    mean, error = np.mean(means), np.std(means, ddof=1) / np.sqrt(3)
    assert found['summary']['model']['l1'] == pytest.approx(dict(mean=mean, standard_error=error))
    assert f'model                {mean:.3f} ± {error:.3f}' in re.sub(' {6,}', 16 * ' ', stdout)
    # The strips are those of the first draw.
    strip = cv2.imread(str(shown / '00001_Places365_val_00000001.png'))
    assert strip.shape == (64, 3 * 64 + 8, 3)
    first = trained[0] / 'completions/00001_Places365_val_00000001.png'
    assert np.array_equal(strip, cv2.imread(str(first)))


def test_classical_methods_are_measured_on_the_holes_of_the_model(trained, config, tmp_path, tool):
    both, alone = tmp_path / 'both.json', tmp_path / 'alone.json'
    methods = ('--baseline', 'mean', 'ns', '--work-dir', tmp_path)
    assert tool('test.py', config, trained[0] / 'iter_6.pth', *methods, '--out', both)[0] == 0
    assert tool('test.py', config, *methods, '--out', alone)[0] == 0
    both_found, alone_found = (json.loads(path.read_text()) for path in (both, alone))
    assert list(both_found['methods']) == ['model', 'mean', 'ns']
    assert list(alone_found['methods']) == ['mean', 'ns']
    assert both_found['images'] == alone_found['images']
    assert both_found['methods']['ns'] == alone_found['methods']['ns']
    assert (alone_found['about']['checkpoint'], alone_found['about']['sha256']) == (None, None)

    status, stdout, stderr = tool('test.py', '--compare', both, alone)
    assert (status, stderr) == (0, '')
    lines = stdout.splitlines()
    assert [line.split()[1] for line in lines[1:2] + lines[2:-1:2]] == [
        *('model', 'mean', 'ns', 'mean', 'ns')
    ]
    assert lines[3] == lines[7]  # the same differences from the model
    assert lines[-1] == '4 images'

    other = tmp_path / 'other.json'
    options = ('--cfg-options', 'randomness.seed=1')
    assert tool('test.py', config, *methods, '--out', other, *options)[0] == 0
    line = one_sentence(*tool('test.py', '--compare', both, other))
    assert 'were not measured on the same pictures, crops and holes' in line


def test_the_report_shows_the_numbers_and_pictures_of_the_evaluation(
    trained, config, tmp_path, tool
):
    args = (config, trained[0] / 'iter_6.pth', '--work-dir', tmp_path / 'work', '--draws', '2')
    report, out = tmp_path / 'report', tmp_path / 'm.json'
    status, stdout, _ = tool(
        'test.py', *args, '--baseline', 'telea', '--out', out, '--report', report
    )
    assert status == 0
    assert stdout.endswith(f'Written: {report}/report.html\n')
    page = (report / 'report.html').read_text(encoding='utf-8')
    found = json.loads(out.read_text())
    for metrics in found['summary'].values():
        for name in ('l1', 'psnr'):
            assert f'{metrics[name]["mean"]:.3f}' in page
    assert found['about']['sha256'] in page
    assert 'max_bbox_shape' in page
    files = [base64.b64decode(x) for x in re.findall(r'data:image/\w+;base64,([^"]+)"', page)]
    images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in files]
    crcs = {zlib.crc32(np.ascontiguousarray(img.transpose(2, 0, 1)).tobytes()) for img in images}
    mask_of = [bbox2mask((64, 64), image['mask_bbox']).tobytes() for image in found['images']]
    of_images = [image['crc32'] for image in found['images']]
    shown = [
        i for i, crc in enumerate(of_images) if crc in {zlib.crc32(mask_of[i], c) for c in crcs}
    ]
    assert len(shown) >= 4


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ([], 'expected CONFIG and CHECKPOINT, or --compare'),
        (['config.py'], 'expected CHECKPOINT, or --baseline'),
        (['config.py', 'x.pth', '--draws', '0'], '--draws: expected at least 1, got 0'),
        (['config.py', '--compare', 'a.json'], '--compare stands alone'),
        (['config.py', '--baseline', 'median'], 'choose from'),
        (['config.py', '--baseline', 'mean', '--mode', 'smooth'], '--mode wants CHECKPOINT'),
        (['config.py', 'x.pth', '--mode', 'native'], 'choose from'),
    ],
)
def test_arguments_of_the_test_that_do_not_fit_together_are_refused(tool, args, message):
    status, stdout, stderr = tool('test.py', *args)
    assert (status, stdout) == (2, '')
    assert message in stderr


def test_strips_that_a_disk_cannot_hold_end_a_test_with_the_name_of_the_file(
    trained, config, tmp_path, tool
):
    shown = tmp_path / 'shown'
    options = ('--work-dir', tmp_path / 'work', '--show-dir', shown)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Less than a strip, more than what else is written.
    resource.setrlimit(resource.RLIMIT_FSIZE, (14_000, former[1]))
    try:
        ended = tool(
            *('test.py', config, trained[0] / 'iter_6.pth', *options),
            *('--cfg-options', 'log_level=ERROR', 'visualizer=None'),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    name = 'shown/00000_Places365_val_00000000.png'
    assert one_sentence(*ended) == f'error: cannot write {tmp_path / name}: File too large'
    assert list(shown.iterdir()) == []


@pytest.mark.parametrize('option', ['--show-dir', '--report', '--out'])
def test_a_place_where_nothing_can_be_written_is_refused_before_the_test(
    trained, config, tmp_path, tool, option
):
    place = '/proc/self/fd/m.json' if option == '--out' else '/proc/self/fd'
    args = (config, trained[0] / 'iter_6.pth', '--work-dir', tmp_path, option, place)
    line = one_sentence(*tool('test.py', *args))
    assert line.startswith('error: cannot write to the folder /proc/self/fd: ')
    if option != '--show-dir':
        place = tmp_path / 'made'
        (place / 'report.html').mkdir(parents=True)
        line = one_sentence(*tool('test.py', *args[:-1], place))
        file = place / 'report.html' if option == '--report' else place
        why = 'it is a folder, expected the name of a file'
        assert line == f'error: cannot write {file}: {why}'
    assert 'l1: ' not in read_log(tmp_path)  # that it measures


def test_amp_and_load_from_train_on_from_weights(trained, config, tmp_path, tool):
    work_dir, _ = trained
    start = work_dir / 'iter_6.pth'
    args = ('--load-from', start, '--amp', '--cfg-options', 'train_cfg.max_iters=1')
    status, stdout, stderr = tool('train.py', config, '--work-dir', tmp_path, *args)
    assert status == 0, stderr
    assert f'Loaded the weights of {start}' in stdout
    assert "Phase 'generator' from iteration 0 on" in stdout  # a new run
    before, after = (
        read_checkpoint(path)['state_dict'] for path in (start, tmp_path / 'iter_1.pth')
    )
    for name, value in after.items():
        if name.startswith('disc.'):
            assert torch.equal(value, before[name]), name
        elif not name.endswith('num_batches_tracked'):
            # One step of Adam moves a parameter by its learning rate, 4e-4, at most.
            torch.testing.assert_close(value, before[name], rtol=0.5, atol=0.1)
    loss = float(re.search(r'loss_l1_hole: ([\d.]+)', stdout)[1])
    exact_dir = tmp_path / 'exact'
    _, stdout, _ = tool('train.py', config, '--work-dir', exact_dir, *args[:2], *args[3:])
    exact = float(re.search(r'loss_l1_hole: ([\d.]+)', stdout)[1])
    assert loss == pytest.approx(exact, rel=0.05)
    exact_weights = read_checkpoint(exact_dir / 'iter_1.pth')['state_dict']
    assert any(not torch.equal(value, after[name]) for name, value in exact_weights.items())


def test_amp_trains_a_generator_alone(config, tmp_path, tool):
    options = (*NO_DISC, 'model.train_cfg.iter_tc=1', 'train_cfg.max_iters=1')
    args = (config, '--work-dir', tmp_path, '--amp', '--cfg-options', *options)
    status, _, stderr = tool('train.py', *args)
    assert status == 0, stderr
    assert (tmp_path / 'iter_1.pth').is_file()


def test_resume_goes_on_where_the_run_of_the_work_dir_was(trained, config, tmp_path, tool):
    stop = ('--cfg-options', 'train_cfg.max_iters=3')
    assert tool('train.py', config, '--work-dir', tmp_path, *stop)[0] == 0
    line = one_sentence(*tool('train.py', config, '--work-dir', tmp_path))
    assert f'{tmp_path} holds the checkpoints of an earlier run: go on with it by --resume' in line
    status, stdout, stderr = tool('train.py', config, '--work-dir', tmp_path, '--resume')
    assert status == 0, stderr
    assert re.findall(r'Iter\(train\) \[(\d)/6\]', stdout) == ['4', '5', '6']
    resumed = json.loads((tmp_path / 'metrics.json').read_text())
    expected = json.loads((trained[0] / 'metrics.json').read_text())
    assert resumed == pytest.approx(expected, rel=0.05)


def test_resume_takes_a_path(trained, config, tmp_path, tool):
    args = ('--work-dir', tmp_path, '--resume', trained[0] / 'iter_4.pth')
    status, stdout, stderr = tool('train.py', config, *args)
    assert status == 0, stderr
    assert re.findall(r'Iter\(train\) \[(\d)/6\]', stdout) == ['5', '6']
    assert "Phase 'joint' from iteration 4 on" in stdout


def test_resume_and_load_from_exclude_each_other(trained, refused):
    checkpoint = trained[0] / 'iter_4.pth'
    line = refused('train.py', '--resume', checkpoint, '--load-from', checkpoint)
    assert 'give one of them' in line


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['train_dataloader.dataset.data_root=/none'], 'no folder /none: .*README.md'),
        (['val_dataloader.dataset.data_root=/none'], 'no folder /none: .*README.md'),
        (['train_dataloader.dataset.ann_file=none.txt'], r'list file \S*/none.txt .*README.md'),
        (['modle.type=GLInpaintor'], "unknown configuration key 'modle': did you mean 'model'"),
        (['model.type=GLInpainter'], 'GLInpainter is not in the mmedit_gl::model registry'),
        (['train_dataloader.dataset.type=Images'], 'Images is not in the .*dataset registry'),
        (['default_hooks.phase.type=Phases'], 'Phases is not in the mmedit_gl::hook registry'),
        (['train_cfg.type=Loop'], 'Loop is not in the mmedit_gl::loop registry'),
        (['model.encdec.encoder.base_chanels=3'], "argument 'base_chanels'"),
        (['train_dataloader.dataset.data_rot=x'], "argument 'data_rot'"),
        (['train_cfg.val_intervall=3'], "argument 'val_intervall'"),
        (['optim_wrapper.generator.optimizer.lrr=3'], "argument 'lrr'"),
        (['model.train_cfg.iter_td=1'], 'got iter_tc=2 and iter_td=1'),
        (['model.train_cfg.iter_tcc=1'], "argument 'iter_tcc'"),
        (['model.train_cfg.local_size=None', 'model.train_cfg.local_sizes=3'], "'local_sizes'"),
        (['model.disc.global_disc_cfg.num_conv=3'], "argument 'num_conv'"),
        (['model.encdec.decoder.norm_cfg.epsi=3'], "argument 'epsi'"),
        (['train_dataloader.batch_sizes=3'], "argument 'batch_sizes'"),
        (['train_dataloader.dataset.pipeline.1.crop=3'], "argument 'crop'"),
        (['train_dataloader.dataset.pipeline.1.type=Crop'], 'Crop is not in the .*transform'),
        (NO_DISC, 'after iteration iter_tc=2 .* the model has none'),
        (['model.disc=None'], "optim_wrapper names 'disc'"),
        (['model.train_cfg.local_size=(16,16)'], r'a hole of \d\dx\d\d pixels'),
    ],
    ids=lambda value: value[0] if isinstance(value, list | tuple) else '',
)
def test_train_refuses_a_configuration_in_one_sentence(refused, options, message):
    assert re.search(message, refused('train.py', '--cfg-options', *options))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, r'no configuration \S*none.py'),
        ('model = dict(', r'cannot read the configuration \S*none.py: .*never closed'),
        ("_base_ = './other.py'", r'cannot read the configuration \S*none.py: .*other.py'),
    ],
)
@pytest.mark.parametrize('name', ['train.py', 'test.py'])
def test_a_configuration_that_cannot_be_read_is_named(refused, tmp_path, name, text, message):
    path = tmp_path / 'none.py'
    if text:
        path.write_text(text)
    args = ['c.pth'] if name == 'test.py' else []
    assert re.search(message, refused(name, *args, config=path))


def test_an_empty_list_is_refused(refused, tmp_path):
    (tmp_path / 'empty.txt').write_text('\n')
    line = refused(
        'train.py', '--cfg-options', f'train_dataloader.dataset.ann_file={tmp_path}/empty.txt'
    )
    assert f'the list file {tmp_path}/empty.txt is empty' in line


@pytest.mark.parametrize(('good', 'num_workers'), [(0, 0), (2, 0), (2, 1)])
def test_too_many_unreadable_pictures_stop_training(refused, tmp_path, good, num_workers):
    root = pictures_with_bad_ones(tmp_path, good=good, bad=8)
    options = ['model.train_cfg.iter_tc=100', 'model.train_cfg.iter_td=100', 'val_cfg=None']
    options += ['train_cfg.max_iters=100', 'val_dataloader=None', 'val_evaluator=None']
    options += [f'train_dataloader.dataset.data_root={root}']
    options += [f'train_dataloader.num_workers={num_workers}']
    options += ['default_hooks.checkpoint=None']
    line = refused('train.py', '--cfg-options', *options)
    problem = 'could not be used, more than 1%' if good else '20 pictures in a row cannot be used'
    assert problem in line
    assert re.search(rf'the last: cannot read {root}/data_large/\d+.jpg', line)


@pytest.mark.parametrize('num_workers', [0, 1])
def test_an_unreadable_picture_is_an_error_in_testing(trained, refused, tmp_path, num_workers):
    (tmp_path / 'val_large').mkdir()
    whole = cv2.imencode('.jpg', random_image(0, 80, 90))[1].tobytes()
    (tmp_path / 'val_large/a.jpg').write_bytes(whole)
    (tmp_path / 'val_large/b.jpg').write_bytes(whole[:300])
    options = [f'test_dataloader.dataset.data_root={tmp_path}', 'test_dataloader.dataset.ann_file=']
    options += [f'test_dataloader.num_workers={num_workers}']
    line = refused('test.py', trained[0] / 'iter_6.pth', '--cfg-options', *options)
    assert f'cannot read {tmp_path}/val_large/b.jpg: not an image, or a truncated one' in line


@pytest.mark.parametrize(
    ('shape', 'value', 'message'),
    [
        ((32, 64), 255, r'the mask for \S*_0000000\d.jpg has 32x64 pixels, the picture 64x64'),
        ((64, 64), 0, 'the mask is empty'),
        (None, 0, r'cannot read \S*masks/val_large/Places365_val_00000000.png'),
    ],
    ids=['size', 'empty', 'missing'],
)
def test_a_mask_that_does_not_fit_is_an_error(
    trained, refused, config, tmp_path, shape, value, message
):
    (tmp_path / 'masks/val_large').mkdir(parents=True)
    for i in range(4 if shape else 0):
        path = tmp_path / f'masks/val_large/Places365_val_{i:08d}.png'
        cv2.imwrite(str(path), np.full(shape, value, np.uint8))
    cfg = load_config(config)
    (step,) = [s for s in cfg.test_dataloader.dataset.pipeline if s.type == 'LoadMask']
    step.mask_mode, step.mask_config = 'file', dict(mask_dir=str(tmp_path / 'masks'))
    cfg.dump(tmp_path / 'masks.py')
    line = refused('test.py', trained[0] / 'iter_6.pth', config=tmp_path / 'masks.py')
    assert re.search(message, line)


def hostile(path: Path, mark: Path, is_zip: bool) -> Path:
    content = dict(state_dict={}, meta=Reduced(os.system, f'touch {mark}'))
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    return path


@pytest.mark.parametrize('name', ['train.py --load-from', 'train.py --resume', 'test.py'])
def test_a_checkpoint_that_cannot_be_used_is_refused(trained, refused, tmp_path, name):
    name, *option = name.split()
    whole = (trained[0] / 'iter_6.pth').read_bytes()
    mark, half, wrong = (tmp_path / n for n in ('mark', 'half.pth', 'gl-00000000.pth'))
    half.write_bytes(whole[: len(whole) // 2])
    wrong.write_bytes(whole)
    other = read_checkpoint(trained[0] / 'iter_6.pth')
    other['state_dict']['generator.encoder.enc1.conv.weight'] = torch.zeros(8, 4, 5, 5)
    torch.save(other, tmp_path / 'other.pth')
    cases = [
        (tmp_path / 'none.pth', 'no checkpoint {}: expected a file'),
        (half, 'cannot read the checkpoint {}: it is truncated'),
        (wrong, '{} is damaged or not what its name says'),
        (hostile(tmp_path / 'a.pth', mark, True), 'the checkpoint {} is refused: loading it would'),
        (
            hostile(tmp_path / 'b.pth', mark, False),
            'the checkpoint {} is refused: loading it would',
        ),
        (tmp_path / 'other.pth', '{} is of another architecture than the configuration'),
    ]
    for path, message in cases:
        line = refused(name, *option, path)
        assert message.format(path) in line
    assert 'generator.encoder.enc1.conv.weight has the shape (8, 4, 5, 5)' in line
    assert not mark.exists()


def test_an_error_while_the_progress_bar_turns_leaves_the_terminal_whole(
    trained, config, tmp_path, tool, monkeypatch
):
    monkeypatch.setenv('FORCE_COLOR', '1')
    monkeypatch.setattr(rich, '_console', None)  # as in a new process
    (tmp_path / 'val_large').mkdir()
    for name in ('a.jpg', 'b.jpg'):
        cv2.imwrite(str(tmp_path / 'val_large' / name), random_image(0, 80, 90))
    (tmp_path / 'val_large/c.jpg').write_bytes(b'no picture')
    options = [f'test_dataloader.dataset.data_root={tmp_path}', 'test_dataloader.dataset.ann_file=']
    args = (config, trained[0] / 'iter_6.pth', '--work-dir', tmp_path / 'work')
    args = *args, '--cfg-options', *options
    status, stdout, stderr = tool('test.py', *args)
    assert f'cannot read {tmp_path}/val_large/c.jpg' in one_sentence(status, stdout, stderr)
    hide_cursor, show_cursor = '\x1b[?25l', '\x1b[?25h'
    assert stdout.count(hide_cursor) == stdout.count(show_cursor) == 1


def test_too_many_unreadable_pictures_end_a_process_with_workers_too(config, tmp_path):
    root = pictures_with_bad_ones(tmp_path, good=0, bad=3)
    options = (f'train_dataloader.dataset.data_root={root}', 'train_dataloader.num_workers=1')
    args = (config, '--work-dir', tmp_path / 'work', '--cfg-options', *options)
    done = run_tool('train.py', *args, cwd=tmp_path)
    line = one_sentence(done.returncode, done.stdout, done.stderr)
    assert '20 pictures in a row cannot be used' in line
    assert not list((tmp_path / 'work').rglob('*.pth'))
