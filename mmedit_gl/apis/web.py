"""A page for the browser: open a picture, paint the hole, complete it, compare, download."""

import html
import os
import shutil
import signal
import socket
import tempfile
import threading
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmedit_gl.apis.inpainter import MODES, Inpainter
from mmedit_gl.errors import ImageError, UserError, reason
from mmedit_gl.files import saying
from mmedit_gl.pictures import FORMATS, Picture, read_hole, read_picture, write_picture

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
try:
    import gradio as gr
except ImportError:
    raise UserError('the page is made with gradio: pip install "mmedit_gl[web]"') from None

MAX_MEGAPIXELS, MAX_UPLOAD = 25, '50mb'
EXAMPLES = ['astronaut.png', 'chelsea.png', 'coffee.png']  # that scikit-image ships
CANVAS, PREVIEW = 1024, 1600  # longest side in pixels of what is painted on and what is compared
COLOURS = [('#e6005c', 0.7), ('#00c853', 0.7), ('#2962ff', 0.7)]
CACHE = (600, 3600)  # every ten minutes files of more than an hour are deleted

INTRODUCTION = """
# Complete a picture
Open a picture, paint over what is to go, and press *Complete*.
"""
FOOTER = 'Pictures stay on the machine that runs this page, and are deleted there after an hour.'
# The editor's tools lie beside the picture, large enough for a finger.
CSS = """
.gradio-container { width: 100%; max-width: 820px !important; margin: 0 auto !important; }
#editor .toolbar-wrap { flex-direction: row; width: auto; inset: auto auto 0 0; }
#editor .half-container { flex-direction: row; padding: 0; border-top: none; }
#editor .toolbar-wrap .wrap.padded { transform: none; top: auto; bottom: 110%; left: 0; }
#editor button { min-width: 28px; min-height: 28px; }
#editor [data-testid='status-tracker']:not(.hide) { opacity: 0.8; pointer-events: none; }
/* A busy browser may draw the steps of a completion in another order, and its end not at last. */
#editor [data-testid='status-tracker']:has(.error),
body:has(#download) #editor [data-testid='status-tracker'] { display: none; }
#footer { text-align: center; opacity: 0.7; }
@media (pointer: coarse) {
    #editor button { min-width: 36px; min-height: 36px; }
}
"""
# The editor's undo goes on to the picture itself: that step is done again.
UNDO = """
addEventListener('click', (event) => {
    const bar = event.target.closest('#editor .icon-button-wrapper');
    if (!bar) return;
    setTimeout(() => {
        const [undo, redo] = [...bar.querySelectorAll('button')].slice(-3);
        if (undo.disabled && !redo.disabled) redo.click();
    }, 50);
}, true);
"""
# The button comes when the browser has drawn it, on a busy machine late.
SHOW = """() => {
    const wait = setInterval(() => {
        const button = document.getElementById('download');
        if (!button) return;
        clearInterval(wait);
        button.scrollIntoView({behavior: 'smooth', block: 'end'});
    }, 300);
}"""


