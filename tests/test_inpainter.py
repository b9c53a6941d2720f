import hashlib
import os
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
    set_iteration,
    shrink,
)
from PIL import Image

from mmedit_gl.apis import Inpainter, init_model
from mmedit_gl.datasets import bbox2mask, mask2bbox
from mmedit_gl.engine import load_config
from mmedit_gl.errors import UserError

SIZES = [(1, 1), (3, 5), (61, 66), (64, 64), (130, 97)]
FOLDER = ROOT / 'configs/inpainting/global_local'


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """Paths of a small configuration and of a checkpoint of random weights for it."""
    folder = tmp_path_factory.mktemp('small')
    config, checkpoint = folder / 'small.py', folder / 'small.pth'
    shrink(load_config(FOLDER / 'gl_128x128_demo.py'), folder).dump(config)
    torch.manual_seed(0)
    model = init_model(config, device='cpu')
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.add_(0.1 * torch.rand_like(value))
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    return config, checkpoint


@pytest.fixture(scope='module')
def inpainter(small):
    return Inpainter(*small, device='cpu')


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


def predicted(inpainter, bgr, hole):
    """The model's own completion."""
    with torch.no_grad():
        sample = inpainter.model.val_step(make_batch(bgr[None], [mask2bbox(hole)]))[0]
    return sample['fake_img'].permute(1, 2, 0).numpy()


@pytest.mark.parametrize('size', SIZES)
def test_an_array_is_completed_as_the_model_predicts_it(inpainter, size):
    bgr, hole = picture_and_hole(*size)
    completed = inpainter(bgr, hole)
    assert (type(completed), completed.dtype, completed.shape) == (np.ndarray, np.uint8, bgr.shape)
    assert np.array_equal(completed, predicted(inpainter, bgr, hole))
    assert np.array_equal(completed[hole == 0], bgr[hole == 0])
    assert not np.array_equal(completed, bgr)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L'])
def test_a_pil_image_keeps_its_mode_size_and_surroundings(inpainter, mode, size):
    bgr, hole = picture_and_hole(*size)
    image = as_pil(bgr).convert(mode)
    if mode == 'RGBA':
        alpha = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        image.putalpha(Image.fromarray(alpha))
    completed = inpainter(image, hole)
    assert (completed.mode, completed.size) == (mode, image.size)
    before, after = np.asarray(image), np.asarray(completed)
    assert np.array_equal(after[hole == 0], before[hole == 0])
    assert not np.array_equal(after, before)
    if mode == 'RGBA':
        assert np.array_equal(after[..., 3], alpha)


def test_every_kind_of_picture_is_completed_alike(inpainter, tmp_path):
    bgr, hole = picture_and_hole()
    expected = predicted(inpainter, bgr, hole)
    path = tmp_path / 'picture.png'
    cv2.imwrite(str(path), bgr)
    assert np.array_equal(as_bgr(inpainter(path, hole)), expected)
    assert np.array_equal(as_bgr(inpainter(str(path), hole)), expected)
    assert np.array_equal(as_bgr(inpainter(as_pil(bgr), hole)), expected)
    opaque = inpainter(as_pil(bgr).convert('RGBA'), hole)
    assert np.array_equal(as_bgr(opaque.convert('RGB')), expected)


def test_a_grey_picture_is_completed_as_its_colours(inpainter):
    bgr, hole = picture_and_hole()
    image = as_pil(bgr).convert('L')
    grey = np.repeat(np.asarray(image)[..., None], 3, axis=2)
    expected = as_pil(predicted(inpainter, grey, hole)).convert('L')
    assert np.array_equal(np.asarray(inpainter(image, hole)), np.asarray(expected))


def test_a_jpeg_file_is_completed_as_it_decodes(inpainter, tmp_path):
    bgr, hole = picture_and_hole()
    path = tmp_path / 'picture.jpg'
    as_pil(bgr).save(path, quality=80)
    decoded = as_bgr(Image.open(path))
    completed = inpainter(path, hole)
    assert isinstance(completed, Image.Image)
    assert np.array_equal(as_bgr(completed), predicted(inpainter, decoded, hole))


def test_a_rotated_photograph_is_completed_upright(inpainter, tmp_path):
    bgr, hole = picture_and_hole(40, 52)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    path = tmp_path / 'rotated.png'
    as_pil(np.rot90(bgr)).save(path, exif=exif)
    assert np.array_equal(as_bgr(inpainter(path, hole)), predicted(inpainter, bgr, hole))


