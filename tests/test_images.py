import io
import itertools
import multiprocessing
import re
import resource
import signal
import struct
import threading
import time
import zlib
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import random_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from mmedit_gl.errors import ImageError, UserError
from mmedit_gl.pictures import Picture, picture_of, read_hole, read_picture, write_picture

HEIGHT, WIDTH = 41, 53
BGR = random_image(0, HEIGHT, WIDTH)
ALPHA = random_image(1, HEIGHT, WIDTH)[..., 0]
DEEP = 257 * BGR.astype(np.uint16) + np.arange(WIDTH, dtype=np.uint16)[:, None]
FILL = random_image(2, HEIGHT, WIDTH)
HOLE = np.zeros((HEIGHT, WIDTH), np.uint8)
HOLE[7:20, 11:38] = 1
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
LOSSLESS = ('png', 'tif', 'webp', 'bmp')


def pil_images() -> dict[str, Image.Image]:
    """The same picture in every mode that comes back in its own."""
    rgb = Image.fromarray(BGR[..., ::-1].copy())
    grey, alpha = rgb.convert('L'), Image.fromarray(ALPHA)
    images = {'1': rgb.convert('1'), 'L': grey, 'RGB': rgb}
    images['LA'], images['RGBA'] = Image.merge('LA', (grey, alpha)), rgb.copy()
    images['RGBA'].putalpha(alpha)
    images['I;16'] = Image.fromarray(DEEP[..., 0].copy())
    return images


IMAGES = pil_images()


