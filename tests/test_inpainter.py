import copy
import hashlib
import os
import warnings
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import (
    CONFIGS,
    ROOT,
    make_batch,
    random_image,
    relative_error,
    seeded_state_dict,
    seeded_weight,
    set_iteration,
    shrink,
)
from PIL import Image

from mmedit_gl.apis import MODES, Inpainter, init_model, inpainting_inference
from mmedit_gl.apis.inpainter import DEFAULT
from mmedit_gl.datasets import bbox2mask
from mmedit_gl.engine import load_config
from mmedit_gl.errors import UserError
from mmedit_gl.evaluation import mean_colour
from mmedit_gl.models import GLInpaintor, HoleAware, composite, to_uint8
from mmedit_gl.pictures import picture_of, postprocess
from mmedit_gl.registry import MODELS

SIZES = [(1, 2), (3, 5), (61, 66), (64, 64), (130, 97)]
FOLDER = ROOT / 'configs/inpainting/global_local'
FIT = 16  # pixels


def save_small_model(folder: Path) -> tuple[Path, Path]:
    """Writes a small configuration and a checkpoint whose colours differ from place to place."""
    config, checkpoint = folder / 'small.py', folder / 'small.pth'
    shrink(load_config(FOLDER / 'gl_256x256_8x12_places.py'), folder).dump(config)
    model = init_model(config, device='cpu')
    state = model.state_dict()
    model.load_state_dict({name: seeded_weight(name, v.shape) for name, v in state.items()})
    last = model.generator.decoder.dec7.conv
    for largest in (1e-3, 0.8):  # so small first that nothing is clipped
        batch = preprocessed(
            model, random_image(0, 100, 120), bbox2mask((100, 120), (30, 30, 40, 60))
        )
        with torch.no_grad():
            fake_res = model.generator(batch['masked_img'], batch['mask'])[0, :, 30:70, 30:90]
            middle = fake_res.mean((1, 2))
            factor = largest / (fake_res - middle[:, None, None]).abs().amax((1, 2))
            last.weight *= factor[:, None, None, None]
            last.bias.copy_((last.bias - middle) * factor)
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    return config, checkpoint


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """Paths of a small configuration and of a checkpoint for it."""
    return save_small_model(tmp_path_factory.mktemp('small'))


@pytest.fixture(scope='module')
def model(small):
    return init_model(*small, device='cpu')


@pytest.fixture(scope='module')
def inpainter(small):
    return Inpainter(*small, device='cpu')


def trained_to(inpainter: Inpainter, width: int | None) -> Inpainter:
    """The inpainter as if its model were trained on holes up to a width in pixels."""
    other = copy.copy(inpainter)
    other.trained_hole = width
    return other


@pytest.fixture(scope='module')
def reducing(inpainter):
    return trained_to(inpainter, FIT)


@pytest.fixture(scope='module')
def painter_of_one_grey(model, small, tmp_path_factory):
    """Completes whatever it is given with the grey 200."""
    state = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    state['generator.decoder.dec7.conv.bias'] += (200 - 127.5) / 127.5
    path = tmp_path_factory.mktemp('grey') / 'grey.pth'
    torch.save(dict(state_dict=state), path)
    return Inpainter(small[0], path, device='cpu')


