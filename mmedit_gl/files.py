"""Files that are whole or not there, and their places, tried before the work."""

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmedit_gl.errors import UserError, reason


@contextmanager
def whole(path: str | Path, synced: bool = False) -> Iterator[Path]:
    """Gives where to write a file or a new folder, which comes to `path` when all is written.

    What fails or is interrupted leaves what was at `path`, and nothing beside it; a process that is
    killed leaves a hidden name that ends in `.part`. With `synced` a file is on the disk before it
    takes the place of another. Raises `UserError` where it cannot be written.
    """
    path = Path(path)
    with saying(f'cannot write {path}'):
        _check_kind(path)
        # A name of its own, for what a killed write leaves is in nobody's way, nor another's write.
        part = path.with_name(f'.{secrets.token_hex(8)}{path.suffix}.part')
        try:
            yield part
            if synced:
                with part.open('rb') as file:
                    os.fsync(file.fileno())
            part.replace(path)
        finally:
            if part.is_dir():
                shutil.rmtree(part)
            part.unlink(missing_ok=True)


def save_text(text: str, path: str | Path) -> None:
    """Write a text file as `whole` does, and the folders above it; `?` for what is no text."""
    make_folder(Path(path).parent)
    with whole(path) as part:
        part.write_bytes(text.encode(errors='replace'))


def remove_left(folder: Path) -> None:
    """Remove what killed processes left of files in a folder where no other is at work."""
    for part in folder.glob(f'.{16 * "[0-9a-f]"}*.part'):
        part.unlink()


def make_folder(path: str | Path) -> None:
    """Make a folder and those above it, and try it; `UserError` where nothing can be written."""
    with saying(f'cannot make the folder {path}'):
        Path(path).mkdir(parents=True, exist_ok=True)
    with saying(f'cannot write to the folder {path}'):
        _try(path)


def check_place(path: str | Path) -> None:
    """Raise the `UserError` with which `whole` would refuse a file, before any work."""
    path = Path(path)
    with saying(f'cannot write {path}'):
        _check_kind(path)
        if path.is_dir():
            raise UserError(f'cannot write {path}: it is a folder, expected the name of a file')
        _try(path.parent)


@contextmanager
def saying(what: str) -> Iterator[None]:
    """An `OSError` here becomes a `UserError` that begins so and has the system's reason."""
    try:
        yield
    except OSError as error:
        raise UserError(f'{what}: {reason(error)}') from None


def _check_kind(path: Path) -> None:
    if not path.parent.is_dir():
        raise UserError(f'cannot write {path}: there is no folder {path.parent}')
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UserError(f'cannot write {path}: it is a device, expected the name of a file')


def _try(folder: str | Path) -> None:
    """Writes a byte, for a full disk still makes files."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(b'.')