def encoded(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def filled(picture: Picture) -> Picture:
    """Its hole filled as that of the test picture, whichever way it is turned."""
    shape = picture.pixels.shape[:2]
    hole = HOLE if shape == HOLE.shape else HOLE.T
    return picture.filled(FILL if shape == HOLE.shape else FILL.swapaxes(0, 1).copy(), hole)


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def deep_png(samples: np.ndarray, *chunks: bytes) -> bytes:
    """A PNG of 16 bits; OpenCV's, with more chunks behind its header."""
    data = cv2.imencode('.png', samples)[1].tobytes()
    return data[:33] + b''.join(chunks) + data[33:]


def tiff(samples: np.ndarray, **tags) -> bytes:
    """An uncompressed TIFF of samples in their order in the file."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    height, width, channels = samples.reshape(*samples.shape[:2], -1).shape
    values = {256: width, 257: height, 258: (8 * samples.itemsize,) * channels, 259: 1}
    values |= {262: 1 if channels == 1 else 2, 273: 0, 277: channels, 278: height}
    values |= {279: samples.nbytes} | {int(name[1:]): value for name, value in tags.items()}
    for tag, value in values.items():
        directory[tag] = value
    buffer = io.BytesIO()
    directory.save(buffer)
    return buffer.getvalue() + samples.tobytes()


# Pictures as they come


@pytest.mark.parametrize('mode', IMAGES)
def test_a_pil_image_comes_back_in_its_mode(mode):
    image = IMAGES[mode]
    before = np.array(image)
    completed = filled(picture_of(image)).as_given()
    assert (completed.mode, completed.size) == (mode, image.size)
    after = np.array(completed)
    assert np.array_equal(after[HOLE == 0], before[HOLE == 0])
    assert not np.array_equal(after, before)
    assert np.array_equal(np.array(image), before)
    grey = np.array(Image.fromarray(FILL[..., ::-1].copy()).convert('L'))
    expected = {
        '1': grey >= 128,
        'L': grey,
        'I;16': 257 * grey.astype(np.uint16),
        'LA': np.dstack([grey, ALPHA]),
        'RGB': FILL[..., ::-1],
        'RGBA': np.dstack([FILL[..., ::-1], ALPHA]),
    }
    assert np.array_equal(after[HOLE == 1], expected[mode][HOLE == 1])


@pytest.mark.parametrize('mode', ['P', 'PA', 'RGBa', 'La', 'RGBX', 'CMYK', 'YCbCr', 'HSV', 'LAB'])
def test_a_pil_image_of_another_mode_becomes_grey_or_rgb(mode):
    rgba = IMAGES['RGBA']
    rgb = rgba.convert('RGB')
    image = {
        'P': lambda: rgb.quantize(32),
        'PA': lambda: rgb.quantize(32).convert('PA'),
        'RGBa': lambda: rgba.convert('RGBa'),
        'La': lambda: IMAGES['LA'].convert('La'),
    }.get(mode, lambda: rgb.convert(mode))()
    assert image.mode == mode
    picture = picture_of(image)
    expected = {'PA': 'RGBA', 'RGBa': 'RGBA', 'La': 'LA'}.get(mode, 'RGB')
    assert np.array_equal(np.array(picture.as_given()), np.array(image.convert(expected)))
    converted = mode in ('CMYK', 'YCbCr', 'HSV', 'LAB')
    assert picture.notes == [f'the image was converted from {mode} to RGB'] * converted
    assert np.array_equal(filled(picture).bgr[HOLE == 0], picture.bgr[HOLE == 0])


@pytest.mark.parametrize('shape', [(), (3,), (4,)])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_an_array_comes_back_in_its_form(dtype, shape):
    array = np.dstack([DEEP, DEEP[..., :1]])[..., : shape[0] if shape else 1]
    array = (array if dtype == np.uint16 else array >> 8).astype(dtype).reshape(*HOLE.shape, *shape)
    before = array.copy()
    picture = picture_of(array)
    completed = filled(picture).as_given()
    assert (completed.dtype, completed.shape) == (dtype, array.shape)
    assert np.array_equal(completed[HOLE == 0], array[HOLE == 0])
    if shape:
        factor = 257 if dtype == np.uint16 else 1
        assert np.array_equal(completed[HOLE == 1][:, :3], factor * FILL[HOLE == 1].astype(dtype))
    if shape == (4,):
        assert np.array_equal(completed[..., 3], array[..., 3])
    assert np.array_equal(array, before)
    assert not np.shares_memory(picture.as_given(), array)


def test_views_and_read_only_arrays_are_pictures_too():
    frozen = BGR.copy()
    frozen.flags.writeable = False
    window = np.pad(BGR, ((2, 2), (2, 2), (0, 0)))[2:-2, 2:-2]
    for array in (frozen, np.asfortranarray(BGR), window):
        picture = picture_of(array)
        assert np.array_equal(picture.bgr, BGR)
        assert picture.bgr.flags.writeable
        assert picture.bgr.flags.c_contiguous


def test_a_network_sees_16_bits_rounded_to_8():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values / 257)
    assert np.array_equal(picture_of(values).bgr, np.dstack([expected] * 3))
    assert np.array_equal(picture_of(np.dstack([values] * 4)).bgr, np.dstack([expected] * 3))


def test_notes_are_of_one_picture():
    picture = picture_of(BGR)
    assert picture.noting('one').noting('two').notes == ['one', 'two']
    assert picture.notes == []
    assert picture.name == 'the image'


# Files


@pytest.mark.parametrize('source', LOSSLESS)
@pytest.mark.parametrize('mode', IMAGES)
def test_a_file_comes_back_outside_the_hole(tmp_path, mode, source):
    """Read, filled, written in every lossless format: as Pillow reads both."""
    path = tmp_path / f'source.{source}'
    try:
        IMAGES[mode].save(path, **(dict(lossless=True, exact=True) if source == 'webp' else {}))
    except OSError:  # a mode that the format does not have
        assert (source, mode) in {('bmp', 'LA'), ('bmp', 'I;16')}
        return
    picture = read_picture(path)
    assert picture.notes == []
    before = opened(path)
    assert np.array_equal(np.array(picture.as_given()), np.array(before))
    for target in LOSSLESS:
        out = tmp_path / f'out.{target}'
        completed = filled(picture)
        write_picture(completed, out)
        after, expected = opened(out), before
        assert after.format == {'tif': 'TIFF'}.get(target, target.upper())
        if target == 'webp' or (target == 'bmp' and 'A' in before.mode):
            expected = before.convert('RGBA' if 'A' in before.mode and target == 'webp' else 'RGB')
        if target == 'bmp' and 'A' in before.mode:
            after = after.convert('RGB')
        if before.mode == 'I;16' and target in ('webp', 'bmp'):
            assert completed.notes == [
                f'{target.upper()} cannot hold the 16 bits of {path}: they were reduced to 8'
            ]
            grey = Image.fromarray(np.rint(np.array(before) / 257).astype(np.uint8))
            expected = grey.convert('RGB' if target == 'webp' else 'L')
        elif 'A' in before.mode and target == 'bmp':
            assert completed.notes == [
                f'BMP cannot hold the transparency of {path}: it was left out'
            ]
        else:
            assert completed.notes == []
        assert after.mode == expected.mode
        outside = HOLE == 0
        assert np.array_equal(np.array(after)[outside], np.array(expected)[outside])
        assert np.array_equal(read_picture(out).bgr, completed.bgr)


@pytest.mark.parametrize('channels', [1, 3, 4])
@pytest.mark.parametrize('source', ['png', 'tif'])
def test_16_bits_stay_in_png_and_tiff(tmp_path, source, channels):
    samples = np.dstack([DEEP, DEEP[..., 1]])[..., :channels].squeeze()
    path = tmp_path / f'source.{source}'
    cv2.imwrite(str(path), samples)
    picture = read_picture(path)
    assert np.array_equal(picture.pixels, samples)
    for target in ('png', 'tif'):
        out = tmp_path / f'out.{target}'
        write_picture(filled(picture), out)
        after = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
        assert (after.dtype, after.shape) == (np.uint16, samples.shape)
        assert np.array_equal(after[HOLE == 0], samples[HOLE == 0])
        assert np.array_equal(after, filled(picture).pixels)
        assert np.array_equal(read_picture(out).pixels, after)
    given = picture.as_given()
    if channels == 1:
        assert np.array_equal(np.array(given), samples)
    else:
        expected = cv2.cvtColor(picture.bgr, cv2.COLOR_BGR2RGB)
        assert np.array_equal(np.array(given.convert('RGB')), expected)
        assert picture.notes == [
            f'a PIL image cannot hold the 16 bits of {path}: they were reduced to 8'
        ]


def test_transparency_without_a_channel_of_its_own_is_kept(tmp_path):
    """A transparent colour or palette, in 8 and in 16 bits."""
    first = BGR[0, 0]
    clear = (first == BGR).all(-1)
    images = {
        'RGB': (IMAGES['RGB'], dict(transparency=tuple(first[::-1].tolist())), ~clear),
        'L': (IMAGES['L'], dict(transparency=int(np.array(IMAGES['L'])[0, 0])), None),
        'P': (IMAGES['RGB'].quantize(8), dict(transparency=bytes(range(0, 280, 40))), None),
        'PA': (IMAGES['RGBA'].quantize(8), {}, None),
    }
    path, out = tmp_path / 'source.png', tmp_path / 'out.png'
    for image, options, alpha in images.values():
        image.save(path, **options)
        before = opened(path).convert('RGBA')
        picture = read_picture(path)
        assert picture.mode in ('LA', 'RGBA')
        write_picture(filled(picture), out)
        after = np.array(opened(out).convert('RGBA'))
        assert np.array_equal(after[HOLE == 0], np.array(before)[HOLE == 0])
        assert np.array_equal(after[..., 3], np.array(before)[..., 3])
        assert len(np.unique(after[..., 3])) > 1
        if alpha is not None:
            assert np.array_equal(after[..., 3], 255 * alpha.astype(np.uint8))
    for samples in (DEEP, DEEP[..., 0].copy()):
        key = samples[0, 0].reshape(-1)[::-1].astype('>u2').tobytes()
        path.write_bytes(deep_png(samples, png_chunk(b'tRNS', key)))
        opaque = (samples.reshape(*HOLE.shape, -1) != samples[0, 0]).any(-1)
        picture = read_picture(path)
        assert np.array_equal(picture.pixels[..., 3], 65535 * opaque.astype(np.uint16))
        assert np.array_equal(picture.pixels[..., 0], DEEP[..., 0])
        write_picture(picture, out)
        assert np.array_equal(read_picture(out).pixels, picture.pixels)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('form', ['jpg', 'png', 'webp', 'tif', 'deep.png', 'deep.tif'])
def test_every_orientation_is_read_upright(tmp_path, form, orientation):
    path, out = tmp_path / f'a.{form}', tmp_path / 'out.png'
    exif = Image.Exif()
    for exif[0x112] in (1, orientation):
        if form == 'deep.png':
            path.write_bytes(deep_png(DEEP, png_chunk(b'eXIf', exif.tobytes()[6:])))
        elif form == 'deep.tif':
            path.write_bytes(tiff(DEEP[..., ::-1].copy(), t274=exif[0x112]))
        else:
            IMAGES['RGB'].save(path, exif=exif, **(dict(lossless=True) if form == 'webp' else {}))
        if exif[0x112] == 1:
            lying = Image.fromarray(read_picture(path).bgr)
    with Image.open(io.BytesIO(encoded(lying, 'PNG', exif=exif))) as image:
        expected = np.array(ImageOps.exif_transpose(image))
    picture = read_picture(path)
    assert np.array_equal(picture.bgr, expected)
    write_picture(filled(picture), out)
    assert opened(out).getexif().get(0x112, 1) == 1
    assert np.array_equal(read_picture(out).pixels, filled(picture).pixels)


def test_xmp_does_not_turn_a_picture_twice(tmp_path):
    path, out = tmp_path / 'a.png', tmp_path / 'b.png'
    info = PngInfo()
    info.add_itxt('XML:com.adobe.xmp', '<x:xmpmeta tiff:Orientation="6" tiff:Make="M"/>')
    IMAGES['RGB'].save(path, pnginfo=info)
    upright = np.array(IMAGES['RGB'].transpose(Image.Transpose.ROTATE_270))
    for source, target in ((path, out), (out, path)):
        picture = read_picture(source)
        assert np.array_equal(picture.bgr[..., ::-1], upright)
        write_picture(picture, target)
    assert 'tiff:Make="M"' in opened(out).info['XML:com.adobe.xmp']


# Large enough for blocks that are far from the hole, sharp enough for them to lose something.
PHOTO = np.clip(
    random_image(3, 152, 203) + np.random.default_rng(0).normal(0, 6, (152, 203, 3)), 0, 255
).astype(np.uint8)


@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
@pytest.mark.parametrize('subsampling', [0, 1, 2])
@pytest.mark.parametrize('mode', ['RGB', 'L'])
def test_a_jpeg_changes_little_away_from_the_hole(tmp_path, mode, subsampling, orientation):
    source, target = tmp_path / 'a.jpg', tmp_path / 'b.jpg'
    exif = Image.Exif()
    exif[0x112] = orientation
    image = Image.fromarray(PHOTO[..., ::-1].copy()).convert(mode)
    options = {} if mode == 'L' else dict(subsampling=subsampling)
    image.save(source, quality=83, exif=exif, **options)
    picture = read_picture(source)
    hole = np.zeros(picture.pixels.shape[:2], np.uint8)
    hole[60:90, 70:100] = 1
    write_picture(picture.filled(np.full_like(picture.bgr, 128), hole), target)
    before, after = opened(source), opened(target)
    assert (after.mode, after.size) == (mode, image.size)
    assert after.quantization == before.quantization
    assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before)
    far = cv2.dilate(hole, np.ones((49, 49))) == 0
    after = read_picture(target)
    assert np.abs(after.pixels[far].astype(int) - picture.pixels[far]).mean() < 0.25
    assert np.abs(after.pixels[hole == 1].astype(int) - 128).mean() < 6


def test_what_was_no_jpeg_goes_into_one_in_full_resolution(tmp_path):
    path = tmp_path / 'a.jpg'
    write_picture(picture_of(PHOTO), path)
    expected = encoded(Image.fromarray(PHOTO[..., ::-1].copy()), 'JPEG', quality=95, subsampling=0)
    assert path.read_bytes() == expected
    write_picture(picture_of(PHOTO), path, quality=40)
    assert path.stat().st_size < len(expected) / 3
    for mode, image in IMAGES.items():
        picture = picture_of(image)
        write_picture(picture, path)
        after = opened(path)
        assert after.mode == ('RGB' if 'RGB' in mode else 'L')
        assert np.abs(np.array(after.convert('L')).astype(int) - grey_of(picture)).mean() < 2
        lost = 'transparency' if 'A' in mode else '16 bits'
        assert len(picture.notes) == (mode in ('LA', 'RGBA', 'I;16'))
        assert all(f'JPEG cannot hold the {lost} of the image' in n for n in picture.notes)


def grey_of(picture: Picture) -> np.ndarray:
    return np.array(Image.fromarray(picture.bgr[..., ::-1].copy()).convert('L')).astype(int)


def exif_of_a_camera() -> Image.Exif:
    exif = Image.Exif()
    exif[0x10F], exif[0x132], exif[0x112], exif[0x8298] = 'Maker', '2024:01:02 03:04:05', 6, 'Me'
    exif[0x8769] = {0x829A: 0.008, 0x9003: '2024:01:02 03:04:05'}
    exif[0x8825] = {1: 'N', 2: (48.0, 30.0, 12.0)}
    return exif


@pytest.mark.parametrize('target', ['jpg', 'png', 'webp', 'tif'])
@pytest.mark.parametrize('source', ['jpg', 'png', 'webp', 'tif', 'deep.png'])
def test_profile_and_exif_are_kept(tmp_path, source, target):
    path, out = tmp_path / f'a.{source}', tmp_path / f'out.{target}'
    exif = exif_of_a_camera().tobytes()
    if source == 'deep.png':
        chunks = encoded(Image.new('RGB', (1, 1)), 'PNG', icc_profile=PROFILE, exif=exif)
        path.write_bytes(deep_png(DEEP, chunks[33 : chunks.rindex(b'IDAT') - 4]))
    else:
        IMAGES['RGB'].save(path, icc_profile=PROFILE, exif=exif)
    picture = read_picture(path)
    assert picture.notes == []
    given = picture.as_given()
    write_picture(filled(picture), out)
    for image in (given, opened(out)):
        assert image.info['icc_profile'] == PROFILE
        kept = image.getexif()
        turned = source == target == 'jpg' and image is not given
        assert kept.get(0x112, 1) == (6 if turned else 1)
        assert (kept[0x10F], kept[0x132], kept[0x8298]) == ('Maker', '2024:01:02 03:04:05', 'Me')
    camera, place = kept.get_ifd(0x8769), kept.get_ifd(0x8825)
    assert float(camera[0x829A]) == pytest.approx(0.008)
    assert camera[0x9003] == '2024:01:02 03:04:05'
    assert (place[1], tuple(map(float, place[2]))) == ('N', (48, 30, 12))
    upright = picture.pixels.shape[:2][::-1]
    assert np.array_equal(read_picture(out).bgr.shape[:2][::-1], upright)


def test_profiles_of_16_bits_are_kept(tmp_path):
    source, png, tif = (tmp_path / name for name in ('a.png', 'b.png', 'b.tif'))
    chunks = encoded(Image.new('RGB', (1, 1)), 'PNG', icc_profile=PROFILE)
    source.write_bytes(deep_png(DEEP, chunks[33 : chunks.rindex(b'IDAT') - 4]))
    for path in (png, tif):
        write_picture(filled(read_picture(source)), path)
        assert opened(path).info['icc_profile'] == PROFILE
        assert np.array_equal(read_picture(path).pixels, filled(picture_of(DEEP)).pixels)


def test_text_and_resolution_are_kept(tmp_path):
    info = PngInfo()
    info.add_text('Title', 'The title')
    info.add_itxt('Author', 'Zoë', 'en')
    path = tmp_path / 'a.png'
    IMAGES['RGB'].save(path, pnginfo=info, dpi=(200, 200))
    for target in ('png', 'jpg', 'tif', 'bmp'):
        out = tmp_path / f'b.{target}'
        write_picture(read_picture(path), out)
        assert opened(out).info['dpi'] == pytest.approx((200, 200), abs=0.1)
    assert opened(tmp_path / 'b.png').text == {'Title': 'The title', 'Author': 'Zoë'}
    write_picture(picture_of(DEEP), path)
    picture = read_picture(path)
    picture.metadata['text'] = {'Title': 'The title'}
    write_picture(picture, path)
    assert opened(path).text == {'Title': 'The title'}


def test_no_small_preview_shows_what_was_in_the_hole(tmp_path):
    preview = encoded(IMAGES['RGB'].resize((16, 12)), 'JPEG')
    directory = struct.pack('>H', 2)
    directory += struct.pack('>HHII', 0x201, 4, 1, 8 + 2 + 12 + 4 + 2 + 24 + 4)
    directory += struct.pack('>HHII', 0x202, 4, 1, len(preview)) + bytes(4)
    first = struct.pack('>HHHI4s', 1, 0x10F, 2, 4, b'Mak\0') + struct.pack('>I', 26)
    exif = b'Exif\0\0MM\0*' + struct.pack('>I', 8) + first + directory + preview
    path = tmp_path / 'a.jpg'
    IMAGES['RGB'].save(path, exif=exif)
    assert preview in path.read_bytes()
    for target in ('jpg', 'png', 'webp', 'tif'):
        out = tmp_path / f'b.{target}'
        write_picture(read_picture(path), out)
        assert preview not in out.read_bytes()
        assert opened(out).getexif()[0x10F] == 'Mak'


def test_damaged_exif_is_left_out_and_said(tmp_path):
    path = tmp_path / 'a.png'
    IMAGES['RGB'].save(path, exif=b'Exif\0\0XX\0*' + bytes(20))
    picture = read_picture(path)
    assert picture.notes == [f'the EXIF of {path} is damaged: it was left out']
    assert np.array_equal(picture.bgr[..., ::-1], np.array(opened(path)))
    write_picture(picture, path)
    assert 'exif' not in opened(path).info


@pytest.mark.parametrize('profile', [None, PROFILE, b'no profile'])
@pytest.mark.parametrize('form', ['jpg', 'tif'])
def test_cmyk_becomes_rgb_with_a_note(tmp_path, form, profile):
    path, out = tmp_path / f'a.{form}', tmp_path / f'b.{form}'
    options = dict(quality=95) if form == 'jpg' else {}
    IMAGES['RGB'].convert('CMYK').save(path, icc_profile=profile, **options)
    picture = read_picture(path)
    assert picture.notes == [f'{path} was converted from CMYK to RGB']
    difference = picture.bgr.astype(int) - BGR
    assert np.abs(difference).mean() < (3 if form == 'jpg' else 0.5)
    write_picture(picture, out)
    assert opened(out).mode == 'RGB'
    assert 'icc_profile' not in opened(out).info


@pytest.mark.parametrize('form', ['gif', 'png', 'webp', 'tif'])
def test_of_an_animation_the_first_picture_is_taken(tmp_path, form):
    path = tmp_path / f'a.{form}'
    others = [Image.new('RGB', (WIDTH, HEIGHT), colour) for colour in ('red', 'blue')]
    first = IMAGES['RGB'].quantize(16).convert('RGB')
    options = dict(lossless=True) if form == 'webp' else {}
    first.save(path, save_all=True, append_images=others, **options)
    picture = read_picture(path)
    assert picture.notes[-1] == f'{path} holds more than one picture: the first was taken'
    assert np.array_equal(picture.bgr[..., ::-1], np.array(first))


def test_grey_of_16_bits_in_a_tiff_may_begin_at_white(tmp_path):
    grey = DEEP[..., 0].copy()
    path = tmp_path / 'a.tif'
    path.write_bytes(tiff(grey, t262=0))
    assert np.array_equal(read_picture(path).pixels, 65535 - grey)


def test_a_bmp_of_16_bits_a_pixel_is_one_of_8_bits_a_colour(tmp_path):
    header = struct.pack('<IiiHHIIiiII', 40, 2, 1, 1, 16, 0, 4, 0, 0, 0, 0)
    content = b'BM' + struct.pack('<IHHI', 58, 0, 0, 54) + header + struct.pack('<HH', 0x7C00, 31)
    path = tmp_path / 'a.bmp'
    path.write_bytes(content)
    picture = read_picture(path)
    assert picture.bgr.tolist() == [[[0, 0, 255], [255, 0, 0]]]
    assert picture.notes == []


# What cannot be read


@pytest.mark.parametrize('form', ['png', 'jpg', 'gif', 'bmp', 'tif'])
def test_the_size_is_refused_before_decoding(tmp_path, form):
    """Headers that claim 25000x20000 pixels."""
    data = encoded(Image.new('RGB', (8, 8)), {'jpg': 'JPEG', 'tif': 'TIFF'}.get(form, form))
    if form == 'png':
        data = data[:8] + png_chunk(b'IHDR', struct.pack('>IIBBBBB', 25000, 20000, 8, 2, 0, 0, 0))
        data += png_chunk(b'IDAT', zlib.compress(b'0')) + png_chunk(b'IEND', b'')
    elif form == 'jpg':
        at = data.index(b'\xff\xc0') + 5
        data = data[:at] + struct.pack('>HH', 20000, 25000) + data[at + 4 :]
    elif form == 'gif':
        data = data[:6] + struct.pack('<HH', 25000, 20000) + data[10:]
    elif form == 'bmp':
        data = data[:18] + struct.pack('<ii', 25000, 20000) + data[26:]
    else:
        data = tiff(np.zeros((8, 8), np.uint8), t256=25000, t257=20000)
    path = tmp_path / f'a.{form}'
    path.write_bytes(data)
    message = (
        f'^{path} of 25000x20000 pixels has 500 megapixels, more than the limit of 100: raise it '
        r'by max_megapixels \(--max-megapixels\)$'
    )
    begin = time.process_time()
    for read in (read_picture, picture_of, lambda path: read_hole(path, (8, 8))):
        with pytest.raises(ImageError, match=message):
            read(path)
    assert time.process_time() - begin < 0.2
    with pytest.raises(ImageError, match='damaged, cut short or of a rare kind'):
        read_picture(path, max_megapixels=500.1) if form in ('png', 'bmp') else read_cut(path)


def read_cut(path: Path) -> None:
    """What a cut file says within the limit, for formats whose whole picture would be decoded."""
    path.write_bytes(path.read_bytes()[:24])
    read_picture(path)


@pytest.mark.parametrize('form', ['png', 'jpg', 'webp', 'gif', 'bmp', 'tif'])
def test_no_limit_counts_but_ours(tmp_path, monkeypatch, form):
    path = tmp_path / f'a.{form}'
    IMAGES['RGB'].save(path)
    expected = read_picture(path).pixels
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)  # Pillow refuses twice as many
    assert np.array_equal(read_picture(path).pixels, expected)
    megapixels = HEIGHT * WIDTH / 1e6
    read_picture(path, max_megapixels=megapixels)
    with pytest.raises(ImageError, match=r'0\.002173 megapixels, more than the limit of 0\.002172'):
        read_picture(path, max_megapixels=megapixels - 1e-6)
    assert Image.MAX_IMAGE_PIXELS == 100


def whole_files() -> dict[str, bytes]:
    rgb, exif = IMAGES['RGB'], exif_of_a_camera().tobytes()
    forms = dict(PNG=dict(exif=exif), WEBP=dict(exif=exif), JPEG=dict(exif=exif))
    forms['TIFF'] = dict(compression='tiff_lzw')
    modes = {'1': IMAGES['1'], 'RGB': rgb, 'RGBA': IMAGES['RGBA'], 'P': rgb.quantize(16)}
    files = {
        f'{form}-{mode}': encoded(modes[mode], form, icc_profile=PROFILE, **forms[form])
        for form, mode in itertools.product(forms, modes)
        if form != 'JPEG' or mode in ('1', 'RGB')
    }
    files |= {'BMP': encoded(rgb, 'BMP'), 'GIF': encoded(rgb, 'GIF'), 'TIFF': encoded(rgb, 'TIFF')}
    files['JPEG-CMYK'] = encoded(rgb.convert('CMYK'), 'JPEG', icc_profile=PROFILE)
    files['JPEG-progressive'] = encoded(rgb, 'JPEG', progressive=True)
    files['WEBP-lossless'] = encoded(rgb, 'WEBP', lossless=True)
    files['GIF-animated'] = encoded(rgb, 'GIF', save_all=True, append_images=[IMAGES['1']])
    files['PNG-16'] = deep_png(DEEP, png_chunk(b'eXIf', exif[6:]))
    files['PNG-I;16'] = encoded(IMAGES['I;16'], 'PNG')
    files['TIFF-16'] = tiff(DEEP, t274=6)
    return files


FILES = whole_files()


@pytest.mark.parametrize('name', FILES)
def test_a_file_that_is_cut_short_is_refused(tmp_path, name):
    """At every length: refused by name, or whole, for some files end in what is no picture."""
    data = FILES[name]
    path = tmp_path / 'cut'
    path.write_bytes(data)
    whole = read_picture(path).pixels
    refused = 0
    for length in {0, 1, 2, 8, 20, *np.linspace(0, len(data) - 1, 25).astype(int).tolist()}:
        path.write_bytes(data[:length])
        try:
            assert np.array_equal(read_picture(path).pixels, whole)
        except ImageError as error:
            refused += 1
            assert str(error).startswith(f'cannot read {path}: ')
            with pytest.raises(ImageError, match=re.escape(f'cannot read {path}: ')):
                read_hole(path, HOLE.shape)
    assert refused >= 0.5 * 25


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('fuzz')


def read_and_write(folder: Path, data: bytes) -> None:
    """Whatever the file holds, it is read, completed and written, or refused by `ImageError`."""
    path = folder / 'fuzzed'
    path.write_bytes(data)
    try:
        hole = read_hole(path, HOLE.shape, resize=True)
        assert set(np.unique(hole)) <= {0, 1}
    except ImageError:
        pass
    try:
        picture = read_picture(path, max_megapixels=1)
        assert picture.pixels.dtype in (np.uint8, np.uint16)
        bgr = picture.bgr
        picture = picture.filled(bgr, np.ones(bgr.shape[:2], np.uint8))
        for target in ('png', 'jpg', 'tif'):
            write_picture(picture, folder / f'out.{target}')
            assert read_picture(folder / f'out.{target}').bgr.shape == bgr.shape
    except ImageError:
        pass


FUZZ = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
MAGIC = [b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'RIFF    WEBPVP8 ', b'BM', b'II*\0', b'GIF89a']


@FUZZ
@given(st.sampled_from([b'', *MAGIC]), st.binary(max_size=300))
def test_any_bytes_are_refused(folder, magic, data):
    read_and_write(folder, magic + data)


@FUZZ
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
    st.booleans(),
)
def test_damaged_files_are_read_or_refused(folder, name, changes, near_the_begin):
    data = bytearray(FILES[name])
    for place, value in changes:
        data[int(place * min(len(data), 120 if near_the_begin else len(data)))] = value
    read_and_write(folder, bytes(data))


def test_pictures_may_be_read_in_many_threads(tmp_path):
    paths = []
    for name, data in FILES.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    expected = [read_picture(path).pixels for path in paths]
    equal = []

    def work() -> None:
        equal.extend(np.array_equal(read_picture(p).pixels, e) for p, e in zip(paths, expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert equal == [True] * 4 * len(paths)


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        ('none.png', '^cannot read none.png: No such file or directory$'),
        (Path('none.jpg'), '^cannot read none.jpg: No such file or directory$'),
        ('x' * 300, 'File name too long$'),
        ('a\0b', 'null byte'),
        ('/dev/null', 'cannot read /dev/null: expected a picture, got a folder or device'),
        (None, '^expected an image as a path, a PIL image or an array, got NoneType$'),
        ([[0, 1]], 'got list$'),
        (BGR / 255, r'got float64 of shape \(41, 53, 3\)$'),
        (BGR.astype(np.int64), r'^expected a uint8 or uint16 array \(H, W\), .* got int64'),
        (BGR[..., :2], r'got uint8 of shape \(41, 53, 2\)$'),
        (BGR[None], r'got uint8 of shape \(1, 41, 53, 3\)$'),
        (BGR[0, 0], r'got uint8 of shape \(3,\)$'),
        (BGR[:0], 'the image has 53x0 pixels: expected at least one'),
        (Image.new('RGB', (0, 3)), 'the image has 0x3 pixels: expected at least one'),
        (IMAGES['L'].convert('F'), 'the image has samples of mode F: expected 8 or 16 bits'),
        (Image.new('I', (2, 2), -1), 'the image has samples of 32 bits: expected 8 or 16'),
    ],
)
def test_what_is_no_picture_is_refused(image, message):
    with pytest.raises(ImageError, match=message):
        picture_of(image)


def test_files_of_no_picture_are_refused(tmp_path):
    path = tmp_path / 'a.png'
    with pytest.raises(ImageError, match=f'cannot read {tmp_path}: .* got a folder or device'):
        read_picture(tmp_path)
    contents = {
        b'': 'got an empty file$',
        b'not a picture': 'got another kind of file$',
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n': 'got another kind of file$',
        encoded(IMAGES['RGB'], 'ICO'): 'expected a JPEG, PNG, WebP, BMP, TIFF or GIF picture',
        encoded(IMAGES['L'].convert('F'), 'TIFF'): 'has samples of mode F: expected 8 or 16 bits',
        tiff(DEEP, t284=2): '16 bits a sample in this order of samples are not supported',
        tiff(DEEP[..., 0].copy(), t258=12): '12 bits a sample',
    }
    for content, message in contents.items():
        path.write_bytes(content)
        with pytest.raises(ImageError, match=message):
            read_picture(path)
        with pytest.raises(ImageError, match=message):
            read_hole(path, HOLE.shape)


def test_a_pil_image_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / 'a.png'
    path.write_bytes(FILES['PNG-RGB'][:-300])
    with Image.open(path) as image, pytest.raises(ImageError, match='cannot read the image: '):
        picture_of(image)


# What cannot be written


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    picture = picture_of(BGR)
    (tmp_path / 'folder.png').mkdir()
    (tmp_path / 'folder.png' / 'file').touch()
    (tmp_path / 'file').touch()
    before = sorted(tmp_path.rglob('*'))
    refused = {
        'none/a.png': 'cannot write {}: there is no folder .*none$',
        'file/a.png': 'cannot write {}: there is no folder .*file$',
        'folder.png': 'cannot write {}: Is a directory$',
        f'{"x" * 300}.png': 'cannot write {}: File name too long',
        'a.gif': 'cannot write {}: expected a name that ends in .jpg, .jpeg, .png, .*, got .gif$',
        'a': 'cannot write {}: expected a name that ends in .*, got no such ending$',
    }
    for name, message in refused.items():
        path = tmp_path / name
        with pytest.raises(UserError, match='^' + message.format(re.escape(str(path)))):
            write_picture(picture, path)
    assert sorted(tmp_path.rglob('*')) == before


def test_a_size_that_a_format_does_not_have_is_refused(tmp_path):
    picture = picture_of(np.zeros((1, 70000, 3), np.uint8))
    for name in ('a.webp', 'a.jpg'):
        with pytest.raises(ImageError, match=f'cannot write .*{name}: .*; choose another format'):
            write_picture(picture, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    write_picture(picture, tmp_path / 'a.png')
    assert opened(tmp_path / 'a.png').size == (70000, 1)


@contextmanager
def file_limit(size: int):
    """The size at which the system refuses to write more to a file, for no longer than needed."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'webp', 'bmp', 'tif'])
def test_a_full_disk_leaves_the_former_file(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    write_picture(picture_of(BGR[:2, :2]), path)
    before = path.read_bytes()
    refused = pytest.raises(UserError, match=f'^cannot write {path}: File too large$')
    with refused, file_limit(300):
        write_picture(picture_of(PHOTO), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_saving_replaces_the_file_that_was_there(tmp_path):
    path = tmp_path / 'a.PNG'
    for array in (BGR, FILL):
        write_picture(picture_of(array), str(path))
        assert np.array_equal(cv2.imread(str(path)), array)
    assert list(tmp_path.iterdir()) == [path]


def test_writes_of_one_name_at_once_leave_one_whole_file(tmp_path):
    path, arrays = tmp_path / 'a.png', [PHOTO, 255 - PHOTO]
    with ThreadPool(4) as pool:
        pool.map(lambda i: write_picture(picture_of(arrays[i % 2]), path), range(40), chunksize=1)
    left = cv2.imread(str(path))
    assert any(np.array_equal(left, array) for array in arrays)
    assert list(tmp_path.iterdir()) == [path]


def write_and_be_killed(path: Path) -> None:
    """In the middle of it, by the limit of the size of files; in a process of its own."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    with file_limit(300):
        write_picture(picture_of(PHOTO), path)


def test_what_a_killed_write_left_is_in_nobodys_way(tmp_path):
    path = tmp_path / 'a.png'
    killed = multiprocessing.get_context('fork').Process(target=write_and_be_killed, args=(path,))
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGXFSZ
    (part,) = tmp_path.iterdir()
    assert part.name.startswith('.') and part.suffix == '.part'
    assert part.stat().st_size == 300
    write_picture(picture_of(PHOTO), path)
    assert np.array_equal(cv2.imread(str(path)), PHOTO)


# Masks


WHITE = 255 * HOLE


def mask_kinds() -> dict:
    grey = Image.fromarray(WHITE)
    soft = np.where(HOLE, 128, 127).astype(np.uint8)
    colour = Image.fromarray(np.dstack([WHITE] * 3))
    painted, paint = Image.new('RGBA', (WIDTH, HEIGHT)), Image.new('RGBA', (WIDTH, HEIGHT))
    painted.paste((200, 0, 0, 255), mask=grey)
    paint.paste((0, 0, 0, 255), mask=grey)
    noise = random_image(5, HEIGHT, WIDTH)
    arrays = {
        'bool': HOLE == 1,
        'int64': HOLE.astype(np.int64),
        'float': HOLE.astype(np.float32),
        'float of 255': WHITE.astype(np.float64),
        'soft float': np.where(HOLE, 0.5, 0.4999).astype(np.float32),
        'soft float of 255': np.where(HOLE, 127.5, 127.4).astype(np.float64),
        'soft BGR float': np.dstack([np.where(HOLE, 0.5, 0.4999)] * 3),
        'soft BGRA float': np.dstack([np.where(HOLE, 0.2, 0.9)] * 3 + [np.where(HOLE, 0.5, 0.4)]),
        'zero and one': HOLE,
        'white': WHITE,
        'half': soft,
        'uint16': WHITE.astype(np.uint16),
        '16 bits': np.where(HOLE, 32768, 32767).astype(np.uint16),
        'one channel': HOLE[..., None] == 1,
        'BGR': np.dstack([WHITE] * 3),
        'BGR of one': np.dstack([HOLE] * 3),
        'BGR bool': np.dstack([HOLE == 1] * 3),
        'BGR float': np.dstack([HOLE] * 3).astype(np.float64),
        'BGRA painted': np.dstack([noise, soft]),
        'BGRA opaque': np.dstack([WHITE] * 3 + [np.full_like(WHITE, 255)]),
        'BGRA clear': np.dstack([WHITE] * 3 + [np.zeros_like(WHITE)]),
        'view': np.asfortranarray(WHITE),
    }
    images = {
        '1': grey.convert('1'),
        'L': Image.fromarray(soft),
        'P': grey.convert('P'),
        'RGB': colour,
        'yellow': Image.fromarray(np.dstack([WHITE, WHITE, 0 * WHITE])),
        'LA painted': painted.convert('LA'),
        'LA opaque': grey.convert('LA'),
        'RGBA red': painted,
        'RGBA black': paint,
        'RGBA opaque': colour.convert('RGBA'),
        'PA painted': painted.quantize(4),
        'I;16': Image.fromarray(np.where(HOLE, 32768, 32767).astype(np.uint16)),
        'F': Image.fromarray(np.where(HOLE, 0.5, 0.4999).astype(np.float32)),
        'CMYK': colour.convert('CMYK'),
    }
    return arrays | images


MASKS = mask_kinds()


@pytest.mark.parametrize('kind', MASKS)
def test_every_kind_of_mask_means_the_same_hole(tmp_path, kind):
    mask = MASKS[kind]
    hole = read_hole(mask, HOLE.shape)
    assert (hole.dtype, hole.shape) == (np.uint8, HOLE.shape)
    assert np.array_equal(hole, HOLE)
    assert np.array_equal(read_hole(mask, HOLE.shape, invert=True), 1 - HOLE)
    if isinstance(mask, Image.Image):
        for form in ('png', 'tif', 'webp'):
            path = tmp_path / f'mask.{form}'
            if (mask.mode == 'P' and 'A' in kind and form != 'png') or mask.mode == 'F':
                continue  # Pillow leaves the transparency out; files of floats are not read
            try:
                mask.save(path, **(dict(lossless=True, exact=True) if form == 'webp' else {}))
            except OSError:  # a mode that the format does not have
                continue
            if (kind, form) != ('I;16', 'webp'):
                assert np.array_equal(read_hole(str(path), HOLE.shape), HOLE)


def test_masks_of_jpeg_16_bits_and_turned_ones_are_read(tmp_path):
    path = tmp_path / 'mask.jpg'
    Image.fromarray(WHITE).save(path, quality=75)
    assert np.array_equal(read_hole(path, HOLE.shape), HOLE)
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(np.rot90(WHITE).copy()).save(path, exif=exif)
    assert np.array_equal(read_hole(path, HOLE.shape), HOLE)
    for name in ('mask.png', 'mask.tif'):
        for deep in (np.uint16(257) * WHITE, np.dstack([np.uint16(257) * WHITE] * 3)):
            cv2.imwrite(str(tmp_path / name), deep)
            assert np.array_equal(read_hole(tmp_path / name, HOLE.shape), HOLE)


def test_a_mask_of_another_size_is_refused_or_scaled(tmp_path):
    path = tmp_path / 'mask.png'
    Image.fromarray(WHITE).save(path)
    for mask, name in ((path, path), (WHITE, 'the mask'), (Image.fromarray(WHITE), 'the mask')):
        message = (
            f'^{name} has 53x41 pixels, the image 106x82: expected the same width and height, or '
            r'resize=True \(--resize-mask\) to scale the mask$'
        )
        with pytest.raises(ImageError, match=message):
            read_hole(mask, (82, 106))
        doubled = HOLE.repeat(2, 0).repeat(2, 1)
        assert np.array_equal(read_hole(mask, (82, 106), resize=True), doubled)
        assert np.array_equal(read_hole(doubled, HOLE.shape, resize=True), HOLE)
        assert np.array_equal(read_hole(mask, HOLE.shape, resize=True), HOLE)


@pytest.mark.parametrize('shape', [(20, 25), (13, 300), (90, 17), (100, 131), (1, 1)])
def test_thin_strokes_stay_in_a_scaled_mask(shape):
    stroke = np.zeros((120, 160), np.uint8)
    cv2.line(stroke, (10, 100), (150, 20), 255, 1)
    if shape == (1, 1):
        with pytest.raises(ImageError, match='covers the whole image'):
            read_hole(stroke, shape, resize=True)
        return
    hole = read_hole(stroke, shape, resize=True)
    assert hole.shape == shape
    assert cv2.connectedComponents(hole, connectivity=8)[0] == 2  # surroundings, and one stroke
    rows, columns = np.nonzero(hole)
    assert abs(columns.min() - 10 * shape[1] / 160) <= 1 + shape[1] / 160
    assert abs(columns.max() - 150 * shape[1] / 160) <= 1 + shape[1] / 160
    assert abs(rows.min() - 20 * shape[0] / 120) <= 1 + shape[0] / 120
    assert hole.mean() < 0.2


def test_an_empty_mask_is_returned_and_a_full_one_refused():
    assert not read_hole(0 * HOLE, HOLE.shape).any()
    assert not read_hole(0 * HOLE + 255, HOLE.shape, invert=True).any()
    message = r'^the mask covers the whole image: .* invert=True \(--invert-mask\)'
    for mask, invert in ((HOLE | 1, False), (0 * HOLE, True)):
        with pytest.raises(ImageError, match=message):
            read_hole(mask, HOLE.shape, invert=invert)


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        ('none.png', 'cannot read none.png: No such file'),
        ([[0, 1]], '^expected a mask as a path, a PIL image or an array, got list$'),
        (HOLE[None, None], r'^expected a mask of numbers .* got uint8 of shape \(1, 1, 41, 53\)$'),
        (np.dstack([HOLE] * 2), r'got uint8 of shape \(41, 53, 2\)'),
        (HOLE[0], r'got uint8 of shape \(53,\)'),
        (HOLE.astype(str), r'got <U\d+ of shape'),
        (HOLE.astype(complex), 'got complex128'),
        (HOLE[:0], 'the mask has 53x0 pixels: expected at least one'),
        (np.where(HOLE, np.nan, 0), 'expected a mask of finite numbers'),
        (Image.new('I', (2, 2), 2**16), 'the mask has samples of 32 bits'),
    ],
)
def test_what_is_no_mask_is_refused(mask, message):
    with pytest.raises(ImageError, match=message):
        read_hole(mask, HOLE.shape)


def test_nothing_is_printed_for_strange_but_whole_files(tmp_path, capfd):
    """Neither by Pillow nor by the libraries below it and OpenCV."""
    odd = dict(t270='d', t37724=b'Photoshop', t50000=(1, 2, 3))
    (tmp_path / 'a.tif').write_bytes(tiff(DEEP, **odd))
    profile = png_chunk(b'iCCP', b'x\0\0' + zlib.compress(b'no profile'))
    (tmp_path / 'a.png').write_bytes(deep_png(DEEP, profile, png_chunk(b'gAMA', bytes(4))))
    for path in sorted(tmp_path.iterdir()):
        picture = read_picture(path)
        assert (picture.pixels.dtype, picture.notes) == (np.uint16, [])
        write_picture(picture, path)
        assert np.array_equal(read_picture(path).pixels, picture.pixels)
    assert capfd.readouterr() == ('', '')
