"""What goes wrong on the user's side, said in one sentence."""

import errno
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from reprlib import Repr

BRIEF = Repr()
BRIEF.maxstring = 60
PLAIN = bool | int | float | str | tuple


class UserError(ValueError):
    """A mistake its user can mend: what, what was expected, what came, the remedy."""

    key = ''  # the dotted path of the part of a configuration that it is about, if one is known
    status = 2  # with which a command ends


class ImageError(UserError):
    """One image or mask that cannot be used; training goes on without it."""


class LostProcessError(UserError):
    """Another process of a run is gone, by no mistake of this one."""

    status = 1


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raises `UserError` for what is no whole number of at least so many."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(f'{name}: expected a whole number of at least {least}, got {value!r}')


def check_number(name: str, value: float, least: float = -math.inf) -> None:
    """Raises `UserError` for what is no finite number of at least so much."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < least:
        bound = '' if least == -math.inf else f' of at least {least}'
        raise UserError(f'{name}: expected a number{bound}, got {value!r}')


@contextmanager
def configures(key: str, configuration: object = None) -> Iterator[None]:
    """What fails here is the configuration's fault: a `UserError` that begins with its `key`.

    Keys of parts within one another make a path. In `configuration`, what stands at the key, that
    of the part is found which was being built.
    """
    try:
        yield
    except Exception as error:
        part = getattr(error, 'part', configuration)
        inner = getattr(error, 'key', '')
        text = str(error).removeprefix(f'{inner}: ')
        if not isinstance(error, UserError):
            text = _sentence(error) + _given(part)
        inner = next(_places(part, configuration), '') or inner
        path = f'{key}.{inner}' if inner and not inner.startswith('[') else f'{key}{inner}'
        if isinstance(error, UserError) and text.startswith(path):
            raise  # it says so itself
        said = UserError(f'{path}: {text}')
        said.key, said.part = path, part
        raise said from error


@contextmanager
def concerns(what: str) -> Iterator[None]:
    """What fails here in any way is a `UserError` that begins so, unless it is one."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f'{what}: {_sentence(error)}') from error


def in_words(error: Exception) -> str:
    """What an exception of any class says, in one line, with the file that it is about."""
    file = getattr(error, 'filename', None) if isinstance(error, OSError) else None
    return f'{reason(error)}: {file}' if file else reason(error)


def reason(error: Exception) -> str:
    """What an exception of any class says, in one line; of the system's without number and file."""
    if isinstance(cause := getattr(error, 'reason', None), Exception):  # of urllib
        return reason(cause)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    elif isinstance(error, KeyError) and len(error.args) == 1:  # which str() would quote
        text = str(error.args[0])
        text += ' is missing' if len(text.split()) == 1 else ''
    else:
        text = str(error)
    return ' '.join(text.split()) or type(error).__name__


def _sentence(error: Exception) -> str:
    """The first sentence of what an exception says; a path may hold what ends one."""
    text = in_words(error)
    return text if isinstance(error, OSError) else text.partition('. ')[0]


def _given(part: object) -> str:
    """The plain values of a part of a configuration."""
    if isinstance(part, dict):
        plain = {key: value for key, value in part.items() if isinstance(value, PLAIN)}
        values = ', '.join(f'{key}={BRIEF.repr(value)}' for key, value in plain.items())
    else:
        values = BRIEF.repr(part) if isinstance(part, PLAIN) else ''
    return f' (given {values})' if values else ''


def _places(part: object, configuration: object) -> Iterator[str]:
    """The dotted paths at which a part stands in a configuration."""
    items = {}
    if isinstance(configuration, dict):
        items = configuration
    elif isinstance(configuration, list | tuple):
        items = dict(enumerate(configuration))
    for key, item in items.items():
        if item == part:
            yield f'{key}'
        for place in _places(part, item):
            yield f'{key}.{place}'


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """End a command with one sentence on stderr, and the status of its `UserError`.

    Ctrl-C has the status 130, and the end of what reads stdout, as `| head`, 141, both as in a
    shell. Every other exception is a defect of the program and keeps its traceback.
    """
    try:
        yield
        sys.stdout.flush()
    except UserError as error:
        message, status = str(error), error.status
    except BrokenPipeError:
        _drop_unread()
        sys.exit(141)
    except SystemExit:
        _drop_unread()
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        message = f'{in_words(error)}: make room, and begin again; a training goes on by --resume'
        status = 2
    except KeyboardInterrupt:
        message, status = 'interrupted', 130
    else:
        return
    _drop_unread()
    say_error(message.strip())
    sys.exit(status)


def _drop_unread() -> None:
    """Flush stdout, or drop what it does not take: Python would try it again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say_error(message: object) -> None:
    """One line on stderr, whole among those of other processes: print() writes its end apart."""
    sys.stderr.write(f'error: {message}\n')
