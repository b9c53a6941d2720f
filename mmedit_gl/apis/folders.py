"""A folder of pictures and their masks, to what is to be completed."""

import os
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from mmedit_gl.errors import ImageError, UserError
from mmedit_gl.pictures import FORMATS


@dataclass(frozen=True)
class Job:
    """A picture, its mask, and where its completion and a strip go; None where they do not."""

    picture: Path
    mask: Path
    out: Path | None
    strip: Path | None = None


class FolderJobs:
    """The jobs of a folder of pictures, found by a thread while the first are under way.

    Subfolders are mirrored in `out` and `strips`. `masks` is one mask for all, or a folder where
    each lies as its picture does and is named as it but for the suffix. All of these may lie in the
    folder of pictures, whose part they are not then. Of several processes `rank` takes every
    `processes`-th picture. With `skip_existing` what is in `out` and `strips` stays.

    Iteration gives, in sorted order, a `Job` or the `ImageError` that there is not one mask.
    `others` counts the files that are no pictures by their suffix, `unreadable` has a `UserError`
    for each folder that cannot be read; with `total`, the number of this process' pictures, both
    are complete, until then it is None. `skipped` counts those for which nothing is left to do.

    Raises `UserError` if there is no picture, and where outputs could be written over what is read.
    """

    def __init__(
        self,
        pictures: Path,
        masks: Path,
        out: Path,
        strips: Path | None = None,
        skip_existing: bool = False,
        rank: int = 0,
        processes: int = 1,
    ):
        self.pictures, self.masks, self.out, self.strips = pictures, masks, out, strips
        self.skip_existing, self.rank, self.processes = skip_existing, rank, processes
        self.total, self.skipped, self.others, self.unreadable = None, 0, Counter(), []
        for target in filter(None, (out, strips)):
            for given in (pictures, masks):
                if _lies_in(target, given):
                    raise UserError(
                        f'{target} is or holds {given}, over which nothing may be written: name '
                        'another folder for what is to be written'
                    )
        if not masks.exists():
            raise UserError(f'no mask and no folder of masks {masks}')
        if masks.resolve() == pictures.resolve():
            raise UserError(
                f'{masks} is the folder of pictures too: expected another one for masks, which are '
                'named as the pictures'
            )
        self._found = 0
        self._folders = _taken_ahead(self._find())
        first = next(self._folders, None)
        self._folders = chain([first] if first else [], self._folders)
        if not self._found:
            aside = [str(p) for p in (masks, out, strips) if p and _lies_in(pictures, p)]
            place = f'{pictures} outside of {" and ".join(aside)}' if aside else pictures
            expected = f'expected files named {", ".join(FORMATS)}'
            none = UserError(f'no pictures in {place}: {expected}')
            raise next(iter(self.unreadable), none)

    def _find(self) -> Iterator[tuple[Path, str]]:
        """Folders and this process' pictures in them, in one string for millions of them to fit."""
        aside = filter(None, (self.masks, self.out, self.strips))
        total = 0
        for folder, files in walk(self.pictures, aside, self.unreadable.append):
            names = []
            for name in files:
                suffix = _split(name)[1]
                if suffix in FORMATS:
                    names.append(name)
                else:
                    self.others[suffix or 'no suffix'] += 1
            own = names[(self.rank - self._found) % self.processes :: self.processes]
            self._found += len(names)
            total += len(own)
            if own:
                yield folder, '/'.join(own)
        self.total = total

    def __iter__(self) -> Iterator[Job | ImageError]:
        for folder, names in self._folders:
            yield from self._jobs(folder, names.split('/'))

    def _jobs(self, folder: Path, names: list[str]) -> Iterator[Job | ImageError]:
        masks, for_all = {}, []
        if self.masks.is_dir():
            for mask in sorted(_names(self.masks / folder)):
                stem, suffix = _split(mask)
                if suffix in FORMATS:
                    masks.setdefault(stem, []).append(self.masks / folder / mask)
        else:
            for_all = [self.masks]
        there, drawn = (
            set(_names(place / folder)) if self.skip_existing and place else ()
            for place in (self.out, self.strips)
        )
        for name in names:
            out, strip = None, None
            if name not in there:
                out = self.out / folder / name
            if self.strips and f'{name}.png' not in drawn:
                strip = self.strips / folder / f'{name}.png'
            if not out and not strip:
                self.skipped += 1
                continue
            picture, (stem, _) = self.pictures / folder / name, _split(name)
            found = masks.get(stem, for_all)
            if len(found) == 1:
                yield Job(picture, found[0], out, strip)
            elif found:
                yield ImageError(f'{found[0]} and {found[1]}: expected one mask for a picture')
            else:
                yield ImageError(
                    f'no mask for {picture}: expected {self.masks / folder / stem}.png'
                )


