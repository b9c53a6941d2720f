"""Check the pictures of Places365 and list those that training and validation can use."""

import argparse
from pathlib import Path

from mmedit_gl.datasets.names import Names, read_list
from mmedit_gl.datasets.preparation import (
    add_options,
    each_once,
    file_errors,
    find_file,
    link,
    prepare,
)
from mmedit_gl.errors import UserError, one_sentence_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'source', type=Path, help='the folder in which the official archives were unpacked'
    )
    parser.add_argument(
        '--variant',
        choices=('standard', 'challenge'),
        default='standard',
        help='whose training pictures (default: standard)',
    )
    parser.add_argument(
        '--size',
        choices=('large', '256'),
        default='large',
        help='the high-resolution pictures, which the published numbers are for, or those of '
        '256x256 (default: large)',
    )
    add_options(parser, out='data/places365')
    return parser.parse_args()


def find(source: Path, folders: list[str], list_name: str, archive: str, devkit: str) -> Names:
    """The pictures of an official list, below `source`."""
    folder = next((name for name in folders if (source / name).is_dir()), None)
    if folder is None:
        raise UserError(
            f'no folder {folders[0]} in {source}: unpack {archive} of Places365 there '
            '(--size and --variant choose other archives)'
        )
    list_file = find_file(list_name, source)
    if list_file is None:
        raise UserError(f'no {list_name} in {source}: unpack {devkit} of Places365 there')
    return each_once(read_list(list_file), list_file).below(f'{folder}/')


def main() -> None:
    args = parse_args()
    size, variant = args.size, args.variant
    devkit = f'filelist_places365-{variant}.tar'
    train = find(
        args.source,
        [f'data_{size}', f'data_{size}_{variant}'],  # the second is torchvision's name for it
        f'places365_train_{variant}.txt',
        f'train_{size}_places365{variant}.tar',
        devkit,
    )
    val = find(args.source, [f'val_{size}'], 'places365_val.txt', f'val_{size}.tar', devkit)
    prefix = link(args.source, args.out)
    prepare({'train_list.txt': train.below(prefix), 'val_list.txt': val.below(prefix)}, args)
    if size == '256':
        print('Pictures of 256x256 are taken whole: not the published protocol, which crops 384.')


if __name__ == '__main__':
    with one_sentence_errors(), file_errors():
        main()
