"""Picture files, read as the untrusted files they are."""

import io
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from mmedit_gl.errors import ImageError, reason
from mmedit_gl.pictures.parts import bytes_behind, without_parts
from mmedit_gl.pictures.picture import EXIF_IFDS, Picture, upright

# Of damaged EXIF, which nobody can mend; what is read is judged here.
warnings.filterwarnings('ignore', category=UserWarning, module=r'PIL\.TiffImagePlugin')

MAX_MEGAPIXELS = 100
ImageLike = str | Path | Image.Image | np.ndarray


class _TiffImageFile(TiffImagePlugin.TiffImageFile):
    """Pillow's without the check against a limit that is one for the whole process."""

    def load_prepare(self) -> None:
        size = getattr(self, '_tile_size', self.size)  # that of the file, before it is turned
        self.im = Image.new(self.mode, size).im
        super().load_prepare()


# Not Image.open: few decoders for untrusted files, and no limit but ours.
_OPENERS: dict[bytes, Callable] = {
    b'\xff\xd8\xff': JpegImagePlugin.jpeg_factory,
    b'\x89PNG\r\n\x1a\n': PngImagePlugin.PngImageFile,
    b'RIFF': WebPImagePlugin.WebPImageFile,
    b'BM': BmpImagePlugin.BmpImageFile,
    b'GIF8': GifImagePlugin.GifImageFile,
    **dict.fromkeys((b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'), _TiffImageFile),
}
# Which of '1', 'L', 'LA', 'RGB' and 'RGBA' holds the samples of an image of another mode.
_MODES = {
    **{mode: mode for mode in ('1', 'L', 'LA', 'RGB', 'RGBA')},
    **dict.fromkeys(('P', 'RGBX', 'CMYK', 'YCbCr', 'LAB', 'HSV'), 'RGB'),
    **dict(La='LA', PA='RGBA', RGBa='RGBA'),
}
_WITH_ALPHA = {'1': 'LA', 'L': 'LA', 'RGB': 'RGBA'}
_DEEP_MODES = ('I', 'I;16', 'I;16L', 'I;16B', 'I;16N')

# What EXIF says of the photograph and not of how its samples lie in the file; no small preview
# either, which would show what was in the hole.
_EXIF_TAGS = {
    *(
        269,
        270,
        271,
        272,
        ExifTags.Base.Orientation,
        282,
        283,
        285,
        296,
        305,
        306,
        315,
        316,
        18246,
        18249,
    ),
    *(33432, *range(40091, 40096), *EXIF_IFDS),
}
_MICRO_VIDEO = 0x8897  # of Xiaomi: 1 where a video follows the picture


def read_picture(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """The picture in a JPEG, PNG, WebP, BMP, TIFF or GIF file, upright as EXIF says.

    Raises `ImageError` for a file that is missing, of another kind, damaged or cut short, and,
    before it is decoded, for one of more than `max_megapixels` million pixels.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise ImageError(f'cannot read {path}: expected a picture, got a folder or device')
        with Path(path).open('rb') as file:
            return _decode(file, str(path), max_megapixels)
    except ImageError:
        raise
    except Exception as error:  # Pillow tells of damage by SyntaxError, TypeError and others
        why = reason(error)
        if not getattr(error, 'strerror', None):
            why = f'it is damaged, cut short or of a rare kind ({why}), copy or save it anew'
        raise ImageError(f'cannot read {path}: {why}') from None


def picture_of(
    image: ImageLike, max_megapixels: float = MAX_MEGAPIXELS, what: str = 'image'
) -> Picture:
    """A picture from a path, as `read_picture` takes it, a PIL image, or an array of samples.

    An array is uint8 or uint16, `(H, W)`, `(H, W, 3)` BGR or `(H, W, 4)` BGRA. A PIL image is
    taken as it lies, whatever its EXIF orientation. Raises `ImageError` for anything else.
    """
    if isinstance(image, (str, Path)):
        return read_picture(image, max_megapixels)
    name = f'the {what}'
    if isinstance(image, Image.Image):
        try:
            image.load()
            return _picture(image, name)
        except ImageError:
            raise
        except Exception as error:  # of a file that is decoded only now
            raise ImageError(f'cannot read {name}: {reason(error)}') from None
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f'expected {"an" if what == "image" else "a"} {what} as a path, a PIL image or an '
            f'array, got {type(image).__name__}'
        )
    modes = {(): 'L', (3,): 'RGB', (4,): 'RGBA'}
    mode = modes.get(image.shape[2:]) if image.ndim > 1 else None
    if image.dtype not in (np.uint8, np.uint16) or mode is None:
        raise ImageError(
            'expected a uint8 or uint16 array (H, W), BGR (H, W, 3) or BGRA (H, W, 4), '
            f'got {image.dtype} of shape {image.shape}'
        )
    check_size(image.shape[:2], name)
    return Picture(np.require(image, requirements='CW'), mode, name, from_array=True)


def check_size(shape: tuple[int, ...], name: str) -> None:
    if 0 in shape:
        raise ImageError(f'{name} has {shape[1]}x{shape[0]} pixels: expected at least one')


def _decode(file: BinaryIO, name: str, max_megapixels: float) -> Picture:
    head = file.read(16)
    file.seek(0)
    opener = next((o for magic, o in _OPENERS.items() if head.startswith(magic)), None)
    if opener is None:
        came = 'another kind of file' if head else 'an empty file'
        raise ImageError(
            f'cannot read {name}: expected a JPEG, PNG, WebP, BMP, TIFF or GIF picture, got {came}'
        )
    image = opener(file, '')
    width, height = image.size
    if width * height > 1e6 * max_megapixels:
        raise ImageError(
            f'{name} of {width}x{height} pixels has {width * height / 1e6:.4g} megapixels, more '
            f'than the limit of {max_megapixels:g}: raise it by max_megapixels (--max-megapixels)'
        )
    several, layout = getattr(image, 'is_animated', False), str(image.tile)
    tags = dict(getattr(image, 'tag_v2', {}))
    _check_tiff(tags, name)
    image.load()

    picture = _picture(image, name, turned=True)
    if several:
        picture.note(f'{name} holds more than one picture: the first was taken')
    elif image.format == 'JPEG':
        file.seek(0)
        if count := bytes_behind(file.read()):
            picture.note(f'{name} holds {count:,} bytes behind its picture: they were left out')
    if image.mode == 'I;16' and tags.get(262) == 0:  # Pillow does not invert 16 bits
        picture.pixels = 65535 - picture.pixels
    if image.format != 'BMP' and ';16' in layout and picture.pixels.dtype == np.uint8:
        file.seek(0)
        _deepen(picture, file.read(), layout)
    if image.format in ('JPEG', 'MPO') and image.mode in ('L', 'RGB'):
        picture.jpeg = dict(
            qtables=list(image.quantization.values()),
            subsampling=max(0, JpegImagePlugin.get_sampling(image)),
        )
    if image.format != 'TIFF':  # Pillow and OpenCV turn those themselves
        with suppress(Exception):  # that EXIF is damaged was noted already
            if (orientation := image.getexif().get(ExifTags.Base.Orientation)) in range(2, 9):
                picture.orientation = orientation
        picture.pixels = upright(picture.pixels, picture.orientation)
    return picture


def _check_tiff(tags: dict[int, Any], name: str) -> None:
    """Refuse the TIFF files that Pillow reads wrongly."""
    bits = max(tags.get(258, (8,)))
    if bits == 12 or (bits > 8 and tags.get(284) == 2):
        raise ImageError(
            f'cannot read {name}: {bits} bits a sample in this order of samples are not supported, '
            'save it with 8 or 16 bits, channels interleaved'
        )


def _deepen(picture: Picture, data: bytes, layout: str) -> None:
    """Colours of 16 bits by OpenCV, for Pillow reads only 8 of them."""
    if re.search('RGBa|CMYK', layout):
        picture.note(f'the 16 bits of {picture.name} were reduced to 8')
        return
    deep = _deep_samples(data)
    if deep is None or deep.dtype != np.uint16 or deep.shape[:2] != picture.pixels.shape[:2]:
        raise ImageError(
            f'cannot read {picture.name}: its 16 bits are damaged, cut short or stored in an '
            'unusual way, save it anew or with 8 bits'
        )
    picture.pixels = np.ascontiguousarray(deep[..., : picture.pixels.shape[2]])
    if 'LA;16' in layout:
        picture.mode = 'LA'


# OpenCV before 4.13 has it elsewhere.
_set_log_level = cv2.utils.logging.setLogLevel if hasattr(cv2.utils, 'logging') else cv2.setLogLevel
_ERROR = 2


def _deep_samples(data: bytes) -> np.ndarray | None:
    if data.startswith(b'\x89PNG'):
        # Without its metadata, for libpng prints what it dislikes about them.
        chunks, at = [data[:8]], 8
        while at < len(data):
            end = at + 12 + int.from_bytes(data[at : at + 4], 'big')
            if data[at + 4 : at + 8] in (b'IHDR', b'tRNS', b'IDAT', b'IEND'):
                chunks.append(data[at:end])
            at = end
        data = b''.join(chunks)
    level = _set_log_level(_ERROR)  # unknown TIFF tags
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        _set_log_level(level)


def _picture(image: Image.Image, name: str, turned: bool = False) -> Picture:
    """The picture of a decoded image; `turned` leaves the orientation out of its metadata."""
    check_size(image.size[::-1], name)
    transparent = 'transparency' in image.info
    picture = Picture(np.zeros(0), 'L', name)
    if image.mode in _DEEP_MODES:
        pixels = np.array(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ImageError(f'{name} has samples of 32 bits: expected 8 or 16, convert it')
        picture.pixels = pixels.astype(np.uint16)
        if transparent:
            alpha = np.where(picture.pixels == image.info['transparency'], 0, 65535)
            picture.mode = 'LA'
            picture.pixels = np.dstack([*3 * [picture.pixels], alpha.astype(np.uint16)])
    elif image.mode not in _MODES:
        raise ImageError(
            f'{name} has samples of mode {image.mode}: expected 8 or 16 bits of grey or colour, '
            'convert it'
        )
    else:
        picture.mode = _MODES[image.mode]
        if transparent or getattr(image.palette, 'mode', '') == 'RGBA':
            picture.mode = _WITH_ALPHA.get(picture.mode, picture.mode)
        if image.mode in ('CMYK', 'YCbCr', 'LAB', 'HSV'):
            picture.note(f'{name} was converted from {image.mode} to RGB')
            image = _to_rgb(image)
        if picture.mode in ('1', 'L'):
            picture.pixels = np.array(image.convert('L'))
        elif picture.mode == 'RGB':
            picture.pixels = cv2.cvtColor(np.asarray(image.convert('RGB')), cv2.COLOR_RGB2BGR)
        else:
            rgba = np.asarray(image.convert(picture.mode).convert('RGBA'))
            picture.pixels = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)
    picture.metadata = _metadata(image, picture, turned)
    return picture


def _to_rgb(image: Image.Image) -> Image.Image:
    """Of CMYK by its colour profile, where that fits; it is not that of the result."""
    rgb, info = image.convert('RGB'), dict(image.info)
    if image.mode in ('CMYK', 'LAB'):
        profile = info.pop('icc_profile', None)
    if image.mode == 'CMYK' and profile:
        with suppress(ImageCms.PyCMSError, ImportError, ValueError):
            rgb = ImageCms.profileToProfile(
                image, io.BytesIO(profile), ImageCms.createProfile('sRGB'), outputMode='RGB'
            )
    rgb.info = info
    return rgb


def _metadata(image: Image.Image, picture: Picture, turned: bool) -> dict[str, Any]:
    kept, parts = {}, []
    if profile := image.info.get('icc_profile'):
        kept['icc_profile'] = profile
    with suppress(KeyError, TypeError, ValueError, ArithmeticError):  # none, or no two numbers
        x, y = map(float, image.info['dpi'])
        if min(x, y) >= 1 and max(x, y) <= 30000:
            kept['dpi'] = x, y
    if text := getattr(image, 'text', {}):
        # Those two hold EXIF and XMP, which are kept apart.
        hidden = ('Raw profile', 'XML:com.adobe')
        kept['text'] = {key: value for key, value in text.items() if not key.startswith(hidden)}
    xmp = image.info.get('xmp') or image.info.get('XML:com.adobe.xmp')
    if isinstance(xmp, (bytes, str)):
        xmp = xmp if isinstance(xmp, bytes) else xmp.encode()
        xmp, parts = without_parts(xmp)
        if xmp:
            kept['xmp'] = re.sub(rb'(tiff:Orientation(?:="|>))[2-8]', rb'\g<1>1', xmp)
    try:
        exif, of_exif = _exif(image, turned)
    except Exception:  # as diverse as what a damaged file may hold
        picture.note(f'the EXIF of {picture.name} is damaged: it was left out')
    else:
        parts += [part for part in of_exif if part not in parts]
        if exif:
            kept['exif'] = exif
    if parts:
        what = ', '.join(parts)
        picture.note(f'{picture.name} tells of more than its picture, which was left out: {what}')
    return kept


def _exif(image: Image.Image, turned: bool) -> tuple[bytes, list[str]]:
    """What is kept of the EXIF, and the parts beside the picture that the rest has told of."""
    came, kept, parts = image.getexif(), Image.Exif(), []
    for tag in _EXIF_TAGS & set(came):
        kept[tag] = came[tag]
        if tag in EXIF_IFDS:
            kept[tag] = dict(came.get_ifd(tag))
            kept[tag].pop(ExifTags.IFD.Interop, None)  # a position in the former file
            if kept[tag].pop(_MICRO_VIDEO, None):
                parts.append('video')
            if b'\xff\xd8\xff' in bytes(kept[tag].get(ExifTags.Base.MakerNote, b'')):
                del kept[tag][ExifTags.Base.MakerNote]
                parts.append("preview in the maker's notes")
    if turned and ExifTags.Base.Orientation in kept:
        del kept[ExifTags.Base.Orientation]
    return kept.tobytes() if len(kept) else b'', parts
