import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from conftest import ROOT, random_image, run_tool, shrink
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import expect

from mmedit_gl.apis import MODES, Inpainter, init_model
from mmedit_gl.engine import load_config
from mmedit_gl.pictures import picture_of, read_picture, write_picture

DESKTOP = dict(viewport=dict(width=700, height=600))
PHONE = dict(viewport=dict(width=390, height=844), has_touch=True, is_mobile=True)
WIDTH, HEIGHT = 600, 400
PATIENCE = 300_000  # milliseconds, for a busy machine


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """Arguments for a small model of random weights."""
    folder = tmp_path_factory.mktemp('small')
    config, checkpoint = folder / 'small.py', folder / 'small.pth'
    source = ROOT / 'configs/inpainting/global_local/gl_128x128_demo.py'
    shrink(load_config(source), folder).dump(config)
    torch.manual_seed(0)
    model = init_model(config, device='cpu')
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    return ['--config', config, '--checkpoint', checkpoint, '--device', 'cpu']


@contextmanager
def serving(args, folder, **env):
    """The process that serves at a free port, and the address that it tells."""
    command = [sys.executable, ROOT / 'tools/serve.py', '--port', '0', *args]
    folder.mkdir(exist_ok=True)
    options = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Of a shell's background job the Ctrl-C would be ignored.
    options['preexec_fn'] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    env = {**os.environ, 'TMPDIR': str(folder), **env}
    with subprocess.Popen(list(map(str, command)), env=env, cwd=folder, **options) as process:
        try:
            line = process.stdout.readline()
            assert re.fullmatch(r'the page is at http://127\.0\.0\.1:\d+/\n', line), (
                line + process.stderr.read()
            )
            yield process, line.split()[-1]
        finally:
            process.kill()


def files_below(folder):
    return [path for path in folder.rglob('*') if path.is_file()]


def first_mode(url):
    with urllib.request.urlopen(f'{url}config') as answer:
        components = json.load(answer)['components']
    (mode,) = (c['props']['value'] for c in components if c['type'] == 'radio')
    return mode


