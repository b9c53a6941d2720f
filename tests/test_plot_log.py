"""Logs of runs, joined and drawn."""

import json
import re
import resource
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import ROOT

from mmedit_gl.models import Phase

INF, NAN = float('inf'), float('nan')
tool = SimpleNamespace(**runpy.run_path(str(ROOT / 'tools/plot_log.py')))


def train_line(step: int, **losses: float) -> dict:
    return {'disc.lr': 4e-4, 'time': 0.1, **losses, 'iter': step, 'step': step}


def val_line(step: int, l1: float, psnr: float = 20.0) -> dict:
    metrics = dict(l1=l1, psnr=psnr, ssim=0.8, num_images=4)
    return {**metrics, 'mean/l1': 30.0, 'time': 0.1, 'step': step}


def generator(step: int, l1: float = 0.4) -> dict:
    return train_line(step, loss_l1_hole=l1)


def disc(step: int) -> dict:
    return train_line(step, fake_loss=0.7, real_loss=0.6)


def joint(step: int) -> dict:
    return train_line(step, fake_loss=0.7, real_loss=0.6, loss_l1_hole=0.3, loss_g_fake=4e-4)


def write_session(work_dir: Path, time: str, lines: list[dict], end: str = '') -> Path:
    path = work_dir / time / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines) + end)
    return path


@pytest.fixture
def run_dir(tmp_path) -> Path:
    """A run killed after iteration 50 and resumed from its checkpoint of 30."""
    first = [generator(10), generator(20, 0.35), val_line(20, 18.5, INF), disc(30)]
    second = [val_line(30, 18), disc(40), val_line(40, 17.5), joint(50), joint(60)]
    second += [val_line(60, 16.5)]
    # Written in this order: the names of the folders count.
    write_session(tmp_path / 'run', '20260102_000000', second)
    end = '{"disc.lr": 0.0004, "fake_lo'
    killed = [val_line(30, 99), generator(40, 9), generator(50, 9), val_line(50, 99)]
    write_session(tmp_path / 'run', '20260101_000000', first + killed, end)
    return tmp_path / 'run'


@pytest.fixture
def plot(monkeypatch, capsys):
    """Runs the tool as a command; gives its exit status, stdout and stderr."""

    def run(*args) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['plot_log.py', *map(str, args)])
        try:
            runpy.run_path(str(ROOT / 'tools/plot_log.py'), run_name='__main__')
            status = 0
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


def test_a_log_that_an_editor_saved_is_the_same(tmp_path):
    path = write_session(tmp_path, '20260101_000000', [generator(10), disc(20)])
    expected = tool.read_log(path)
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert tool.read_log(path) == expected


def test_a_resumed_run_is_joined_and_its_later_session_wins(run_dir):
    lines = tool.read_log(run_dir)
    steps, values = tool.curve(lines, 'loss_l1_hole')
    np.testing.assert_array_equal(steps, [10, 20, 30, 40, 50, 60])
    np.testing.assert_array_equal(values, [0.4, 0.35, NAN, NAN, 0.3, 0.3])
    steps, values = tool.curve(lines, 'l1')
    np.testing.assert_array_equal(steps, [20, 30, 40, 60])
    np.testing.assert_array_equal(values, [18.5, 18, 17.5, 16.5])
    assert {name for line in lines for name in line} == {
        *('step', 'loss_l1_hole', 'fake_loss', 'real_loss', 'loss_g_fake', 'l1', 'psnr', 'ssim')
    }


def test_a_log_file_is_one_session(run_dir):
    (_, path) = sorted(run_dir.glob('*/vis_data/scalars.json'))
    lines = tool.read_log(path)
    assert [line['step'] for line in lines] == [30, 40, 40, 50, 60, 60]
    assert tool.find_phases(lines) == [(Phase.DISCRIMINATOR, 40, 40), (Phase.JOINT, 40, 60)]


def test_a_phase_begins_at_the_last_line_of_the_one_before(run_dir):
    assert tool.find_phases(tool.read_log(run_dir)) == [
        (Phase.GENERATOR, 10, 20),
        (Phase.DISCRIMINATOR, 20, 40),
        (Phase.JOINT, 40, 60),
    ]


def test_values_that_are_not_finite_are_left_out(run_dir, tmp_path):
    np.testing.assert_array_equal(tool.curve(tool.read_log(run_dir), 'psnr')[1], [NAN, 20, 20, 20])
    path = write_session(tmp_path, 'a', [generator(1), generator(2, NAN), generator(3, 0.2)])
    values = tool.curve(tool.read_log(path), 'loss_l1_hole')[1]
    np.testing.assert_array_equal(values, [0.4, NAN, 0.2])


def test_a_long_line_is_drawn_as_the_means_of_neighbours():
    points = np.stack([np.arange(700.0), np.arange(700.0) % 3])
    steps, values = tool.smooth(points)
    assert steps.tolist() == [*range(2, 700, 3)]
    assert (values == 1).all()
    few = points[:, :300]
    assert np.array_equal(tool.smooth(few), few)
    assert tool.smooth(points[:, :0]).shape == (2, 0)


