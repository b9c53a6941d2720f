"""The exported file, run as its users do: by onnxruntime, without torch."""

import copy
import re
import runpy
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import ROOT, random_image, run_tool, seeded_weight, shrink
from PIL import Image

from mmedit_gl.apis import init_model
from mmedit_gl.apis import onnx as module
from mmedit_gl.apis.onnx import _folded, export_onnx
from mmedit_gl.engine import load_config
from mmedit_gl.errors import UserError
from mmedit_gl.models import to_float, to_uint8

README = """
import numpy as np, onnxruntime
from PIL import Image

image = np.asarray(Image.open('photograph.jpg').convert('RGB'))
mask = np.asarray(Image.open('mask.png').convert('L'))  # white in the hole
session = onnxruntime.InferenceSession('gl.onnx')
(completed,) = session.run(None, dict(image=image[None], mask=mask[None]))
Image.fromarray(completed[0]).save('completed.png')
"""


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """The model of a checkpoint, the file that the tool writes of it, and what it printed."""
    folder = tmp_path_factory.mktemp('onnx')
    cfg = shrink(
        load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py'), folder
    )
    cfg.dump(folder / 'small.py')
    model = init_model(cfg, device='cpu')
    weights = {name: seeded_weight(name, list(w.shape)) for name, w in model.state_dict().items()}
    model.load_state_dict(weights)
    torch.save(dict(state_dict=weights), folder / 'small.pth')
    done = run_tool('export_onnx.py', 'small.py', 'small.pth', 'gl.onnx', cwd=folder)
    assert done.returncode == 0, done.stderr
    return model, folder / 'gl.onnx', done


@pytest.fixture(scope='module')
def paper(exported, tmp_path_factory):
    """The same weights with a sigmoid and a colour in the hole."""
    cfg = load_config(exported[1].parent / 'small.py')
    cfg.model.encdec.decoder.out_act = 'sigmoid'
    cfg.model.data_preprocessor.hole_colour = (20, 90, 250)
    model = init_model(cfg, exported[1].parent / 'small.pth', 'cpu')
    path = tmp_path_factory.mktemp('paper') / 'gl.onnx'
    export_onnx(model, path)
    return model, path


@pytest.fixture(scope='module')
def residual(exported, tmp_path_factory):
    """The same weights, which add to the membrane."""
    cfg = load_config(exported[1].parent / 'small.py')
    cfg.model.data_preprocessor.hole_fill = 'membrane'
    cfg.model.encdec.residual = True
    model = init_model(cfg, exported[1].parent / 'small.pth', 'cpu')
    path = tmp_path_factory.mktemp('residual') / 'gl.onnx'
    export_onnx(model, path)
    return model, path


def run(path, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path)
    (completed,) = session.run(None, dict(image=image, mask=mask))
    return completed


