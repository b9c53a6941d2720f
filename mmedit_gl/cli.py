"""The command `mmedit-gl`: the tools by their names, wherever the package is installed."""

import ast
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from mmedit_gl import __version__
from mmedit_gl.errors import UserError, one_sentence_errors
from mmedit_gl.shipped import TOOLS

CONVERT = 'convert'  # the command before those of dataset_converters


def main() -> None:
    tools, arguments = find_tools(), sys.argv[1:]
    number = 2 if arguments[:1] == [CONVERT] else 1
    command = ' '.join(arguments[:number]).replace('_', '-')
    with one_sentence_errors():
        if command in tools:
            run(tools[command], command, arguments[number:])
        elif arguments == ['--version']:
            print(f'mmedit-gl {__version__}')
        elif command.removeprefix(CONVERT).strip() in ('', '-h', '--help'):
            print('usage: mmedit-gl COMMAND [ARGUMENTS ...]\n')
            for name, path in tools.items():
                if number == 1 or name.startswith(f'{CONVERT} '):
                    print(f'  {name:<{max(map(len, tools))}}  {purpose(path)}')
            print('\nmmedit-gl COMMAND --help tells of its arguments.')
            print('mmedit-gl --version tells which version this is.')
        else:
            close = [f'did you mean {name!r}?' for name in get_close_matches(command, tools, n=1)]
            hint = ''.join(close) or 'mmedit-gl --help lists them'
            raise UserError(f'mmedit-gl has no command {command!r}: {hint}')


def find_tools() -> dict[str, Path]:
    """The tools by their commands: `train`, `convert folder`."""
    folders = {'': TOOLS, f'{CONVERT} ': TOOLS / 'dataset_converters'}
    return {
        prefix + path.stem.replace('_', '-'): path
        for prefix, folder in folders.items()
        for path in sorted(folder.glob('*.py'))
    }


def purpose(path: Path) -> str:
    """The first line of a script's docstring."""
    return ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))).splitlines()[0]


def run(path: Path, command: str, arguments: list[str]) -> None:
    """Runs a tool as Python runs a script, except that its help has the name of the command."""
    sys.argv = [f'mmedit-gl {command}', *arguments]
    sys.path.insert(0, str(path.parent))
    script = ModuleType('__main__')
    script.__file__ = str(path)  # by which processes that are spawned find it
    sys.modules['__main__'] = script
    exec(compile(path.read_bytes(), path, 'exec'), vars(script))
