"""Which pictures can be used, and what of them need not be read again."""

import os
import re
import stat
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TextIO

import numpy as np

from mmedit_gl.datasets.image_dataset import read_image
from mmedit_gl.datasets.names import RARE_SUFFIXES, Names, read_back
from mmedit_gl.datasets.progress import progress_bar
from mmedit_gl.errors import ImageError

SIZE = re.compile('[0-9]{1,9}x[0-9]{1,9}')
MASK = 2**32 - 1
BATCH = 2**16  # pictures whose stamps are compared before those that have changed are read


class Known:
    """What a file of checked pictures says, of each in 16 bytes.

    It has lines of a stamp, which is a file's size in bytes and time of change in ns, a picture's
    height x width, and its name, between tabs. Instead of its size a list that was written has
    'list'; these are in `lists`, with their stamps.

    A name is known by a hash of 64 bits, its stamp by one of 32: where a picture has changed, the
    probability that it is not read again is 1 in 4 billion.
    """

    def __init__(self, path: Path):
        self.lists = set()
        texts = {'': 0}
        names, stamps, sizes = array('q', [2**63 - 1]), array('I', [0]), array('I', [0])
        if path.exists():
            with (
                path.open(encoding='utf-8', errors='replace', newline='\n') as file,
                progress_bar() as progress,
            ):
                task = progress.add_task(f'Reading {path.name}', total=path.stat().st_size)
                while lines := file.readlines(2**22):
                    for line in lines:
                        try:
                            stamp, size, name = line[:-1].split('\t', 2)
                        except ValueError:
                            continue  # of a run that was killed
                        if size == 'list':
                            self.lists.add((name, stamp))
                        elif size in texts or SIZE.fullmatch(size):
                            names.append(hash(name))
                            stamps.append(hash(stamp) & MASK)
                            sizes.append(texts.setdefault(size, len(texts)))
                    progress.update(task, completed=file.buffer.tell())
        order = np.argsort(names, kind='stable')  # of two lines for a picture the last one counts
        # One after the other, and of each no more than one copy beside it.
        names = self._names = np.asarray(names)[order]
        stamps = self._stamps = np.asarray(stamps)[order]
        sizes = self._sizes = np.asarray(sizes)[order]
        self._texts = list(texts)

    def lines(self, names: list[str]) -> np.ndarray:
        """Where each name is, or -1."""
        hashes = np.array([hash(name) for name in names], np.int64)
        lines, order = np.empty_like(hashes), np.argsort(hashes)  # in order it is found sooner
        lines[order] = np.searchsorted(self._names, hashes[order], side='right') - 1
        lines[self._names[lines] != hashes] = -1
        return lines

    def read_sizes(self, lines: np.ndarray, stamps: list[str]) -> list[str]:
        """Height x width at each line if it has that stamp, or ''."""
        hashes = np.array([hash(stamp) & MASK for stamp in stamps], np.uint32)
        sizes = np.where((lines >= 0) & (self._stamps[lines] == hashes), self._sizes[lines], 0)
        return [self._texts[size] for size in sizes.tolist()]


def check(
    lists: dict[str, Names],
    folder: Path,
    known: Known,
    checked: TextIO,
    min_size: int,
    workers: int,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Of each list a number for each of its pictures, and for each number why these cannot be used.

    0 are those that can. What is read goes to the file `checked`, in lines as `Known` reads.
    """
    numbers = {list_name: np.zeros(len(names), np.uint32) for list_name, names in lists.items()}
    reasons = {'': 0}
    with (
        opened(folder) as place,
        ThreadPool(workers) as pool,
        _quiet_decoders(),
        progress_bar() as progress,
    ):
        task = progress.add_task('Checking', total=sum(map(len, lists.values())))

        def look(names: list[str], lines: np.ndarray) -> Iterator[str]:
            """Why each of the pictures cannot be used, or ''."""
            found = [_status(name, place) for name in names]
            stamps, whys = [stamp for stamp, _ in found], [why for _, why in found]
            sizes = known.read_sizes(lines, stamps)
            unread = [i for i, size in enumerate(sizes) if not size and not whys[i]]
            progress.advance(task, len(names) - len(unread))
            read = pool.imap(partial(_read, folder), [names[i] for i in unread], chunksize=16)
            for i, (sizes[i], whys[i]) in zip(unread, read):
                if sizes[i]:
                    checked.write(f'{stamps[i]}\t{sizes[i]}\t{names[i]}\n')
                progress.advance(task)
            for size, why in zip(sizes, whys):
                too_small = size and _shorter_edge(size) < min_size
                yield f'too small: {size} pixels' if too_small else why

        # What no run has read comes first: one that was stopped goes on in seconds, and compares
        # what it had read with its files at the end.
        for again in (False, True):
            for list_name, names in lists.items():
                given, start = iter(names), 0
                while batch := list(islice(given, BATCH)):
                    lines = known.lines(batch)
                    chosen = np.flatnonzero((lines >= 0) == again)
                    whys = look([batch[i] for i in chosen.tolist()], lines[chosen])
                    for i, why in zip((start + chosen).tolist(), whys):
                        if why:
                            numbers[list_name][i] = reasons.setdefault(why, len(reasons))
                    start += len(batch)
    return numbers, list(reasons)


def _status(name: str, folder: int) -> tuple[str, str]:
    """A file's stamp, and why it cannot be used."""
    try:
        status = os.stat(name, dir_fd=folder)
    except OSError as error:
        return '', f'missing: {error.strerror}'
    # Of a pipe the reading never ends.
    return stamp(status), '' if stat.S_ISREG(status.st_mode) else 'unreadable: not a file'


def stamp(status: os.stat_result) -> str:
    return f'{status.st_size} {status.st_mtime_ns}'


def _read(folder: Path, name: str) -> tuple[str, str]:
    """Height x width of a picture, or why it cannot be used."""
    if read_back(name) != name:
        return '', 'unusable name: rename it, a line of a list cannot hold it'
    path = folder / name
    try:
        height, width = read_image(str(path)).shape[:2]
    except ImageError as error:
        if name.lower().endswith(RARE_SUFFIXES):
            return '', 'unreadable: a kind of picture that is not read, save it as JPEG or PNG'
        return '', str(error).replace(f'cannot read {path}', 'unreadable', 1)
    return f'{height}x{width}', ''


@cache
def _shorter_edge(size: str) -> int:
    return min(map(int, size.split('x')))


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """What files are looked up in at half the time that their whole paths take."""
    number = os.open(folder, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


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
