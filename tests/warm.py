"""Tools in processes that are forked when torch is imported already.

What a tool does at its start is tested with the installed package, and by the CI's main command.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
from pathlib import Path

import mmengine.config.config

CONTEXT = multiprocessing.get_context('forkserver')
# torchvision is what mmengine imports at the start of a run.
PRELOADED = ['mmedit_gl.apis', 'torch.utils.tensorboard', 'torchvision', 'rich.progress']
CONTEXT.set_forkserver_preload(PRELOADED)


def plain_configs() -> None:
    """mmengine formats a run's configuration, which takes seconds: left out in this process."""
    mmengine.config.config.FormatCode = lambda text, **_: (text, True)


class Tool:
    """A Python script that runs in a session of its own, with what `subprocess.Popen` tells of it.

    What it prints comes from `lines`, while it runs, and from `end`.
    """

    def __init__(self, script: Path, *args: str, cwd: Path):
        self.folder = tempfile.TemporaryDirectory()
        self.outputs = [Path(self.folder.name, name) for name in ('stdout', 'stderr')]
        for path in self.outputs:
            path.touch()
        self.process = CONTEXT.Process(
            target=_run, args=(str(script), list(map(str, args)), str(cwd), self.outputs)
        )
        self.process.start()
        self.pid, self.read = self.process.pid, 0

    def poll(self) -> int | None:
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()

    def lines(self):
        """What it prints to stdout, line by line until it ends."""
        with self.outputs[0].open() as file:
            while True:
                ended = self.poll() is not None
                line = ''
                while line[-1:] != '\n' and (part := file.readline()):
                    line += part
                if line[-1:] == '\n':
                    self.read = file.tell()
                    yield line
                elif ended:
                    return
                else:
                    file.seek(self.read)
                    time.sleep(0.002)

    def end(self, timeout: float = 300) -> tuple[int, str, str]:
        """Exit status, and what else was printed to stdout and stderr."""
        self.process.join(timeout)
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            raise TimeoutError(f'{timeout} s are over')
        stdout, stderr = (path.read_text(errors='surrogateescape') for path in self.outputs)
        self.folder.cleanup()
        return self.poll(), stdout[self.read :], stderr


def _run(script: str, args: list[str], cwd: str, outputs: list[Path]) -> None:
    os.setsid()
    os.chdir(cwd)
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    multiprocessing.set_start_method('fork', force=True)
    plain_configs()
    sys.argv = [script, *args]
    sys.path.insert(0, str(Path(script).parent))
    sys.stdout.reconfigure(line_buffering=True)
    try:
        runpy.run_path(script, run_name='__main__')
    finally:
        atexit._run_exitfuncs()
