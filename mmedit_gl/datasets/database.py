"""An LMDB database in place of a folder of pictures."""

import os
from pathlib import Path
from types import ModuleType

import mmengine.fileio

from mmedit_gl.errors import ImageError, UserError

NAMES = 'names.txt'

# LMDB opens a database once a process, and must not go through a fork: mmengine keeps what it has
# opened here, and opens it again at the next reading.
_opened = mmengine.fileio.io.backend_instances
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(before=_opened.clear)


def import_lmdb() -> ModuleType:
    """Raises `UserError` if lmdb is not installed."""
    try:
        import lmdb
    except ImportError:
        raise UserError(
            'databases of pictures are read and written by lmdb: pip install lmdb'
        ) from None
    return lmdb


def check_database(backend_args: dict) -> None:
    """Raises `UserError` if there is no whole database at `db_path`."""
    path = backend_args.get('db_path') if isinstance(backend_args, dict) else None
    if not isinstance(path, (str, Path)) or backend_args != dict(backend='lmdb', db_path=path):
        raise UserError(
            "ImageDataset: expected backend_args=dict(backend='lmdb', db_path=...), "
            f'got {backend_args}'
        )
    lmdb, path = import_lmdb(), Path(path)
    _opened.clear()
    try:
        with lmdb.open(str(path), readonly=True, lock=False) as database:
            size = (database.info()['last_pgno'] + 1) * database.stat()['psize']
    except lmdb.Error as error:
        raise UserError(
            f'cannot open the database {path} ({error}): '
            'tools/dataset_converters/pack_lmdb.py makes one of a folder'
        ) from None
    # Reading beyond the end of the file would kill the process.
    if (path / 'data.mdb').stat().st_size < size:
        raise UserError(f'the database {path} is truncated: copy or pack it again')


def read_entry(key: str, backend_args: dict) -> bytes:
    """Raises `ImageError` if the database does not have it."""
    lmdb = import_lmdb()
    try:
        content = mmengine.fileio.get(key, backend_args)
    except (lmdb.Error, UnicodeEncodeError) as error:
        raise ImageError(f'cannot read {key} in {backend_args["db_path"]}: {error}') from None
    if content is None:
        raise ImageError(f'cannot read {key}: it is not in the database {backend_args["db_path"]}')
    return content
