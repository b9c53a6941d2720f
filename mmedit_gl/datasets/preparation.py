"""Lists and databases of pictures that can be used: what tools/dataset_converters share."""

import argparse
import os
import posixpath
import re
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from multiprocessing.pool import ThreadPool
from pathlib import Path

from rich.progress import MofNCompleteColumn, Progress

from mmedit_gl.datasets.database import NAMES, import_lmdb
from mmedit_gl.datasets.image_dataset import read_image, read_list
from mmedit_gl.errors import ImageError, UserError

PICTURES, CHECKED, LEFT_OUT = 'pictures', 'checked.tsv', 'left_out.txt'
# Of a file, its size in bytes and time of change in ns, height x width of a picture, and its name.
CHECKED_LINE = re.compile(r'([0-9]+ [0-9]+)\t([0-9]+x[0-9]+|list)\t(.+)\n')
MAX_KEY_BYTES = 511


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
        raise UserError(f'cannot prepare the pictures: {error}') from None


def progress_bar() -> Progress:
    return Progress(*Progress.get_default_columns(), MofNCompleteColumn())


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
    out.mkdir(parents=True, exist_ok=True)
    if source.samefile(out):
        return ''
    place = out / PICTURES
    if place.is_symlink() or place.exists():
        if not (place.exists() and place.samefile(source)):
            raise UserError(f'{place} is there and is not {source}: name another place by --out')
    else:
        place.symlink_to(source.resolve(), target_is_directory=True)
    return f'{PICTURES}/'


def prepare(lists: dict[str, list[str]], args: argparse.Namespace) -> None:
    """Write to `args.out` what of `lists`, file name to pictures below it, can be used.

    Pictures that are missing, unreadable or too small are named in left_out.txt instead.
    checked.tsv holds what was read: a picture whose size and time of change are the same is not
    read again, and a list that is as it was written may be written again. Raises `UserError` for
    a list of that name which is not of this function, and if nothing is left of one.
    """
    if args.min_size < 1 or args.workers < 1:
        raise UserError('expected --min-size and --workers of at least 1')
    names = list(dict.fromkeys(chain(*lists.values())))
    if args.lmdb:
        refuse_database(args.lmdb, names)
    known, written = _read_checked(args.out / CHECKED)
    for list_name in (*lists, LEFT_OUT):
        path = args.out / list_name
        if path.exists() and (list_name, _stamp(path.stat())) not in written:
            raise UserError(
                f'{path} is there and not as this tool wrote it: move it away, or name another '
                'place by --out'
            )
    reasons = _check(names, known, args)
    with _append(args.out / CHECKED) as checked:
        left_out = ((n if _listable(n) else ascii(n), reason) for n, reason in reasons.items())
        _write(args.out / LEFT_OUT, [': '.join(pair) for pair in left_out], checked)
        kept = {
            list_name: [name for name in listed if name not in reasons]
            for list_name, listed in lists.items()
        }
        for list_name, listed in kept.items():
            if not listed:
                raise UserError(
                    f'none of the {len(lists[list_name]):,} pictures for {list_name} can be used: '
                    f'{args.out / LEFT_OUT} says why of each'
                )
        for list_name, listed in kept.items():
            _write(args.out / list_name, listed, checked)
            print(f'{args.out / list_name}: {len(listed):,} of {len(lists[list_name]):,} pictures')
    if reasons:
        kinds = Counter(reason.partition(':')[0] for reason in reasons.values())
        counts = ', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())
        print(f'{args.out / LEFT_OUT}: {counts}')
    if args.lmdb:
        names = [name for name in names if name not in reasons]
        pack([args.out / name for name in names], names, args.lmdb)


def _check(names: list[str], known: dict[str, str], args: argparse.Namespace) -> dict[str, str]:
    def look(name: str) -> tuple[str, str]:
        if not _listable(name):
            return '', 'unusable name: rename it, a line of a list cannot hold it'
        return _look(args.out / name, known.get(name, ''))

    reasons = {}
    with (
        ThreadPool(args.workers) as pool,
        _append(args.out / CHECKED) as checked,
        _quiet_decoders(),
        progress_bar() as progress,
    ):
        results = zip(names, pool.imap(look, names, chunksize=16))
        for name, (stamp, result) in progress.track(results, len(names), description='Checking'):
            if not stamp:
                reasons[name] = result
                continue
            if known.get(name) != f'{stamp}\t{result}':
                checked.write(f'{stamp}\t{result}\t{name}\n')
            if min(map(int, result.split('x'))) < args.min_size:
                reasons[name] = f'too small: {result} pixels'
    return reasons


