"""What goes wrong on the user's side, said in one sentence."""

import errno
import re
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake its user can mend: what, what was expected, what came, the remedy."""

    key = ''  # the dotted path of the part of a configuration that it is about, if one is known


class ImageError(UserError):
    """One image or mask that cannot be used; training goes on without it."""


@contextmanager
def configures(key: str) -> Iterator[None]:
    """What fails here is the configuration's fault: a `UserError` that begins with its `key`.

    Keys of parts within one another make a path.
    """
    try:
        yield
    except Exception as error:
        inner = error.key if isinstance(error, UserError) else ''
        text = _sentence(error).removeprefix(f'{inner}: ')
        path = f'{key}.{inner}' if inner and not inner.startswith('[') else f'{key}{inner}'
        if isinstance(error, UserError) and text.startswith(path):
            raise  # it says so itself
        said = UserError(f'{path}: {text}')
        said.key = path
        raise said from error


def _sentence(error: Exception) -> str:
    """What an exception of any class says, in one line."""
    if isinstance(error, UserError):
        return str(error)
    text = ' '.join(str(error.args[0] if error.args else error).split())
    if isinstance(error, KeyError) and text.isidentifier():
        return f'{text} is missing'
    text = text.partition('. Please check')[0]  # mmengine's registries go on at length
    return text or type(error).__name__


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """End a command with one sentence on stderr and the exit status 2 for a `UserError`.

    The death of one of the run's other processes has the status 1, Ctrl-C 130. Every other
    exception is a defect of the program and keeps its traceback.
    """
    try:
        with _true_causes():
            yield
    except UserError as error:
        # A data loader's worker hands on its whole traceback as the message.
        own = re.split(r'^mmedit_gl\.errors\.\w+: ', str(error), flags=re.MULTILINE)
        message, status = own[-1], 2
    except RuntimeError as error:
        if 'DataLoader worker' in str(error):
            dead = f'a process that loads pictures ended ({error})'
        elif re.search('gloo|NCCL|[Cc]onnection', str(error)):
            reason = re.sub(r'^\[\S+\] ', '', str(error))  # gloo's begins with its source file
            reason = reason.split('. ')[0]
            dead = f'another process of the run ended or cannot be reached ({reason})'
        else:
            raise
        message, status = f'{" ".join(dead.split())}; go on by --resume', 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        message, status = f'{error}: make room, and go on by --resume', 2
    except KeyboardInterrupt:
        message, status = 'interrupted', 130
    else:
        return
    print(f'error: {message.strip()}', file=sys.stderr)
    sys.exit(status)


@contextmanager
def _true_causes() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        if any(frame.filename.endswith('dataloader.py') for frame in frames):
            # A process that loads pictures died; the signal that says so is on its way.
            time.sleep(1)
        raise
    except SyntaxError as error:
        # mmengine says so of whatever comes while it formats a configuration, Ctrl-C too.
        cause = error
        while 'Failed to format the config' in str(error) and cause.__context__:
            cause = cause.__context__
        raise cause from None
