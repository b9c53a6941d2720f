"""Official layouts and one's own folder become lists of the pictures that can be used."""

import io
import os
import runpy
import stat
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT, random_image, run_tool, shrink

from mmedit_gl.datasets import ImageDataset, checking, read_image, read_list
from mmedit_gl.engine import load_config
from mmedit_gl.errors import ImageError
from mmedit_gl.registry import DATASETS

CONFIGS = ROOT / 'configs/inpainting/global_local'


@pytest.fixture
def convert(tmp_path, monkeypatch, capfd):
    """Runs a converter in `tmp_path`, in this process; gives its last lines on stdout."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *args) -> str:
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        capfd.readouterr()
        runpy.run_path(str(ROOT / f'tools/dataset_converters/{name}.py'), run_name='__main__')
        out, err = capfd.readouterr()
        assert err == ''
        return out

    return run


@pytest.fixture
def refused(convert, tmp_path, capfd):
    """The sentence of a converter that refuses; no file must be made or changed."""

    def run(name: str, *args) -> str:
        before = files(tmp_path)
        with pytest.raises(SystemExit) as end:
            convert(name, *args)
        assert end.value.code == 2
        assert files(tmp_path) == before
        (line,) = capfd.readouterr().err.splitlines()
        return line

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def put(path: Path, seed: int = 0, height: int = 80, width: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), random_image(seed, height, width))
    return path


def put_text(path: Path, lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{line}\n' for line in lines))


def places(root: Path, size: str = 'large', variant: str = 'standard', devkit: str = '') -> Path:
    """Six training and three validation pictures as the archives of Places365 unpack."""
    trains = [f'/a/airfield/{i:08d}.jpg' for i in (1, 2, 3)]
    trains += [f'/s/swimming_pool/indoor/{i:08d}.jpg' for i in (1, 2, 5001)]
    vals = [f'Places365_val_{i:08d}.jpg' for i in (1, 2, 3)]
    for i, name in enumerate(trains):
        put(root / f'data_{size}{name}', i)
    for i, name in enumerate(vals):
        put(root / f'val_{size}' / name, 10 + i)
    labels = [f'{name} {i // 3}' for i, name in enumerate(trains)]
    put_text(root / devkit / f'places365_train_{variant}.txt', labels)
    put_text(root / devkit / 'places365_val.txt', [f'{name} 165' for name in vals])
    return root


def lists(out: str = 'data/places365', *names: str) -> list[list[str]]:
    return [
        list(read_list(Path(out, name))) for name in names or ('train_list.txt', 'val_list.txt')
    ]


SMALL = ('--min-size', 80)


@pytest.mark.parametrize('devkit', ['', 'filelist_places365'])
@pytest.mark.parametrize('variant', ['standard', 'challenge'])
@pytest.mark.parametrize('size', ['large', '256'])
def test_places_is_listed_in_the_order_of_the_official_lists(size, variant, devkit, convert):
    places(Path('data/places365'), size, variant, devkit and f'{devkit}-{variant}')
    options = ('--size', size, '--variant', variant)
    said = convert('places365', 'data/places365', *options, *SMALL)
    train, val = lists()
    assert train == [
        f'data_{size}/a/airfield/00000001.jpg',
        f'data_{size}/a/airfield/00000002.jpg',
        f'data_{size}/a/airfield/00000003.jpg',
        f'data_{size}/s/swimming_pool/indoor/00000001.jpg',
        f'data_{size}/s/swimming_pool/indoor/00000002.jpg',
        f'data_{size}/s/swimming_pool/indoor/00005001.jpg',
    ]
    assert val == [f'val_{size}/Places365_val_0000000{i}.jpg' for i in (1, 2, 3)]
    assert 'train_list.txt: 6 of 6 pictures' in said
    assert 'val_list.txt: 3 of 3 pictures' in said
    assert ('not the published protocol' in said) == (size == '256')
    assert Path('data/places365/left_out.txt').read_text() == ''


def test_a_line_that_comes_again_is_left_out_of_places(convert):
    root = places(Path('data/places365'))
    path = root / 'places365_train_standard.txt'
    lines = path.read_text().splitlines()
    convert('places365', root, *SMALL)
    expected = lists()
    again = ['a/./airfield/00000002.jpg 5', lines[4], lines[1]]  # not as it was written before
    put_text(path, [*lines[:3], *again[:1], *lines[3:], *again[1:]])
    said = convert('places365', root, *SMALL)
    assert said.startswith(f'{path}: left out 3 of its lines, which name a picture again\n')
    assert 'train_list.txt: 6 of 6 pictures' in said
    assert lists() == expected


def test_places_under_torchvisions_folder_names_is_found(convert):
    root = places(Path('data/places365'))
    (root / 'data_large').rename(root / 'data_large_standard')
    convert('places365', root, *SMALL)
    assert lists()[0][0] == 'data_large_standard/a/airfield/00000001.jpg'


@pytest.mark.parametrize(
    ('missing', 'message'),
    [
        ('data_large', 'no folder data_large in here: unpack train_large_places365standard.tar '),
        ('val_large', 'no folder val_large in here: unpack val_large.tar '),
        (
            'places365_train_standard.txt',
            'no places365_train_standard.txt in here: unpack filelist_places365-standard.tar ',
        ),
        ('places365_val.txt', 'no places365_val.txt in here: unpack filelist_places365-standard'),
    ],
)
def test_what_is_missing_of_places_is_named_with_its_archive(missing, message, refused):
    places(Path('here'))
    Path('here', missing).rename('away')
    assert refused('places365', 'here').startswith(f'error: {message}')
    assert not Path('data').exists()


def png(height: int, width: int) -> bytes:
    """A file that claims so many pixels and has few."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = [(b'IHDR', header), (b'IDAT', zlib.compress(bytes(1000))), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in chunks
    )


