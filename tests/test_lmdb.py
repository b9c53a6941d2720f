"""Pictures of an LMDB database are those of the files; packing leaves all of it or nothing."""

import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import cv2
import lmdb
import pytest
import torch
from conftest import ROOT, random_image, run_tool, shrink
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader

from mmedit_gl.datasets import DrawSampler, ImageDataset, read_list
from mmedit_gl.engine import load_config
from mmedit_gl.errors import ImageError, UserError
from mmedit_gl.registry import DATASETS

TOOL = 'dataset_converters/pack_lmdb.py'
TOOL_PATH = str(ROOT / 'tools' / TOOL)
ENV = {**os.environ, 'OMP_NUM_THREADS': '1'}
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=(32, 32)),
    dict(type='Flip'),
    dict(type='LoadMask', mask_mode='bbox', mask_config=dict(max_bbox_shape=(8, 8))),
    dict(type='PackInputs'),
]


@pytest.fixture
def pack(tmp_path, monkeypatch, capfd):
    """Runs the tool in `tmp_path`, in this process; gives its status and its last line."""
    monkeypatch.chdir(tmp_path)

    def run(*args) -> tuple[int, str]:
        monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, args)])
        capfd.readouterr()
        try:
            runpy.run_path(TOOL_PATH, run_name='__main__')
        except SystemExit as end:
            (line,) = capfd.readouterr().err.splitlines()
            return end.code, line
        return 0, capfd.readouterr().out.splitlines()[-1]

    return run


@pytest.fixture
def refused(pack, pictures):
    """What the tool says of bad input; nothing must be left beside `pictures`."""

    def run(*args) -> str:
        before = sorted(pictures.parent.iterdir())
        status, line = pack(*args)
        assert status == 2
        assert sorted(pictures.parent.iterdir()) == before
        return line

    return run


