"""Files are whole or not there, whoever writes them, and a failed write is said."""

import ast
import os
import re
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmedit_gl.errors import UserError
from mmedit_gl.files import check_place, make_folder, remove_left, save_text, whole

ROOT = Path(__file__).parent.parent


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Lets no file grow beyond a size, as a full disk does not."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, former)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def test_a_file_takes_the_place_of_another_when_it_is_whole(tmp_path):
    path = tmp_path / 'a.json'
    path.write_bytes(b'old')
    with whole(path) as part:
        part.write_bytes(b'ne')
        with part.open('ab') as file:
            file.write(b'w')
        assert path.read_bytes() == b'old'
        assert re.fullmatch(r'\.[0-9a-f]{16}\.json\.part', part.name)
    assert content(tmp_path) == {'a.json': b'new'}


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt, UserError])
def test_what_fails_or_is_interrupted_leaves_what_was_there(tmp_path, error):
    (tmp_path / 'a').write_bytes(b'old')
    for name in ('a', 'b'):
        with pytest.raises(error, match=r'^mine$'), whole(tmp_path / name) as part:
            part.write_bytes(b'half')
            raise error('mine')
    with pytest.raises(error, match=r'^mine$'), whole(tmp_path / 'c') as part:
        part.mkdir()
        (part / 'one').write_bytes(b'of two')
        raise error('mine')
    assert content(tmp_path) == {'a': b'old'}
    assert [path.name for path in tmp_path.iterdir()] == ['a']


def test_a_full_disk_leaves_the_former_file_and_is_said(tmp_path, full_disk):
    path = tmp_path / 'a.txt'
    save_text('old', path)
    full_disk(300)
    with pytest.raises(UserError, match=f'^cannot write {path}: File too large$'):
        save_text('x' * 301, path)
    save_text('x' * 300, path)
    assert content(tmp_path) == {'a.txt': b'x' * 300}


def test_a_file_that_is_to_be_synced_is_on_the_disk_before_it_replaces_another(
    tmp_path, monkeypatch
):
    path, synced = tmp_path / 'a', []
    path.write_bytes(b'old')

    def fsync(number: int, system=os.fsync) -> None:
        synced.append((os.fstat(number).st_ino, os.fstat(number).st_size, path.read_bytes()))
        system(number)

    monkeypatch.setattr(os, 'fsync', fsync)
    with whole(path) as part:
        part.write_bytes(b'mine')
    assert synced == []
    path.write_bytes(b'old')
    with whole(path, synced=True) as part:
        part.write_bytes(b'new content')
    assert synced == [(path.stat().st_ino, 11, b'old')]


def test_a_new_folder_is_there_with_all_that_is_in_it(tmp_path):
    (tmp_path / 'empty').mkdir()
    for name in ('new', 'empty'):
        with whole(tmp_path / name) as part:
            part.mkdir()
            (part / 'a').write_bytes(b'1')
            assert not (tmp_path / name / 'a').exists()
    assert content(tmp_path) == {'new/a': b'1', 'empty/a': b'1'}
    refused = pytest.raises(UserError, match=r'^cannot write .*/new: Directory not empty$')
    with refused, whole(tmp_path / 'new') as part:
        part.mkdir()
    assert content(tmp_path) == {'new/a': b'1', 'empty/a': b'1'}
    assert sorted(path.name for path in tmp_path.iterdir()) == ['empty', 'new']


def test_writes_of_one_name_at_once_leave_one_of_them(tmp_path):
    texts = [f'{i}' * 100_000 for i in range(8)]
    threads = [threading.Thread(target=save_text, args=(t, tmp_path / 'a')) for t in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(content(tmp_path)) == ['a']
    assert (tmp_path / 'a').read_text() in texts


def test_what_a_killed_write_leaves_is_hidden_and_can_be_removed(tmp_path):
    if not (pid := os.fork()):
        with whole(tmp_path / 'a.pth') as part:
            part.write_bytes(b'half')
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith('.')
    for name in ('.mine.part', 'a.pth.part', '.0123456789abcdef.txt'):
        (tmp_path / name).write_bytes(b'mine')
    remove_left(tmp_path)
    assert sorted(content(tmp_path)) == ['.0123456789abcdef.txt', '.mine.part', 'a.pth.part']


def test_what_is_no_place_for_a_file_is_refused_before_the_work_and_after_it(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').write_bytes(b'mine')
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'link').symlink_to('/dev/full')
    device = 'it is a device, expected the name of a file'
    refused = {
        'none/a': f'there is no folder {tmp_path}/none',
        'file/a': f'there is no folder {tmp_path}/file',
        'pipe': device,
        'link': device,
        'x' * 300: 'File name too long',
        'folder': '(it is a folder, expected the name of a file|Is a directory)',
    }
    for name, why in refused.items():
        path = tmp_path / name
        with pytest.raises(UserError, match=f'^cannot write {path}: {why}$'):
            check_place(path)
        with pytest.raises(UserError, match=f'^cannot write {path}: {why}$'), whole(path) as part:
            part.write_bytes(b'new')
    assert content(tmp_path) == {'file': b'mine'}
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'folder', 'link', 'pipe']


def test_a_link_gives_way_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / 'original').write_bytes(b'mine')
    (tmp_path / 'link').symlink_to('original')
    check_place(tmp_path / 'link')
    save_text('new', tmp_path / 'link')
    assert content(tmp_path) == {'original': b'mine', 'link': b'new'}


def test_a_folder_is_made_and_tried(tmp_path, full_disk):
    make_folder(tmp_path / 'a/b')
    make_folder(tmp_path / 'a/b')
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob('*')] == ['a', 'a/b']
    with pytest.raises(UserError, match=r'^cannot make the folder /proc/none: '):
        make_folder('/proc/none')
    with pytest.raises(UserError, match=r'^cannot write to the folder /proc/self/fd: '):
        make_folder('/proc/self/fd')
    with pytest.raises(UserError, match=r'^cannot write /proc/self/fd/a: '):
        check_place('/proc/self/fd/a')
    full_disk(0)
    with pytest.raises(UserError, match=r'^cannot write to the folder .*/a/b: File too large$'):
        make_folder(tmp_path / 'a/b')
    with pytest.raises(UserError, match=r'^cannot write .*/a/b/file: File too large$'):
        check_place(tmp_path / 'a/b/file')
    assert content(tmp_path) == {}


# What writes over a file in place, fails without a word, or makes another way.
OWN_WAYS = {'imwrite', 'rename', 'write_text'}
EXCEPTIONS = {
    ('mmedit_gl/datasets/packing.py', 'rename'),  # goes on with what a packing before it has left
    ('tools/make_masks.py', 'write_text'),  # to a new folder, which is whole or not there
    ('tools/make_masks.py', 'replace'),  # of masks, into a folder that stays
}


def test_the_package_and_the_tools_write_files_in_one_way():
    found = set()
    for path in [*ROOT.glob('mmedit_gl/**/*.py'), *ROOT.glob('tools/**/*.py')]:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                is_move = name == 'replace' and len(node.args) + len(node.keywords) == 1
                if name in OWN_WAYS or is_move:
                    found.add((str(path.relative_to(ROOT)), name))
    assert found == EXCEPTIONS | {('mmedit_gl/files.py', 'replace')}