def test_the_figure_has_phases_panels_units_and_the_names_of_the_runs(run_dir):
    runs = {'a': tool.read_log(run_dir), 'b': [dict(step=5, loss_l1_hole=0.2)]}
    top, *axes = tool.draw(runs).axes
    bars = [(bar.get_x(), bar.get_width(), bar.get_alpha()) for bar in top.patches]
    assert bars == [(10, 10, 0.3), (20, 20, 1), (40, 20, 0.6), (5, 0, 0.3)]
    labels = [ax.get_ylabel() for ax in axes]
    expected = ['loss_l1_hole', 'adversarial losses', 'l1 in the hole (%)', 'PSNR (dB)', 'SSIM']
    assert labels == expected
    assert [ax.get_yscale() for ax in axes] == ['log', 'log', 'linear', 'linear', 'linear']
    assert axes[-1].get_xlabel() == 'iteration'
    (names,) = top.figure.legends
    assert [text.get_text() for text in names.get_texts()] == ['a', 'b']
    dashed = [line.get_xdata()[0] for line in axes[0].lines if len(line.get_xdata()) == 2]
    assert dashed == [20, 40]
    drawn = {line.get_color(): line.get_xydata().tolist() for line in axes[2].lines[:2]}
    assert drawn == {'C0': [[20, 18.5], [30, 18], [40, 17.5], [60, 16.5]]}


def test_a_run_without_discriminators_has_no_panel_for_them(tmp_path):
    lines = tool.read_log(write_session(tmp_path, 'a', [generator(1), generator(2)]))
    assert [ax.get_ylabel() for ax in tool.draw({'a': lines}).axes] == ['', 'loss_l1_hole']


def test_a_loss_of_the_mean_colour_has_a_panel_of_its_own(tmp_path):
    lines = [train_line(step, loss_l1_hole=0.4, loss_mean_colour=0.1) for step in (1, 2)]
    run = tool.read_log(write_session(tmp_path, 'a', lines))
    _, l1, colour = tool.draw({'a': run}).axes
    assert (l1.get_ylabel(), colour.get_ylabel()) == ('loss_l1_hole', 'loss_mean_colour')
    assert colour.lines[0].get_xydata().tolist() == [[1, 0.1], [2, 0.1]]


def test_the_picture_is_written_over_an_earlier_one(run_dir, tmp_path, plot):
    out = tmp_path / 'new/losses.png'
    assert plot(run_dir, '--out', out)[0] == 0
    one = cv2.imread(str(out))
    other = write_session(tmp_path, 'other', [generator(5), joint(10), val_line(10, 15)])
    status, stdout, stderr = plot(run_dir, other, '--out', out)
    assert (status, stderr) == (0, '')
    assert stdout == f'The losses, metrics and phases are drawn in {out}\n'
    two = cv2.imread(str(out))
    assert (one.shape, two.shape) == ((1392, 1080, 3), (1440, 1080, 3))
    blue, orange = (180, 119, 31), (14, 127, 255)  # BGR of C0 and C1
    pixels = [[(p == c).all(axis=2).sum() for c in (blue, orange)] for p in (one, two)]
    assert min(pixels[0][0], *pixels[1]) > 300
    assert pixels[0][1] == 0


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        (None, 'no log or work-dir {}: expected what tools/train.py has written'),
        ({'iter_2.pth': ''}, r'{} holds no log: expected a work-dir with \*/vis_data/scalars.json'),
        ({'a/vis_data/scalars.json': '{"step": 1, "loss'}, '{} has no line with a loss or metric'),
        ({'a/vis_data/scalars.json': '[1]\n2\n{}\n{"a": 0}\n'}, '{} has no line with a loss'),
        ({'a/vis_data/scalars.json': '{"step": 3, "lr": 1}'}, '{} has no line with a loss'),
    ],
    ids=['no path', 'no log', 'truncated', 'foreign', 'no loss'],
)
def test_what_holds_no_log_is_refused(plot, tmp_path, files, message):
    work_dir, out = tmp_path / 'run', tmp_path / 'losses.png'
    for name, text in (files or {}).items():
        path = work_dir / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    status, _, stderr = plot(work_dir, '--out', out)
    assert status == 2
    assert re.fullmatch(f'error: {message.replace("{}", str(work_dir), 1)}.*\n', stderr)
    assert not out.exists()


def test_a_place_for_the_picture_that_cannot_be_is_refused(plot, run_dir, tmp_path):
    status, _, stderr = plot(run_dir, '--out', tmp_path / 'losses.pdf')
    expected = f'error: --out: expected a .png file, got {tmp_path}/losses.pdf\n'
    assert (status, stderr) == (2, expected)
    (tmp_path / 'folder.png').mkdir()
    status, _, stderr = plot(run_dir, '--out', tmp_path / 'folder.png')
    why = 'it is a folder, expected the name of a file'
    assert (status, stderr) == (2, f'error: cannot write {tmp_path}/folder.png: {why}\n')


def test_a_full_disk_leaves_the_plot_that_was_there(plot, run_dir, tmp_path):
    out = tmp_path / 'losses.png'
    assert plot(run_dir, '--out', out)[0] == 0
    before = out.read_bytes()
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, former[1]))
    try:
        status, stdout, stderr = plot(run_dir, '--out', out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert (status, stdout, stderr) == (2, '', f'error: cannot write {out}: File too large\n')
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ['losses.png', 'run']
