"""Sets of masks have the shares asked for, follow from their seed, and are read by `LoadMask`."""

import json
import runpy
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, random_image, run_tool

from mmedit_gl.datasets import ImageDataset, LoadMask, mask2bbox, read_list
from mmedit_gl.errors import UserError

KINDS = ['bbox', 'irregular', 'ff']
RATIOS = [0.1, 0.2, 0.35, 0.5]


@pytest.fixture
def make(tmp_path, monkeypatch, capfd):
    """Runs the tool in `tmp_path`, in this process; gives its status and its last line."""
    monkeypatch.chdir(tmp_path)

    def run(folder, *args) -> tuple[int, str]:
        args = [folder, *args]
        for option, value in dict(kind='bbox', size='64 96', count=12).items():
            if f'--{option}' not in args:
                args += [f'--{option}', *str(value).split()]
        monkeypatch.setattr(sys, 'argv', ['make_masks.py', *map(str, args)])
        capfd.readouterr()
        try:
            runpy.run_path(str(ROOT / 'tools/make_masks.py'), run_name='__main__')
        except SystemExit as end:
            (line,) = capfd.readouterr().err.splitlines()
            return end.code, line
        return 0, capfd.readouterr().out.splitlines()[-1]

    return run


def read(folder: Path) -> list[np.ndarray]:
    """The masks of a set, as files, in the order of its list."""
    names = read_list(folder / 'list.txt')
    assert sorted(p.name for p in folder.iterdir()) == sorted([*names, 'list.txt', 'masks.json'])
    return [cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED) for name in names]


@pytest.mark.parametrize('kind', KINDS)
def test_every_range_has_its_number_of_masks_and_their_statistics(make, kind):
    done = make('new/set', '--kind', kind, '--count', 30, '--ratios', *RATIOS)
    assert done == (0, '30 masks are in new/set, listed in new/set/list.txt')
    masks = read(Path('new/set'))
    assert {(m.shape, m.dtype.name) for m in masks} == {((64, 96), 'uint8')}
    assert set(np.unique(masks)) == {0, 255}
    shares = np.array([np.count_nonzero(mask) / (64 * 96) for mask in masks])
    statistics = json.loads(Path('new/set/masks.json').read_text(encoding='utf-8'))
    assert list(statistics['shares'].values()) == pytest.approx(shares)
    assert list(statistics['shares']) == read_list('new/set/list.txt')
    for i, (low, high) in enumerate(pairwise(RATIOS)):
        own = shares[(low <= shares) & (shares < high)]
        assert len(own) == 10
        expected = dict(count=10, mean=own.mean(), min=own.min(), max=own.max())
        assert statistics['bins'][i].pop('ratios') == [low, high]
        assert statistics['bins'][i] == pytest.approx(expected)
    arguments = dict(kind=kind, size=[64, 96], count=30, ratios=RATIOS, seed=0, margin=None)
    assert statistics['arguments'] == arguments


def test_boxes_fill_their_ranges_and_keep_shape_and_margin(make):
    make('set', '--count', 300, '--size', 128, 192, '--margin', 8)
    boxes = [mask2bbox(mask) for mask in read(Path('set'))]
    top, left, height, width = np.array(boxes).T
    assert [(m > 0).sum() for m in read(Path('set'))] == (height * width).tolist()
    assert min(top.min(), left.min(), (128 - top - height).min(), (192 - left - width).min()) == 8
    shares = height * width / (128 * 192)
    assert np.histogram(shares, np.linspace(0.1, 0.5, 9))[0].min() > 20  # of 37 in each half range
    aspects = (height / 128) / (width / 192)
    assert 0.5 - 0.05 < aspects.min() < 0.7
    assert 1.4 < aspects.max() < 2 + 0.1
    assert abs(np.log(aspects).mean()) < 0.1  # upright as often as lying


def test_boxes_that_a_margin_squeezes_still_reach_their_share(make):
    args = '--count', 20, '--size', 64, 640, '--margin', 20, '--ratios', 0.2, 0.25, 0.9
    make('set', *args)
    shares = [np.count_nonzero(mask) / (64 * 640) for mask in read(Path('set'))]
    room = (1 - 40 / 64) * (1 - 40 / 640)
    assert all(0.2 <= share < 0.25 for share in shares[::2])
    assert all(0.25 <= share <= room for share in shares[1::2])


@pytest.mark.parametrize('kind', KINDS)
def test_a_mask_follows_from_its_seed_and_number_alone(make, kind):
    for folder, *args in (['a', '--count', 12], ['b', '--count', 8], ['c', '--seed', 1]):
        assert make(folder, '--kind', kind, *args)[0] == 0
    first, fewer, other = (read(Path(folder)) for folder in 'abc')
    assert len(fewer) == 8
    assert all(np.array_equal(*pair) for pair in zip(first, fewer))
    assert not any(np.array_equal(*pair) for pair in zip(first, other))
    assert len({mask.tobytes() for mask in first}) == 12


