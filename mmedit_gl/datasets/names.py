"""The names of pictures, by a list file or a folder: millions in little memory."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from itertools import islice
from operator import eq
from pathlib import Path

import numpy as np

from mmedit_gl.errors import UserError, reason
from mmedit_gl.pictures import FORMATS

SUFFIXES = tuple(FORMATS)
# Of pictures too, not all of which OpenCV reads: converters try each of them.
RARE_SUFFIXES = (
    *('.avif', '.exr', '.gif', '.hdr', '.heic', '.heif', '.jfif', '.jp2', '.jpe', '.jxl', '.pbm'),
    *('.pgm', '.pnm', '.ppm', '.psd', '.ras', '.svg', '.tga'),
    *('.arw', '.cr2', '.cr3', '.dng', '.nef', '.orf', '.raf', '.raw', '.rw2'),
)
BLOCK = 64


class Names(Sequence[str]):
    """A sequence of names, each of them behind `prefix`, packed in blocks of 64.

    A name that is asked for by its index takes the unpacking of a block, some 20 µs. Processes that
    are forked share all of it, and what is pickled for others is as small: of the eight million
    names of Places365-Challenge, which have 300 MB, some 25 MB.

    `parse` makes the name of what was given for it. Raises `ValueError` for a NUL, which no path
    can hold.
    """

    def __init__(self, given: Iterable[str], parse: Callable[[str], str] = str):
        self.prefix, self.parse, self.size = '', parse, 0
        given, packed = iter(given), []
        while block := list(islice(given, BLOCK)):
            text = '\0'.join(block)
            if text.count('\0') >= len(block):
                raise ValueError('a name holds the character NUL')
            # The least that zlib can remember: to make room for more takes longer than to pack.
            packer = zlib.compressobj(level=1, wbits=-12, memLevel=5)
            packed.append(packer.compress(text.encode(errors='surrogateescape')) + packer.flush())
            self.size += len(block)
        self.ends = np.cumsum([0, *map(len, packed)])
        self.packed = b''.join(packed)

    def below(self, prefix: str) -> 'Names':
        """The same names behind another prefix, such as that of a folder, `photos/`."""
        names = copy(self)
        names.prefix = prefix + self.prefix
        return names

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> str:
        block, place = divmod(range(self.size)[index], BLOCK)
        return self.prefix + self.parse(self._given(block)[place])

    def __iter__(self) -> Iterator[str]:
        for block in range(len(self.ends) - 1):
            for given in self._given(block):
                yield self.prefix + self.parse(given)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    def _given(self, block: int) -> list[str]:
        packed = self.packed[self.ends[block] : self.ends[block + 1]]
        text = zlib.decompress(packed, wbits=-12)
        return text.decode(errors='surrogateescape').split('\0')


def read_list(path: str | Path) -> Names:
    """Relative paths of a list file, one on a line.

    A byte order mark at its begin is dropped, and so are a leading slash and a trailing integer
    label, as in the lists of Places365. Raises `UserError` if the file is missing or empty.
    """
    if names := read_lines(path):
        return names
    raise UserError(f'the list file {path} is empty: expected one relative path a line')


def read_lines(path: str | Path, keep: Callable[[str], bool] = bool) -> Names:
    """`read_list` of those lines that are to be kept, which may be none."""
    try:
        with Path(path).open(encoding='utf-8-sig', newline='\n') as file:
            return Names(filter(keep, map(str.strip, file)), parse=name_on_line)
    except (OSError, ValueError) as error:
        raise UserError(
            f'cannot read the list file {path} ({reason(error)}): expected text with one relative '
            'path a line; README.md says how the data is prepared'
        ) from None


def name_on_line(line: str) -> str:
    name, _, label = line.rpartition(' ')
    return (name if name and label.isdigit() else line).strip().lstrip('/')


def read_back(name: str) -> str:
    """What `read_list` gives of the first line of what was written for a name."""
    line, *_ = name.encode(errors='replace').decode('utf-8-sig').split('\n')
    return name_on_line(line.strip())


def find_pictures(
    folder: Path,
    list_file: str | Path = '',
    track: Callable[[Iterable], Iterable] = iter,
    suffixes: tuple[str, ...] = SUFFIXES,
) -> Names:
    """The image files below a folder, sorted, or those of it that a list file names, in its order.

    The names are relative to the folder. Links to folders elsewhere are followed, each folder is
    read once. `track` watches the search go by. Raises `UserError` if there is no folder or no
    picture; listed files are not looked for.
    """
    if not folder.is_dir():
        raise UserError(
            f'no folder {folder}: the pictures are expected there; README.md says how the data '
            'is prepared, and data_root in the configuration names another place'
        )
    if list_file:
        return read_list(list_file)
    if names := Names(track(_walk(folder, suffixes))):
        return names
    raise UserError(f'no pictures in {folder}: expected files named {", ".join(SUFFIXES)}')


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Names in the order of their parts; those of one folder at a time are in memory."""
    root, linked = Path(folder).resolve(), set()

    def is_elsewhere(below: str) -> bool:
        """Whether a folder behind a link comes neither without it nor behind another one."""
        path = (folder / below).resolve()
        if path in linked or path.is_relative_to(root) or root.is_relative_to(path):
            return False
        linked.add(path)
        return True

    def walk(below: str, is_linked: bool) -> Iterator[str]:
        names, folders = [], {}
        # As os.walk does, it passes over what it may not read.
        with suppress(OSError), os.scandir(folder / below) as entries:
            for entry in entries:
                if _is_folder(entry):
                    folders[entry.name] = is_linked or entry.is_symlink()
                elif entry.name.lower().endswith(suffixes):
                    names.append(entry.name)
        for name in sorted([*names, *folders]):
            if name not in folders:
                yield below + name
            elif not folders[name] or is_elsewhere(below + name):
                yield from walk(f'{below}{name}/', folders[name])

    return walk('', False)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
