"""Picture files, written whole or not at all."""

import io
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from mmedit_gl.errors import ImageError, reason
from mmedit_gl.files import check_place, whole
from mmedit_gl.pictures.picture import EXIF_IFDS, FORMATS, Picture, upright

_XMP, _ICC_PROFILE = 700, 34675


def write_picture(picture: Picture, path: str | Path, quality: int = 95) -> None:
    """Write a JPEG, PNG, WebP, BMP or TIFF file, as the suffix of `path` says.

    All but JPEG lose nothing. What came from a JPEG goes into one quantized and turned as it
    was, anything else with `quality` (1 to 100) and colours of full resolution. Colour profile
    and EXIF are kept; what the format cannot hold becomes a note. The file is written as `whole`
    does. Raises `ImageError` for another suffix, and `UserError` where it cannot be written.
    """
    path = Path(path)
    _check_suffix(path)
    try:
        data = _encoded(picture, FORMATS[path.suffix.lower()], quality)
    except Exception as error:  # of Pillow, for a size that the format does not allow
        raise ImageError(f'cannot write {path}: {reason(error)}; choose another format') from None
    with whole(path) as part:
        part.write_bytes(data)


def check_writable(path: Path) -> None:
    """Raise the `UserError` with which `write_picture` would refuse a name, before any work."""
    _check_suffix(path)
    check_place(path)


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        raise ImageError(
            f'cannot write {path}: expected a name that ends in {", ".join(FORMATS)}, '
            f'got {path.suffix or "no such ending"}'
        )


def _encoded(picture: Picture, target: str, quality: int) -> bytes:
    if target in ('JPEG', 'WEBP', 'BMP') and picture.pixels.dtype == np.uint16:
        picture = picture.in_8_bits(target)
    if target in ('JPEG', 'BMP') and picture.mode in ('LA', 'RGBA'):
        picture = _without_alpha(picture, target)
    if target == 'TIFF':
        return _tiff(picture)
    if target == 'PNG':
        return _png(picture)
    options = {key: value for key, value in picture.metadata.items() if key != 'text'}
    if target == 'WEBP':
        options.update(lossless=True, exact=True)  # exact: colours where it is transparent
    if target == 'JPEG':
        options.update(picture.jpeg or dict(quality=quality, subsampling=0))
        if picture.jpeg and picture.orientation != 1:
            # Lies as it lay: in blocks that begin elsewhere, everything would change.
            back = {6: 8, 8: 6}.get(picture.orientation, picture.orientation)
            picture = replace(picture, pixels=upright(picture.pixels, back))
            exif = Image.Exif()
            exif.load(options.get('exif', b''))
            exif[ExifTags.Base.Orientation] = picture.orientation
            options['exif'] = exif.tobytes()
        for key in ('exif', 'xmp'):
            if len(options.get(key, b'')) > 65000:
                del options[key]
                picture.note(f'JPEG cannot hold the {key.upper()} of {picture.name}: left out')
    return _saved(picture.to_pil(), target, **options)


def _without_alpha(picture: Picture, target: str) -> Picture:
    picture.note(f'{target} cannot hold the transparency of {picture.name}: it was left out')
    if picture.mode == 'LA':
        return replace(picture, mode='L', pixels=picture.pixels[..., 0].copy())
    return replace(picture, mode='RGB', pixels=picture.pixels[..., :3].copy())


def _saved(image: Image.Image, target: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, target, **options)
    return buffer.getvalue()


def _png(picture: Picture) -> bytes:
    options = dict(picture.metadata, pnginfo=PngImagePlugin.PngInfo())
    for key, value in options.pop('text', {}).items():
        options['pnginfo'].add_text(key, value)
    if xmp := options.pop('xmp', None):
        options['pnginfo'].add_itxt('XML:com.adobe.xmp', xmp.decode(errors='replace'))
    deep = picture.pixels.dtype == np.uint16
    if picture.mode in ('1', 'L') or (picture.mode == 'LA' and not deep):
        return _saved(picture.to_pil(), 'PNG', **options)
    # Colours by OpenCV: Pillow has none of 16 bits, takes six times as long, and no other thread
    # runs meanwhile. All but the picture is taken from one of its files.
    other = _saved(Image.new('RGB', (1, 1)), 'PNG', **options)
    data = cv2.imencode('.png', picture.pixels)[1].tobytes()
    return data[:33] + other[33 : other.rindex(b'IDAT') - 4] + data[33:]


def _tiff(picture: Picture) -> bytes:
    """Pillow can write neither colours of 16 bits nor, compressed, EXIF."""
    pixels = picture.pixels[..., [0, 3]] if picture.mode == 'LA' else picture.pixels
    if picture.mode in ('RGB', 'RGBA'):
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    height, width, channels = pixels.reshape(*pixels.shape[:2], -1).shape
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    exif = Image.Exif()
    exif.load(picture.metadata.get('exif', b''))
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in EXIF_IFDS else exif[tag]
    if dpi := picture.metadata.get('dpi'):
        tags[282], tags[283], tags[296] = *dpi, 2
    for tag, key in ((_XMP, 'xmp'), (_ICC_PROFILE, 'icc_profile')):
        if key in picture.metadata:
            tags[tag] = picture.metadata[key]
    if picture.mode == '1':
        data, bits = np.packbits(pixels > 0, axis=1), 1
    else:
        # Differences of neighbours, for they are smaller once compressed.
        data, bits = np.diff(pixels, axis=1, prepend=pixels.dtype.type(0)), 8 * pixels.itemsize
        tags[317] = 2
    data = zlib.compress(np.ascontiguousarray(data, data.dtype.newbyteorder('<')))
    tags[256], tags[257], tags[258] = width, height, (bits,) * channels
    tags[259] = 8  # Deflate
    tags[262] = 2 if channels > 2 else 1  # RGB, or 0 is black
    tags[273], tags[277], tags[278], tags[279] = 0, channels, height, len(data)  # one strip
    tags.tagtype[279] = 4  # of up to 4 GB
    if channels in (2, 4):
        tags[338] = 2  # alpha by which colours are not multiplied
    buffer = io.BytesIO()
    tags.save(buffer)
    return buffer.getvalue() + data