def test_what_cannot_be_used_is_left_out_and_named_with_the_reason(convert):
    root = places(Path('data/places365'))
    folder, pool = root / 'data_large/a/airfield', root / 'data_large/s/swimming_pool/indoor'
    whole = (folder / '00000001.jpg').read_bytes()
    (folder / '00000001.jpg').write_bytes(whole[:-20])
    (folder / '00000002.jpg').write_bytes(png(10**5, 10**5))
    (folder / '00000003.jpg').unlink()
    put(pool / '00000001.jpg', height=200, width=79)
    (root / 'val_large/Places365_val_00000002.jpg').write_bytes(b'')
    said = convert('places365', root, *SMALL)
    assert lists() == [
        [f'data_large/s/swimming_pool/indoor/{name}.jpg' for name in ('00000002', '00005001')],
        [f'val_large/Places365_val_0000000{i}.jpg' for i in (1, 3)],
    ]
    assert (root / 'left_out.txt').read_text().splitlines() == [
        'data_large/a/airfield/00000001.jpg: unreadable: not an image, or a truncated one',
        'data_large/a/airfield/00000002.jpg: unreadable: not an image, or a truncated one',
        'data_large/a/airfield/00000003.jpg: missing: No such file or directory',
        'data_large/s/swimming_pool/indoor/00000001.jpg: too small: 200x79 pixels',
        'val_large/Places365_val_00000002.jpg: unreadable: not an image, or a truncated one',
    ]
    assert 'left_out.txt: 3 unreadable, 1 missing, 1 too small\n' in said
    with pytest.raises(ImageError, match='not an image'):
        read_image(str(folder / '00000002.jpg'))  # OpenCV raises its own for so many pixels


def test_of_hundreds_of_pictures_each_is_listed_or_left_out_by_itself(convert, monkeypatch):
    monkeypatch.setattr(checking, 'BATCH', 70)
    root, names = Path('data/places365'), [f'a/airfield/{i:08d}.jpg' for i in range(300)]
    put(root / 'val_large/Places365_val_00000001.jpg')
    put_text(root / 'places365_val.txt', ['Places365_val_00000001.jpg 0'])
    put_text(root / 'places365_train_standard.txt', [f'/{name} 0' for name in names])
    first = put(root / 'data_large' / names[0])
    drawn = np.random.default_rng(0).random(300) < 0.5
    drawn[0] = True
    for name, there in zip(names[1:], drawn[1:]):
        if there:
            (root / 'data_large' / name).hardlink_to(first)
    for _ in range(2):
        said = convert('places365', root, *SMALL)
        expected = [f'data_large/{name}' for name, there in zip(names, drawn) if there]
        assert lists()[0] == expected
        assert f'train_list.txt: {len(expected)} of 300 pictures' in said
        assert (root / 'left_out.txt').read_text().splitlines() == [
            f'data_large/{name}: missing: No such file or directory'
            for name, there in zip(names, drawn)
            if not there
        ]
        assert f'left_out.txt: {300 - len(expected)} missing' in said
        spoil(first)