class Page:
    """What the page does. Every value travels with its request, so that users do not meet.

    `mode` is the first state of the choice of one; files of a request lie in `folder`.
    """

    def __init__(self, inpainter: Inpainter, folder: str, mode: str, max_megapixels: float):
        self.inpainter, self.folder = inpainter, folder
        self.mode, self.max_megapixels = mode, max_megapixels
        self.examples = _examples()

    def open(self, path: str | None) -> list[dict]:
        """Shows a reduced copy of an uploaded picture to paint on; without one, the examples.

        The first value clears the upload where it cannot be used.
        """
        upload, canvas, tools = gr.skip(), None, {}
        if path is not None:
            try:
                background = _reduced(read_picture(path, self.max_megapixels).bgr, CANVAS)
                canvas = dict(background=background, layers=[], composite=None)
                tools = _tools(max(1, max(background.size) // 25))
            except UserError as error:
                gr.Warning(_for_page(str(error), path))
                upload = None
        return [
            upload,
            gr.update(visible=canvas is None),
            gr.update(value=canvas, visible=canvas is not None, **tools),
            gr.update(visible=canvas is not None),
            gr.update(value=None, visible=False),
            gr.update(value=None, visible=False),
        ]

    def open_example(self, index: int) -> str:
        """A copy of its own, for uploads are deleted."""
        return shutil.copy(self.examples[index], tempfile.mkdtemp(dir=self.folder))

    def complete(
        self,
        path: str | None,
        painting: dict | None,
        postprocess: bool,
        mode: str,
        progress: gr.Progress = gr.Progress(),
    ) -> list[dict]:
        """Shows an uploaded picture beside its completion, and offers that as a file."""
        try:
            if path is None or not Path(path).exists():
                raise ImageError('there is no picture, or no longer: open one')
            picture = read_picture(path, self.max_megapixels)
            hole = read_hole(_painted(painting, picture), picture.bgr.shape[:2], resize=True)
            completed = self.inpainter.complete(
                picture,
                hole,
                postprocess,
                mode,
                progress=lambda done, of: progress((done, of), 'Completing'),
            )
            with saying('the completed picture cannot be kept'):
                folder = Path(tempfile.mkdtemp(dir=self.folder))
            out = folder / _completed_name(path, picture)
            write_picture(completed, out)
        except UserError as error:
            raise gr.Error(_for_page(str(error), path), print_exception=False) from None
        for note in completed.notes:
            gr.Info(_for_page(note, path))
        return [
            gr.update(value=[_reduced(p.bgr, PREVIEW) for p in (picture, completed)], visible=True),
            gr.update(value=str(out), visible=True),
        ]

    def blocks(self) -> gr.Blocks:
        """The layout, and which event calls what."""
        with gr.Blocks(title='Complete a picture', delete_cache=CACHE) as blocks:
            gr.Markdown(INTRODUCTION)
            upload = gr.File(show_label=False, file_types=list(FORMATS), height=120)
            with gr.Column() as offer:
                examples = gr.Dataset(
                    label='or one of these',
                    components=[gr.Image(render=False)],
                    samples=[[path] for path in self.examples],
                    type='index',
                    visible=bool(self.examples),
                )
            editor = gr.ImageEditor(
                elem_id='editor',
                visible=False,
                height='min(52vh, 560px)',
                show_label=False,
                type='pil',
                format='jpeg',
                sources=(),
                transforms=(),
                layers=False,
                **_tools(CANVAS // 25),
            )
            with gr.Column(visible=False) as controls:
                with gr.Row():
                    postprocess = gr.Checkbox(
                        label='Post-process', info='Blend the hole with its surroundings.'
                    )
                    mode = gr.Radio(
                        [(mode.capitalize(), mode) for mode in MODES],
                        value=self.mode,
                        label='Wide holes',
                        scale=2,
                        info='With the texture around them, smooth, or never reduced.',
                        visible=self.inpainter.trained_hole is not None,
                    )
                button = gr.Button('Complete', variant='primary')
            compare = gr.ImageSlider(
                label='Before and after',
                elem_id='compare',
                visible=False,
                format='jpeg',
                buttons=['fullscreen'],
            )
            download = gr.DownloadButton('Download at full size', elem_id='download', visible=False)
            gr.Markdown(FOOTER, elem_id='footer')

            shown = [upload, offer, editor, controls, compare, download]
            private = dict(api_visibility='private')
            upload.change(self.open, upload, shown, **private)
            editor.clear(self.open, upload, shown, **private)
            examples.click(self.open_example, examples, upload, **private)
            choices = [postprocess, mode]
            button.click(
                self.complete,
                [upload, editor, *choices],
                [compare, download],
                api_name='complete',
                show_progress_on=[editor, compare],  # which is not there at first
            ).success(None, js=SHOW, **private)
        return blocks


def serve(
    inpainter: Inpainter,
    host: str = '127.0.0.1',
    port: int = 7860,
    mode: str = 'texture',
    max_megapixels: float = MAX_MEGAPIXELS,
) -> None:
    """Serve the page until Ctrl-C; with `port` 0 at a free port.

    All files lie in one temporary folder, which is deleted at the end. Raises `UserError` for an
    address that cannot be had.
    """
    try:
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((host, port))
            port = server.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise UserError(
            f'cannot serve at {host}:{port}: {reason(error)}; give another --port or --host'
        ) from None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix='mmedit_gl_', ignore_cleanup_errors=True) as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder
        blocks = Page(inpainter, folder, mode, max_megapixels).blocks()
        # One at a time: the model uses the whole machine.
        blocks.queue(default_concurrency_limit=1, max_size=100)
        blocks.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            max_file_size=MAX_UPLOAD,
            theme=gr.themes.Default(font='system-ui', font_mono='monospace'),
            css=CSS,
            js=UNDO,
        )
        try:
            print(f'the page is at {blocks.local_url}', flush=True)
            threading.Event().wait()
        finally:
            blocks.close(verbose=False)


def _examples() -> list[str]:
    try:
        import skimage.data
    except ImportError:
        return []
    paths = [Path(skimage.data.__file__).parent / name for name in EXAMPLES]
    return [str(path) for path in paths if path.exists()]


def _tools(size: int) -> dict:
    brush = gr.Brush(colors=COLOURS, color_mode='fixed', default_size=size)
    return dict(brush=brush, eraser=gr.Eraser(default_size=size))


def _for_page(sentence: str, path: str | None) -> str:
    """A sentence on a picture as HTML, without where its file lies on this machine."""
    return html.escape(sentence.replace(path, Path(path).name) if path else sentence)


def _reduced(bgr: np.ndarray, side: int) -> Image.Image:
    scale = min(1, side / max(bgr.shape[:2]))
    size = [max(1, round(scale * length)) for length in bgr.shape[1::-1]]
    small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    return Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))


def _painted(painting: dict | None, picture: Picture) -> np.ndarray:
    """Where the layers of the editor are painted, bool `(h, w)`, at their size."""
    height, width = picture.bgr.shape[:2]
    layers = painting['layers'] if painting else []
    # An editor that has lost its picture paints on a canvas of another shape.
    if any(
        abs(layer.width * height - layer.height * width) > max(height, width) for layer in layers
    ):
        raise ImageError('what is painted does not fit the picture: open it again')
    painted = np.any([np.asarray(layer.getchannel('A')) for layer in layers] or [[[0]]], axis=0)
    if not painted.any():
        raise ImageError('nothing is painted: paint the hole first')
    if painted.all():
        raise ImageError('all is painted: leave some of the picture, from which the hole is filled')
    return painted


def _completed_name(path: str, picture: Picture) -> str:
    stem, suffix = Path(path).stem, Path(path).suffix.lower()
    # What only calls itself a JPEG shall not lose anything outside its hole.
    if suffix not in FORMATS or (suffix in ('.jpg', '.jpeg') and not picture.jpeg):
        suffix = '.png'
    return f'{stem}_completed{suffix}'
