"""Fetch the freely licensed photographs of a list from the GitHub repositories that hold them."""

import argparse
import hashlib
import re
import sys
from http.client import HTTPException
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

from mmedit_gl.datasets.names import SUFFIXES
from mmedit_gl.datasets.preparation import file_errors
from mmedit_gl.datasets.progress import progress_bar
from mmedit_gl.errors import UserError, one_sentence_errors, reason
from mmedit_gl.files import check_place, make_folder, save_text, whole

ADDRESS = 'https://raw.githubusercontent.com'
TIMEOUT = 30  # seconds without an answer
FAILED = 'failed.txt'
# The columns of a list: a pattern, and what it stands for.
COLUMNS = dict(
    repository=(r'\w[\w-]*/(?!\.+$)[\w.-]+', 'owner/name'),
    commit=('[0-9a-f]{40}', '40 hexadecimal digits'),
    path=(f'.*[^/](?i:{"|".join(map(re.escape, SUFFIXES))})', f'a path to {", ".join(SUFFIXES)}'),
    git_blob=('[0-9a-f]{40}', '40 hexadecimal digits'),
    bytes=('[1-9][0-9]{0,6}|[1-4][0-9]{7}', 'a number below 50 million'),
    credit=('.*', 'text'),
    licence=(r'.*\S.*', 'the name of the licence'),
)


class Photograph(NamedTuple):
    """A row of a list, as it stands there."""

    repository: str
    commit: str
    path: str
    git_blob: str
    bytes: str
    credit: str
    licence: str

    @property
    def url(self) -> str:
        return f'{ADDRESS}/{self.repository}/{self.commit}/{quote(self.path)}'

    @property
    def name(self) -> str:
        """A file name of its own: of the path nothing but plain letters, digits and the suffix."""
        path = PurePosixPath(self.path)
        readable = re.sub(r'\W+', '-', f'{self.repository} {path.stem}', flags=re.ASCII)[:100]
        source = f'{self.repository}/{self.commit}/{self.path}'
        return f'{readable}-{hashlib.sha256(source.encode()).hexdigest()[:16]}{path.suffix}'

    def refuse(self, content: bytes) -> str:
        """Why this is not the content that the list names, or nothing."""
        if len(content) != int(self.bytes):
            got = 'more' if len(content) > int(self.bytes) else len(content)
            return f'expected {self.bytes} bytes, got {got}'
        git_blob = hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()
        return '' if git_blob == self.git_blob else f'expected blob {self.git_blob}, got {git_blob}'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'list',
        type=Path,
        metavar='LIST',
        help='photographs with their credits and licences, such as those that the small model was '
        'trained on: mmedit_gl/apis/default/photographs.tsv',
    )
    parser.add_argument('out', type=Path, metavar='OUT', help='the folder where they go')
    parser.add_argument(
        '--workers', type=int, default=8, metavar='N', help='fetched at once (default: 8)'
    )
    return parser.parse_args()


def read_photographs(path: Path) -> list[Photograph]:
    """Raises `UserError`, with the line, for a row that is not as `COLUMNS` says or comes twice."""
    try:
        header, *lines = path.read_text(encoding='utf-8-sig').removesuffix('\n').split('\n')
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'cannot read the list {path}: {reason(error)}') from None
    if header.split('\t') != list(COLUMNS) or not lines:
        raise UserError(
            f'{path}, line 1: expected the columns {", ".join(COLUMNS)}, separated by tabs, and '
            'photographs below'
        )
    photographs = {}
    for number, line in enumerate(lines, start=2):
        place, values = f'{path}, line {number}', line.split('\t')
        if len(values) != len(COLUMNS):
            raise UserError(f'{place}: expected {len(COLUMNS)} columns, got {len(values)}')
        for (column, (pattern, expected)), value in zip(COLUMNS.items(), values):
            if not re.fullmatch(pattern, value, flags=re.ASCII):
                raise UserError(f'{place}: expected as {column} {expected}, got {value!r}')
        photograph = Photograph(*values)
        if photographs.setdefault(photograph.name, photograph) is not photograph:
            raise UserError(
                f'{place}: expected each photograph once, got {photograph.path!r} again'
            )
    return list(photographs.values())


def fetch(photograph: Photograph, out: Path) -> str:
    """Why the photograph could not be fetched, or nothing: it is in `out`."""
    path = out / photograph.name
    if path.exists() and not photograph.refuse(path.read_bytes()):
        return ''
    try:
        with urlopen(photograph.url, timeout=TIMEOUT) as answer:
            content = answer.read(int(photograph.bytes) + 1)
    except (OSError, HTTPException) as error:
        return f'no answer: {reason(error)}'
    if why := photograph.refuse(content):
        return f'other content: {why}'
    with whole(path) as part:
        part.write_bytes(content)
    return ''


def main() -> None:
    args = parse_args()
    if args.workers < 1:
        raise UserError(f'expected --workers of at least 1, got {args.workers}')
    photographs = read_photographs(args.list)
    make_folder(args.out)
    check_place(args.out / FAILED)
    with ThreadPool(args.workers) as pool, progress_bar() as progress:
        reasons = pool.imap(lambda photograph: fetch(photograph, args.out), photographs)
        reasons = list(progress.track(reasons, len(photographs), description='Fetching'))
    failed = [f'{p.url}: {reason}\n' for p, reason in zip(photographs, reasons) if reason]
    save_text(''.join(failed), args.out / FAILED)
    print(f'{args.out}: {len(photographs) - len(failed):,} of {len(photographs):,} photographs')
    if failed:
        sys.exit(f'error: {len(failed):,} not fetched: {args.out / FAILED} says why, run it again')


if __name__ == '__main__':
    with one_sentence_errors(), file_errors():
        main()
