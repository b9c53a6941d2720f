"""Check the pictures of CelebA-HQ and list them as CelebA's official partition splits them."""

import argparse
import re
import shutil
import zipfile
import zlib
from pathlib import Path

from mmedit_gl.datasets.names import RARE_SUFFIXES, SUFFIXES, Names
from mmedit_gl.datasets.preparation import (
    PICTURES,
    add_options,
    file_errors,
    find_file,
    link,
    prepare,
    scan,
)
from mmedit_gl.datasets.progress import progress_bar
from mmedit_gl.errors import UserError, one_sentence_errors, reason
from mmedit_gl.files import make_folder, whole

PARTITION, MAPPING = 'list_eval_partition.txt', 'CelebA-HQ-to-CelebA-mapping.txt'
LISTS = ('train_list.txt', 'val_list.txt', 'test_list.txt')
COUNT = 30_000  # pictures of CelebA-HQ, numbered from 0 or from 1
MAX_BYTES = 2**25  # of one file in an archive; a picture of 1024x1024 has at most 6 MiB


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'source',
        type=Path,
        help=f'a folder or zip file of pictures named by their numbers; {PARTITION} of CelebA and '
        f'{MAPPING} of CelebAMask-HQ are looked for in it, beside a zip file and in --out',
    )
    add_options(parser, out='data/celeba_hq')
    return parser.parse_args()


def number(name: str) -> int | None:
    """Of a picture as CelebA-HQ's are named: 1.jpg, 00001.png, imgHQ00001.png."""
    path = Path(name)
    found = re.fullmatch(r'(?:imgHQ)?([0-9]{1,6})', path.stem)
    return int(found[1]) if found and path.suffix.lower() in SUFFIXES + RARE_SUFFIXES else None


def unpack(archive: Path, folder: Path) -> None:
    """The pictures and lists of a zip file, without its folders, to `folder`.

    A name is taken from the archive's only where it is a picture's or a list's, and nothing of its
    path: no file comes to lie elsewhere. Raises `UserError` for an archive that is damaged or whose
    files are too large, and for a file that is there already and another one.
    """
    if folder.is_symlink():
        raise UserError(f'{folder} is a link: name another place for the pictures by --out')
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = {}
            for entry in opened.infolist():
                name = re.split(r'[/\\]', entry.filename)[-1]
                if number(name) is None and name not in (PARTITION, MAPPING):
                    continue
                if name in entries:
                    raise UserError(f'{archive} has two files {name}: unpack it, and name a folder')
                if entry.file_size > MAX_BYTES:
                    raise UserError(
                        f'{name} in {archive} has {entry.file_size:,} bytes, expected at most '
                        f'{MAX_BYTES:,}: this is no archive of CelebA-HQ'
                    )
                entries[name] = entry
            make_folder(folder)
            size = sum(entry.file_size for entry in entries.values())
            free = shutil.disk_usage(folder).free
            if size > free:
                raise UserError(
                    f'the pictures in {archive} have {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB '
                    f'are free in {folder}: name a place on a larger disk by --out'
                )
            with progress_bar() as progress:
                for name, entry in progress.track(entries.items(), description='Unpacking'):
                    unpack_entry(opened, entry, folder / name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f'cannot unpack {archive} ({reason(error)}): is it a whole zip file?'
        ) from None


def unpack_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    if path.exists():
        if path.stat().st_size != entry.file_size:
            raise UserError(f'{path} is there and another file: name another place by --out')
        return
    with whole(path) as part, archive.open(entry) as packed, part.open('wb') as unpacked:
        shutil.copyfileobj(packed, unpacked)


def read_table(path: Path, line: str) -> list[tuple[str, str]]:
    """The two fields of each line that a pattern finds; what begins with no digit is a header."""
    lines = path.read_text(encoding='utf-8-sig', errors='replace').splitlines()
    rows = [re.fullmatch(line, text.strip()) for text in lines if text[:1].isdigit()]
    if not rows or None in rows:
        raise UserError(f'{path} is not the one of CelebA: expected lines as {line}')
    return [row.groups() for row in rows]


def originals(numbers: list[int], mapping: Path | None) -> dict[int, str]:
    """Which picture of CelebA each picture of CelebA-HQ was made of."""
    rows = read_table(mapping, r'(\d+)\s+\d+\s+(\d{6}\.jpg)') if mapping else []
    names = {int(index): name for index, name in rows}
    count = len(names) or COUNT
    if max(numbers) > count:
        return {i: f'{i:06d}.jpg' for i in numbers}  # they have kept CelebA's numbers
    if not mapping:
        return {}
    if (0 in numbers) == (count in numbers):
        raise UserError(
            f'pictures of CelebA-HQ are numbered from 0 or from 1, and with {min(numbers)} to '
            f'{max(numbers)} of {count:,} it cannot be told which: add picture 0 or {count:,}, or '
            f'move {mapping} away for a split by number'
        )
    shift = 0 if 0 in numbers else 1
    return {i: names.get(i - shift, '') for i in numbers}


def split(numbers: list[int], partition: Path | None, mapping: Path | None) -> dict[int, int]:
    """0, 1 or 2 for each number: training, validation or test; prints by what rule."""
    names = originals(numbers, mapping) if partition else {}
    if not names:
        last = max(1, len(numbers) // 15)
        missing = [
            name for name, found in ((PARTITION, partition), (MAPPING, mapping)) if not found
        ]
        print(
            f'No {" and no ".join(missing)}: the last {last:,} of {len(numbers):,} pictures by '
            'number are for validation, not those of CelebA'
        )
        return {i: int(rank >= len(numbers) - last) for rank, i in enumerate(numbers)}
    rows = read_table(partition, r'(\d{6}\.jpg)\s+([012])')
    parts = {name: int(part) for name, part in rows}
    for i, name in names.items():
        if name not in parts:
            raise UserError(f'picture {i} is {name or "none"} of CelebA, which {partition} lacks')
    print(f"Split by CelebA's official partition, {partition}")
    return {i: parts[name] for i, name in names.items()}


def main() -> None:
    args = parse_args()
    folders = [args.source, args.out, args.out / PICTURES]
    source = args.source
    if source.is_file():
        folders[0], source = source.parent, args.out / PICTURES
        unpack(args.source, source)
    names = {}
    for name in scan(source, suffixes=SUFFIXES + RARE_SUFFIXES):
        i = number(name)
        if i is None:
            continue
        if i in names:
            raise UserError(
                f'{source / names[i]} and {source / name} have one number: name the folder of one '
                'size of pictures'
            )
        names[i] = name
    if len(names) < 2:
        raise UserError(
            f'no pictures of CelebA-HQ in {source}: expected names such as 00001.jpg or 0.jpg; '
            'tools/dataset_converters/folder.py takes others'
        )
    numbers = sorted(names)
    parts = split(numbers, *(find_file(name, *folders) for name in (PARTITION, MAPPING)))
    prefix = link(source, args.out)
    lists = {}
    for part, list_name in enumerate(LISTS):
        listed = Names(names[i] for i in numbers if parts[i] == part)
        if listed or list_name != 'test_list.txt':
            lists[list_name] = listed.below(prefix)
    prepare(lists, args)


if __name__ == '__main__':
    with one_sentence_errors(), file_errors():
        main()
