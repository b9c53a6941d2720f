import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from venv import EnvBuilder

import cv2
import numpy as np
import pytest
import yaml
from conftest import ROOT, random_image

from mmedit_gl.shipped import CONFIGS, TOOLS

COPIED = ['LICENSE', 'README.md', 'configs', 'mmedit_gl', 'pyproject.toml', 'setup.py', 'tools']
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
# What pip calls, as the build-system of pyproject.toml says.
BUILD = """
from setuptools import build_meta
for build in (build_meta.build_sdist, build_meta.build_editable, build_meta.build_wheel):
    build('../' + build.__name__)
"""
WHERE = 'import mmedit_gl; print(mmedit_gl.__file__)'
QUICK = ['train_cfg.max_iters=3', 'train_cfg.val_interval=3', 'train_dataloader.batch_size=2']
QUICK += ['model.train_cfg.iter_tc=1', 'model.train_cfg.iter_td=2']


def files_below(folder: Path) -> set[str]:
    files = (path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    return {path.as_posix() for path in files if '__pycache__' not in path.parts}


def run(*command, cwd: Path, **kwargs) -> subprocess.CompletedProcess:
    options = dict(capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    return subprocess.run([*map(str, command)], cwd=cwd, **options, **kwargs)


@pytest.fixture(scope='module')
def built(tmp_path_factory) -> Path:
    """A folder with a copy of the clone and what is built of it, each in a folder of its own."""
    folder = tmp_path_factory.mktemp('built')
    ignore = shutil.ignore_patterns('__pycache__')
    (folder / 'clone').mkdir()
    for name in COPIED:
        copy = partial(shutil.copytree, ignore=ignore) if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / 'clone' / name)
    run(sys.executable, '-c', BUILD, cwd=folder / 'clone', check=True)
    pip = [sys.executable, '-m', 'pip', 'wheel', '--no-index', '--no-deps', '--no-build-isolation']
    (sdist,) = folder.glob('build_sdist/*.tar.gz')
    run(*pip, '--wheel-dir', folder / 'of_sdist', sdist, cwd=folder, check=True)
    return folder


@pytest.fixture(scope='module')
def installed(built, tmp_path_factory) -> Path:
    """A new environment with the wheel; what it requires is read where it is installed already."""
    folder = tmp_path_factory.mktemp('environment')
    EnvBuilder(symlinks=True).create(folder)
    (wheel,) = built.glob('of_sdist/*.whl')
    pip = [sys.executable, '-m', 'pip', '--python', folder / 'bin/python', 'install']
    run(*pip, '--no-index', '--no-deps', wheel, cwd=folder, check=True)
    (packages,) = folder.glob('lib/python*/site-packages')
    paths = [path for path in sys.path if path and Path(path) not in (ROOT, ROOT / 'tests')]
    (packages / 'requirements.pth').write_text('\n'.join(paths))
    return folder


@pytest.fixture(scope='module')
def mim(installed) -> Path:
    (folder,) = installed.glob('lib/python*/site-packages/mmedit_gl/.mim')
    return folder


def test_a_build_leaves_nothing_in_the_clone_but_what_is_a_builds(built):
    clone = built / 'clone'
    assert {path.name for path in clone.iterdir()} == {*COPIED, 'build', 'mmedit_gl.egg-info'}
    for name in ('configs', 'mmedit_gl', 'tools'):
        assert files_below(clone / name) == files_below(ROOT / name)


def test_the_sdist_makes_the_wheel_that_the_clone_makes(built):
    contents = []
    for folder in ('build_wheel', 'of_sdist'):
        (wheel,) = built.glob(f'{folder}/*.whl')
        with zipfile.ZipFile(wheel) as file:
            contents.append({entry.filename: entry.CRC for entry in file.infolist()})
    assert contents[0] == contents[1]


def test_the_wheel_has_the_configurations_and_the_tools_where_openmim_looks(mim):
    own = {f'{name}/{file}' for name in ('configs', 'tools') for file in files_below(ROOT / name)}
    assert files_below(mim) == {*own, 'model-index.yml'}
    for name in own:
        assert (mim / name).read_bytes() == (ROOT / name).read_bytes()
        assert os.access(mim / name, os.X_OK) == os.access(ROOT / name, os.X_OK)


def test_the_wheels_model_index_leads_to_each_published_model(mim):
    (metafile,) = yaml.safe_load((mim / 'model-index.yml').read_text())['Import']
    models = yaml.safe_load((mim / metafile).read_text())['Models']
    assert [model['Name'] for model in models] == [
        'gl_256x256_8x12_places',
        'gl_256x256_8x12_celeba',
    ]
    for model in models:
        assert (mim / model['Config']).name == f'{model["Name"]}.py'
        assert (mim / model['Config']).is_file()
        assert model['Weights'].startswith('https://')


def test_a_clone_uses_its_own_configurations_and_tools():
    assert (CONFIGS, TOOLS) == (ROOT / 'configs', ROOT / 'tools')


def test_the_command_lists_the_tools_with_what_they_are_for(installed, tmp_path):
    listed = run(installed / 'bin/mmedit-gl', '--help', cwd=tmp_path)
    lines = dict(line[2:].split('  ', 1) for line in listed.stdout.splitlines() if line[:2] == '  ')
    purposes = {command: purpose.strip() for command, purpose in lines.items()}
    tools = {path.stem for path in TOOLS.glob('*.py')}
    converters = {f'convert {path.stem}' for path in TOOLS.glob('dataset_converters/*.py')}
    assert set(purposes) == {name.replace('_', '-') for name in tools | converters}
    assert purposes['train'] == 'Train a model by its configuration.'
    assert listed.returncode == 0

    converting = run(installed / 'bin/mmedit-gl', 'convert', '-h', cwd=tmp_path).stdout
    assert [line for line in converting.splitlines() if line.startswith('  ')] == [
        line for line in listed.stdout.splitlines() if line.startswith('  convert ')
    ]


@pytest.mark.parametrize(
    ('command', 'message'),
    [
        ('trian', "has no command 'trian': did you mean 'train'?"),
        ('convert folders', "has no command 'convert folders': did you mean 'convert folder'?"),
        ('pack_lmdb', "has no command 'pack-lmdb': did you mean 'convert pack-lmdb'?"),
        ('xyz --help', "has no command 'xyz': mmedit-gl --help lists them"),
    ],
)
def test_an_unknown_command_ends_with_a_sentence(command, message, installed, tmp_path):
    done = run(installed / 'bin/mmedit-gl', *command.split(), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f'error: mmedit-gl {message}\n')


def test_the_command_runs_a_tool_as_a_script_with_processes_and_neighbours(installed, tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/neighbour.py').write_text('FACTOR = 2')
    (tmp_path / 'tools/tool.py').write_text("""
import argparse, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from neighbour import FACTOR
def multiply(n):
    return FACTOR * n
if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('n', type=int)
    args = parser.parse_args()
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
        sys.exit(pool.submit(multiply, args.n).result())
""")
    code = 'import sys, pathlib; from mmedit_gl.cli import run;'
    code += 'run(pathlib.Path("tools/tool.py").absolute(), "a tool", sys.argv[1:])'
    tool = installed / 'bin/python', '-c', code
    assert [run(*tool, n, cwd=tmp_path).returncode for n in ('4', '0')] == [8, 0]
    told = run(*tool, '--help', cwd=tmp_path).stdout
    assert told.startswith('usage: mmedit-gl a tool [-h] n\n')


def test_an_installed_package_trains_tests_and_completes_without_a_warning(installed, tmp_path):
    def mmedit_gl(*arguments) -> None:
        done = run(installed / 'bin/mmedit-gl', *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert not re.search('Warning|WARNING', done.stdout + done.stderr)

    mmedit_gl('train', 'gl_128x128_demo', '--cfg-options', *QUICK)
    trained = tmp_path / 'work_dirs/gl_128x128_demo'
    (log,) = trained.glob('*/*.log')
    assert 'WARNING' not in log.read_text()
    mmedit_gl('test', 'gl_128x128_demo', trained / 'iter_3.pth', '--out', 'metrics.json')
    tested = json.loads((tmp_path / 'metrics.json').read_text())['summary']['model']
    validated = json.loads((trained / 'metrics.json').read_text())
    for name in ('l1', 'psnr', 'ssim'):
        assert tested[name]['mean'] == pytest.approx(validated[name], rel=1e-3)

    picture, mask = random_image(0, 64, 80), np.zeros((64, 80), np.uint8)
    mask[20:40, 30:50] = 255
    cv2.imwrite(str(tmp_path / 'picture.png'), picture)
    cv2.imwrite(str(tmp_path / 'mask.png'), mask)
    mmedit_gl('inpaint', 'picture.png', 'mask.png', '-o', 'completed.png')
    changed = (cv2.imread(str(tmp_path / 'completed.png')) != picture).any(axis=2)
    assert not changed[mask == 0].any()
    assert changed[mask == 255].mean() > 0.5
    place = run(installed / 'bin/python', '-c', WHERE, cwd=tmp_path).stdout.strip()
    assert Path(place).is_relative_to(installed)
