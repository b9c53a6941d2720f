"""Pack the pictures of a folder, as they are, into an LMDB database: one file for millions."""

import argparse
from pathlib import Path

from mmedit_gl.datasets.packing import pack, refuse_database
from mmedit_gl.datasets.preparation import each_once, scan
from mmedit_gl.errors import one_sentence_errors


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


def main() -> None:
    args = parse_args()
    refuse_database(args.database, [])
    names = scan(args.folder, args.ann_file)
    if args.ann_file:
        names = each_once(names, args.ann_file)
    pack(args.folder, names, args.database)


if __name__ == '__main__':
    with one_sentence_errors():
        main()
