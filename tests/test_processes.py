"""What goes wrong in another process of a run is said by this one, in a sentence."""

import os
import platform
import resource
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed
from conftest import ROOT, shrink
from mmengine.registry import init_default_scope
from torch.utils.data import Dataset
from warm import CONTEXT

from mmedit_gl.engine import PictureLoader, Runner, load_config, shared_work
from mmedit_gl.errors import ImageError, LostProcessError, UserError


class Broken(Dataset):
    """A data set whose second item cannot be had."""

    def __init__(self, error: Exception | int):
        self.error = error

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        if index == 1 and isinstance(self.error, int):
            os._exit(self.error)
        if index == 1:
            raise self.error
        return dict(index=index)


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize(
    'error', [UserError('a picture: too small'), ImageError('no: such'), OSError('ours')]
)
def test_an_error_is_the_same_from_another_process(error, workers):
    batches = iter(PictureLoader(Broken(error), num_workers=workers))
    assert next(batches)['index'] == 0
    with pytest.raises(type(error)) as raised:
        next(batches)
    if isinstance(error, UserError):
        assert str(raised.value) == str(error)


def test_a_process_that_ends_is_named_with_its_status():
    said = (
        r'^process \d+, which loads pictures, ended \(status 3\): begin again; a training goes on'
    )
    with pytest.raises(LostProcessError, match=said):
        list(PictureLoader(Broken(3), num_workers=1))


def test_processes_that_are_spawned_load_the_same_pictures(data_root):
    cfg = load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py')
    options = shrink(cfg, data_root).val_dataloader
    init_default_scope(cfg.default_scope)
    (here, *_) = Runner.build_dataloader(options, seed=0)
    options.update(num_workers=1, multiprocessing_context='spawn')
    (there, *_) = Runner.build_dataloader(options, seed=0)
    for name in ('gt_img', 'mask', 'mask_bbox'):
        assert torch.equal(here[name], there[name]), name


def work_together(rank: int, folder: str, defect: str) -> None:
    """One of two processes, of which one may end, or the first may have a defect of its own."""
    store = torch.distributed.FileStore(f'{folder}/store', 2)
    wait = timedelta(seconds=60)
    torch.distributed.init_process_group('gloo', store=store, rank=rank, world_size=2, timeout=wait)
    torch.distributed.barrier()
    error = None
    try:
        with shared_work():
            if rank == 1 and defect == 'of the second':
                os._exit(1)
            if rank == 0 and defect == 'of the first':
                raise RuntimeError('a connection of mine')
    except Exception as caught:
        error = caught
    Path(folder, str(rank)).write_text(f'{type(error).__name__}: {error}')
    os._exit(0)


@pytest.mark.parametrize('defect', ['of the first', 'of the second', 'none'])
def test_the_end_of_another_process_is_told_from_a_defect_of_this_one(defect, tmp_path):
    processes = [
        CONTEXT.Process(target=work_together, args=(rank, str(tmp_path), defect)) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    said = {path.name: path.read_text() for path in tmp_path.glob('[01]')}
    lost = (
        'LostProcessError: another process of the run ended or cannot be reached: begin again; a '
        'training goes on by --resume'
    )
    assert (
        said
        == {
            'of the first': {'0': 'RuntimeError: a connection of mine', '1': lost},
            'of the second': {'0': lost},
            'none': {'0': 'NoneType: None', '1': 'NoneType: None'},
        }[defect]
    )


def train_together(rank: int, config: Path) -> None:
    """One of two processes that train; writes the names of the threads that it is left with."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    os.environ.update(MASTER_ADDR='unused', MASTER_PORT='0', CUDA_VISIBLE_DEVICES='')
    store = torch.distributed.FileStore(str(config.with_suffix('.store')), 2)
    torch.distributed.init_process_group('gloo', store=store, rank=rank, world_size=2)
    cfg = load_config(config)
    cfg.launcher = 'pytorch'
    with shared_work():
        runner = Runner.from_cfg(cfg)
        runner.train()
        cycle = [torch.distributed.group.WORLD]  # such as torch's compiler leaves
        cycle.append(cycle)
        del cycle
    assert runner.iter == 6
    until = time.monotonic() + 5  # one that has ended may be listed for a moment
    threads = 'gloo'
    while 'gloo' in threads and time.monotonic() < until:
        threads = ''
        for path in Path('/proc/self/task').glob('*/comm'):
            with suppress(OSError):
                threads += path.read_text()
    config.with_suffix(f'.{rank}').write_text(threads)


def test_no_thread_of_the_group_is_left_when_python_ends(small_config, tmp_path):
    config = small_config(work_dir=str(tmp_path / 'run'))
    processes = [CONTEXT.Process(target=train_together, args=(rank, config)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    for rank in (0, 1):
        assert 'gloo' not in config.with_suffix(f'.{rank}').read_text()


def count_faults(config: Path, counts: Path) -> None:
    """Page faults of four large tensors, one after the other, before and after a run is set up."""
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    faults = []
    for _ in range(2):
        torch.ones(2**24)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(4):
            torch.ones(2**24)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        Runner.from_cfg(load_config(config))
    counts.write_text(' '.join(map(str, faults)))


def test_a_run_on_a_cpu_keeps_the_memory_of_large_tensors(small_config, tmp_path):
    counts = tmp_path / 'counts'
    config = small_config(work_dir=str(tmp_path / 'run'))
    process = CONTEXT.Process(target=count_faults, args=(config, counts))
    process.start()
    process.join()
    plain, kept = map(int, counts.read_text().split())
    if platform.libc_ver()[0] == 'glibc':
        assert kept < plain / 2
