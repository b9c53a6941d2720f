"""Lists and databases of pictures that can be used: what tools/dataset_converters share."""

import argparse
import os
import posixpath
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, compress
from pathlib import Path
from typing import TextIO

import numpy as np

from mmedit_gl.datasets.checking import Known, check, stamp
from mmedit_gl.datasets.names import SUFFIXES, Names, find_pictures, read_back
from mmedit_gl.datasets.packing import pack, refuse_database
from mmedit_gl.datasets.progress import progress_bar
from mmedit_gl.errors import UserError, in_words
from mmedit_gl.files import make_folder, whole

PICTURES, CHECKED, LEFT_OUT = 'pictures', 'checked.tsv', 'left_out.txt'


def add_options(parser: argparse.ArgumentParser, out: str) -> None:
    """What every converter takes beside its source; `out` is the configuration's data_root."""
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(out),
        help=f'where the lists go, data_root of the configuration (default: {out}); pictures that '
        f'are elsewhere are linked there as {PICTURES}',
    )
    parser.add_argument(
        '--min-size',
        type=int,
        default=256,
        metavar='PIXELS',
        help='leave out pictures with a shorter edge below this (default: 256)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count(),
        metavar='N',
        help='files that are read at once (default: one a core)',
    )
    parser.add_argument(
        '--lmdb', type=Path, metavar='DATABASE', help='pack the listed pictures into this new one'
    )


@contextmanager
def file_errors() -> Iterator[None]:
    """Raises `UserError` where a folder or file cannot be made, read or written."""
    try:
        yield
    except OSError as error:
        raise UserError(f'cannot prepare the pictures: {in_words(error)}') from None


def find_file(name: str, *folders: Path) -> Path | None:
    """The file of that name in one of the folders or in a folder therein, as archives unpack it."""
    for folder in folders:
        for path in (folder / name, *sorted(folder.glob(f'*/{name}'))):
            if path.is_file():
                return path
    return None


def link(source: Path, out: Path) -> str:
    """How lists in `out` begin the names of the pictures in the folder `source`: '' or 'pictures/'.

    Raises `UserError` if `source` is no folder, or `out / 'pictures'` another one.
    """
    if not source.is_dir():
        raise UserError(f'no folder {source}: the pictures are expected there')
    make_folder(out)
    if source.samefile(out):
        return ''
    place = out / PICTURES
    if place.is_symlink() or place.exists():
        if not (place.exists() and place.samefile(source)):
            raise UserError(f'{place} is there and is not {source}: name another place by --out')
    else:
        place.symlink_to(source.resolve(), target_is_directory=True)
    return f'{PICTURES}/'


def scan(folder: Path, list_file: str = '', suffixes: tuple[str, ...] = SUFFIXES) -> Names:
    """`find_pictures`, with its progress."""
    with progress_bar() as progress:
        track = partial(progress.track, description='Scanning')
        return find_pictures(folder, list_file, track, suffixes)


def each_once(names: Names, list_file: str | Path) -> Names:
    """The names of a list without those that stand further up; prints how many these are."""
    # Of millions the hashes alone are in memory, and what has the hash of another one.
    hashes = np.fromiter((hash(posixpath.normpath(name)) for name in names), np.int64, len(names))
    values, counts = np.unique(hashes, return_counts=True)
    if len(values) == len(names):
        return names
    several, seen = set(values[counts > 1].tolist()), set()

    def is_first(name: str) -> bool:
        path = posixpath.normpath(name)
        if path in seen:
            return False
        if hash(path) in several:
            seen.add(path)
        return True

    once = Names(filter(is_first, names))
    again = len(names) - len(once)
    print(f'{list_file}: left out {again:,} of its lines, which name a picture again')
    return once


def prepare(lists: dict[str, Names], args: argparse.Namespace) -> None:
    """Write to `args.out` what of `lists`, file name to pictures below it, can be used.

    Pictures that are missing, unreadable or too small are named in left_out.txt instead.
    checked.tsv holds what was read: a picture whose size and time of change are the same is not
    read again, and a list that is as it was written may be written again. Raises `UserError` for
    a list of that name which is not of this function, and if nothing is left of one.
    """
    if args.min_size < 1 or args.workers < 1:
        raise UserError('expected --min-size and --workers of at least 1')
    if args.lmdb:
        refuse_database(args.lmdb, chain(*lists.values()))
    known = Known(args.out / CHECKED)
    for list_name in (*lists, LEFT_OUT):
        path = args.out / list_name
        if path.exists() and (list_name, stamp(path.stat())) not in known.lists:
            raise UserError(
                f'{path} is there and not as this tool wrote it: move it away, or name another '
                'place by --out'
            )
    with _append(args.out / CHECKED) as checked:
        numbers, reasons = check(lists, args.out, known, checked, args.min_size, args.workers)
        kinds = Counter()
        with _write(args.out / LEFT_OUT, checked) as left_out, progress_bar() as progress:
            for list_name, names in lists.items():
                if numbers[list_name].any():
                    names = progress.track(names, description=f'Writing {LEFT_OUT}')
                    whys = (reasons[i] for i in numbers[list_name] if i)
                    for name, reason in zip(compress(names, numbers[list_name]), whys):
                        name = name if read_back(name) == name else ascii(name)
                        left_out.write(f'{name}: {reason}\n')
                        kinds[reason.partition(':')[0]] += 1
        for list_name, names in lists.items():
            if numbers[list_name].all():
                raise UserError(
                    f'none of the {len(names):,} pictures for {list_name} can be used: '
                    f'{args.out / LEFT_OUT} says why of each'
                )
        for list_name, names in lists.items():
            usable = numbers[list_name] == 0
            with _write(args.out / list_name, checked) as file, progress_bar() as progress:
                names = progress.track(names, description=f'Writing {list_name}')
                file.writelines(f'{name}\n' for name in compress(names, usable))
            print(f'{args.out / list_name}: {usable.sum():,} of {len(usable):,} pictures')
    if kinds:
        counts = ', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())
        print(f'{args.out / LEFT_OUT}: {counts}')
    if args.lmdb:
        listed = (compress(names, numbers[list_name] == 0) for list_name, names in lists.items())
        pack(args.out, Names(chain.from_iterable(listed)), args.lmdb)


@contextmanager
def _append(path: Path) -> Iterator[TextIO]:
    with path.open('a', encoding='utf-8', newline='\n') as file:
        if file.tell():
            file.write('\n')  # ends a line that a killed run has begun
        yield file


@contextmanager
def _write(path: Path, checked: TextIO) -> Iterator[TextIO]:
    """A file that is at its place when it is whole, with a line in checked.tsv."""
    with whole(path) as part:
        with part.open('w', encoding='utf-8', newline='\n') as file:
            yield file
        checked.write(f'{stamp(part.stat())}\tlist\t{path.name}\n')
        checked.flush()
