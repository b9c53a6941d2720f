"""The processes of a run: those that load its pictures, and those that share its work."""

import ctypes
import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait

import torch
import torch.distributed
from mmengine.dist import all_reduce, get_world_size, is_distributed
from torch.utils.data import DataLoader

from mmedit_gl.errors import LostProcessError, UserError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def keep_memory() -> None:
    """Lets this process keep the memory of what it has deleted for what comes next.

    glibc gives that of large tensors back at once, and to come by new pages takes a tenth of a
    training step on a CPU. Other libraries are left as they are.
    """
    if mallopt := getattr(ctypes.CDLL(None), 'mallopt', None):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


class PictureLoader(DataLoader):
    """torch's, which says in a sentence what goes wrong in its processes.

    A batch that `collate_fn` gives as a list is several. Raises `LostProcessError` for a process
    that is gone, and the `UserError` of one that met with it.
    """

    def __iter__(self) -> Iterator[dict]:
        handler = signal.getsignal(signal.SIGCHLD)
        batches = super().__iter__()
        if threading.current_thread() is threading.main_thread():
            # torch's own would raise in whatever line the run is at: the next batch notices too.
            signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except UserError as error:
                # Another process hands on its whole traceback as the message.
                *_, sentence = str(error).rpartition(f'.{type(error).__name__}: ')
                raise type(error)(sentence.strip()) from None
            except (RuntimeError, OSError, EOFError) as error:
                workers = {worker.sentinel: worker for worker in getattr(batches, '_workers', ())}
                if not (ended := wait(workers, timeout=1)):
                    raise
                worker = workers[ended[0]]
                worker.join()
                raise LostProcessError(
                    f'process {worker.pid}, which loads pictures, ended ({_status(worker.exitcode)}'
                    '): begin again; a training goes on by --resume'
                ) from error
            yield from batch if isinstance(batch, list) else [batch]


def _status(exitcode: int) -> str:
    if exitcode >= 0:
        return f'status {exitcode}'
    name = signal.Signals(-exitcode).name
    return f'{name}, as where memory is short' if name == 'SIGKILL' else name


@contextmanager
def shared_work() -> Iterator[None]:
    """What the processes of a distributed run do together, to the end of their group.

    Raises `LostProcessError` where one of the others is gone, or cannot be reached.

    mmengine leaves the group to the interpreter's end, of which NCCL warns; there one process may
    be gone while another still listens to it, and a thread of gloo's that gives up a tensor brings
    its process down. Goes with `test_two_processes_train_on_cpu` and
    `test_no_thread_of_the_group_is_left_when_python_ends`.
    """
    try:
        yield
        if is_distributed():
            all_reduce(torch.zeros(1))  # waits for all; torch's barrier warns of itself on GPUs
    except RuntimeError as error:
        if not _cut_off(error):
            raise
        raise LostProcessError(
            'another process of the run ended or cannot be reached: begin again; a training goes '
            'on by --resume'
        ) from error
    if is_distributed():
        gc.collect()  # of what would keep the group, as torch's compiler leaves some
        torch.distributed.destroy_process_group()


def _cut_off(error: RuntimeError) -> bool:
    if not is_distributed():
        return False
    if isinstance(error, torch.distributed.DistError):
        return True
    if torch.distributed.get_backend() != 'gloo':
        return False
    # Gloo's errors are of no class of their own: a message to one that is gone fails at once.
    try:
        for rank in set(range(get_world_size())) - {torch.distributed.get_rank()}:
            torch.distributed.isend(torch.zeros(1), rank)
    except RuntimeError:
        return True
    return False
