"""One run in one folder at a time."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process

from mmedit_gl.errors import UserError, reason
from mmedit_gl.files import saying


@contextmanager
def locked(folder: str | Path) -> Iterator[str | None]:
    """Hold a folder for the processes of this run, until the main one leaves or ends, in any way.

    The system keeps the lock (POSIX), on network disks too, and processes that load pictures do not
    share it; its file goes with it. Gives why there is none where a disk has no locks. Raises
    `UserError`, in all processes, where another run holds the folder.
    """
    with ExitStack() as stack:
        found = [None, None]
        if is_main_process():
            found = _lock(Path(folder, '.lock'), stack)
        broadcast_object_list(found)
        holder, no_lock = found
        if holder:
            raise UserError(
                f'another run is at work in {folder} ({holder}): wait for its end, or give another '
                '--work-dir'
            )
        yield no_lock


def _lock(path: Path, stack: ExitStack) -> list[str | None]:
    """Who holds the lock instead, and why there is none."""
    import fcntl  # which Windows does not have, where pictures are completed all the same

    while True:
        with saying(f'cannot write {path}'):
            file = stack.enter_context(path.open('a+'))
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                return [None, reason(error)]
            file.seek(0)
            return [file.read() or 'it has just begun', None]
        if os.fstat(file.fileno()).st_nlink:  # not taken away by the run before, meanwhile
            break
    stack.callback(path.unlink)
    file.truncate(0)
    file.write(f'process {os.getpid()} on {socket.gethostname()}')
    file.flush()
    os.fsync(file.fileno())  # for other hosts to read
    return [None, None]