@pytest.fixture(scope='module')
def url(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp('server')
    with serving([*small, '--max-megapixels', '1'], folder) as (process, url):
        yield url
        process.terminate()
        assert process.wait(timeout=60) == 130
    assert files_below(folder) == []


@pytest.fixture
def visit(browser, url):
    """Opens the page as one visitor more; nothing may go elsewhere, or wrong unseen."""
    contexts, faults = [], []

    def open_page(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on('pageerror', lambda error: faults.append(str(error)))
        page.on('console', lambda message: message.type == 'error' and faults.append(message.text))
        own = (url, 'data:', 'blob:')
        page.on('request', lambda r: r.url.startswith(own) or faults.append(r.url))
        page.goto(url)
        expect(page.get_by_text('Open a picture, paint over')).to_be_visible(timeout=PATIENCE)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def open_picture(page, path):
    page.set_input_files('input[type=file]', path)
    wait_for_picture(page)


def wait_for_picture(page):
    # That the picture came is a step that can be undone.
    expect(page.locator('#editor .icon-button-wrapper button').nth(3)).to_be_enabled(
        timeout=PATIENCE
    )


def centre_of_canvas(page):
    page.get_by_role('button', name='Complete').scroll_into_view_if_needed()
    box = page.locator('#editor .pixi-target canvas').bounding_box()
    return box['x'] + box['width'] / 2, box['y'] + box['height'] / 2


def paint(page, x=0.0, y=0.0):
    """A stroke of 80 pixels to the right, from (x, y) off the centre of the picture."""
    left, top = centre_of_canvas(page)
    page.mouse.move(left + x, top + y)
    page.mouse.down()
    page.mouse.move(left + x + 80, top + y, steps=4)
    page.mouse.up()


def complete(page):
    page.get_by_role('button', name='Complete').click()


def download(page):
    with page.expect_download(timeout=PATIENCE) as download:
        page.locator('#download').click()
    return download.value.suggested_filename, download.value.path()


def expect_message(page, text):
    message = page.get_by_test_id('toast-body')
    expect(message).to_contain_text(text, timeout=PATIENCE)


def read(path):
    return read_picture(path).bgr


def changed(before, after):
    assert before.shape == after.shape
    return (before != after).any(axis=2)


@pytest.fixture
def png(tmp_path):
    path = tmp_path / 'my picture.png'
    write_picture(picture_of(random_image(0, HEIGHT, WIDTH)), path)
    return path


def test_a_painted_png_is_completed_and_the_same_elsewhere(visit, png):
    page = visit(**DESKTOP)
    open_picture(page, png)
    progress = page.locator("#editor [data-testid='status-tracker']")
    expect(progress).to_have_css('opacity', '0', timeout=PATIENCE)  # or all would be painted pale
    paint(page)
    complete(page)
    name, path = download(page)
    assert name == 'my picture_completed.png'
    expect(progress).to_be_hidden()
    # One that stays for good lets the brush through.
    stays = "e => { e.classList.remove('hide'); return getComputedStyle(e).pointerEvents }"
    assert progress.evaluate(stays) == 'none'
    hole = changed(read(png), read(path))
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    middle = hole[HEIGHT // 2 - 10 : HEIGHT // 2 + 10, WIDTH // 2 : WIDTH // 2 + 60]
    assert middle.mean() > 0.95
    assert HEIGHT / 4 < rows[0] < rows[-1] < 3 * HEIGHT / 4
    assert WIDTH / 3 < columns[0] < columns[-1] < 4 * WIDTH / 5
    compared = page.locator('#compare img')
    expect(compared).to_have_count(2)
    assert [img.evaluate('e => e.naturalWidth') for img in compared.all()] == [WIDTH, WIDTH]


def test_a_large_photograph_that_is_turned_is_painted_upright_at_its_size(visit, tmp_path):
    path = tmp_path / 'turned.jpg'
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen upright it is to be turned clockwise
    upright = random_image(1, 1100, 800)
    Image.fromarray(np.ascontiguousarray(np.rot90(upright)[..., ::-1])).save(
        path, exif=exif, quality=90
    )
    page = visit(**DESKTOP)
    open_picture(page, path)
    paint(page, -50, -90)
    complete(page)
    name, out = download(page)
    assert name == 'turned_completed.jpg'
    with Image.open(path) as before, Image.open(out) as after:
        assert (after.format, after.size) == ('JPEG', before.size)
        assert after.getexif()[0x0112] == 6
    difference = np.abs(read(path).astype(int) - read(out)).max(axis=2)
    assert difference.shape == (1100, 800)
    rows, columns = np.nonzero(difference > 4)
    assert rows.size > 5000
    assert 20 < rows.min() < rows.max() < 500
    assert 100 < columns.min() < columns.max() < 700
    assert difference[600:].max() <= 4


def test_undo_goes_back_to_the_picture_and_not_before_it(visit, png):
    page = visit(**DESKTOP)
    open_picture(page, png)
    undo, redo = (page.locator('#editor .icon-button-wrapper button').nth(i) for i in (3, 4))
    paint(page, 0, -80)
    for _ in range(3):
        undo.click()
        page.wait_for_timeout(200)
    expect(undo).to_be_enabled()
    expect(redo).to_be_enabled()
    paint(page, -80, 45)
    complete(page)
    rows, columns = np.nonzero(changed(read(png), read(download(page)[1])))
    assert rows.min() > HEIGHT // 2
    assert columns.max() < WIDTH // 2 + 60


def test_an_example_can_be_painted_anew_and_completed(visit):
    page = visit(**DESKTOP)
    page.locator('.gallery-item').last.click()
    wait_for_picture(page)
    paint(page)
    page.locator('#editor .icon-button-wrapper button').last.click()
    page.wait_for_timeout(500)
    wait_for_picture(page)
    complete(page)
    expect_message(page, 'nothing is painted: paint the hole first')
    paint(page)
    complete(page)
    assert download(page)[0] == 'coffee_completed.png'


def test_what_is_no_picture_or_too_large_is_refused_in_a_sentence(visit, tmp_path):
    none, large, huge = (tmp_path / name for name in ('<b>no.png', 'large.png', 'huge.png'))
    none.write_text('no picture')
    Image.new('RGB', (1500, 1000)).save(large)
    huge.write_bytes(bytes(51 * 2**20))
    page = visit(**DESKTOP)
    for path, text in [
        (none, 'expected a JPEG, PNG, WebP, BMP, TIFF or GIF picture'),
        (large, 'large.png of 1500x1000 pixels has 1.5 megapixels'),
        (huge, 'maximum allowed size'),
    ]:
        page.set_input_files('input[type=file]', path)
        expect_message(page, text)
        expect(page.get_by_test_id('toast-body')).not_to_contain_text('/')
        expect(page.get_by_role('button', name='Complete')).to_be_hidden()
        expect(page.get_by_test_id('file-upload').first).to_be_attached()
        page.get_by_test_id('toast-close').click()
        expect(page.get_by_test_id('toast-body')).to_have_count(0)


def test_a_phone_shows_the_whole_width_and_is_painted_by_touch(visit, png):
    page = visit(**PHONE)
    open_picture(page, png)
    left, top = centre_of_canvas(page)
    touch = page.context.new_cdp_session(page)
    for kind, points in [
        ('touchStart', [dict(x=left, y=top)]),
        *[('touchMove', [dict(x=left + 8 * i, y=top)]) for i in range(8)],
        ('touchEnd', []),
    ]:
        touch.send('Input.dispatchTouchEvent', dict(type=kind, touchPoints=points))
    complete(page)
    hole = changed(read(png), read(download(page)[1]))
    assert hole[HEIGHT // 2 - 5 : HEIGHT // 2 + 5, WIDTH // 2 : WIDTH // 2 + 60].mean() > 0.95
    assert not hole[: HEIGHT // 4].any()
    assert not hole[:, : WIDTH // 4].any()
    assert page.evaluate('document.documentElement.scrollWidth') <= 390
    tools = page.locator('#editor button')
    boxes = [box for tool in tools.all() if (box := tool.bounding_box())]
    assert len(boxes) >= 9
    assert all(box['width'] >= 30 and box['height'] >= 30 for box in boxes)


def test_ten_at_once_get_each_their_own(url, small, tmp_path):
    inpainter = Inpainter(small[1], small[3], device='cpu')

    def work(i):
        picture = picture_of(random_image(i, 60 + i, 80))
        hole = np.zeros((60 + i, 80), np.uint8)
        hole[10:45, 10 + i : 40 + 2 * i] = 1
        postprocess, mode = i % 2 == 1, MODES[i % 3]
        write_picture(picture, tmp_path / f'{i}.png')
        layer = np.zeros((*hole.shape, 4), np.uint8)
        layer[hole == 1] = 255, 0, 0, 180
        Image.fromarray(layer).save(tmp_path / f'{i}_layer.png')
        layers = [handle_file(tmp_path / f'{i}_layer.png')]
        client = Client(
            url, verbose=False, download_files=tmp_path / f'{i}', analytics_enabled=False
        )
        painting = dict(background=None, layers=layers, composite=None)
        answer = client.predict(
            handle_file(tmp_path / f'{i}.png'), painting, postprocess, mode, api_name='/complete'
        )
        client.close()
        expected = inpainter.complete(picture, hole, postprocess, mode)
        return picture, hole, expected, read(answer[1]['value'])

    with ThreadPoolExecutor(10) as pool:
        for picture, hole, expected, completed in pool.map(work, range(10)):
            assert np.array_equal(completed, expected.bgr)
            assert not changed(picture.bgr, completed)[hole == 0].any()
            assert changed(picture.bgr, completed)[hole == 1].mean() > 0.5


def test_the_picture_that_is_painted_on_shows_how_far_its_completion_is(small, png, tmp_path):
    from mmedit_gl.apis.web import Page  # not above, for it needs gradio

    page = Page(Inpainter(small[1], small[3], device='cpu'), tmp_path, 'texture', 1)
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[100:300, 100:300, 3] = layer[150:160, 400:410, 3] = 255  # one wide part, one narrow
    seen = []
    page.complete(
        str(png),
        dict(layers=[Image.fromarray(layer)]),
        False,
        'texture',
        lambda step, text: seen.append((step, text)),
    )
    assert seen == [((done, 3), 'Completing') for done in range(3)]
    config = page.blocks().config
    button = next(d for d in config['dependencies'] if d['api_name'] == 'complete')
    ids = {c['props'].get('elem_id'): c['id'] for c in config['components']}
    assert button['show_progress_on'] == [ids['editor'], ids['compare']]


def test_a_completion_that_the_disk_cannot_keep_is_said_on_the_page(small, png):
    from mmedit_gl.apis.web import Page, gr

    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[100:120, 100:120, 3] = 255
    page = Page(Inpainter(small[1], small[3], device='cpu'), '/proc/self/fd', 'native', 1)
    with pytest.raises(gr.Error, match=r'the completed picture cannot be kept: '):
        painting = dict(layers=[Image.fromarray(layer)])
        page.complete(str(png), painting, False, 'native', lambda step, text: None)


@pytest.mark.parametrize('painted, message', [(1, 'all is painted'), (0, 'nothing is painted')])
def test_all_or_nothing_painted_is_refused(url, png, tmp_path, painted, message):
    Image.new('RGBA', (60, 40), (255, 0, 0, 255 * painted)).save(tmp_path / 'layer.png')
    client = Client(url, verbose=False, download_files=False, analytics_enabled=False)
    painting = dict(background=None, layers=[handle_file(tmp_path / 'layer.png')], composite=None)
    with pytest.raises(Exception, match=message):
        client.predict(handle_file(png), painting, False, 'texture', api_name='/complete')
    client.close()


def test_no_other_file_of_the_machine_is_served(url, png, tmp_path):
    for path in ('/etc/passwd', ROOT / 'pyproject.toml', png):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f'{url}gradio_api/file={urllib.request.pathname2url(str(path))}')
        with error.value:
            assert error.value.code == 403


@pytest.fixture(scope='module')
def interrupted(small, tmp_path_factory, browser):
    """A native server without scikit-image: its page, and its end by Ctrl-C with a picture open."""
    folder, blocked = tmp_path_factory.mktemp('interrupted'), tmp_path_factory.mktemp('blocked')
    (blocked / 'skimage.py').write_text('raise ImportError')
    write_picture(picture_of(random_image(0, HEIGHT, WIDTH)), blocked / 'picture.png')
    path = dict(PYTHONPATH=str(blocked))
    args = [*small, '--mode', 'native']
    with serving(args, folder, **path) as (process, url), browser.new_page() as page:
        with urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
        mode = first_mode(url)
        page.goto(url)
        open_picture(page, blocked / 'picture.png')
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=60)
        printed = process.stdout.read(), process.stderr.read()
        return text, mode, status, *printed, files_below(folder)


def test_ctrl_c_ends_quietly_and_leaves_no_file(interrupted):
    assert interrupted[2:] == (130, '', 'error: interrupted\n', [])


def test_the_page_begins_with_the_mode_of_the_server(url, interrupted):
    assert (first_mode(url), interrupted[1]) == ('texture', 'native')


def test_without_scikit_image_there_are_no_examples(interrupted):
    assert 'Complete a picture' in interrupted[0]
    assert 'astronaut' not in interrupted[0]


def test_a_port_that_is_taken_is_said_in_a_sentence(small, tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        done = run_tool('serve.py', *small, '--port', port, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f'error: cannot serve at 127.0.0.1:{port}: Address already in use; '
        'give another --port or --host\n'
    )


def test_gradio_that_is_not_installed_is_said_in_a_sentence(small, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    monkeypatch.delitem(sys.modules, 'mmedit_gl.apis.web', raising=False)
    monkeypatch.setattr(sys, 'argv', ['serve.py', *map(str, small)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / 'tools/serve.py'), run_name='__main__')
    assert end.value.code == 2
    message = 'error: the page is made with gradio: pip install "mmedit_gl[web]"\n'
    assert capfd.readouterr() == ('', message)