@pytest.fixture(scope='module')
def released_file(tmp_path_factory) -> Path:
    """A file as OpenMMLab saved it in 2020, with the weights of the golden values."""
    path = tmp_path_factory.mktemp('released') / 'released.pth'
    state_dict = OrderedDict(seeded_state_dict())
    adam = dict(
        state={7: dict(step=3, exp_avg=torch.zeros(2, 3), exp_avg_sq=torch.ones(2, 3))},
        param_groups=[dict(lr=4e-4, betas=(0.9, 0.999), eps=1e-8, params=[7])],
    )
    meta = dict(
        env_info='sys.platform: linux\nPyTorch: 1.3.1\n',
        config="model = dict(type='GLInpaintor')\n",
        seed=None,
        iter=500002,
        epoch=3,
        mmcv_version='0.6.0',
        time='Fri Jun 19 12:00:00 2020',
    )
    content = dict(meta=meta, state_dict=state_dict, optimizer=dict(generator=adam, disc=adam))
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def box_mask(height, width):
    """A hole of about half the picture's sides."""
    side = (max(1, height // 2), max(1, width // 2))
    return bbox2mask((height, width), (height // 4, width // 4, *side))


def picture_and_hole(height=40, width=52, seed=0):
    return random_image(seed, height, width), box_mask(height, width)


def as_pil(bgr):
    return Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))


def as_bgr(image):
    assert image.mode == 'RGB'
    return np.asarray(image)[..., ::-1].copy()


def preprocessed(model: GLInpaintor, bgr: np.ndarray, hole: np.ndarray) -> dict:
    batch = make_batch(bgr[None], [(0, 0, 1, 1)])
    batch['mask'] = torch.from_numpy(hole)[None, None]
    return model.data_preprocessor(batch)


@torch.no_grad()
def full_pass(model: GLInpaintor, bgr: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The completion by one pass of the generator over the whole picture."""
    batch = preprocessed(model, bgr, hole)
    fake_img = composite(batch, model.generator(batch['masked_img'], batch['mask']))
    return to_uint8(fake_img)[0].permute(1, 2, 0).numpy()


def assert_is_full_pass(completed, model, bgr, hole):
    assert_same(completed, full_pass(model, bgr, hole))
    assert np.array_equal(completed[hole == 0], bgr[hole == 0])


def assert_same(pixels, expected):
    """Equal, but for what is between two levels and may be rounded to either."""
    assert (pixels.dtype, pixels.shape) == (expected.dtype, expected.shape)
    difference = cv2.absdiff(pixels, np.ascontiguousarray(expected))
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999


def test_the_small_model_paints_many_colours(model):
    bgr, hole = picture_and_hole(130, 97)
    painted = full_pass(model, bgr, hole)[hole == 1]
    assert painted.std(axis=0).min() > 15
    assert np.isin(painted, (0, 255)).mean() < 0.01


@pytest.mark.parametrize('size', SIZES)
def test_an_array_is_completed_as_by_a_pass_over_the_whole_picture(inpainter, model, size):
    bgr, hole = picture_and_hole(*size)
    completed = inpainter(bgr, hole, mode='native')
    assert type(completed) is np.ndarray
    assert_is_full_pass(completed, model, bgr, hole)
    assert not np.array_equal(completed, bgr)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L', 'LA', '1', 'I;16'])
def test_a_pil_image_keeps_its_mode_size_and_surroundings(inpainter, mode, size):
    bgr, hole = picture_and_hole(*size)
    image = as_pil(bgr).convert('L' if mode == 'I;16' else mode)
    rng = np.random.default_rng(0)
    if mode in ('LA', 'RGBA'):
        alpha = rng.integers(0, 256, size, dtype=np.uint8)
        image.putalpha(Image.fromarray(alpha))
    if mode == 'I;16':
        image = Image.fromarray(rng.integers(0, 65536, size, dtype=np.uint16))
    completed = inpainter(image, hole)
    assert (completed.mode, completed.size) == (mode, image.size)
    before, after = np.asarray(image), np.asarray(completed)
    assert np.array_equal(after[hole == 0], before[hole == 0])
    if mode != '1':  # two levels may be the same
        assert not np.array_equal(after, before)
    if mode in ('LA', 'RGBA'):
        assert np.array_equal(after[..., -1], alpha)


def test_every_kind_of_picture_is_completed_alike(inpainter, model, tmp_path):
    bgr, hole = picture_and_hole()
    expected = inpainter(bgr, hole)
    assert_is_full_pass(expected, model, bgr, hole)
    path = tmp_path / 'picture.png'
    cv2.imwrite(str(path), bgr)
    assert np.array_equal(as_bgr(inpainter(path, hole)), expected)
    assert np.array_equal(as_bgr(inpainter(str(path), hole)), expected)
    assert np.array_equal(as_bgr(inpainter(as_pil(bgr), hole)), expected)
    opaque = inpainter(as_pil(bgr).convert('RGBA'), hole)
    assert np.array_equal(as_bgr(opaque.convert('RGB')), expected)
    alpha = np.random.default_rng(0).integers(0, 256, hole.shape, dtype=np.uint8)
    bgra = inpainter(np.dstack([bgr, alpha]), hole)
    assert np.array_equal(bgra, np.dstack([expected, alpha]))
    deep = inpainter(bgr * np.uint16(257), hole)
    assert deep.dtype == np.uint16
    assert np.array_equal(deep, expected * np.uint16(257))


def test_a_grey_picture_is_completed_as_its_colours(inpainter, model):
    bgr, hole = picture_and_hole()
    image = as_pil(bgr).convert('L')
    grey = np.asarray(image)
    colours = full_pass(model, np.repeat(grey[..., None], 3, axis=2), hole)
    expected = np.asarray(as_pil(colours).convert('L'))
    completed = inpainter(grey, hole)
    assert_same(completed, expected)
    assert np.array_equal(completed[hole == 0], grey[hole == 0])
    assert np.array_equal(np.asarray(inpainter(image, hole)), completed)
    with_alpha = np.asarray(inpainter(image.convert('LA'), hole))
    assert np.array_equal(with_alpha[..., 0], completed)
    black_and_white = as_pil(bgr).convert('1')
    colours = full_pass(model, as_bgr(black_and_white.convert('RGB')), hole)
    completed = np.asarray(inpainter(black_and_white, hole))
    assert np.array_equal(completed, np.asarray(as_pil(colours).convert('L')) >= 128)


def test_sixteen_bits_stay_around_the_hole_and_are_rounded_for_the_network(inpainter, model):
    _, hole = picture_and_hole()
    deep = np.random.default_rng(0).integers(0, 65536, (*hole.shape, 3), dtype=np.uint16)
    completed = inpainter(deep, hole)
    assert np.array_equal(completed[hole == 0], deep[hole == 0])
    rounded = np.rint(deep / 257).astype(np.uint8)
    expected = full_pass(model, rounded, hole)[hole == 1]
    assert not (completed[hole == 1] % 257).any()
    assert_same((completed[hole == 1] // 257).astype(np.uint8), expected)


def test_what_a_pil_image_cannot_hold_is_warned_of(inpainter, tmp_path):
    bgr, hole = picture_and_hole()
    cmyk = as_pil(bgr).convert('CMYK')
    with pytest.warns(UserWarning, match='the image was converted from CMYK to RGB'):
        completed = inpainter(cmyk, hole)
    expected = inpainter(cmyk.convert('RGB'), hole)
    assert np.array_equal(as_bgr(completed), as_bgr(expected))
    path = tmp_path / 'deep.png'
    cv2.imwrite(str(path), bgr * np.uint16(257))
    with pytest.warns(UserWarning, match=r'the 16 bits of .*deep\.png: they were reduced to 8'):
        completed = inpainter(path, hole)
    assert np.array_equal(as_bgr(completed), inpainter(bgr, hole))


def test_a_picture_that_stays_as_it_is_gives_no_warning(inpainter, tmp_path):
    bgr, hole = picture_and_hole()
    as_pil(bgr).save(tmp_path / 'picture.png')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for image in (bgr, as_pil(bgr), tmp_path / 'picture.png', bgr * np.uint16(257)):
            inpainter(image, hole)


def test_a_jpeg_file_is_completed_as_it_decodes(inpainter, model, tmp_path):
    bgr, hole = picture_and_hole()
    path = tmp_path / 'picture.jpg'
    as_pil(bgr).save(path, quality=80)
    decoded = as_bgr(Image.open(path))
    completed = inpainter(path, hole)
    assert isinstance(completed, Image.Image)
    assert_is_full_pass(as_bgr(completed), model, decoded, hole)


def test_a_rotated_photograph_is_completed_upright(inpainter, model, tmp_path):
    bgr, hole = picture_and_hole(40, 52)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    path = tmp_path / 'rotated.png'
    as_pil(np.rot90(bgr)).save(path, exif=exif)
    assert_is_full_pass(as_bgr(inpainter(path, hole)), model, bgr, hole)


def test_every_kind_of_mask_means_the_same_hole(inpainter, tmp_path):
    bgr, hole = picture_and_hole()
    white = hole * 255
    painted = np.dstack([np.full((40, 52, 3), 40, np.uint8), white])  # dark, on transparency
    cv2.imwrite(str(tmp_path / 'mask.png'), white)
    cv2.imwrite(str(tmp_path / 'colour.png'), np.repeat(white[..., None], 3, axis=2))
    cv2.imwrite(str(tmp_path / 'painted.png'), painted)
    Image.fromarray(white).save(tmp_path / 'mask.jpg')
    masks = [
        tmp_path / 'mask.png',
        str(tmp_path / 'mask.png'),
        tmp_path / 'mask.jpg',
        tmp_path / 'colour.png',
        tmp_path / 'painted.png',
        Image.open(tmp_path / 'painted.png'),
        painted,
        Image.fromarray(white),
        Image.fromarray(white).convert('1'),
        Image.fromarray(white).convert('P'),
        Image.fromarray(white).convert('RGB'),
        Image.fromarray(white).convert('RGBA'),
        hole == 1,
        hole.astype(np.int64),
        hole.astype(np.float32),
        hole[..., None],
        white,
        np.repeat(white[..., None], 3, axis=2),
        white * np.uint16(257),
        np.where(hole, 128, 127).astype(np.uint8),
    ]
    expected = inpainter(bgr, hole)
    for mask in masks:
        assert np.array_equal(inpainter(bgr, mask), expected)


def test_a_hole_may_have_any_form_and_place(inpainter, model):
    bgr, _ = picture_and_hole()
    holes = [np.zeros((40, 52), np.uint8) for _ in range(3)]
    holes[0][0, 0] = holes[0][39, 51] = 1
    holes[1][:] = np.random.default_rng(0).integers(0, 2, (40, 52))
    holes[2][:] = 1
    holes[2][7, 3] = 0
    for hole in holes:
        assert_is_full_pass(inpainter(bgr, hole, mode='native'), model, bgr, hole)


def test_what_was_in_the_hole_does_not_matter(inpainter):
    bgr, hole = picture_and_hole()
    other = np.where(hole[..., None] == 1, 255 - bgr, bgr)
    assert np.array_equal(inpainter(bgr, hole), inpainter(other, hole))


def test_an_empty_mask_gives_the_picture_as_it_is_with_a_warning(inpainter, tmp_path):
    bgr, hole = picture_and_hole()
    path = tmp_path / 'picture.png'
    as_pil(bgr).save(path)
    empty = np.zeros_like(hole)
    for options in ({}, dict(postprocess=True, mode='smooth')):
        with pytest.warns(UserWarning, match='the mask of the image is empty: it stays as it is'):
            completed = inpainter(bgr, empty, **options)
        assert np.array_equal(completed, bgr)
        assert not np.shares_memory(completed, bgr)
    with pytest.warns(UserWarning, match=r'the mask of .*picture\.png is empty'):
        assert np.array_equal(as_bgr(inpainter(path, Image.fromarray(empty))), bgr)


OPTIONS = [{}, dict(mode='smooth'), dict(mode='native'), dict(postprocess=True)]


@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_arguments_are_left_as_they_are(reducing, options):
    bgr, hole = picture_and_hole()
    image, bgr_before, hole_before = as_pil(bgr), bgr.copy(), hole.copy()
    completed = reducing(bgr, hole, **options)
    assert not np.shares_memory(completed, bgr)
    reducing(image, hole, **options)
    assert np.array_equal(bgr, bgr_before)
    assert np.array_equal(hole, hole_before)
    assert np.array_equal(as_bgr(image), bgr_before)


@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_views_and_read_only_arrays_are_completed_too(reducing, options):
    bgr, hole = picture_and_hole()
    expected = reducing(bgr, hole, **options)
    padded = np.zeros((50, 60, 3), np.uint8)
    padded[5:45, 4:56] = bgr
    frozen, frozen_hole = bgr.copy(), hole.copy()
    frozen.flags.writeable = frozen_hole.flags.writeable = False
    for view in (padded[5:45, 4:56], frozen, np.asfortranarray(bgr)):
        for mask in (np.asfortranarray(hole), frozen_hole):
            assert np.array_equal(reducing(view, mask, **options), expected)
    mirrored = reducing(bgr[:, ::-1], hole[:, ::-1], **options)
    copied = reducing(bgr[:, ::-1].copy(), hole[:, ::-1].copy(), **options)
    assert np.array_equal(mirrored, copied)


BGR, HOLE = picture_and_hole()


@pytest.mark.parametrize(
    ('image', 'mask', 'message'),
    [
        (BGR, HOLE[:-1], 'the mask has 52x39 pixels, the image 52x40: expected the same width'),
        (BGR, HOLE.T, 'the mask has 40x52 pixels, the image 52x40'),
        (as_pil(BGR), Image.fromarray(HOLE.T * 255), 'the mask has 40x52 pixels'),
        (BGR, np.ones_like(HOLE), 'the mask covers the whole image: expected some of it to stay'),
        (BGR, Image.new('RGB', (52, 40), 'white'), 'the mask covers the whole image'),
        (BGR, HOLE[None], r'expected a mask of numbers \(H, W\), .* shape \(1, 40, 52\)'),
        (BGR, 'none.png', 'cannot read none.png: .*No such file'),
        (BGR, [[0, 1]], 'expected a mask as a path, a PIL image or an array, got list'),
        (BGR / 255, HOLE, r'expected a uint8 or uint16 array .*, got float64 of shape \(40, 52, 3'),
        (BGR.astype(np.int64), HOLE, r'expected a uint8 or uint16 array \(H, W\), .* got int64'),
        (BGR[..., :2], HOLE, r'got uint8 of shape \(40, 52, 2\)'),
        (BGR[None], HOLE, r'got uint8 of shape \(1, 40, 52, 3\)'),
        (np.zeros((0, 4, 3), np.uint8), HOLE, 'the image has 4x0 pixels: expected at least one'),
        (Image.fromarray(BGR[..., 0] / np.float32(9)), HOLE, 'the image has samples of mode F'),
        ('none.jpg', HOLE, 'cannot read none.jpg: .*No such file'),
        (None, HOLE, 'expected an image as a path, a PIL image or an array, got NoneType'),
    ],
)
def test_what_cannot_be_completed_is_refused(inpainter, image, mask, message):
    with pytest.raises(UserError, match=message):
        inpainter(image, mask)


@pytest.mark.parametrize('mode', ['Native', 'fine', '', None])
def test_an_unknown_mode_is_refused_in_one_sentence(inpainter, mode):
    message = f'mode: expected one of texture, smooth, native, got {mode!r}'
    for door in (
        lambda: inpainter(BGR, HOLE, mode=mode),
        lambda: inpainter.batch([(BGR, HOLE)], mode=mode),
        lambda: inpainter.complete(picture_of(BGR), np.zeros_like(HOLE), mode=mode),
    ):
        with pytest.raises(UserError) as error:
            door()
        assert str(error.value) == message


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_files_that_cannot_be_decoded_are_refused_by_name(inpainter, tmp_path, suffix):
    bgr, hole = picture_and_hole()
    whole, broken = tmp_path / f'whole.{suffix}', tmp_path / f'broken.{suffix}'
    as_pil(bgr).save(whole)
    for content in (b'', b'not a picture', whole.read_bytes()[: whole.stat().st_size // 2]):
        broken.write_bytes(content)
        with pytest.raises(UserError, match=f'cannot read .*broken.{suffix}'):
            inpainter(broken, hole)
        with pytest.raises(UserError, match=f'cannot read .*broken.{suffix}'):
            inpainter(bgr, broken)
    with pytest.raises(UserError, match='cannot read'):
        inpainter(tmp_path, hole)


def test_a_damaged_header_is_refused_by_name(inpainter, tmp_path):
    bgr, hole = picture_and_hole()
    path = tmp_path / 'damaged.png'
    as_pil(bgr).save(path)
    whole = path.read_bytes()
    short_header = whole[:8] + bytes(4) + whole[12:16] + bytes(12) + whole[33:]
    for content in (whole.replace(b'IHDR', b'\xf0\xb1\xe7\x0f'), short_header):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r'cannot read .*damaged\.png'):
            inpainter(path, hole)


def test_bf16_is_close_to_fp32(small, inpainter):
    bgr, hole = picture_and_hole(130, 97)
    expected = inpainter(bgr, hole, mode='native')
    completed = Inpainter(*small, device='cpu', precision='bf16')(bgr, hole, mode='native')
    assert np.array_equal(completed[hole == 0], bgr[hole == 0])
    difference = cv2.absdiff(completed, expected)[hole == 1]
    assert 0 < difference.mean() < 1.5
    assert difference.max() < 12


def test_another_precision_is_refused(small):
    with pytest.raises(UserError, match=r"precision in \['bf16', 'fp32'\], got 'fp16'"):
        Inpainter(*small, device='cpu', precision='fp16')


def test_pairs_are_completed_as_one_by_one(reducing):
    pairs = [picture_and_hole(*size, seed) for seed, size in enumerate([(40, 52), (61, 30)])]
    pairs.append((as_pil(BGR), Image.fromarray(HOLE * 255)))
    for options in ({}, dict(postprocess=True), dict(mode='smooth'), dict(mode='native')):
        batch = reducing.batch(iter(pairs), **options)
        singles = [reducing(image, mask, **options) for image, mask in pairs]
        assert [type(completed) for completed in batch] == [type(single) for single in singles]
        assert all(np.array_equal(a, b) for a, b in zip(batch, singles))
    assert reducing.batch([]) == []


def test_inpainting_inference_completes_natively_as_an_inpainter(inpainter, model, tmp_path):
    bgr, hole = picture_and_hole()
    expected = inpainter(bgr, hole)
    assert np.array_equal(inpainting_inference(model, bgr, hole), expected)
    wide = picture_and_hole(120, 130)
    native = inpainter(*wide, mode='native')
    assert np.array_equal(inpainting_inference(model, *wide), native)
    assert not np.array_equal(inpainter(*wide), native)
    image, mask = tmp_path / 'image.png', tmp_path / 'mask.png'
    cv2.imwrite(str(image), bgr)
    cv2.imwrite(str(mask), 255 * hole)
    assert np.array_equal(as_bgr(inpainting_inference(model, str(image), str(mask))), expected)
    with pytest.raises(UserError, match='the mask covers the whole image'):
        inpainting_inference(model, bgr, np.ones_like(hole))
    with pytest.warns(UserWarning, match='the mask of the image is empty'):
        completed = inpainting_inference(model, bgr, np.zeros_like(hole))
    assert np.array_equal(completed, bgr)


def test_postprocess_is_that_of_the_paper_on_the_completion(reducing):
    bgr, hole = picture_and_hole(61, 66)
    hole[50:61, 60:] = 1  # a corner too
    for mode in MODES:
        plain = reducing(bgr, hole, mode=mode)
        completed = reducing(bgr, hole, postprocess=True, mode=mode)
        assert np.array_equal(completed[hole == 0], bgr[hole == 0])
        assert (cv2.absdiff(completed, plain)[hole == 1] > 3).mean() > 0.5
        assert np.array_equal(completed, postprocess(bgr, plain, hole))
        other = np.where(hole[..., None] == 1, 255 - bgr, bgr)
        assert np.array_equal(reducing(other, hole, postprocess=True, mode=mode), completed)


def holes_no_wider_than_fit() -> dict[str, np.ndarray]:
    holes = {
        name: np.zeros((90, 110), np.uint8) for name in ('box', 'long', 'ring', 'stroke', 'edge')
    }
    holes['box'][20:36, 30:46] = 1
    holes['long'][20:36, 5:105] = 1
    cv2.circle(holes['ring'], (55, 45), 30, 1, thickness=11)
    cv2.line(holes['stroke'], (5, 5), (100, 80), 1, thickness=9)
    holes['edge'][20:60, 102:] = 1
    return holes


def wide_holes() -> dict[str, np.ndarray]:
    shape = 90, 110
    boxes = {
        'box': (20, 30, 40, 50),
        'left': (20, 0, 50, 30),
        'bottom': (51, 30, 39, 40),
        'top left': (0, 0, 33, 41),
        'bottom right': (47, 63, 43, 47),
        'from side to side': (30, 0, 37, 110),
        'all but a row': (0, 0, 89, 110),
        'all but a column at the right': (0, 0, 90, 109),
    }
    holes = {name: bbox2mask(shape, box) for name, box in boxes.items()}
    holes['wide and small'] = bbox2mask(shape, (10, 10, 40, 50)) + bbox2mask(shape, (70, 80, 8, 9))
    holes['two that nearly touch'] = bbox2mask(shape, (20, 5, 50, 49))
    holes['two that nearly touch'] += bbox2mask(shape, (20, 55, 50, 49))
    holes['wide and small that nearly touch'] = bbox2mask(shape, (20, 5, 50, 49))
    holes['wide and small that nearly touch'] += bbox2mask(shape, (20, 55, 50, 8))
    holes['around a pixel'] = np.ones(shape, np.uint8)
    holes['around a pixel'][40, 50] = 0
    holes['disc'] = cv2.circle(np.zeros(shape, np.uint8), (50, 45), 25, 1, cv2.FILLED)
    holes['wide ring'] = cv2.circle(np.zeros(shape, np.uint8), (50, 45), 25, 1, thickness=30)
    holes['odd size'] = bbox2mask((61, 67), (13, 15, 31, 37))
    return holes


@pytest.mark.parametrize(
    'hole', [pytest.param(h, id=n) for n, h in holes_no_wider_than_fit().items()]
)
def test_a_hole_no_wider_than_fit_is_completed_at_full_scale(reducing, hole):
    bgr = random_image(1, *hole.shape)
    expected = reducing(bgr, hole, mode='native')
    assert np.array_equal(reducing(bgr, hole, mode='smooth'), expected)
    narrower = trained_to(reducing, FIT // 2 - 2)
    assert not np.array_equal(narrower(bgr, hole, mode='smooth'), expected)


@pytest.fixture
def passes(monkeypatch):
    """The masks of the windows that the network is run on."""
    masks, run = [], HoleAware.__call__

    def recording(self, plan, masked_img, mask):
        assert masked_img.shape[-2:] == mask.shape[-2:]
        masks.append(mask[0, 0].to(torch.uint8).numpy())
        return run(self, plan, masked_img, mask)

    monkeypatch.setattr(HoleAware, '__call__', recording)
    return masks


def width(hole: np.ndarray) -> float:
    """Diameter of the largest disc in a hole, in a picture with known pixels all around."""
    return 2 * cv2.distanceTransform(np.pad(hole, 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max()


@pytest.mark.parametrize('hole', [pytest.param(h, id=n) for n, h in wide_holes().items()])
def test_a_wider_hole_is_completed_reduced_to_fit(reducing, passes, hole):
    bgr = random_image(1, *hole.shape)
    native = reducing(bgr, hole, mode='native')
    passes.clear()
    completed = reducing(bgr, hole, mode='smooth')
    # Half covered pixels are hole too: up to two more.
    assert max(map(width, passes)) <= FIT + 2 < width(hole)
    assert np.array_equal(completed[hole == 0], bgr[hole == 0])
    assert (cv2.absdiff(completed, native)[hole == 1] > 3).mean() > 0.3
    other = np.where(hole[..., None] == 1, 255 - bgr, bgr)
    assert np.array_equal(reducing(other, hole, mode='smooth'), completed)


def test_only_the_wide_part_of_a_hole_is_reduced(reducing):
    small = bbox2mask((90, 110), (70, 80, 8, 9))
    hole = wide_holes()['wide and small']
    bgr = random_image(1, *hole.shape)
    completed = reducing(bgr, hole, mode='smooth')
    assert np.array_equal(reducing(completed, small, mode='native'), completed)
    native = reducing(bgr, hole, mode='native')
    assert not np.array_equal(native[small == 1], completed[small == 1])


@pytest.mark.parametrize('side', [20, 33, 40])
def test_a_hole_is_reduced_no_further_than_to_fit(reducing, passes, side):
    hole = bbox2mask((90, 110), (19, 22, side, side + 10))
    reducing(random_image(1, 90, 110), hole, mode='smooth')
    (mask,) = passes
    assert FIT <= width(mask) <= FIT + 2


@pytest.mark.parametrize('fit', [5, 16, 23])
@pytest.mark.parametrize(
    'hole', [pytest.param(h, id=n) for n, h in wide_holes().items() if 'small' not in n]
)
def test_a_reduced_completion_meets_the_picture_without_a_step(painter_of_one_grey, hole, fit):
    bgr = np.full((*hole.shape, 3), (40, 60, 80), np.uint8)
    painter = trained_to(painter_of_one_grey, fit)
    assert (painter(bgr, hole, mode='native')[hole == 1] == 200).all()
    assert cv2.absdiff(painter(bgr, hole, mode='smooth'), bgr).max() <= 2


def test_what_is_reduced_gets_texture_and_what_is_narrow_does_not(reducing):
    bgr = np.random.default_rng(0).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    hole = wide_holes()['wide and small']
    small = bbox2mask((90, 110), (70, 80, 8, 9)) == 1
    plain, completed = (reducing(bgr, hole, mode=mode) for mode in ('smooth', 'texture'))
    changed = (completed != plain).any(axis=2)
    assert changed[(hole == 1) & ~small].mean() > 0.8
    assert not changed[(hole == 0) | small].any()
    other = np.where(hole[..., None] == 1, 255 - bgr, bgr)
    assert np.array_equal(reducing(other, hole), completed)
    for narrow in holes_no_wider_than_fit().values():
        expected = reducing(bgr, narrow, mode='native')
        assert np.array_equal(reducing(bgr, narrow), expected)


def test_progress_is_told_before_each_step(reducing):
    bgr, hole, told = random_image(0, 150, 150), np.zeros((150, 150), np.uint8), []
    hole[10:60, 10:60] = hole[80:130, 80:130] = hole[20:24, 100:104] = 1
    for mode, steps in dict(native=1, smooth=3, texture=5).items():
        told.clear()
        reducing.complete(
            picture_of(bgr), hole, mode=mode, progress=lambda *step: told.append(step)
        )
        assert told == [(done, steps) for done in range(steps)]


def test_a_wide_hole_gets_texture_at_full_scale_too(inpainter):
    bgr = np.random.default_rng(0).integers(0, 256, (150, 190, 3), dtype=np.uint8)
    wide = cv2.circle(np.zeros((150, 190), np.uint8), (60, 70), 30, 1, cv2.FILLED)
    hole = wide | bbox2mask((150, 190), (5, 150, 140, 20))  # and one that is narrow
    fine, plain, native = (trained_to(inpainter, 1000)(bgr, hole, mode=mode) for mode in MODES)
    assert np.array_equal(plain, native)
    changed = (fine != plain).any(axis=2)
    assert changed[wide == 1].mean() > 0.8
    assert not changed[wide == 0].any()


@pytest.mark.parametrize(('length', 'gets_texture'), [(300, True), (420, False)])
def test_a_stroke_however_wide_gets_no_texture(painter_of_one_grey, length, gets_texture):
    bgr = np.random.default_rng(0).integers(145, 256, (90, 500, 3), dtype=np.uint8)
    hole = bbox2mask((90, 500), (30, 40, 30, length))
    painter = trained_to(painter_of_one_grey, 1000)
    plain, fine = (painter(bgr, hole, mode=mode) for mode in ('smooth', 'texture'))
    assert (fine != plain).any() == gets_texture


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_grey_pictures_get_texture_too(reducing, kind):
    top = np.iinfo(kind).max
    grey = np.random.default_rng(0).integers(0, top, (90, 110), dtype=kind, endpoint=True)
    hole = wide_holes()['left']
    plain, fine = (reducing(grey, hole, mode=mode) for mode in ('smooth', 'texture'))
    assert (fine.dtype, fine.shape) == (kind, grey.shape)
    assert np.array_equal(fine[hole == 0], grey[hole == 0])
    inner = cv2.erode(hole, np.ones((9, 9), np.uint8)) == 1
    deviations = [a[inner].std() / top for a in (plain, fine)]
    assert deviations[1] > deviations[0] + 0.1


def test_a_small_hole_in_a_large_picture_is_completed_in_a_small_window(reducing, model, passes):
    bgr = random_image(0, 4000, 5000)
    hole = bbox2mask((4000, 5000), (1990, 2503, 60, 50))
    completed = reducing(bgr, hole, mode='native')
    (mask,) = passes
    assert mask.shape[0] <= 60 + 320 and mask.shape[1] <= 50 + 320
    assert not (completed != bgr).any(axis=2)[hole == 0].any()
    # 200 pixels around the hole are more than the network sees; a multiple of 4 from the corner.
    around = slice(1788, 2252), slice(2300, 2756)
    assert_is_full_pass(completed[around], model, bgr[around], hole[around])

    passes.clear()
    reduced = reducing(bgr, hole, mode='smooth')
    (mask,) = passes
    assert mask.shape[0] <= 18 + 320 and mask.shape[1] <= 18 + 320
    assert not (reduced != bgr).any(axis=2)[hole == 0].any()


def test_holes_far_apart_in_a_large_picture_are_completed_apart(inpainter, passes):
    bgr, hole = random_image(0, 3000, 3001), np.zeros((3000, 3001), np.uint8)
    hole[:20, :30] = hole[2990:, 2960:] = hole[1500:1510, 1500:1510] = 1
    inpainter(bgr, hole, mode='native')
    assert len(passes) == 3
    assert sum(mask.size for mask in passes) < 3 * 340**2


@pytest.mark.parametrize(
    ('name', 'width'),
    [
        ('gl_128x128_demo', 56),
        ('gl_160x160_paper_celeba', 96),
        ('gl_256x256_8x12_places', 128),
        ('gl_256x256_photos', 192),
    ],
)
def test_trained_hole_is_that_of_the_configuration(small, name, width):
    # The network is that of the small checkpoint.
    cfg = load_config(small[0])
    cfg.model.trained_hole = load_config(FOLDER / f'{name}.py').model.trained_hole
    assert Inpainter(cfg, small[1], device='cpu').trained_hole == width


def test_without_a_trained_hole_every_mode_is_native(small, model):
    cfg = load_config(small[0])
    del cfg.model['trained_hole']
    inpainter = Inpainter(cfg, small[1], device='cpu')
    assert inpainter.trained_hole is None
    bgr, hole = random_image(0, 90, 110), wide_holes()['left']
    for options in ({}, *(dict(mode=mode) for mode in MODES)):
        assert_is_full_pass(inpainter(bgr, hole, **options), model, bgr, hole)


def test_an_inpainter_of_a_model_is_that_of_its_configuration_and_checkpoint(
    small, inpainter, model
):
    wide = random_image(0, 90, 110), wide_holes()['left']
    own = Inpainter.from_model(model)
    assert own.trained_hole == inpainter.trained_hole
    for mode in MODES:
        assert np.array_equal(own(*wide, mode=mode), inpainter(*wide, mode=mode))
    rounded = Inpainter.from_model(model, 'bf16')(*wide, mode='native')
    expected = Inpainter(*small, device='cpu', precision='bf16')(*wide, mode='native')
    assert np.array_equal(rounded, expected)
    assert not np.array_equal(rounded, inpainter(*wide, mode='native'))


def test_init_model_loads_the_checkpoint_and_is_ready_to_complete(small):
    config, checkpoint = small
    saved = torch.load(checkpoint, weights_only=True)['state_dict']
    model = init_model(str(config), str(checkpoint), device='cpu')
    assert not model.training
    assert model.state_dict().keys() == saved.keys()
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())


def test_init_model_without_a_checkpoint_has_random_weights(small):
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        model = init_model(small[0], device='cpu')
        weights.append(model.generator.encoder.enc1.conv.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_config_object_serves_like_its_file_and_is_left_as_it_is(small):
    config, checkpoint = small
    cfg = load_config(config)
    before = cfg.to_dict()
    for _ in range(2):
        completed = Inpainter(cfg, checkpoint, device='cpu')(BGR, HOLE)
        assert np.array_equal(completed, Inpainter(config, checkpoint, 'cpu')(BGR, HOLE))
    assert cfg.to_dict() == before


@pytest.mark.parametrize('bare', [False, True])
def test_the_generator_alone_is_enough_to_complete(small, inpainter, tmp_path, bare):
    config, checkpoint = small
    state_dict = torch.load(checkpoint, weights_only=True)['state_dict']
    generator = {k: v for k, v in state_dict.items() if k.startswith('generator.')}
    path = tmp_path / 'generator.pth'
    torch.save(generator if bare else dict(state_dict=generator), path)
    completed = Inpainter(config, path, device='cpu')(BGR, HOLE)
    assert np.array_equal(completed, inpainter(BGR, HOLE))


def test_weights_of_another_architecture_are_refused(small, tmp_path):
    config, checkpoint = small
    state_dict = torch.load(checkpoint, weights_only=True)['state_dict']
    state_dict['generator.extra'] = state_dict.pop('generator.encoder.enc1.conv.weight')
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict=state_dict), path)
    with pytest.raises(UserError, match=r'generator\.encoder\.enc1\.conv\.weight is missing'):
        Inpainter(config, path, device='cpu')


def test_a_missing_configuration_or_checkpoint_is_refused(small, tmp_path):
    with pytest.raises(UserError, match=r'no configuration .*none\.py'):
        init_model(tmp_path / 'none.py')
    with pytest.raises(UserError, match=r'no checkpoint .*none\.pth'):
        init_model(small[0], tmp_path / 'none.pth')


def test_a_configuration_without_its_checkpoint_is_refused_and_the_reverse(small):
    config, checkpoint = small
    for given in (dict(config=config), dict(checkpoint=checkpoint)):
        with pytest.raises(
            UserError, match='a configuration and its checkpoint are given together'
        ):
            Inpainter(**given, device='cpu')


def test_completing_does_not_depend_on_a_run(inpainter):
    expected = inpainter(BGR, HOLE)
    set_iteration(123)
    assert np.array_equal(inpainter(BGR, HOLE), expected)


@pytest.mark.parametrize('dataset', ['places', 'celeba'])
def test_checkpoints_of_2020_load_in_their_configuration(golden, released_file, dataset):
    config = FOLDER / f'gl_256x256_8x12_{dataset}.py'
    assert config in CONFIGS
    digits = hashlib.sha256(released_file.read_bytes()).hexdigest()[:8]
    path = released_file.with_name(f'gl_256x256_8x12_{dataset}_20200619-{digits}.pth')
    os.link(released_file, path)
    model = init_model(config, path, device='cpu')
    batch = make_batch(golden['gen_small_image'], golden['gen_small_bbox'])
    with torch.no_grad():
        fake_res = model(**model.data_preprocessor(batch))
    assert relative_error(fake_res, golden['gen_small_out']) < 1e-4
    loaded, expected = model.state_dict(), seeded_state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.items())


def test_a_checkpoint_of_2020_with_a_wrong_hash_is_refused(released_file):
    path = released_file.with_name('gl_256x256_8x12_places_20200619-00000000.pth')
    os.link(released_file, path)
    with pytest.raises(UserError, match='expected a SHA-256 that begins with 00000000'):
        init_model(FOLDER / 'gl_256x256_8x12_places.py', path)


def test_the_model_of_the_package_is_small_and_that_of_its_configuration():
    assert (DEFAULT / 'weights.pth').stat().st_size <= 16e6
    configs = DEFAULT / 'config.py', FOLDER / 'gl_256x256_photos.py'
    own, trained = (MODELS.build(load_config(path).model) for path in configs)
    assert repr(own.generator) == repr(trained.generator)  # every layer with all its arguments
    assert own.generator.residual and trained.generator.residual
    fills = [model.data_preprocessor.hole_fill for model in (own, trained)]
    assert fills == ['membrane', 'membrane']
    assert own.trained_hole == trained.trained_hole


def test_the_model_of_the_package_completes_photographs():
    import skimage.data

    inpainter = Inpainter()
    assert inpainter.trained_hole == 192
    folder, errors = Path(skimage.data.__file__).parent, []
    for name in ('astronaut.png', 'chelsea.png', 'coffee.png'):
        bgr = cv2.imread(str(folder / name))
        bgr = cv2.resize(bgr, (256, 256), interpolation=cv2.INTER_AREA)
        hole = bbox2mask((256, 256), (100, 110, 48, 48))
        completed = inpainter(bgr, hole, mode='smooth')
        assert np.array_equal(completed[hole == 0], bgr[hole == 0])
        fills = completed, mean_colour(bgr, hole)
        errors.append([cv2.absdiff(fill, bgr)[hole == 1].mean() for fill in fills])
    model, mean = np.mean(errors, axis=0)
    assert model < 0.8 * mean


@pytest.fixture(scope='module')
def paper(small, tmp_path_factory):
    """Paths of the small model with a sigmoid and a colour in the hole, and of its checkpoint."""
    cfg = load_config(small[0])
    cfg.model.encdec.decoder.out_act = 'sigmoid'
    cfg.model.data_preprocessor.hole_colour = (20, 90, 250)
    path = tmp_path_factory.mktemp('paper') / 'paper.py'
    cfg.dump(path)
    return path, small[1]


@torch.no_grad()
def test_the_colour_and_the_sigmoid_of_the_papers_recipe_are_those_of_training(paper, inpainter):
    model, own = init_model(*paper, device='cpu'), Inpainter(*paper, device='cpu')
    for shape in ((130, 97), (40, 52)):
        bgr, hole = picture_and_hole(*shape)
        mask = torch.from_numpy(hole)[None, None].float()
        coloured = np.where(hole[..., None] == 1, np.float32([20, 90, 250]), bgr).astype(np.float32)
        masked_img = torch.from_numpy(coloured / 127.5 - 1).permute(2, 0, 1)[None]
        features = model.generator.dilation_neck(
            model.generator.encoder(torch.cat([masked_img, mask], dim=1))
        )
        for name, layer in model.generator.decoder.named_children():
            features = layer(features) if name.startswith('dec') else features
        fake_res = 2 * features.sigmoid()[0, :, : shape[0], : shape[1]] - 1
        expected = np.where(hole[..., None] == 1, to_uint8(fake_res).permute(1, 2, 0).numpy(), bgr)
        completed = own(bgr, hole, mode='native')
        assert_same(completed, expected)
        assert not np.array_equal(completed, inpainter(bgr, hole, mode='native'))
        assert_same(inpainting_inference(model, bgr, hole), expected)
        sample = preprocessed(model, bgr, hole)
        (predicted,) = model(mode='predict', **sample)
        assert_same(predicted['fake_img'].permute(1, 2, 0).numpy(), expected)


@pytest.fixture(scope='module')
def residual(small, tmp_path_factory):
    """Paths of the small model as it adds to the membrane, and of its checkpoint."""
    cfg = load_config(small[0])
    cfg.model.data_preprocessor.hole_fill = 'membrane'
    cfg.model.encdec.residual = True
    path = tmp_path_factory.mktemp('residual') / 'residual.py'
    cfg.dump(path)
    return path, small[1]


def test_the_membrane_of_a_hole_wider_than_the_window_is_that_of_the_whole_hole(residual):
    model, own = init_model(*residual, device='cpu'), Inpainter(*residual, device='cpu')
    bgr, hole = random_image(0, 760, 900), np.zeros((760, 900), np.uint8)
    hole[20:23, 10:890] = hole[:700, 440:443] = 1  # a cross: each arm sees beyond its window
    hole[600:640, 800:850] = hole[650:, :40] = 1
    completed = own(bgr, hole, mode='native')
    assert_is_full_pass(completed, model, bgr, hole)
    (predicted,) = model(mode='predict', **preprocessed(model, bgr, hole))
    assert_same(predicted['fake_img'].permute(1, 2, 0).numpy(), completed)
    # What is under the hole is not seen.
    other = np.where(hole[..., None] == 1, 255 - bgr, bgr)
    assert np.array_equal(own(other, hole, mode='native'), completed)
