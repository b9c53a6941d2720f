"""Pack the pictures of a folder, as they are, into an LMDB database: one file for millions."""

import argparse
import posixpath
import shutil
from pathlib import Path

from rich.progress import MofNCompleteColumn, Progress

from mmedit_gl.datasets.database import NAMES, import_lmdb
from mmedit_gl.datasets.image_dataset import find_pictures, read_list
from mmedit_gl.errors import UserError, one_sentence_errors

MAX_KEY_BYTES = 511


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='what data_root of the configuration names')
    parser.add_argument('database', type=Path, help='the folder to make, e.g. data/places365.lmdb')
    parser.add_argument(
        '--ann-file',
        default='',
        metavar='LIST',
        help='pack what this file names, one path relative to FOLDER a line, and nothing else',
    )
    return parser.parse_args()


def pack(paths: list[Path], names: list[str], database: Path) -> None:
    """Write the files and their names, `names.txt`, to a new folder `database`."""
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
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    # A bound of what the file can grow to: LMDB rounds each picture up to pages of 4 KiB.
    map_size = 2 * size + 2**14 * len(paths) + 2**24
    with (
        lmdb.open(str(database), map_size=map_size, lock=False, sync=False) as env,
        Progress(*columns) as progress,
    ):
        for name, path in progress.track(list(zip(names, paths)), description='Packing'):
            with env.begin(write=True) as transaction:
                transaction.put(name.encode(), path.read_bytes())
        env.sync(True)


def main() -> None:
    args = parse_args()
    lmdb = import_lmdb()
    if args.database.exists():
        raise UserError(f'{args.database} exists: name a new place, or delete it')
    paths = find_pictures(args.folder, args.ann_file)
    names = [posixpath.normpath(path.relative_to(args.folder).as_posix()) for path in paths]
    for name in names:
        if not name.isascii() or len(name) > MAX_KEY_BYTES:
            raise UserError(
                f'{name} cannot be a key of an LMDB database: rename it to at most '
                f'{MAX_KEY_BYTES} characters of ASCII'
            )
    beside = args.database.with_name(f'{args.database.name}.part')
    shutil.rmtree(beside, ignore_errors=True)  # of a packing that was killed
    try:
        pack(paths, names, beside)
        beside.rename(args.database)
    except OSError as error:
        raise UserError(f'cannot pack {args.folder} into {args.database}: {error}') from None
    except lmdb.Error as error:
        raise UserError(f'cannot write {args.database} ({error}): is the disk full?') from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print(f'{len(names)} pictures are in {args.database}')


if __name__ == '__main__':
    with one_sentence_errors():
        main()
