"""tools/inpaint.py, as a user types it."""

import io
import itertools
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, random_image, run_tool
from PIL import Image
from test_inpainter import as_bgr, as_pil, save_small_model
from warm import Tool

from mmedit_gl.apis import MODES, Inpainter
from mmedit_gl.datasets import bbox2mask

SHAPE = 80, 100
REMEDIES = 'give another place, --overwrite or --skip-existing'
ENV = {**os.environ, 'OMP_NUM_THREADS': '1'}
# Wider than what the small model is trained with, and not.
WIDE, NARROW = bbox2mask(SHAPE, (20, 25, 40, 50)), bbox2mask(SHAPE, (20, 25, 16, 50))


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> list[str]:
    """The options that choose a small model."""
    config, checkpoint = save_small_model(tmp_path_factory.mktemp('model'))
    return ['--config', str(config), '--checkpoint', str(checkpoint), '--device', 'cpu']


@pytest.fixture(scope='module')
def inpainter(model) -> Inpainter:
    inpainter = Inpainter(*model[1::2])
    assert WIDE[:, 25].sum() > inpainter.trained_hole > NARROW[:, 25].sum()
    return inpainter


@pytest.fixture
def run(model, tmp_path, monkeypatch, capfd):
    """Runs the tool in this process, to save its imports: exit status, stdout and stderr."""

    def run(*args, model: list[str] = model) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, 'argv', ['inpaint.py', *map(str, args), *model])
        capfd.readouterr()
        status = 0
        try:
            runpy.run_path(str(ROOT / 'tools/inpaint.py'), run_name='__main__')
        except SystemExit as end:
            status = end.code
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def refused(run, tmp_path):
    """What is said of bad input; no file may change."""

    def refused(*args, **kwargs) -> str:
        before = files_of(tmp_path)
        status, *output = run(*args, **kwargs)
        assert status == 2
        assert files_of(tmp_path) == before
        return one_sentence(*output)

    return refused


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def names_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in files_of(folder))


