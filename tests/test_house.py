import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / 'mmedit_gl'
# From the ground up, in the order in which a picture goes through them.
FLOORS = ['pictures', 'datasets', 'models', 'evaluation', 'engine', 'apis']


def imports(path: Path) -> set[Path]:
    """The project's own files that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.level:
            found |= {path.parent / (node.module or alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module.split('.')[0] == 'mmedit_gl':
            base = PACKAGE.joinpath(*node.module.split('.')[1:])
            found |= {base / alias.name for alias in node.names} | {base}
        elif isinstance(node, ast.Import):
            names = [alias.name.split('.') for alias in node.names]
            found |= {PACKAGE.joinpath(*name[1:]) for name in names if name[0] == 'mmedit_gl'}
    files = {place.with_suffix('.py') for place in found} | {p / '__init__.py' for p in found}
    return {file for file in files if file.is_file() and file != path}


def floor(path: Path) -> int:
    """0 is the ground: the files of the package itself."""
    room = path.relative_to(PACKAGE).parts[0]
    return FLOORS.index(room) + 1 if room in FLOORS else 0


FILES = sorted(p for p in PACKAGE.rglob('*.py') if 'default' not in p.parts)


def test_every_room_is_on_a_floor():
    rooms = {path.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE}
    assert rooms == set(FLOORS)


def test_no_import_runs_upwards():
    upwards = [
        f'{path.relative_to(PACKAGE)} imports {other.relative_to(PACKAGE)}'
        for path in FILES
        for other in imports(path)
        if floor(other) > floor(path)
    ]
    assert upwards == []


def test_imports_run_in_no_circle():
    files = [path for path in FILES if path.name != '__init__.py']
    graph = {path: imports(path) & set(files) for path in files}
    assert len(list(TopologicalSorter(graph).static_order())) == len(files)
    assert sum(map(len, graph.values())) > len(files)  # imports are found


def test_a_file_imports_a_room_below_by_the_room():
    """What a room shows is in its `__init__`; only neighbours look into its files."""
    for path in FILES:
        own = path.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                _, *rooms = node.module.split('.')
                if node.module.startswith('mmedit_gl.') and len(rooms) > 1:
                    assert rooms[0] == own, f'{path.name} imports {node.module}'