def pictures(batch: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures RGB, each with a hole of its own, white or grey of at least 128."""
    image = np.stack([random_image(i, height, width) for i in range(batch)])
    mask = np.zeros((batch, height, width), np.uint8)
    for i in range(batch):
        mask[i, i : height // 2 + i, width // 4 + i : width] = 255 - 127 * i // batch
    mask[mask == 0] = 127
    return image, mask


def test_the_tool_says_what_was_checked_and_nothing_else(exported):
    _, path, done = exported
    size, opset = path.stat().st_size / 1e6, onnx.load(path).opset_import[0].version
    assert re.fullmatch(
        rf'gl\.onnx: {size:.1f} MB, opset {opset}, checked against torch at 4 sizes, '
        r'largest difference [01] of 255\n',
        done.stdout,
    )
    assert done.stderr == ''
    assert sorted(p.name for p in path.parent.iterdir()) == ['gl.onnx', 'small.pth', 'small.py']


def test_the_graph_has_named_axes_and_no_batch_norm(exported):
    graph = onnx.load(exported[1]).graph
    axes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert axes == dict(
        image=['batch', 'height', 'width', 3],
        mask=['batch', 'height', 'width'],
        completed=['batch', 'height', 'width', 3],
    )
    operations = {node.op_type for node in graph.node}
    assert {'Conv', 'ConvTranspose'} <= operations
    assert 'BatchNormalization' not in operations


@pytest.mark.parametrize('size', [(1, 1, 1), (3, 33, 34), (1, 7, 203), (2, 90, 64), (1, 128, 129)])
def test_onnxruntime_completes_pictures_of_any_size_as_torch_does(exported, size):
    model, path, _ = exported
    image, mask = pictures(*size)
    completed = run(path, image, mask)

    hole = torch.from_numpy(mask >= 128).float()[:, None]
    img = to_float(torch.from_numpy(image[..., ::-1].copy()).permute(0, 3, 1, 2))
    with torch.inference_mode():
        fake_res = to_uint8(model.generator(img * (1 - hole), hole))
    fake_res = fake_res.permute(0, 2, 3, 1).numpy()[..., ::-1]
    expected = np.where(mask[..., None] >= 128, fake_res, image)
    differences = np.abs(completed.astype(int) - expected)
    assert differences.max() <= 1
    assert np.count_nonzero(differences) <= 1e-3 * differences.size
    assert np.array_equal(completed[mask < 128], image[mask < 128])
    if min(size) > 1:
        assert fake_res[mask >= 128].std() > 10  # else everything would be equal


@pytest.mark.parametrize('size', [(1, 1, 2), (3, 33, 34), (1, 150, 203)])
def test_a_hole_that_begins_as_a_membrane_is_completed_as_torch_does(residual, size):
    model, path = residual
    image, mask = pictures(*size)
    bgr = torch.from_numpy(image[..., ::-1].copy())
    batch = model.data_preprocessor(
        dict(gt_img=bgr, mask=torch.from_numpy(mask >= 128).to(torch.uint8)[:, None])
    )
    with torch.inference_mode():
        fake_res = to_uint8(model.generator(batch['masked_img'], batch['mask']))
    fake_res = fake_res.permute(0, 2, 3, 1).numpy()[..., ::-1]
    expected = np.where(mask[..., None] >= 128, fake_res, image)
    differences = np.abs(run(path, image, mask).astype(int) - expected)
    assert differences.max() <= 1
    assert np.count_nonzero(differences) <= 2e-3 * differences.size


def test_a_mask_of_ones_is_taken_and_an_empty_one_changes_nothing(exported):
    _, path, _ = exported
    image, mask = pictures(2, 20, 30)
    hole = (mask >= 128).astype(np.uint8)
    expected = run(path, image, 255 * hole)
    assert np.array_equal(run(path, image, hole), expected)
    assert np.array_equal(run(path, image, 0 * hole), image)
    # Each picture by its own mask.
    assert np.array_equal(run(path, image, np.stack([255 * hole[0], hole[1]])), expected)
    (_, second) = run(path, image, np.stack([0 * hole[0], hole[1]]))
    assert np.array_equal(second, expected[1])


def test_the_lines_of_the_readme_run_without_torch(exported, tmp_path):
    _, path, _ = exported
    image, mask = pictures(1, 75, 90)
    Image.fromarray(image[0]).save(tmp_path / 'photograph.jpg')
    Image.fromarray(mask[0]).save(tmp_path / 'mask.png')
    (tmp_path / 'gl.onnx').symlink_to(path)
    blocked = "import sys\nfor name in ('torch', 'mmedit_gl', 'cv2'): sys.modules[name] = None\n"
    subprocess.run([sys.executable, '-c', blocked + README], cwd=tmp_path, check=True)

    image = np.asarray(Image.open(tmp_path / 'photograph.jpg'))
    completed = np.asarray(Image.open(tmp_path / 'completed.png'))
    assert np.array_equal(completed, run(path, image[None], mask)[0])
    assert np.array_equal(completed[mask[0] < 128], image[mask[0] < 128])


def test_a_graph_that_gives_something_else_is_refused(exported, tmp_path, monkeypatch):
    model, path, _ = exported
    monkeypatch.setattr(module, '_graph', lambda _: onnx.load(path))
    assert 'checked against torch' in export_onnx(model, tmp_path / 'same.onnx')
    other = init_model(load_config(path.parent / 'small.py'), path.parent / 'small.pth', 'cpu')
    with torch.no_grad():
        other.generator.decoder.dec7.conv.bias[0] += 0.05  # six levels in one colour
    (tmp_path / 'there.onnx').write_bytes(b'of an earlier run')
    for name in ('new.onnx', 'there.onnx'):
        with pytest.raises(UserError, match=r'differences of up to \d+ levels in \d+\.\d\d%'):
            export_onnx(other, tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['same.onnx', 'there.onnx']
    assert (tmp_path / 'there.onnx').read_bytes() == b'of an earlier run'


def test_batch_norm_is_folded_into_a_copy(exported):
    model = copy.deepcopy(exported[0]).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = _folded(model.generator)
    assert not any('norm' in name or 'bn' in name for name in folded.state_dict())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.eval()
    masked_img, mask = torch.randn(2, 3, 33, 64), torch.ones(2, 1, 33, 64)
    with torch.inference_mode():
        fake_res, expected = (net(masked_img, mask) for net in (folded, model.generator))
    torch.testing.assert_close(fake_res, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('out', 'reason'), [('gone/gl.onnx', 'there is no folder'), ('folder', 'is a folder')]
)
def test_where_no_file_can_be_written_the_tool_says_so(
    exported, tmp_path, monkeypatch, capfd, out, reason
):
    _, path, _ = exported
    (tmp_path / 'folder').mkdir()
    args = [path.parent / 'small.py', path.parent / 'small.pth', tmp_path / out]
    monkeypatch.setattr(sys, 'argv', ['export_onnx.py', *map(str, args)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / 'tools/export_onnx.py'), run_name='__main__')
    assert end.value.code == 2
    stderr = capfd.readouterr().err
    assert stderr.startswith(f'error: cannot write {tmp_path / out}: ')
    assert reason in stderr
    assert stderr.count('\n') == 1
    assert [p.name for p in tmp_path.rglob('*')] == ['folder']


@pytest.mark.parametrize('name', ['onnx', 'onnxruntime', 'onnxscript'])
def test_missing_packages_are_named_with_the_remedy(exported, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        UserError, match=rf'{name} is not installed: pip install "mmedit_gl\[onnx\]"'
    ):
        export_onnx(exported[0], tmp_path / 'gl.onnx')
    assert not list(tmp_path.iterdir())


def test_the_papers_colour_and_sigmoid_are_in_the_file(paper, exported):
    model, path = paper
    image, mask = pictures(2, 61, 90)
    completed = run(path, image, mask)
    hole = mask[..., None] >= 128
    coloured = np.where(hole, np.float32([250, 90, 20]), image)  # RGB
    img = torch.from_numpy(coloured[..., ::-1] / np.float32(127.5) - 1).permute(0, 3, 1, 2)
    with torch.inference_mode():
        fake_res = model.generator(img, torch.from_numpy(mask >= 128).float()[:, None])
    fake_res = to_uint8(fake_res).permute(0, 2, 3, 1).numpy()[..., ::-1]
    differences = np.abs(completed.astype(int) - np.where(hole, fake_res, image))
    assert differences.max() <= 1
    assert np.count_nonzero(differences) <= 1e-3 * differences.size
    assert not np.array_equal(completed, run(exported[1], image, mask))
