"""A folder of pictures to what is to be completed, and its way through three stages."""

import shutil
from itertools import islice
from pathlib import Path
from threading import Event, current_thread

import pytest

from mmedit_gl.apis.folders import FolderJobs, Job, _taken_ahead, in_stages, passed_over, walk
from mmedit_gl.errors import ImageError, UserError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def tree(root: Path, names: str) -> Path:
    touch(*(root / name for name in names.split()))
    return root


def found(*args) -> list[tuple[str, list[str]]]:
    return [(str(folder), files) for folder, files in islice(walk(*args), 99)]


# The walk


def test_folders_come_in_order_with_their_files_and_without_hidden_ones(tmp_path):
    tree(tmp_path, 'b.png a.txt z/2 z/1 c.d/e/3 c.d/.4 .git/5 ._b.png')
    (tmp_path / 'empty').mkdir()
    expected = [('.', ['a.txt', 'b.png']), ('c.d', []), ('c.d/e', ['3']), ('empty', [])]
    assert found(tmp_path) == [*expected, ('z', ['1', '2'])]


def test_links_to_folders_are_followed_but_for_those_that_lead_back(tmp_path):
    tree(tmp_path, 'root/a/1 root/b/2 other/3')
    links = {'root/a/up': 'root', 'root/a/b': 'root/b', 'root/b/a': 'root/a', 'root/c': 'other'}
    for link, target in (links | {'other/own': 'other', 'root/none': 'nowhere'}).items():
        (tmp_path / link).symlink_to(tmp_path / target)
    through = [('a', ['1']), ('a/b', ['2']), ('b', ['2']), ('b/a', ['1']), ('c', ['3'])]
    assert found(tmp_path / 'root') == [('.', ['none']), *through]


def test_what_lies_aside_is_left_out_however_it_is_named(tmp_path):
    tree(tmp_path, 'root/1 root/out/2 root/mask.png root/a/out/3 root/a/mask.png elsewhere/m.png')
    (tmp_path / 'root/link').symlink_to('out')
    (tmp_path / 'root/linked.png').symlink_to('../elsewhere/m.png')
    names = ['root/a/../out', 'root/mask.png', 'root/linked.png', 'root/not_yet']
    expected = [('.', ['1']), ('a', ['mask.png']), ('a/out', ['3'])]
    assert found(tmp_path / 'root', [tmp_path / name for name in names]) == expected


def test_a_folder_that_cannot_be_read_is_told_of_and_passed_over(tmp_path):
    tree(tmp_path, 'a/1 b/2 c/3')
    errors = []
    folders = walk(tmp_path, onerror=errors.append)
    next(folders)
    shutil.rmtree(tmp_path / 'b')
    assert [str(folder) for folder, _ in folders] == ['a', 'c']
    expected = f'cannot read the folder {tmp_path}/b: No such file or directory'
    assert [str(error) for error in errors] == [expected]


# Jobs


@pytest.fixture
def folders(tmp_path, monkeypatch) -> tuple[Path, Path, Path, Path]:
    """Pictures, masks, and places for completions and strips."""
    monkeypatch.chdir(tmp_path)
    tree(
        Path('p'),
        'a.jpg a.png b.TIFF x.txt s/a.jpg s/c.d.webp s/n.png s/t/e.bmp u/f.jpeg u/X.MOV y',
    )
    tree(Path('m'), 'a.png b.tif s/a.Bmp s/c.d.jpg s/t/e.png s/t/e.jpg s/t/e.txt lonely.png c.png')
    return Path('p'), Path('m'), Path('o'), Path('strips')


def job(name: str, mask: str) -> Job:
    return Job(Path('p', name), Path('m', mask), Path('o', name), Path('strips', f'{name}.png'))


JOBS = [
    job('a.jpg', 'a.png'),
    job('a.png', 'a.png'),
    job('b.TIFF', 'b.tif'),
    job('s/a.jpg', 's/a.Bmp'),
    job('s/c.d.webp', 's/c.d.jpg'),
    'no mask for p/s/n.png: expected m/s/n.png',
    'm/s/t/e.jpg and m/s/t/e.png: expected one mask for a picture',
    'no mask for p/u/f.jpeg: expected m/u/f.png',
]


def plain(jobs: FolderJobs) -> list[Job | str]:
    return [str(job) if isinstance(job, ImageError) else job for job in jobs]


def test_subfolders_are_mirrored_and_masks_found_at_the_same_place(folders):
    jobs = FolderJobs(*folders)
    assert plain(jobs) == JOBS
    assert (jobs.total, jobs.skipped, jobs.unreadable) == (8, 0, [])


def test_one_mask_serves_all_and_is_no_picture_where_it_lies_among_them(folders):
    pictures, _, out, _ = folders
    names = ['a.png', 'b.TIFF', 's/a.jpg', 's/c.d.webp', 's/n.png', 's/t/e.bmp', 'u/f.jpeg']
    mask = pictures / 'a.jpg'
    expected = [Job(pictures / name, mask, out / name) for name in names]
    assert list(FolderJobs(pictures, mask, out)) == expected


def test_files_that_are_no_pictures_are_counted(folders):
    jobs = FolderJobs(*folders)
    list(jobs)
    assert jobs.others == {'.txt': 1, 'no suffix': 1, '.mov': 1}
    said = '3 files are no pictures (.txt, no suffix, .mov): passed over'
    assert passed_over(jobs.others) == said
    jobs.others.clear()
    jobs.others['.gif'] += 1
    assert passed_over(jobs.others) == '1 file is no picture (.gif): passed over'
    jobs.others.update({f'.{i}': 1000 - i for i in range(7)})
    said = '6,980 files are no pictures (.0, .1, .2, .3, .4, …): passed over'
    assert passed_over(jobs.others) == said