def test_a_list_of_which_nothing_can_be_used_is_not_written(convert, capfd):
    root = places(Path('data/places365'))
    for path in (root / 'val_large').iterdir():
        path.write_bytes(b'')
    with pytest.raises(SystemExit):
        convert('places365', root, *SMALL)
    assert 'none of the 3 pictures for val_list.txt can be used: ' in capfd.readouterr().err
    assert not (root / 'train_list.txt').exists()
    assert len((root / 'left_out.txt').read_text().splitlines()) == 3


def spoil(path: Path) -> None:
    """Other bytes, of which size and time of change do not tell."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_second_run_reads_what_has_changed_and_nothing_else(convert):
    root = places(Path('data/places365'))
    bad = root / 'val_large/Places365_val_00000003.jpg'
    good = bad.read_bytes()
    bad.write_bytes(b'')
    convert('places365', root, *SMALL)
    first = lists()
    for path in (root / 'data_large').rglob('*.jpg'):
        spoil(path)
    bad.write_bytes(good)
    convert('places365', root, *SMALL)
    assert lists() == [first[0], [*first[1], 'val_large/Places365_val_00000003.jpg']]
    os.utime(root / first[0][0])
    convert('places365', root, *SMALL)
    assert lists()[0] == first[0][1:]
    put(root / first[0][0], height=79)
    convert('places365', root, *SMALL)
    assert lists()[0] == first[0][1:]
    convert('places365', root, '--min-size', 79)  # known sizes are held against the new bound
    assert lists()[0] == first[0]


def test_a_killed_run_goes_on_where_it_was(convert):
    root = places(Path('data/places365'))
    convert('places365', root, *SMALL)
    expected, checked = lists(), root / 'checked.tsv'
    lines = checked.read_text().splitlines(keepends=True)
    (root / 'train_list.txt').unlink()
    (root / 'val_list.txt').unlink()
    (root / 'left_out.txt').unlink()
    checked.write_text(''.join(lines[:4]) + lines[4][:-9])
    for name in (line.split('\t')[2].strip() for line in lines[:4]):
        spoil(root / name)
    convert('places365', root, *SMALL)
    assert lists() == expected
    for path in root.rglob('*.jpg'):
        spoil(path)
    convert('places365', root, *SMALL)
    assert lists() == expected


def test_what_no_run_has_read_comes_before_what_has_changed_since(convert):
    root = places(Path('data/places365'))
    convert('places365', root, *SMALL)
    expected, checked = lists(), root / 'checked.tsv'
    names = [*expected[0], *expected[1]]
    lines = checked.read_text().splitlines(keepends=True)
    checked.write_text(''.join(line for line in lines if names[2] not in line))
    for size in (85, 86):
        put(root / names[0], height=size)
        convert('places365', root, *SMALL)
    read = [line.split('\t')[1:] for line in checked.read_text().splitlines()[len(lines) - 1 :]]
    read = [line for line in read if line and line[0] != 'list']
    assert read == [['80x90', names[2]], ['85x90', names[0]], ['86x90', names[0]]]
    spoil(root / names[0])  # of its lines the last one counts
    convert('places365', root, *SMALL)
    assert lists() == expected


def test_lists_of_the_user_are_not_written_over_and_those_of_the_tool_are(convert, refused):
    root = places(Path('data/places365'))
    put_text(root / 'val_list.txt', ['mine.jpg'])
    line = refused('places365', root, *SMALL)
    assert line.startswith('error: data/places365/val_list.txt is there and not as this tool ')
    (root / 'val_list.txt').unlink()
    convert('places365', root, *SMALL)
    convert('places365', root, *SMALL)
    put_text(root / 'train_list.txt', lists()[0][:2])  # edited by the user
    assert 'train_list.txt is there and not as this tool wrote it' in refused('places365', root)


def test_pictures_elsewhere_are_linked_and_their_folder_is_left_alone(convert, refused):
    root = places(Path('disk/places'))
    before = files(root)
    convert('places365', root, *SMALL)
    assert files(root) == before
    assert Path('data/places365/pictures').readlink() == root.resolve()
    train, _ = lists()
    assert train[0] == 'pictures/data_large/a/airfield/00000001.jpg'
    assert all(Path('data/places365', name).is_file() for name in train)
    convert('places365', root, *SMALL)
    other = places(Path('disk/other'))
    assert 'pictures is there and is not disk/other' in refused('places365', other)
    (root / 'places365_val.txt').unlink()
    convert('places365', other, '--out', 'lists', *SMALL)
    assert Path('lists/pictures').samefile(other)


@pytest.mark.parametrize('option', ['--min-size', '--workers'])
def test_options_below_one_are_refused(option, refused):
    places(Path('data/places365'))
    assert 'of at least 1' in refused('places365', 'data/places365', option, 0)


# 24 pictures of CelebA-HQ, made of these of CelebA
ORIGINS = np.random.default_rng(0).permutation(np.arange(30_001, 30_101))[:24].tolist()
PARTS = [0 if i < 30_070 else 1 if i < 30_085 else 2 for i in range(30_001, 30_101)]
NAMINGS = {
    '{:d}.jpg': range(24),  # CelebAMask-HQ
    'imgHQ{:05d}.png': range(24),
    '{:05d}.jpg': range(1, 25),
    '{:05d}.png': range(24),
    '{:06d}.jpg': ORIGINS,
}


def put_mapping(folder: Path) -> None:
    rows = (f'{i:<8} {origin - 1:<8} {origin:06d}.jpg' for i, origin in enumerate(ORIGINS))
    put_text(folder / 'CelebA-HQ-to-CelebA-mapping.txt', ['idx orig_idx orig_file', *rows])


def put_partition(folder: Path) -> None:
    rows = (f'{i:06d}.jpg {part}' for i, part in enumerate(PARTS, start=30_001))
    put_text(folder / 'list_eval_partition.txt', rows)


def faces(folder: Path, naming: str = '{:d}.jpg', numbers=None) -> list[str]:
    names = [naming.format(i) for i in numbers or NAMINGS[naming]]
    for i, name in enumerate(names):
        put(folder / name, i)
    return names


FACE_LISTS = ('data/celeba_hq', 'train_list.txt', 'val_list.txt', 'test_list.txt')


@pytest.mark.parametrize('naming', NAMINGS)
def test_faces_are_split_by_the_official_partition_of_their_originals(naming, convert):
    names = faces(Path('data/celeba_hq/CelebA-HQ-img'), naming)
    put_mapping(Path('data/celeba_hq'))
    put_partition(Path('data/celeba_hq/Eval'))
    put(Path('data/celeba_hq/CelebAMask-HQ-mask-anno/0/00000_hair.png'))
    said = convert('celeba_hq', 'data/celeba_hq', *SMALL)
    expected = [[], [], []]
    for _, name, origin in sorted(zip(NAMINGS[naming], names, ORIGINS)):
        expected[PARTS[origin - 30_001]].append(f'CelebA-HQ-img/{name}')
    assert all(expected)
    assert lists(*FACE_LISTS) == expected
    assert "Split by CelebA's official partition, data/celeba_hq/Eval/list_eval_part" in said


def test_a_partition_as_an_editor_wrote_it_is_the_same(convert):
    faces(Path('faces'), '{:06d}.jpg')
    put_partition(Path('faces'))
    partition = Path('faces/list_eval_partition.txt')
    rows = partition.read_bytes().splitlines()
    first = f'{min(ORIGINS):06d}.jpg'.encode()
    rows = rows[[row.split()[0] for row in rows].index(first) :]
    partition.write_bytes(b'\xef\xbb\xbf' + b'\r\n'.join(rows))
    convert('celeba_hq', 'faces', *SMALL)
    for part, listed in enumerate(lists(*FACE_LISTS)):
        assert listed == [
            f'pictures/{i:06d}.jpg' for i in sorted(ORIGINS) if PARTS[i - 30_001] == part
        ]


def test_faces_with_the_numbers_of_celeba_need_no_mapping(convert):
    faces(Path('faces'), '{:06d}.jpg')
    put_partition(Path('faces'))
    convert('celeba_hq', 'faces', *SMALL)
    train, val, test = lists(*FACE_LISTS)
    assert train == [f'pictures/{i:06d}.jpg' for i in sorted(ORIGINS) if i < 30_070]
    assert val == [f'pictures/{i:06d}.jpg' for i in sorted(ORIGINS) if 30_070 <= i < 30_085]
    assert test == [f'pictures/{i:06d}.jpg' for i in sorted(ORIGINS) if i >= 30_085]


@pytest.mark.parametrize(
    ('given', 'missing'),
    [
        ([], 'No list_eval_partition.txt and no CelebA-HQ-to-CelebA-mapping.txt: '),
        ([put_mapping], 'No list_eval_partition.txt: '),
        ([put_partition], 'No CelebA-HQ-to-CelebA-mapping.txt: '),
    ],
)
def test_without_the_official_files_the_last_fifteenth_is_for_validation(given, missing, convert):
    faces(Path('faces'), '{:d}.jpg', range(32))
    for write in given:
        write(Path('faces'))
    said = convert('celeba_hq', 'faces', *SMALL)
    assert f'{missing}the last 2 of 32 pictures by number are for validation' in said
    assert lists('data/celeba_hq') == [
        [f'pictures/{i}.jpg' for i in range(30)],
        ['pictures/30.jpg', 'pictures/31.jpg'],
    ]
    assert not Path('data/celeba_hq/test_list.txt').exists()


def test_faces_that_cannot_be_told_apart_are_refused(refused):
    faces(Path('faces'), '{:d}.jpg', range(1, 24))
    put_mapping(Path('faces'))
    put_partition(Path('faces'))
    assert 'with 1 to 23 of 24 it cannot be told which' in refused('celeba_hq', 'faces')
    put(Path('faces/0.jpg'))
    (Path('faces') / 'list_eval_partition.txt').write_text('030001.jpg 0\n')
    assert 'which faces/list_eval_partition.txt lacks' in refused('celeba_hq', 'faces')
    (Path('faces') / 'list_eval_partition.txt').write_text('030001.jpg 3\n')
    assert 'list_eval_partition.txt is not the one of CelebA' in refused('celeba_hq', 'faces')
    put(Path('faces/512/00000.jpg'))
    assert 'have one number: name the folder of one size' in refused('celeba_hq', 'faces')
    put(Path('others/a.jpg'))
    assert 'no pictures of CelebA-HQ in others' in refused('celeba_hq', 'others')
    assert 'no folder nowhere' in refused('celeba_hq', 'nowhere')


def pack_zip(path: Path, entries: dict, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, 'w', **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def jpeg(seed: int) -> bytes:
    return cv2.imencode('.jpg', random_image(seed, 80, 90))[1].tobytes()


def test_a_zip_of_faces_is_unpacked_once_without_what_is_no_picture_of_it(convert):
    images = {f'CelebAMask-HQ/CelebA-HQ-img/{i}.jpg': jpeg(i) for i in range(24)}
    put_mapping(Path('unpacked'))
    mapping = Path('unpacked/CelebA-HQ-to-CelebA-mapping.txt')
    others = {
        'CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/00000_hair.png': jpeg(0),
        'CelebAMask-HQ/README.md': b'',
        f'CelebAMask-HQ/{mapping.name}': mapping.read_bytes(),
    }
    put_partition(Path('archives'))
    archive = pack_zip(Path('archives/CelebAMask-HQ.zip'), images | others)
    convert('celeba_hq', archive, *SMALL)
    folder = Path('data/celeba_hq/pictures')
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f'{i}.jpg' for i in range(24)), mapping.name]
    )
    for i in range(24):
        assert (folder / f'{i}.jpg').read_bytes() == jpeg(i)
    first = lists(*FACE_LISTS)
    assert first[1] == [
        f'pictures/{i}.jpg' for i, origin in enumerate(ORIGINS) if 30_070 <= origin < 30_085
    ]
    (folder / '3.jpg').unlink()
    spoil(folder / '4.jpg')
    convert('celeba_hq', archive, *SMALL)
    assert (folder / '3.jpg').read_bytes() == jpeg(3)
    assert (folder / '4.jpg').read_bytes() != jpeg(4)
    assert lists(*FACE_LISTS) == first


def test_no_name_in_a_zip_leaves_the_folder(convert, tmp_path):
    linked = zipfile.ZipInfo('0.jpg')
    linked.external_attr = (stat.S_IFLNK | 0o777) << 16
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        archive.writestr('../../../1.jpg', jpeg(1))
        archive.writestr(f'{tmp_path}/2.jpg', jpeg(2))
        archive.writestr('..\\..\\3.jpg', jpeg(3))
        archive.writestr('C:\\4.jpg', jpeg(4))
        archive.writestr('../train_list.txt', b'')
        archive.writestr('../.bashrc', b'')
        archive.writestr(linked, b'/etc/passwd')
    (tmp_path / 'faces').mkdir()
    (tmp_path / 'faces/faces.zip').write_bytes(content.getvalue())
    out = tmp_path / 'faces/deep/out'
    convert('celeba_hq', 'faces/faces.zip', '--out', out, *SMALL)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['faces']
    assert sorted(p.name for p in (tmp_path / 'faces').iterdir()) == ['deep', 'faces.zip']
    assert [p.name for p in out.parent.iterdir()] == ['out']
    names = ['checked.tsv', 'left_out.txt', 'pictures', 'train_list.txt', 'val_list.txt']
    assert sorted(p.name for p in out.iterdir()) == names
    pictures = sorted(p.name for p in (out / 'pictures').iterdir())
    assert pictures == [f'{i}.jpg' for i in range(5)]
    assert not any(p.is_symlink() for p in out.rglob('*'))
    assert (out / 'left_out.txt').read_text() == (
        'pictures/0.jpg: unreadable: not an image, or a truncated one\n'
    )


def test_a_zip_that_is_damaged_or_too_large_is_refused(refused):
    entries = {f'{i}.jpg': jpeg(i) for i in range(3)}
    bomb = {**entries, '3.jpg': bytes(2**25 + 1)}
    path = pack_zip(Path('bomb.zip'), bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    assert '3.jpg in bomb.zip has 33,554,433 bytes, expected at most' in refused('celeba_hq', path)
    path = pack_zip(Path('twice.zip'), {'256/1.jpg': jpeg(1), '512/1.jpg': jpeg(1)})
    assert 'twice.zip has two files 1.jpg' in refused('celeba_hq', path)
    whole = pack_zip(Path('whole.zip'), entries).read_bytes()
    Path('cut.zip').write_bytes(whole[:-100])
    assert refused('celeba_hq', 'cut.zip').startswith('error: cannot unpack cut.zip (')
    encrypted = bytearray(whole)
    for header, flags in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
        encrypted[whole.index(header) + flags] |= 1
    Path('encrypted.zip').write_bytes(encrypted)
    assert 'cannot unpack encrypted.zip (' in refused('celeba_hq', 'encrypted.zip')
    flipped = bytearray(whole)
    flipped[whole.index(jpeg(0)) + 100] ^= 255
    Path('flipped.zip').write_bytes(flipped)
    assert 'Bad CRC-32' in refused('celeba_hq', 'flipped.zip')


def test_a_zip_does_not_write_over_files_nor_through_a_link(convert, refused):
    archive = pack_zip(Path('faces.zip'), {f'{i}.jpg': jpeg(i) for i in range(3)})
    folder = Path('data/celeba_hq/pictures')
    put_text(folder / '0.jpg', ['mine'])
    assert '0.jpg is there and another file' in refused('celeba_hq', archive)
    Path('mine').mkdir()
    (folder / '0.jpg').unlink()
    folder.rmdir()
    folder.symlink_to(Path('mine').resolve())
    assert 'pictures is a link' in refused('celeba_hq', archive)
    assert not any(Path('mine').iterdir())


def own(root: Path, count: int) -> list[str]:
    names = [f'{i % 3}/nested {i % 2}/é{i}.jpg' for i in range(count)]
    for i, name in enumerate(names):
        put(root / name, i % 5, 20, 22)
    return names


def test_a_folder_is_split_at_random_by_names_share_and_seed_alone(convert):
    names = [f'pictures/{name}' for name in own(Path('photos'), 60)]

    def split(*options) -> tuple[set, set]:
        convert('folder', 'photos', '--min-size', 20, *options)
        train, val = map(set, lists('data/my_pictures'))
        assert sorted([*train, *val]) == sorted(names)
        return train, val

    for share, count in ((0.05, 3), (0.2, 12), (0.5, 30)):
        assert len(split('--val', share)[1]) == count
    train, val = split('--val', 0.2)
    assert not any(Path('photos').glob('*.txt'))
    assert split('--val', 0.2) == (train, val)
    assert len(split('--val', 0.2, '--seed', 1)[1] & val) < 6
    # Nor does it depend on where the folder is, or on what is in the pictures.
    Path('photos').rename('elsewhere')
    Path('data/my_pictures/pictures').unlink()
    own(Path('photos'), 60)
    put(Path('photos') / names[0].removeprefix('pictures/'), 9, 20, 22)
    assert split('--val', 0.2) == (train, val)
    # One picture fewer moves one other at most.
    for gone in (min(val), min(train)):
        Path('data/my_pictures', gone).unlink()
        names.remove(gone)
        before, (train, val) = val, split('--val', 0.2)
        assert len((before ^ val) - {gone}) <= 1


@pytest.mark.parametrize('share', [1e-9, 1 - 1e-9])
def test_each_list_of_a_small_folder_has_a_picture(share, convert):
    own(Path('photos'), 4)
    convert('folder', 'photos', '--min-size', 20, '--val', share)
    assert sorted(map(len, lists('data/my_pictures'))) == [1, 3]


def test_lists_go_into_the_folder_of_pictures_only_if_asked(convert):
    own(Path('photos'), 4)
    convert('folder', 'photos', '--min-size', 20, '--out', 'photos')
    assert set().union(*lists('photos')) == {
        path.relative_to('photos').as_posix() for path in Path('photos').rglob('*.jpg')
    }
    assert not Path('photos/pictures').exists()


def test_files_that_a_list_cannot_name_or_that_are_no_files_are_left_out(convert):
    own(Path('photos'), 4)
    put(Path('photos/line\nbreak.png'))
    put(Path('photos/ blank.png'))
    put(Path('photos/plain.png')).rename(os.fsdecode(b'photos/\xff.png'))
    os.mkfifo('photos/waits.png')
    convert('folder', 'photos', '--min-size', 20, '--out', 'photos')
    assert sum(map(len, lists('photos'))) == 4
    reason = "': unusable name: rename it, a line of a list cannot hold it"
    assert Path('photos/left_out.txt').read_text().splitlines() == [
        f"' blank.png{reason}",
        f"'line\\nbreak.png{reason}",
        'waits.png: unreadable: not a file',
        f"'\\udcff.png{reason}",
    ]


def test_pictures_of_rare_kinds_are_listed_where_they_are_read_and_left_out_where_not(convert):
    own(Path('photos'), 4)
    for name in ('rare.jfif', 'rare.JPE', 'rare.gif', 'rare.ppm', 'rare.jp2'):
        suffix = {'jfif': 'jpg', 'JPE': 'jpg'}.get(name.split('.')[1], name.split('.')[1])
        put(Path(f'photos/now.{suffix}')).rename(Path('photos') / name)
    for name in ('phone.HEIC', 'camera.cr2', 'drawing.svg', 'notes.txt'):
        Path('photos', name).write_bytes(b'none that OpenCV knows')
    convert('folder', 'photos', '--min-size', 20, '--out', 'photos')
    listed = [name for names in lists('photos') for name in names]
    assert {name for name in listed if 'rare' in name} == {
        f'rare.{suffix}' for suffix in ('jfif', 'JPE', 'gif', 'ppm', 'jp2')
    }
    reason = 'unreadable: a kind of picture that is not read, save it as JPEG or PNG'
    assert sorted(Path('photos/left_out.txt').read_text().splitlines()) == [
        f'{name}: {reason}' for name in ('camera.cr2', 'drawing.svg', 'phone.HEIC')
    ]
    (train, _), pipeline = lists('photos'), [dict(type='LoadImageFromFile')]
    dataset = ImageDataset(pipeline, data_root='photos', ann_file='train_list.txt', test_mode=True)
    assert [picture['name'] for picture in dataset] == train


def test_a_folder_of_links_to_pictures_is_split(convert):
    own(Path('disk/photos'), 4)
    Path('photos').mkdir()
    Path('photos/linked').symlink_to(Path('disk/photos').resolve())
    Path('disk/photos/circle').symlink_to(Path('photos').resolve())
    convert('folder', 'photos', '--min-size', 20, '--out', 'photos')
    assert sorted(name for names in lists('photos') for name in names) == sorted(
        f'linked/{path.relative_to("disk/photos")}' for path in Path('disk/photos').rglob('*.jpg')
    )


def test_a_folder_that_cannot_be_split_is_refused(refused):
    put(Path('photos/1.jpg'))
    assert 'one picture in photos' in refused('folder', 'photos')
    put(Path('photos/2.jpg'))
    for share in (0, 1, 'nan'):
        assert 'expected --val between 0 and 1' in refused('folder', 'photos', '--val', share)
    Path('file').write_text('')
    line = refused('folder', 'photos', '--out', 'file/out')
    assert line == 'error: cannot make the folder file/out: Not a directory'


def datasets(name: str, root: Path, **options) -> list[ImageDataset]:
    cfg = shrink(load_config(CONFIGS / f'{name}.py'), root)
    loaders = (cfg.train_dataloader, cfg.val_dataloader)
    return [DATASETS.build({**loader.dataset, **options}) for loader in loaders]


@pytest.mark.parametrize(
    ('converter', 'config'),
    [
        ('places365', 'gl_256x256_8x12_places'),
        ('celeba_hq', 'gl_256x256_8x12_celeba'),
        ('folder', 'gl_256x256_folder'),
    ],
)
def test_a_configuration_reads_the_lists_and_the_database_of_its_converter(
    converter, config, convert
):
    source = places(Path('source'))
    faces(Path('source'), '{:05d}.jpg', range(1, 31))
    said = convert(converter, source, '--lmdb', 'data/new.lmdb', *SMALL)
    out = load_config(CONFIGS / f'{config}.py').train_dataloader.dataset.data_root
    read = datasets(config, Path(out))
    assert [len(dataset) for dataset in read] == list(map(len, lists(out)))
    assert f'\n{sum(map(len, read))} pictures are in data/new.lmdb\n' in said
    backend_args = dict(backend='lmdb', db_path='data/new.lmdb')
    for files_of, packed in zip(read, datasets(config, Path(out), backend_args=backend_args)):
        for i in range(len(files_of)):
            sample = files_of[i]
            assert sample['gt_img'].shape == (64, 64, 3)
            assert sample['skipped'] == ''
            assert torch.equal(sample['gt_img'], packed[i]['gt_img'])
            assert torch.equal(sample['mask'], packed[i]['mask'])


def test_a_database_that_cannot_be_made_is_refused_before_a_picture_is_read(convert, refused):
    own(Path('photos'), 4)
    assert 'at most 511 characters of ASCII' in refused('folder', 'photos', '--lmdb', 'new.lmdb')
    Path('there.lmdb').mkdir()
    assert 'there.lmdb exists' in refused('folder', 'photos', '--lmdb', 'there.lmdb')
    assert not Path('data/my_pictures/checked.tsv').exists()


def test_the_official_lists_of_places_are_read_as_they_are(tmp_path):
    root = places(tmp_path)
    options = {
        f'{mode}_dataloader.dataset.{key}': value
        for mode, key, value in [
            ('train', 'ann_file', 'places365_train_standard.txt'),
            ('train', 'data_prefix.img', 'data_large'),
            ('val', 'ann_file', 'places365_val.txt'),
            ('val', 'data_prefix.img', 'val_large'),
        ]
    }
    cfg = load_config(CONFIGS / 'gl_256x256_8x12_places.py', options)
    cfg = shrink(cfg, root)
    train, val = (
        DATASETS.build(loader.dataset) for loader in (cfg.train_dataloader, cfg.val_dataloader)
    )
    assert (len(train), len(val)) == (6, 3)
    path = root / 'data_large/s/swimming_pool/indoor/00005001.jpg'
    assert train[5]['img_path'] == str(path)
    assert val[0]['img_path'] == str(root / 'val_large/Places365_val_00000001.jpg')


@pytest.mark.parametrize('name', ['gl_256x256_8x12_celeba', 'gl_256x256_8x12_places'])
def test_pictures_of_256_are_taken_whole_and_larger_ones_cropped_as_published(name, tmp_path):
    for i, size in enumerate((256, 512, 1024)):
        put(tmp_path / f'{size}.png', i, size, size)
    put_text(tmp_path / 'val_list.txt', ['256.png', '512.png', '1024.png'])
    dataset = load_config(CONFIGS / f'{name}.py').val_dataloader.dataset
    dataset = DATASETS.build({**dataset, 'data_root': str(tmp_path)})
    assert np.array_equal(dataset[0]['gt_img'], cv2.imread(str(tmp_path / '256.png')))
    for i, size in ((1, 512), (2, 1024)):
        top, left = np.random.default_rng((0, i)).integers(size - 384 + 1, size=2)
        img = cv2.imread(str(tmp_path / f'{size}.png'))
        crop = cv2.resize(img[top : top + 384, left : left + 384], (256, 256))
        assert np.array_equal(dataset[i]['gt_img'], crop)


@pytest.mark.parametrize('name', ['places365', 'celeba_hq', 'folder'])
def test_converters_run_as_commands_and_tell_their_options(name, tmp_path):
    done = run_tool(f'dataset_converters/{name}.py', '--help', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for option in ('--out', '--min-size', '--workers', '--lmdb'):
        assert option in done.stdout