def passed_over(others: Counter) -> str:
    """Says how many files are no pictures, and the most frequent of their suffixes."""
    count = others.total()
    kinds = ', '.join(kind for kind, _ in others.most_common(5)) + ', …' * (len(others) > 5)
    what = 'file is no picture' if count == 1 else 'files are no pictures'
    return f'{count:,} {what} ({kinds}): passed over'


def walk(
    root: Path, aside: Iterable[Path] = (), onerror: Callable[[UserError], None] = lambda _: None
) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all below it, relative to it, each with the names of its files, sorted.

    Links are followed, but for one that leads back to a folder above it. Hidden names are left
    out, and what lies at a path of `aside`. `onerror` is told of a folder that cannot be read.
    """
    # A link by the place that it has and by the one to which it leads.
    aside = {p for path in aside for p in (path.parent.resolve() / path.name, path.resolve())}
    folders = [(Path(), ())]
    while folders:
        folder, above = folders.pop()
        place = (root / folder).resolve()
        if place in aside or place in above:
            continue
        left_out = {path.name for path in aside if path.parent == place}
        files, deeper = [], []
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if not entry.name.startswith('.') and entry.name not in left_out:
                        (deeper if entry.is_dir() else files).append(entry.name)
        except OSError as error:
            onerror(UserError(f'cannot read the folder {root / folder}: {error.strerror}'))
            continue
        yield folder, sorted(files)
        above = (*above, place)
        folders += [(folder / name, above) for name in sorted(deeper, reverse=True)]


def in_stages(items: Iterable, read: Callable, complete: Callable, write: Callable) -> Iterator:
    """What `write(complete(read(item)))` gives for each item, in their order.

    A thread reads the next item and another writes the one before, while the caller's completes.
    A `UserError`, among the items or raised by one of the three, is given in place of the result.
    """
    completed = map(_attempt(complete), _ahead(_attempt(read), items))
    return _ahead(_attempt(write), completed)


def _attempt(stage: Callable) -> Callable:
    def attempt(given: object) -> object:
        try:
            return given if isinstance(given, UserError) else stage(given)
        except UserError as error:
            return error

    return attempt


def _ahead(function: Callable, items: Iterable) -> Iterator:
    """What `map` gives, while a thread of its own is at the next item already."""
    with ThreadPoolExecutor(1) as pool:
        results = deque()
        try:
            for item in items:
                results.append(pool.submit(function, item))
                if len(results) > 1:
                    yield results.popleft().result()
            while results:
                yield results.popleft().result()
        finally:
            for result in results:
                result.cancel()


def _lies_in(folder: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _split(name: str) -> tuple[str, str]:
    """Stem and suffix in small letters, as those of a path, of which millions take long."""
    stem, dot, suffix = name.rpartition('.')
    return (stem, f'.{suffix.lower()}') if dot else (name, '')


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:  # there is none, as yet
        return []


def _taken_ahead(items: Iterable) -> Iterator:
    """What an iterable gives, taken by a thread as fast as it comes."""
    taken = queue.SimpleQueue()

    def take() -> None:
        end = None
        try:
            for item in items:
                taken.put((item,))
        except BaseException as error:
            end = error
        taken.put(end)

    threading.Thread(target=take, daemon=True).start()
    while (item := taken.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item[0]