def test_what_is_there_already_is_skipped_and_what_is_missing_is_not(folders):
    tree(Path(), 'o/a.jpg strips/a.jpg.png o/s/a.jpg strips/s/c.d.webp.png o/u/f.jpeg o/other.jpg')
    first = JOBS[3]
    expected = [
        *JOBS[1:3],
        Job(first.picture, first.mask, None, first.strip),
        Job(JOBS[4].picture, JOBS[4].mask, JOBS[4].out, None),
        *JOBS[5:],
    ]
    jobs = FolderJobs(*folders, skip_existing=True)
    assert plain(jobs) == expected
    assert (jobs.total, jobs.skipped) == (8, 1)
    jobs = FolderJobs(*folders[:3], skip_existing=True)
    assert len(plain(jobs)) == 5
    assert (jobs.total, jobs.skipped) == (8, 3)


@pytest.mark.parametrize('processes', [2, 3, 20])
def test_processes_take_turns(folders, processes):
    for rank in range(processes):
        jobs = FolderJobs(*folders, rank=rank, processes=processes)
        assert plain(jobs) == JOBS[rank::processes]
        assert jobs.total == len(JOBS[rank::processes])
        assert jobs.others.total() == 3


def test_a_folder_of_pictures_that_cannot_be_read_is_named(folders):
    with pytest.raises(UserError, match='cannot read the folder none: No such file or directory'):
        FolderJobs(Path('none'), *folders[1:])


def test_folders_are_refused_where_nothing_can_be_done_or_much_be_lost(folders):
    pictures, masks, out, _ = folders
    tree(Path('empty'), 'a.txt sub/.a.png')
    with pytest.raises(UserError, match=r'^no pictures in empty: expected files named \.jpg, '):
        FolderJobs(Path('empty'), masks, out)
    with pytest.raises(UserError, match='no mask and no folder of masks none'):
        FolderJobs(pictures, Path('none'), out)
    for target in (pictures, masks, Path(), Path('m/../p')):
        for places in ((target, None), (out, target)):
            with pytest.raises(UserError, match=rf'^{target} is or holds [pm], over which nothing'):
                FolderJobs(pictures, masks, *places)
    with pytest.raises(UserError, match=r'^m/\.\./p is the folder of pictures too: expected an'):
        FolderJobs(pictures, Path('m/../p'), out)
    tree(Path('only'), 'masks/a.png o/a.png')
    message = r'^no pictures in only outside of only/masks and only/o: expected files named \.jpg, '
    with pytest.raises(UserError, match=message):
        FolderJobs(Path('only'), Path('only/masks'), Path('only/o'), Path('strips'))
    inside = Path('p/o'), Path('m/strips')
    assert len(list(FolderJobs(pictures, masks, *inside))) == len(JOBS)


# The stages


def test_reading_and_writing_go_on_beside_the_completing():
    count = 6
    begun = {stage: [Event() for _ in range(count)] for stage in ('read', 'complete', 'write')}
    threads = {}

    def stage(name: str, i: int, other: str, j: int) -> int:
        """One stage of a picture that does not end before one of another has begun."""
        threads.setdefault(name, set()).add(current_thread())
        begun[name][i].set()
        assert j >= count or begun[other][j].wait(60)
        return i

    results = in_stages(
        range(count),
        lambda i: stage('read', i, 'read', i),
        lambda i: stage('complete', i, 'read', i + 1),
        lambda i: stage('write', i, 'complete', i + 1),
    )
    assert list(results) == list(range(count))
    assert threads['complete'] == {current_thread()}
    assert len(set.union(*threads.values())) == 3


def test_few_pictures_are_held_at_a_time():
    read, written, held = [], [], []

    def complete(i: int) -> int:
        held.append(len(read) - len(written))
        return i

    items = (read.append(i) or i for i in range(20))  # taken when it is about to be read
    assert len(list(in_stages(items, int, complete, lambda i: written.append(i) or [i]))) == 20
    assert max(held) <= 3


def test_what_fails_is_told_in_its_place():
    def stage(name: str):
        def run(item: str) -> str:
            if item.startswith(name):
                raise ImageError(f'cannot {item}')
            return f'{item}.{name}'

        return run

    items = ['a', 'read b', 'c', ImageError('no d'), 'write e', 'complete f', 'g']
    results = in_stages(items, *map(stage, ('read', 'complete', 'write')))
    whole = '.read.complete.write'
    expected = [f'a{whole}', 'cannot read b', f'c{whole}', 'no d', 'cannot write e.read.complete']
    assert list(map(str, results)) == [*expected, 'cannot complete f.read', f'g{whole}']


@pytest.mark.parametrize('place', range(3))
def test_a_defect_ends_the_run(place):
    stages = [lambda item: item] * 3
    stages[place] = lambda item: 1 / (3 - item)
    with pytest.raises(ZeroDivisionError):
        list(in_stages(range(9), *stages))


def test_what_a_thread_takes_ahead_comes_to_its_end_or_defect():
    assert list(_taken_ahead(iter([1, None, 2]))) == [1, None, 2]
    taken = _taken_ahead(1 / (2 - i) for i in range(4))
    assert [next(taken), next(taken)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(taken)