def test_every_kind_of_mask_means_the_same_hole(inpainter, tmp_path):
    bgr, hole = picture_and_hole()
    white = hole * 255
    path = tmp_path / 'mask.png'
    cv2.imwrite(str(path), white)
    cv2.imwrite(str(tmp_path / 'colour.png'), np.repeat(white[..., None], 3, axis=2))
    masks = [
        path,
        str(path),
        tmp_path / 'colour.png',
        Image.fromarray(white),
        Image.fromarray(white).convert('1'),
        Image.fromarray(white).convert('RGB'),
        hole == 1,
        hole.astype(np.int64),
        hole.astype(np.float32),
        white,
        np.where(hole, 128, 127).astype(np.uint8),
    ]
    expected = inpainter(bgr, hole)
    for mask in masks:
        assert np.array_equal(inpainter(bgr, mask), expected)


def test_a_hole_may_have_any_form_and_place(inpainter):
    bgr, _ = picture_and_hole()
    holes = [np.zeros((40, 52), np.uint8) for _ in range(3)]
    holes[0][0, 0] = holes[0][39, 51] = 1
    holes[1][:] = np.random.default_rng(0).integers(0, 2, (40, 52))
    holes[2][:] = 1
    for hole in holes:
        completed = inpainter(bgr, hole)
        assert np.array_equal(completed, predicted_with(inpainter, bgr, hole))
        assert np.array_equal(completed[hole == 0], bgr[hole == 0])


def predicted_with(inpainter, bgr, hole):
    batch = make_batch(bgr[None], [(0, 0, 1, 1)])
    batch['mask'] = torch.from_numpy(hole)[None, None]
    with torch.no_grad():
        return inpainter.model.val_step(batch)[0]['fake_img'].permute(1, 2, 0).numpy()


def test_what_was_in_the_hole_does_not_matter(inpainter):
    bgr, hole = picture_and_hole()
    other = np.where(hole[..., None] == 1, 255 - bgr, bgr)
    assert np.array_equal(inpainter(bgr, hole), inpainter(other, hole))


def test_arguments_are_left_as_they_are(inpainter):
    bgr, hole = picture_and_hole()
    image, bgr_before, hole_before = as_pil(bgr), bgr.copy(), hole.copy()
    completed = inpainter(bgr, hole)
    assert not np.shares_memory(completed, bgr)
    inpainter(image, hole)
    assert np.array_equal(bgr, bgr_before)
    assert np.array_equal(hole, hole_before)
    assert np.array_equal(as_bgr(image), bgr_before)


def test_views_and_read_only_arrays_are_completed_too(inpainter):
    bgr, hole = picture_and_hole()
    expected = inpainter(bgr, hole)
    padded = np.zeros((50, 60, 3), np.uint8)
    padded[5:45, 4:56] = bgr
    frozen = bgr.copy()
    frozen.flags.writeable = False
    for view in (padded[5:45, 4:56], frozen, np.asfortranarray(bgr)):
        assert np.array_equal(inpainter(view, np.asfortranarray(hole)), expected)
    mirrored = inpainter(bgr[:, ::-1], hole[:, ::-1])
    assert np.array_equal(mirrored, inpainter(bgr[:, ::-1].copy(), hole[:, ::-1].copy()))


BGR, HOLE = picture_and_hole()


@pytest.mark.parametrize(
    ('image', 'mask', 'message'),
    [
        (BGR, HOLE[:-1], 'the mask has 39x52 pixels, the image 40x52: expected the same height'),
        (BGR, HOLE.T, 'the mask has 52x40 pixels, the image 40x52'),
        (as_pil(BGR), Image.fromarray(HOLE.T * 255), 'the mask has 52x40 pixels'),
        (BGR, np.zeros_like(HOLE), 'the mask is empty: expected a hole of at least one pixel'),
        (BGR, HOLE[..., None], r'expected a mask \(H, W\), got an array of shape \(40, 52, 1\)'),
        (BGR, 'none.png', 'cannot read none.png: .*No such file'),
        (BGR, [[0, 1]], 'expected a mask as a path, a PIL image or an array, got list'),
        (BGR / 255, HOLE, r'uint8 BGR array \(H, W, 3\), got float64 of shape \(40, 52, 3\)'),
        (BGR.astype(np.int64), HOLE, r'expected a uint8 BGR array \(H, W, 3\), got int64'),
        (BGR[..., 0], HOLE, r'got uint8 of shape \(40, 52\)'),
        (BGR[..., [0, 1, 2, 2]], HOLE, r'got uint8 of shape \(40, 52, 4\)'),
        (np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.uint8), 'the mask is empty'),
        (as_pil(BGR).convert('CMYK'), HOLE, 'mode RGB, RGBA or L, got CMYK: convert it'),
        ('none.jpg', HOLE, 'cannot read none.jpg: .*No such file'),
        (None, HOLE, 'expected an image as a path, a PIL image or an array, got NoneType'),
    ],
)
def test_what_cannot_be_completed_is_refused(inpainter, image, mask, message):
    with pytest.raises(UserError, match=message):
        inpainter(image, mask)


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
