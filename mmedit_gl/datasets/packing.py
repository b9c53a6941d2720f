"""Pictures of a folder become an LMDB database."""

import os
import posixpath
import shutil
from collections.abc import Iterable, Sequence
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np

from mmedit_gl.datasets.checking import opened
from mmedit_gl.datasets.database import NAMES, check_database, import_lmdb
from mmedit_gl.datasets.names import Names, read_back, read_lines
from mmedit_gl.datasets.progress import progress_bar
from mmedit_gl.errors import UserError, in_words
from mmedit_gl.files import make_folder

MAX_KEY_BYTES = 511
COMMIT_BYTES = 2**26  # what a packing that is stopped loses at most


def refuse_database(database: Path, names: Iterable[str]) -> None:
    """Raises `UserError` if the database is there or cannot be, or a name cannot be a key of it."""
    import_lmdb()
    if database.exists():
        raise UserError(f'{database} exists: name a new place, or delete it')
    for name in names:
        if not name.isascii() or len(name) > MAX_KEY_BYTES:
            raise UserError(
                f'{name} cannot be a key of an LMDB database: rename it to at most '
                f'{MAX_KEY_BYTES} characters of ASCII'
            )
    make_folder(database.parent)


def pack(folder: Path, names: Names, database: Path) -> None:
    """Write the files of a folder, as they are, under their names to a new database.

    It is at its place when it is whole. A packing that is stopped leaves it beside, and goes on
    there the next time, if the names and what is packed of the files are the same. Raises
    `UserError` for what `refuse_database` refuses, and, leaving nothing, if it cannot be written to
    its end.
    """
    lmdb = import_lmdb()
    refuse_database(database, names)
    beside = database.with_name(f'{database.name}.part')
    try:
        _pack(folder, names, beside)
        beside.rename(database)
    except (OSError, lmdb.Error, UserError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, UserError):
            raise
        if isinstance(error, lmdb.Error):
            raise UserError(f'cannot write {database} ({error}): is the disk full?') from None
        raise UserError(f'cannot pack the pictures into {database}: {in_words(error)}') from None
    print(f'{len(names)} pictures are in {database}')


def _pack(folder: Path, names: Names, database: Path) -> None:
    lmdb, list_file = import_lmdb(), database / NAMES
    listed, done = _left(database)
    began = list_file.stat().st_mtime_ns if done else 0
    sizes = np.zeros(len(names), np.int64)
    with opened(folder) as place, progress_bar() as progress:
        tracked = progress.track(names, description='Measuring')
        for i, (key, name) in enumerate(zip_longest(listed, tracked)):
            if name is None:
                done = 0
                break
            status = os.stat(name, dir_fd=place)
            sizes[i] = status.st_size
            # The other time of change can be set by who writes a file, this one cannot.
            if key != posixpath.normpath(name) or (i < done and status.st_ctime_ns >= began):
                done = 0
        if not done:
            shutil.rmtree(database, ignore_errors=True)
            database.mkdir(parents=True)
            with list_file.open('w', encoding='utf-8', newline='\n') as file:
                for name in progress.track(names, description='Naming'):
                    file.write(f'{_key(name)}\n')
        size, free = int(sizes[done:].sum()), shutil.disk_usage(database).free
        if size > free:
            raise UserError(
                f'the pictures have {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free beside '
                f'{database}: name a place on a larger disk'
            )
        # A bound of what the file can grow to: LMDB rounds each picture up to pages of 4 KiB.
        map_size = 2 * int(sizes.sum()) + 2**14 * len(names) + 2**24
        task = progress.add_task('Packing', total=len(names), completed=done)
        with lmdb.open(str(database), map_size=map_size, lock=False) as env:
            transaction, size = env.begin(write=True), 0
            for name in islice(names, done, None):
                content = Path(folder, name).read_bytes()
                transaction.put(posixpath.normpath(name).encode(), content)
                size += len(content)
                if size >= COMMIT_BYTES:
                    transaction.commit()
                    transaction, size = env.begin(write=True), 0
                progress.advance(task)
            transaction.commit()


def _left(database: Path) -> tuple[Sequence[str], int]:
    """Of a packing that was stopped the names, and how many of these, the first, it has packed."""
    try:
        check_database(dict(backend='lmdb', db_path=str(database)))
        listed = read_lines(database / NAMES)
    except UserError:
        return [], 0
    with import_lmdb().open(str(database), readonly=True, lock=False) as env:
        return listed, env.stat()['entries']


def _key(name: str) -> str:
    """Raises `UserError` for a name that a list file cannot hold."""
    key = posixpath.normpath(name)
    if read_back(key) != key:
        raise UserError(
            f'{key!r} cannot stand in a list file, which gives {read_back(key)!r}: rename it'
        )
    return key