@pytest.fixture(scope='module')
def packed(tmp_path_factory) -> Path:
    """Holds `pictures`, and them in `pictures.lmdb`."""
    root = tmp_path_factory.mktemp('packed')
    for i in range(5):
        path = root / 'pictures' / f'sub {i % 2}' / f'{i}.PNG'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random_image(i, 40, 44))
    (root / 'pictures/sub 0.png').write_bytes((root / 'pictures/sub 0/0.PNG').read_bytes())
    (root / 'pictures/notes.txt').write_text('not a picture')
    done = run_tool(TOOL, 'pictures', 'pictures.lmdb', cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith('6 pictures are in pictures.lmdb\n')
    return root


@pytest.fixture
def pictures(packed, tmp_path) -> Path:
    """A copy of `pictures`, to spoil."""
    return shutil.copytree(packed / 'pictures', tmp_path / 'pictures')


def backend_args(database: Path) -> dict:
    return dict(backend='lmdb', db_path=str(database))


def test_a_database_holds_the_bytes_of_the_files_and_their_names(packed):
    names = ['sub 0/0.PNG', 'sub 0/2.PNG', 'sub 0/4.PNG', 'sub 0.png', 'sub 1/1.PNG', 'sub 1/3.PNG']
    database = packed / 'pictures.lmdb'
    assert read_list(database / 'names.txt') == names
    assert sorted(path.name for path in database.iterdir()) == ['data.mdb', 'names.txt']
    assert entries(database) == {name: (packed / 'pictures' / name).read_bytes() for name in names}


def test_a_list_names_what_is_packed(packed, pack, tmp_path):
    Path('list.txt').write_text('/sub 1/3.PNG 7\nsub 0/./0.PNG 8\n')
    done = pack(packed / 'pictures', 'new/listed.lmdb', '--ann-file', 'list.txt')
    assert done == (0, '2 pictures are in new/listed.lmdb')
    dataset = ImageDataset(PIPELINE, backend_args=backend_args(tmp_path / 'new/listed.lmdb'))
    assert [dataset[i]['img_path'] for i in range(2)] == ['sub 1/3.PNG', 'sub 0/0.PNG']


def test_a_line_that_comes_again_is_packed_once(packed, pack, tmp_path):
    (tmp_path / 'some.txt').write_text('sub 1/3.PNG\nsub 0/2.PNG\nsub 1/3.PNG\n')
    status, line = pack(packed / 'pictures', 'some.lmdb', '--ann-file', 'some.txt')
    assert (status, line) == (0, '2 pictures are in some.lmdb')
    assert read_list(tmp_path / 'some.lmdb/names.txt') == ['sub 1/3.PNG', 'sub 0/2.PNG']


def load(dataset: ImageDataset, num_workers: int) -> dict:
    loader = DataLoader(
        dataset,
        batch_size=3,
        sampler=DrawSampler(dataset, seed=3),
        num_workers=num_workers,
        collate_fn=default_collate,
    )
    batches = [batch for batch, _ in zip(loader, range(4))]
    samples = {
        name: torch.cat([batch[name] for batch in batches])
        for name in ('gt_img', 'mask', 'mask_bbox')
    }
    return samples | {
        name: [line for batch in batches for line in batch[name]]
        for name in ('img_path', 'skipped')
    }


@pytest.mark.parametrize('read_before_fork', [False, True])
@pytest.mark.parametrize('num_workers', [0, 2])
def test_samples_are_those_of_the_files(packed, num_workers, read_before_fork):
    files = ImageDataset(PIPELINE, data_root=str(packed / 'pictures'))
    dataset = ImageDataset(PIPELINE, backend_args=backend_args(packed / 'pictures.lmdb'))
    if read_before_fork:
        assert torch.equal(dataset[0]['gt_img'], files[0]['gt_img'])
    expected, samples = load(files, num_workers=0), load(dataset, num_workers)
    for name in ('gt_img', 'mask', 'mask_bbox'):
        assert torch.equal(samples[name], expected[name])
    assert [str(packed / 'pictures' / path) for path in samples['img_path']] == expected['img_path']
    assert samples['skipped'] == [''] * 12
    assert torch.equal(dataset[0]['gt_img'], files[0]['gt_img'])


def test_one_database_serves_training_and_validation_in_the_place_of_data_root(
    data_root, pack, tmp_path
):
    assert pack(data_root, 'places.lmdb') == (0, '10 pictures are in places.lmdb')
    cfg = ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py'
    cfg = shrink(load_config(cfg), data_root)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        files = DATASETS.build(loader.dataset)
        loader.dataset.backend_args = backend_args(tmp_path / 'places.lmdb')
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == len(files)
        for i in range(len(dataset)):
            assert torch.equal(dataset[i]['gt_img'], files[i]['gt_img'])
            assert str(data_root / dataset[i]['img_path']) == files[i]['img_path']


def test_a_prefix_selects_from_a_database_without_a_list(packed):
    database = backend_args(packed / 'pictures.lmdb')
    dataset = ImageDataset(PIPELINE, data_prefix=dict(img='sub 0'), backend_args=database)
    assert [dataset[i]['img_path'] for i in range(3)] == [f'sub 0/{i}.PNG' for i in (0, 2, 4)]
    with pytest.raises(UserError, match='no pictures below sub/ in the database'):
        ImageDataset(PIPELINE, data_prefix=dict(img='sub'), backend_args=database)


def test_a_missing_entry_is_replaced_and_named_in_training_an_error_in_testing(packed, tmp_path):
    names = ['sub 0/0.PNG', 'sub 9/9.PNG', 'sub 9/é.PNG', f'{600 * "a"}.png']
    (tmp_path / 'list.txt').write_text('\n'.join(names), encoding='utf-8')
    options = dict(
        ann_file=str(tmp_path / 'list.txt'), backend_args=backend_args(packed / 'pictures.lmdb')
    )
    train, test = (ImageDataset(PIPELINE, test_mode=mode, **options) for mode in (False, True))
    assert train[1]['skipped'].startswith('cannot read sub 9/9.PNG: it is not in the database ')
    assert train[1]['img_path'] == 'sub 0/0.PNG'
    for i in (1, 2, 3):
        with pytest.raises(ImageError, match=f'cannot read {names[i]}'):
            test[i]


def test_what_is_no_database_is_refused(packed, tmp_path):
    def message(**options) -> str:
        with pytest.raises(UserError) as refused:
            ImageDataset(PIPELINE, backend_args=options)
        return str(refused.value)

    assert 'pack_lmdb.py makes one' in message(**backend_args(tmp_path / 'nowhere.lmdb'))
    assert message(**backend_args(packed / 'pictures')).startswith('cannot open the database')
    for options in ({}, dict(backend='lmdb'), dict(backend='http', db_path='a')):
        assert message(**options).startswith('ImageDataset: expected backend_args=dict(backend=')
    database = shutil.copytree(packed / 'pictures.lmdb', tmp_path / 'cut.lmdb')
    os.truncate(database / 'data.mdb', (database / 'data.mdb').stat().st_size - 1)
    assert message(**backend_args(database)).endswith('is truncated: copy or pack it again')
    shutil.copy(packed / 'pictures.lmdb/data.mdb', database)
    (database / 'names.txt').unlink()
    assert message(**backend_args(database)).startswith('cannot read the list file')


def test_without_lmdb_one_sentence_says_how_to_install_it(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, 'lmdb', None)
    assert refused('pictures', 'new.lmdb').endswith(': pip install lmdb')
    with pytest.raises(UserError, match=': pip install lmdb'):
        ImageDataset(PIPELINE, backend_args=backend_args(Path('new.lmdb')))


def test_what_cannot_be_packed_is_refused_and_nothing_is_left(refused, pictures):
    assert 'pictures exists' in refused('pictures', 'pictures')
    assert 'no folder nowhere' in refused('nowhere', 'new.lmdb')
    Path('list.txt').write_text('sub 0/0.PNG\nsub 0/missing.png\n')
    line = refused('pictures', 'new.lmdb', '--ann-file', 'list.txt')
    assert 'No such file' in line
    assert 'sub 0/missing.png' in line
    os.truncate(pictures / 'sub 0.png', 2**43)
    assert 'the pictures have 8796.1 GB, and' in refused('pictures', 'new.lmdb')


def test_a_database_that_cannot_be_written_to_its_end_is_not_left(refused):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limit[1]))
    try:
        line = refused('pictures', 'new.lmdb')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert line.startswith('error: cannot write new.lmdb (')
    assert line.endswith('): is the disk full?')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('/'.join(['x' * 127] * 4) + '.png', 'at most 511 characters of ASCII'),
        ('é.png', 'at most 511 characters of ASCII'),
        (' leading.png', 'cannot stand in a list file'),
    ],
)
def test_names_that_a_database_cannot_have_are_refused(refused, pictures, name, message):
    (pictures / name).parent.mkdir(parents=True, exist_ok=True)
    (pictures / name).write_bytes(b'')
    assert message in refused('pictures', 'new.lmdb')