def _look(path: Path, known: str) -> tuple[str, str]:
    """The file's stamp and height x width of the picture, or '' and why it cannot be used."""
    try:
        status = path.stat()
    except OSError as error:
        return '', f'missing: {error.strerror}'
    stamp, _, result = known.partition('\t')
    if stamp == _stamp(status):
        return stamp, result
    if not stat.S_ISREG(status.st_mode):
        return '', 'unreadable: not a file'
    try:
        height, width = read_image(str(path)).shape[:2]
    except ImageError as error:
        return '', str(error).replace(f'cannot read {path}', 'unreadable', 1)
    return _stamp(status), f'{height}x{width}'


def _listable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.splitlines() == [name] and name.strip() == name


def _stamp(status: os.stat_result) -> str:
    return f'{status.st_size} {status.st_mtime_ns}'


def _read_checked(path: Path) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """What was found of each picture, and the lists that were written, with their stamps."""
    known, written = {}, set()
    if path.exists():
        with path.open(encoding='utf-8', errors='replace', newline='\n') as file:
            for line in file:
                found = CHECKED_LINE.fullmatch(line)
                if not found:
                    continue  # of a run that was killed
                stamp, result, name = found.groups()
                if result == 'list':
                    written.add((name, stamp))
                else:
                    known[name] = f'{stamp}\t{result}'
    return known, written


@contextmanager
def _append(path: Path) -> Iterator:
    with path.open('a', encoding='utf-8', newline='\n') as file:
        if file.tell():
            file.write('\n')  # ends a line that a killed run has begun
        yield file


def _write(path: Path, lines: list[str], checked) -> None:
    beside = path.with_name(f'{path.name}.part')
    beside.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8', newline='\n')
    checked.write(f'{_stamp(beside.stat())}\tlist\t{path.name}\n')
    checked.flush()
    beside.replace(path)


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """libjpeg and libpng write to stderr, through the progress bar, and name no file."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def refuse_database(database: Path, names: list[str]) -> None:
    """Raises `UserError` if the database exists, or one of the names cannot be a key of it."""
    import_lmdb()
    if database.exists():
        raise UserError(f'{database} exists: name a new place, or delete it')
    for name in names:
        if not name.isascii() or len(name) > MAX_KEY_BYTES:
            raise UserError(
                f'{name} cannot be a key of an LMDB database: rename it to at most '
                f'{MAX_KEY_BYTES} characters of ASCII'
            )


def pack(paths: list[Path], names: list[str], database: Path) -> None:
    """Write the files, as they are, under their names to a new database, all of them or nothing.

    Raises `UserError` for what `refuse_database` refuses, and if it cannot be written to its end.
    """
    lmdb, names = import_lmdb(), [posixpath.normpath(name) for name in names]
    refuse_database(database, names)
    beside = database.with_name(f'{database.name}.part')
    shutil.rmtree(beside, ignore_errors=True)  # of a packing that was killed
    try:
        _pack(paths, names, beside)
        beside.rename(database)
    except OSError as error:
        raise UserError(f'cannot pack the pictures into {database}: {error}') from None
    except lmdb.Error as error:
        raise UserError(f'cannot write {database} ({error}): is the disk full?') from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print(f'{len(names)} pictures are in {database}')


def _pack(paths: list[Path], names: list[str], database: Path) -> None:
    lmdb = import_lmdb()
    database.mkdir(parents=True)
    list_file = database / NAMES
    list_file.write_text(''.join(f'{name}\n' for name in names), encoding='utf-8')
    for name, read in zip(names, read_list(list_file)):
        if name != read:
            raise UserError(
                f'{name!r} cannot stand in a list file, which gives {read!r}: rename it'
            )
    size, free = sum(path.stat().st_size for path in paths), shutil.disk_usage(database).free
    if size > free:
        raise UserError(
            f'the pictures have {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free beside '
            f'{database}: name a place on a larger disk'
        )
    # A bound of what the file can grow to: LMDB rounds each picture up to pages of 4 KiB.
    map_size = 2 * size + 2**14 * len(paths) + 2**24
    with (
        lmdb.open(str(database), map_size=map_size, lock=False, sync=False) as env,
        progress_bar() as progress,
    ):
        for name, path in progress.track(list(zip(names, paths)), description='Packing'):
            with env.begin(write=True) as transaction:
                transaction.put(name.encode(), path.read_bytes())
        env.sync(True)