def one_sentence(stdout: str, stderr: str) -> str:
    assert 'Traceback' not in stdout + stderr
    (line,) = [line for line in stderr.splitlines() if line.strip()]
    assert line.startswith('error: ')
    return line


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope='module')
def folder_run(model, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A folder of pictures, some of which cannot be completed, and what was printed."""
    root = tmp_path_factory.mktemp('folder')
    bgr = random_image(3, *SHAPE)
    pictures, masks = root / 'pictures', root / 'masks'
    grey = np.random.default_rng(0).integers(0, 65536, SHAPE, dtype=np.uint16)
    write(pictures / 'bird.png', bgr)
    write(masks / 'bird.png', 255 * WIDE)
    as_pil(bgr).save(pictures / 'coast.jpg', quality=80)
    write(masks / 'coast.jpg', 255 * NARROW)
    as_pil(bgr).save(pictures / 'dune.webp', quality=80)
    painted = np.dstack([np.zeros((*SHAPE, 3), np.uint8), 255 * NARROW])
    Image.fromarray(painted).save(masks / 'dune.webp', lossless=True)
    write(pictures / 'earth.tif', grey)
    write(masks / 'earth.bmp', 255 * NARROW)
    write(pictures / 'flat.bmp', bgr)
    write(masks / 'flat.png', 0 * NARROW)
    write(pictures / 'more/of it/bird.png', bgr[::-1])
    write(masks / 'more/of it/bird.png', 255 * NARROW)

    (pictures / 'broken.jpg').write_bytes((pictures / 'coast.jpg').read_bytes()[:900])
    write(masks / 'broken.png', 255 * NARROW)
    write(pictures / 'covered.png', bgr)
    write(masks / 'covered.png', np.full(SHAPE, 255, np.uint8))
    write(pictures / 'done.png', bgr)
    write(masks / 'done.png', 255 * NARROW)
    write(root / 'out' / 'done.png', bgr[:7])
    write(pictures / 'lonely.png', bgr)
    write(pictures / 'turned.png', bgr)
    write(masks / 'turned.png', 255 * NARROW.T)
    (pictures / 'notes.txt').write_text('not a picture')
    (pictures / 'more' / 'film.mov').touch()
    (pictures / '.DS_Store').touch()

    args = 'pictures', 'masks', '-o', 'out', '--save-strips', 'strips/all', *model
    return root, run_tool('inpaint.py', *args, cwd=root)


def test_a_folder_is_completed_but_for_what_cannot_be(folder_run):
    root, done = folder_run
    assert done.returncode == 1
    errors = done.stderr.splitlines()
    expected = [
        'error: cannot read pictures/broken.jpg: it is damaged',
        'error: masks/covered.png covers the whole image',
        f'error: out/done.png is there already: {REMEDIES}',
        'error: no mask for pictures/lonely.png: expected masks/lonely.png',
        'error: masks/turned.png has 80x100 pixels, the image 100x80: expected the same',
    ]
    assert [e[: len(start)] for e, start in zip(errors, expected)] == expected
    assert len(errors) == len(expected)
    lines = done.stdout.splitlines()
    assert lines[-2:] == [
        '2 files are no pictures (.txt, .mov): passed over',
        '6 of 11 pictures completed, 5 failed: out',
    ]
    notes = [line for line in lines if 'note: ' in line]
    assert notes == ['note: the mask of pictures/flat.bmp is empty: it stays as it is']
    completed = [
        'bird.png',
        'coast.jpg',
        'dune.webp',
        'earth.tif',
        'flat.bmp',
        'more/of it/bird.png',
    ]
    assert names_of(root / 'out') == sorted([*completed, 'done.png'])
    assert read(root / 'out/done.png').shape == (7, 100, 3)
    assert names_of(root / 'strips/all') == [f'{name}.png' for name in completed]


@pytest.mark.parametrize('name', ['bird.png', 'dune.webp', 'earth.tif', 'more/of it/bird.png'])
def test_pictures_of_a_folder_are_completed_as_an_inpainter_does(folder_run, inpainter, name):
    root, _ = folder_run
    image, completed = read(root / 'pictures' / name), read(root / 'out' / name)
    hole = WIDE if name == 'bird.png' else NARROW
    assert (completed.dtype, completed.shape) == (image.dtype, image.shape)
    assert np.array_equal(completed[hole == 0], image[hole == 0])
    assert np.array_equal(completed, inpainter(image, hole))
    native = inpainter(image, hole, mode='native')
    assert np.array_equal(completed, native) == (hole is NARROW)


def test_a_jpeg_stays_one_of_its_quality(folder_run, inpainter):
    root, _ = folder_run
    before, after = (Image.open(root / f / 'coast.jpg') for f in ('pictures', 'out'))
    assert after.format == 'JPEG'
    assert after.quantization == before.quantization
    image, completed = as_bgr(before), as_bgr(after)
    # Compression goes by blocks of 16x16 pixels, with an effect on the next pixel.
    far = cv2.dilate(NARROW, np.ones((35, 35), np.uint8)) == 0
    difference = cv2.absdiff(completed, image)[far]
    assert difference.max() <= 6 and difference.mean() < 1
    again = io.BytesIO()
    tables = list(before.quantization.values())
    as_pil(inpainter(image, NARROW)).save(again, 'JPEG', qtables=tables, subsampling='4:2:0')
    assert np.array_equal(completed, as_bgr(Image.open(again)))


def test_an_empty_mask_leaves_the_picture_as_it_is(folder_run):
    root, _ = folder_run
    assert np.array_equal(read(root / 'out/flat.bmp'), read(root / 'pictures/flat.bmp'))


def test_strips_show_original_masked_and_completed(folder_run):
    root, _ = folder_run
    for name, hole in (('bird.png', WIDE), ('dune.webp', NARROW)):
        strip = read(root / 'strips/all' / f'{name}.png')
        assert strip.shape == (80, 3 * 100 + 8, 3)
        image = read(root / 'pictures' / name)
        assert np.array_equal(strip[:, :100], image)
        assert np.array_equal(strip[:, 104:204], np.where(hole[..., None] == 1, 255, image))
        assert np.array_equal(strip[:, 208:], read(root / 'out' / name))
        assert (strip[:, [*range(100, 104), *range(204, 208)]] == 255).all()


def test_one_mask_serves_a_folder_inverted_resized_native_and_over_old_results(
    run, inpainter, tmp_path
):
    pictures = {'a.png': random_image(0, *SHAPE), 'b.png': random_image(1, 40, 51)}
    for name, bgr in pictures.items():
        write(tmp_path / 'pictures' / name, bgr)
    write(tmp_path / 'mask.png', 255 * (1 - WIDE))
    write(tmp_path / 'out' / 'a.png', pictures['b.png'])
    options = '--invert-mask', '--resize-mask', '--mode', 'native', '--overwrite'
    status, stdout, stderr = run('pictures', 'mask.png', '-o', 'out', *options)
    assert (status, stderr) == (0, '')
    assert stdout.splitlines()[-1] == '2 of 2 pictures completed: out'
    completed = read(tmp_path / 'out/a.png')
    assert np.array_equal(completed, inpainter(pictures['a.png'], WIDE, mode='native'))
    # Of half the size, with the hole from row 10 to 30 and from column 12.75 to 38.25.
    completed, bgr = read(tmp_path / 'out/b.png'), pictures['b.png']
    inner, outer = bbox2mask((40, 51), (10, 13, 20, 25)), bbox2mask((40, 51), (9, 12, 22, 28))
    assert np.array_equal(completed[outer == 0], bgr[outer == 0])
    changed = (completed != bgr).any(axis=2)
    assert changed[inner == 1].mean() > 0.95


def test_a_picture_is_completed_and_postprocessed(run, inpainter, tmp_path):
    bgr = random_image(0, *SHAPE)
    image, mask = write(tmp_path / 'photo.png', bgr), write(tmp_path / 'mask.png', 255 * WIDE)
    before = files_of(tmp_path)
    done = run('photo.png', 'mask.png', '-o', 'done.png', '--postprocess')
    assert done == (0, '1 of 1 pictures completed: done.png\n', '')
    completed = read(tmp_path / 'done.png')
    assert np.array_equal(completed, inpainter(bgr, WIDE, postprocess=True))
    assert not np.array_equal(completed, inpainter(bgr, WIDE))
    assert np.array_equal(completed[WIDE == 0], bgr[WIDE == 0])
    assert {path: path.read_bytes() for path in (image, mask)} == before
    assert len(files_of(tmp_path)) == 3


def test_a_wide_hole_is_completed_in_the_mode_that_is_chosen(run, inpainter, tmp_path):
    bgr = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    write(tmp_path / 'photo.png', bgr)
    write(tmp_path / 'mask.png', 255 * WIDE)
    completions = {}
    for mode in MODES:
        status, _, stderr = run('photo.png', 'mask.png', '-o', f'{mode}.png', '--mode', mode)
        assert (status, stderr) == (0, '')
        completions[mode] = read(tmp_path / f'{mode}.png')
        assert np.array_equal(completions[mode], inpainter(bgr, WIDE, mode=mode))
    for mode, other in itertools.combinations(completions.values(), 2):
        assert (mode != other).any(axis=2)[WIDE == 1].mean() > 0.5


def test_python_the_tool_and_the_page_give_the_same_unless_asked_otherwise(
    run, inpainter, tmp_path
):
    from mmedit_gl.apis.web import Page  # not above, for it needs gradio

    bgr = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    picture = write(tmp_path / 'photo.png', bgr)
    mask = write(tmp_path / 'mask.png', 255 * WIDE)
    expected = inpainter(bgr, WIDE)
    assert np.array_equal(expected, inpainter(bgr, WIDE, mode='texture'))
    assert np.array_equal(as_bgr(*inpainter.batch([(picture, mask)])), expected)
    status, _, stderr = run('photo.png', 'mask.png', '-o', 'done.png')
    assert (status, stderr) == (0, '')
    assert np.array_equal(read(tmp_path / 'done.png'), expected)
    blocks = Page(inpainter, tmp_path, 'texture', 1).blocks()
    (complete,) = (fn for fn in blocks.fns.values() if fn.api_name == 'complete')
    painting = dict(layers=[Image.fromarray(np.dstack([bgr, 255 * WIDE]))])
    choices = [component.value for component in complete.inputs[2:]]
    *_, download = complete.fn(str(picture), painting, *choices)
    assert np.array_equal(read(Path(download['value'])), expected)


def test_a_mask_that_is_all_hole_ends_a_single_run_with_one_sentence(refused, tmp_path):
    write(tmp_path / 'photo.png', random_image(0, *SHAPE))
    write(tmp_path / 'mask.png', np.full(SHAPE, 255, np.uint8))
    line = refused('photo.png', 'mask.png', '-o', 'done.png')
    assert line.startswith('error: mask.png covers the whole image: ')


# A large folder


def test_a_run_that_was_stopped_goes_on_where_it_was(model, run, inpainter, tmp_path):
    count, bgr, out = 100, random_image(0, *SHAPE), tmp_path / 'out'
    for i in range(count):
        write(tmp_path / f'pictures/{i // 50}/{i:03d}.png', bgr)
    write(tmp_path / 'mask.png', 255 * NARROW)
    args = 'pictures', 'mask.png', '-o', 'out', '--skip-existing', *model
    stopped = Tool(ROOT / 'tools/inpaint.py', *args, cwd=tmp_path)
    while len(names_of(out)) < 3:
        assert stopped.poll() is None, stopped.end()
        time.sleep(0.01)
    os.kill(stopped.pid, signal.SIGINT)
    status, _, stderr = stopped.end()
    assert (status, stderr) == (130, 'error: interrupted\n')
    kept = files_of(out)
    assert 3 <= len(kept) < count
    expected = inpainter(bgr, NARROW)
    assert all(np.array_equal(read(path), expected) for path in kept)  # nothing else is left
    status, stdout, stderr = run(*args)
    assert (status, stderr) == (0, '')
    summary = f'{count - len(kept)} of {count} pictures completed, {len(kept)} skipped: out'
    assert stdout.splitlines()[-1] == summary
    after = files_of(out)
    assert {path: after[path] for path in kept} == kept
    assert len(after) == count and len(set(after.values())) == 1


def run_two(root: Path, *args) -> subprocess.CompletedProcess:
    command = [ROOT / 'tools/dist_inpaint.sh', 'pictures', 'masks', 2, '-o', 'two', *args]
    env = {**ENV, 'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'}
    options = dict(cwd=root, env=env, capture_output=True, text=True, timeout=300)
    return subprocess.run(list(map(str, command)), **options)


def test_two_processes_share_a_folder(folder_run, model):
    root, one = folder_run
    write(root / 'two/done.png', read(root / 'out/done.png'))
    two = run_two(root, *model)
    assert two.returncode == 1

    def said(run: subprocess.CompletedProcess) -> list[str]:
        lines = (run.stdout + run.stderr).splitlines()
        kinds = re.compile('(error|note): |.* (files are no pictures|pictures completed)')
        return sorted(re.sub(r'\btwo\b', 'out', line) for line in lines if kinds.match(line))

    assert said(two) == said(one)
    assert len(said(two)) == 8
    completed = {name: (root / 'out' / name).read_bytes() for name in names_of(root / 'out')}
    assert {
        name: (root / 'two' / name).read_bytes() for name in names_of(root / 'two')
    } == completed


def test_a_line_of_one_process_is_not_broken_by_another(folder_run, run, monkeypatch):
    class Stderr(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    root, _ = folder_run
    for args in (['pictures', 'masks', '-o', 'three'], ['none', 'masks', '-o', 'three']):
        written = []
        monkeypatch.setattr(sys, 'stderr', Stderr())
        run(*(root / arg if arg[0] != '-' else arg for arg in args))
        assert written and all(re.fullmatch('error: .*\n', text) for text in written), written


def test_what_two_processes_refuse_is_said_once(tmp_path):
    tmp_path.joinpath('pictures').mkdir()
    two = run_two(tmp_path)
    assert two.returncode == 1
    errors = [line for line in two.stderr.splitlines() if line.startswith('error: ')]
    assert errors == ['error: no mask and no folder of masks masks']


def test_missing_arguments_of_the_script_give_its_usage():
    script = str(ROOT / 'tools/dist_inpaint.sh')
    for args in (['pictures', 'masks'], ['pictures', 'masks', '-o', 'out']):
        done = subprocess.run([script, *args], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (2, '')
        usage = 'PICTURES MASKS NUM_PROCESSES -o OUT [inpaint.py arguments]'
        assert done.stderr.endswith(f'{script} {usage}\n')


def test_a_picture_that_is_there_is_skipped_too(run, files, tmp_path):
    out = write(tmp_path / 'out.png', random_image(1, 7, 7))
    before = files_of(tmp_path)
    expected = 0, '0 of 1 pictures completed, 1 skipped: out.png\n', ''
    assert run('photo.png', 'mask.png', '-o', 'out.png', '--skip-existing') == expected
    assert files_of(tmp_path) == before
    status, *_ = run(
        'photo.png', 'mask.png', '-o', 'out.png', '--skip-existing', '--save-strips', '.'
    )
    assert status == 0
    assert read(out).shape == (7, 7, 3)
    assert read(tmp_path / 'photo.png.png').shape == (80, 308, 3)


def test_names_that_are_no_text_are_completed_and_told(run, files, tmp_path):
    (tmp_path / 'pictures').mkdir()
    files[0].rename(tmp_path / 'pictures' / os.fsdecode(b'caf\xe9.png'))
    write(files[1], 0 * NARROW)
    status, stdout, stderr = run('pictures', 'mask.png', '-o', 'out')
    assert (status, stderr) == (0, '')
    assert r'note: the mask of pictures/caf\udce9.png is empty: it stays as it is' in stdout
    assert names_of(tmp_path / 'out') == ['caf\udce9.png']


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """A picture and its mask."""
    image = write(tmp_path / 'photo.png', random_image(0, *SHAPE))
    return image, write(tmp_path / 'mask.png', 255 * NARROW)


def test_an_output_that_is_there_is_not_written_over(refused, files, tmp_path):
    out = write(tmp_path / 'out.png', random_image(1, 7, 7))
    line = refused(*files, '-o', out)
    assert line == f'error: {out} is there already: {REMEDIES}'


def test_nor_are_strips(refused, files, tmp_path):
    strip = write(tmp_path / 'strips' / 'photo.png.png', random_image(1, 7, 7))
    line = refused(*files, '-o', tmp_path / 'out.png', '--save-strips', strip.parent)
    assert line == f'error: {strip} is there already: {REMEDIES}'


def test_a_name_that_cannot_be_written_is_refused_before_the_network_runs(
    refused, files, tmp_path, monkeypatch
):
    monkeypatch.setattr(Inpainter, 'complete', None)
    for name in ('out.gif', 'none/out.png', f'{"x" * 300}.png'):
        assert 'cannot write' in refused(*files, '-o', tmp_path / name)


@pytest.mark.parametrize('options', [[], ['--overwrite']], ids=str)
@pytest.mark.parametrize('victim', [0, 1], ids=['picture', 'mask'])
def test_the_input_is_never_written_over(refused, files, options, victim):
    same = files[victim].parent / '.' / '..' / files[victim].parent.name / files[victim].name
    assert str(same) in refused(*files, '-o', same, *options)


def test_an_output_that_cannot_be_written_is_named(refused, files, tmp_path):
    line = refused(*files, '-o', tmp_path / 'none' / 'out.png')
    assert (
        line == f'error: cannot write {tmp_path}/none/out.png: there is no folder {tmp_path}/none'
    )
    assert not (tmp_path / 'none').exists()
    line = refused(*files, '-o', tmp_path / 'out.gif')
    assert line.startswith(f'error: cannot write {tmp_path}/out.gif: expected a name that ends in')
    line = refused(files[0].parent, files[1], '-o', files[0] / 'out')
    assert line == f'error: cannot make the folder {files[0]}/out: Not a directory'
    line = refused(*files, '-o', tmp_path / 'out.png', '--save-strips', files[0] / 'strips')
    assert line == f'error: cannot make the folder {files[0]}/strips: Not a directory'


def test_a_folder_that_cannot_be_written_is_refused_before_the_network_is_there(
    refused, files, monkeypatch
):
    monkeypatch.setattr(Inpainter, '__init__', None)
    folder, why = '/proc/self/fd', 'error: cannot write to the folder /proc/self/fd: '
    assert refused(files[0].parent, files[1], '-o', folder).startswith(why)
    assert refused(files[0].parent, files[1], '-o', 'new', '--save-strips', folder).startswith(why)
    assert refused(*files, '-o', 'new.png', '--save-strips', folder).startswith(why)


def test_a_place_that_cannot_be_written_is_noticed_before_its_picture_is_completed(
    run, files, tmp_path, monkeypatch
):
    (tmp_path / 'in/sub').mkdir(parents=True)
    for name in ('in/a.png', 'in/sub/b.png'):
        (tmp_path / name).write_bytes(files[0].read_bytes())
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/sub').symlink_to('/proc/self/fd')
    completed, complete = [], Inpainter.complete

    def counted(self, picture, *options):
        completed.append(picture.name)
        return complete(self, picture, *options)

    monkeypatch.setattr(Inpainter, 'complete', counted)
    status, stdout, stderr = run('in', files[1], '-o', 'out')
    assert status == 1
    assert stderr.startswith('error: cannot write to the folder out/sub: ')
    assert stdout.endswith('1 of 2 pictures completed, 1 failed: out\n')
    assert completed == ['in/a.png']


def test_a_folder_over_which_would_be_written_is_refused(refused, files):
    line = refused('.', 'mask.png', '-o', '.', '--overwrite')
    assert line.startswith('error: . is or holds ., over which nothing may be written: ')


def test_what_contradicts_itself_is_refused(refused, run, files, tmp_path):
    options = '-o', 'out', '--overwrite', '--skip-existing'
    status, stdout, stderr = run('.', 'mask.png', *options)
    assert (status, stdout) == (2, '')
    message = 'error: argument --skip-existing: not allowed with argument --overwrite'
    assert stderr.splitlines()[-1].endswith(message)
    line = refused('photo.png', 'mask.png', '-o', 'out.png', '--launcher', 'pytorch')
    assert line == 'error: --launcher shares the pictures of a folder: photo.png is none'
    line = refused('.', 'mask.png', '-o', 'out', '--launcher', 'pytorch')
    assert line == 'error: --launcher pytorch: expected to be started by torchrun'


def test_a_picture_of_too_many_pixels_is_refused(refused, files, tmp_path):
    line = refused(*files, '-o', tmp_path / 'out.png', '--max-megapixels', '0.0079')
    assert '100x80 pixels has 0.008 megapixels, more than the limit of 0.0079' in line
    assert '--max-megapixels' in line


def test_what_is_not_there_is_named(refused, files, model, tmp_path):
    image, mask = files
    out, none = tmp_path / 'out.png', tmp_path / 'none'
    line = refused(none, mask, '-o', out)
    assert line == f'error: cannot read {none}: No such file or directory'
    assert f'cannot read {none}' in refused(image, none, '-o', out)
    others = [*model[:3], str(none)]
    assert f'no checkpoint {none}' in refused(image, mask, '-o', out, model=others)
    assert 'its checkpoint are given together' in refused(image, mask, '-o', out, model=model[:2])
    none.mkdir()
    assert f'no pictures in {none}' in refused(none, mask, '-o', tmp_path / 'out')
    assert f'{none} is a folder: expected the mask' in refused(image, none, '-o', out)
