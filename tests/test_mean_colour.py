"""The mean colour is that of the training set's pictures, each pixel counted once."""

import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, run_tool

from mmedit_gl.datasets import read_image

TOOL = 'dataset_converters/mean_colour.py'
CONFIG = """
train_dataloader = dict(
    dataset=dict(
        type='ImageDataset',
        data_root='set',
        ann_file='list.txt',
        data_prefix=dict(img='images'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomCrop', crop_size=(1, 1)),  # of no effect here
            dict(type='PackInputs'),
        ],
    )
)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """20 pictures of several sizes and colours, and a configuration that names 19 of them."""
    monkeypatch.chdir(tmp_path)
    images, rng = tmp_path / 'set/images', np.random.default_rng(0)
    images.mkdir(parents=True)
    for i in range(20):
        img = rng.integers(i, 255 - 5 * i, (*rng.integers(1, 60, 2), 3), dtype=np.uint8)
        cv2.imwrite(str(images / f'{i}.png'), img)
    (tmp_path / 'set/list.txt').write_text(''.join(f'{i}.png\n' for i in range(19)))
    (tmp_path / 'config.py').write_text(CONFIG)
    return images


@pytest.fixture
def run(folder, monkeypatch, capfd):
    """Runs the tool in this process; gives its status, and what it printed or said of an error."""

    def run(*args) -> tuple[int, str]:
        monkeypatch.setattr(sys, 'argv', [TOOL, 'config.py', '--workers', '0', *map(str, args)])
        capfd.readouterr()
        try:
            runpy.run_path(str(ROOT / 'tools' / TOOL), run_name='__main__')
        except SystemExit as end:
            return end.code, capfd.readouterr().err
        return 0, capfd.readouterr().out

    return run


def mean(paths: list[Path]) -> list[float]:
    """Blue, green and red over all pixels of all pictures."""
    return np.concatenate([read_image(str(path)).reshape(-1, 3) for path in paths]).mean(axis=0)


def colour(printed: str) -> list[float]:
    """What the last line, to be pasted into a configuration, says."""
    line = printed.splitlines()[-1]
    return eval(re.fullmatch(r'hole_colour=(\(.*\))', line)[1])


def test_every_pixel_of_the_listed_pictures_counts_once(folder):
    done = run_tool(TOOL, 'config.py', '--workers', 2, cwd=folder.parent.parent)
    assert done.returncode == 0, done.stderr
    paths = [folder / f'{i}.png' for i in range(19)]
    assert colour(done.stdout) == pytest.approx(mean(paths), abs=5.1e-4)
    assert mean(paths) != pytest.approx(mean([*paths, folder / '19.png']), abs=0.01)
    assert 'the mean (blue, green, red) of 19 of 19 pictures, 0.0 million pixels' in done.stdout
    assert done.stderr == ''


def test_a_sample_of_the_pictures_is_drawn_at_random_and_alike_each_time(run, folder):
    (status, printed), again = run('--max-images', 3), run('--max-images', 3)
    assert status == 0
    assert (status, printed) == again
    assert 'of 3 of 19 pictures' in printed
    drawn = [folder / f'{i}.png' for i in np.random.default_rng(0).permutation(19)[:3]]
    assert colour(printed) == pytest.approx(mean(drawn), abs=5.1e-4)
    assert drawn != [folder / f'{i}.png' for i in range(3)]
    assert run('--max-images', 100)[1] == run()[1]


def test_the_pictures_of_joined_data_sets_are_all_counted(run, folder):
    config = folder.parent.parent / 'config.py'
    joined = (
        "train_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[part, repeated]))"
    )
    config.write_text(
        f"{CONFIG}part = train_dataloader['dataset']\n"
        f"repeated = dict(type='RepeatDataset', times=2, dataset=part)\n{joined}\n"
        'del part, repeated\n'
    )
    status, printed = run()
    assert status == 0
    assert 'of 57 of 57 pictures' in printed
    paths = [folder / f'{i}.png' for i in range(19)]
    assert colour(printed) == pytest.approx(mean(paths), abs=5.1e-4)


def test_options_name_another_set(run, folder):
    _, printed = run('--cfg-options', 'train_dataloader.dataset.ann_file=')
    assert 'of 20 of 20 pictures' in printed
    assert colour(printed) == pytest.approx(mean(sorted(folder.iterdir())), abs=5.1e-4)


def test_pictures_that_cannot_be_read_are_named_and_left_out(run, folder):
    (folder / '7.png').write_bytes(b'no picture')
    status, printed = run()
    assert status == 0
    assert 'left out: cannot read set/images/7.png: not an image' in printed
    assert 'of 18 of 19 pictures' in printed
    paths = [folder / f'{i}.png' for i in range(19) if i != 7]
    assert colour(printed) == pytest.approx(mean(paths), abs=5.1e-4)


def test_what_has_no_mean_is_refused(run, folder):
    assert run('--max-images', 0) == (2, 'error: --max-images: expected at least 1, got 0\n')
    for path in folder.iterdir():
        path.write_bytes(b'')
    status, error = run()
    assert status == 2
    assert error.endswith('error: none of the 19 pictures can be read\n')