@pytest.fixture
def stopped(pictures, monkeypatch):
    """Stops a packing of `pictures`, and `waits.png`, when all but this one is in the database."""
    monkeypatch.chdir(pictures.parent)

    def run(way: signal.Signals) -> None:
        os.mkfifo('pictures/waits.png')  # reading it never ends
        code = (
            'import runpy, signal; from mmedit_gl.datasets import packing; '
            # What a script starts in the background has it ignored.
            'signal.signal(signal.SIGINT, signal.default_int_handler); '
            f'packing.COMMIT_BYTES = 1; runpy.run_path({TOOL_PATH!r}, run_name="__main__")'
        )
        packing = subprocess.Popen(
            [sys.executable, '-c', code, 'pictures', 'new.lmdb'],
            env=ENV,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        reads = None
        while reads is None and packing.poll() is None:
            time.sleep(0.01)
            with suppress(OSError):  # until it is read
                reads = os.open('pictures/waits.png', os.O_WRONLY | os.O_NONBLOCK)
        packing.send_signal(way)
        os.close(reads)  # a signal that comes just before it reads is seen after that
        assert packing.wait(60) != 0
        Path('pictures/waits.png').unlink()
        shutil.copy('pictures/sub 0.png', 'pictures/waits.png')

    return run


def put_entry(database: Path, key: str, value: bytes) -> None:
    with (
        lmdb.open(str(database), map_size=2**24, lock=False) as env,
        env.begin(write=True) as transaction,
    ):
        assert transaction.put(key.encode(), value)


def entries(database: Path) -> dict[str, bytes]:
    with lmdb.open(str(database), readonly=True, lock=False) as env, env.begin() as transaction:
        return {key.decode(): value for key, value in transaction.cursor()}


@pytest.mark.parametrize('way', [signal.SIGINT, signal.SIGKILL])
def test_a_packing_that_is_stopped_is_no_database_and_goes_on_where_it_was(stopped, pack, way):
    stopped(way)
    assert not Path('new.lmdb').exists()
    put_entry(Path('new.lmdb.part'), 'sub 0/0.PNG', b'packed before')
    assert pack('pictures', 'new.lmdb') == (0, '7 pictures are in new.lmdb')
    assert not Path('new.lmdb.part').exists()
    names = read_list('new.lmdb/names.txt')
    expected = {name: Path('pictures', name).read_bytes() for name in names}
    assert entries(Path('new.lmdb')) == {**expected, 'sub 0/0.PNG': b'packed before'}


def test_a_packing_begins_anew_where_files_or_names_are_others_than_it_began_with(stopped, pack):
    stopped(signal.SIGKILL)
    status = Path('pictures/sub 1/1.PNG').stat()
    Path('pictures/sub 1/1.PNG').write_bytes(bytes(status.st_size))
    os.utime('pictures/sub 1/1.PNG', ns=(status.st_atime_ns, status.st_mtime_ns))
    assert pack('pictures', 'new.lmdb')[0] == 0
    assert entries(Path('new.lmdb'))['sub 1/1.PNG'] == bytes(status.st_size)
    names = list(read_list('new.lmdb/names.txt'))[::-1]
    Path('new.lmdb').rename('other.lmdb.part')
    Path('list.txt').write_text(''.join(f'{name}\n' for name in names))
    assert pack('pictures', 'other.lmdb', '--ann-file', 'list.txt')[0] == 0
    assert read_list('other.lmdb/names.txt') == names
    assert len(entries(Path('other.lmdb'))) == 7