@pytest.mark.parametrize('kind', KINDS)
def test_a_list_is_read_at_random_or_in_the_order_of_the_pictures(make, kind):
    make('set', '--kind', kind, '--count', 5, '--size', 40, 44)
    masks = [mask // 255 for mask in read(Path('set'))]
    config = dict(mask_list_file='set/list.txt', prefix='set')
    for i in range(12):
        results = dict(gt_img=random_image(i, 40, 44), img_path='a.jpg', sample_idx=i)
        results = LoadMask('list', config)({**results, 'rng': np.random.default_rng(0)})
        assert np.array_equal(results['mask'], masks[i % 5])
        assert results['mask_bbox'] == mask2bbox(masks[i % 5])
    load_mask, drawn = LoadMask('set', config), set()
    for seed in range(60):
        results = dict(gt_img=random_image(0, 40, 44), img_path='a.jpg', sample_idx=0)
        mask = load_mask({**results, 'rng': np.random.default_rng(seed)})['mask']
        drawn.add([np.array_equal(mask, m) for m in masks].index(True))
    assert drawn == set(range(5))


def test_a_picture_of_a_data_set_has_the_mask_of_its_place_whatever_the_seed(make, tmp_path):
    make('set', '--count', 4, '--size', 40, 44)
    masks = [mask // 255 for mask in read(Path('set'))]
    (tmp_path / 'pictures').mkdir()
    for i in range(6):
        cv2.imwrite(str(tmp_path / f'pictures/{i}.png'), random_image(i, 40, 44))
    config = dict(mask_list_file='set/list.txt', prefix='set')
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadMask', mask_mode='list', mask_config=config),
        dict(type='PackInputs'),
    ]
    dataset = ImageDataset(pipeline, data_root=str(tmp_path / 'pictures'))
    for item, i in [(0, 0), (3, 3), (4, 0), ((5, (7, 8)), 1), ((2, (1, 0)), 2)]:
        assert np.array_equal(dataset[item]['mask'][0], masks[i])


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--ratios', 0.1], 'two or more that rise within (0, 1], got [0.1]'),
        (['--ratios', 0.2, 0.1], 'two or more that rise'),
        (['--ratios', 0, 0.1], 'two or more that rise'),
        (['--ratios', 0.5, 1.1], 'two or more that rise'),
        (['--ratios', 'nan', 0.5], 'two or more that rise'),
        (['--count', 3], 'one mask a range of --ratios or more, got 3'),
        (['--size', 0, 64], 'a --size of 1 or more'),
        (['--seed', -1], '--seed and --margin of 0 or more'),
        (['--margin', -1], '--seed and --margin of 0 or more'),
        (['--kind', 'ff', '--margin', 4], '--margin is for --kind bbox: leave it out for ff'),
        (['--margin', 20], 'no bbox mask of 64x96 pixels was found whose hole is 0.3 to 0.4'),
        (['--margin', 32], 'give other --ratios, or less --margin'),
        (['--ratios', 0.2, 0.20001], 'no bbox mask of 64x96 pixels was found'),
        (['--kind', 'irregular', '--ratios', 0.2, 0.20002], 'no irregular mask of 64x96 pixels'),
        (['--kind', 'ff', '--ratios', 0.9, 0.95], 'no ff mask of 64x96 pixels was found'),
    ],
)
def test_what_cannot_be_met_is_refused_and_nothing_is_left(make, tmp_path, args, message):
    status, line = make('set', *args)
    assert (status, line.startswith('error: ')) == (2, True)
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused_and_an_empty_one_is_filled(make, tmp_path):
    (tmp_path / 'set').mkdir()
    assert make('set')[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / 'set').iterdir()}
    refusal = (2, 'error: set is there and no empty folder: name a new one')
    assert make('set', '--seed', 1) == refusal
    assert {path: path.read_bytes() for path in (tmp_path / 'set').iterdir()} == before
    (tmp_path / 'file').write_text('mine')
    assert make('file')[1].startswith('error: file is there')
    assert make('file/set')[1] == 'error: cannot make the folder file/set: Not a directory'
    assert (tmp_path / 'file').read_text() == 'mine'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'set']


def test_the_folder_that_a_shell_is_in_is_filled_and_stays(tmp_path):
    folder = tmp_path / 'set'
    folder.mkdir()
    before = folder.stat().st_ino
    done = run_tool('make_masks.py', '.', '--kind', 'bbox', '--count', 8, cwd=folder)
    assert (done.returncode, done.stderr) == (0, '')
    assert folder.stat().st_ino == before
    assert len(read(folder)) == 8
    assert [path.name for path in tmp_path.iterdir()] == ['set']


def test_what_a_killed_run_has_left_is_replaced_and_no_other_folder(make, tmp_path):
    for path in ('set/unfinished.part', 'set.part'):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / 'mine.png').touch()
    assert make('set')[0] == 0
    assert len(read(tmp_path / 'set')) == 12
    assert [path.name for path in (tmp_path / 'set.part').iterdir()] == ['mine.png']


def test_strokes_that_cannot_meet_a_share_are_refused_in_training_too():
    load_mask = LoadMask('irregular', dict(area_ratio_range=(0.2, 0.2001)))
    results = dict(gt_img=random_image(0, 64, 64), img_path='a', rng=np.random.default_rng(0))
    with pytest.raises(UserError, match=r'no strokes cover 0\.2 to 0\.2001 of 64x64 pixels'):
        load_mask(results)


def test_the_tool_shows_its_progress(tmp_path):
    args = '--kind', 'irregular', '--count', 8, '--size', 64, 64
    done = run_tool('make_masks.py', 'set', *args, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, '')
    assert '8/8' in done.stdout
    assert len(read(tmp_path / 'set')) == 8
