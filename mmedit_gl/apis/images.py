"""Pictures and masks as people have them, read as the untrusted files they are.

A picture is given back as it came: its own samples outside the hole, its depth, its alpha channel,
its colour profile.
"""

import io
import re
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
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

from mmedit_gl.datasets import binarize
from mmedit_gl.errors import ImageError

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
_FORMATS = {
    '.jpg': 'JPEG',
    '.jpeg': 'JPEG',
    '.png': 'PNG',
    '.webp': 'WEBP',
    '.bmp': 'BMP',
    '.tif': 'TIFF',
    '.tiff': 'TIFF',
}
# Which of '1', 'L', 'LA', 'RGB' and 'RGBA' holds the samples of an image of another mode.
_MODES = {
    **{mode: mode for mode in ('1', 'L', 'LA', 'RGB', 'RGBA')},
    **dict.fromkeys(('P', 'RGBX', 'CMYK', 'YCbCr', 'LAB', 'HSV'), 'RGB'),
    **dict(La='LA', PA='RGBA', RGBa='RGBA'),
}
_WITH_ALPHA = {'1': 'LA', 'L': 'LA', 'RGB': 'RGBA'}
_DEEP_MODES = ('I', 'I;16', 'I;16L', 'I;16B', 'I;16N')

_ORIENTATION, _XMP, _ICC_PROFILE = 0x112, 700, 34675
_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# What EXIF says of the photograph and not of how its samples lie in the file; no small preview
# either, which would show what was in the hole.
_EXIF_TAGS = {
    *(269, 270, 271, 272, _ORIENTATION, 282, 283, 285, 296, 305, 306, 315, 316, 18246, 18249),
    *(33432, *range(40091, 40096), *_IFDS),
}


@dataclass(eq=False)
class Picture:
    """A picture in its own samples, and what is needed to give it back in the form it came in.

    `pixels` is uint8 or uint16, `(H, W)` grey, `(H, W, 3)` BGR or `(H, W, 4)` BGRA. `mode` is what
    they mean: '1', 'L', 'LA' (its three colours are equal), 'RGB' or 'RGBA', in both depths.
    `notes` are sentences to the user on what could not stay as it was.
    """

    pixels: np.ndarray
    mode: str
    name: str = 'the image'
    notes: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)  # as arguments of Pillow's `save`
    jpeg: dict[str, Any] = field(default_factory=dict)  # how the file was compressed, likewise
    orientation: int = 1  # EXIF's in the file; `pixels` are upright
    from_array: bool = False

    @classmethod
    def read(cls, path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> 'Picture':
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
            reason = getattr(error, 'strerror', None) or (
                f'it is damaged, cut short or of a rare kind ({str(error) or type(error).__name__})'
                ', copy or save it anew'
            )
            raise ImageError(f'cannot read {path}: {reason}') from None

    @classmethod
    def of(cls, image: ImageLike, max_megapixels: float = MAX_MEGAPIXELS) -> 'Picture':
        """A picture from a path, as `read` takes it, a PIL image, or an array of samples.

        An array is uint8 or uint16, `(H, W)`, `(H, W, 3)` BGR or `(H, W, 4)` BGRA. A PIL image is
        taken as it lies, whatever its EXIF orientation. Raises `ImageError` for anything else.
        """
        return _picture_of(image, 'image', max_megapixels)

    @property
    def bgr(self) -> np.ndarray:
        """The colours, uint8 BGR `(H, W, 3)`, as a network sees them."""
        pixels = self.pixels
        if pixels.dtype == np.uint16:
            pixels = _to_8_bits(pixels)
        if pixels.ndim == 2:
            return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        return np.ascontiguousarray(pixels[..., :3])

    def noting(self, sentence: str) -> 'Picture':
        """The same picture with one more note."""
        return replace(self, notes=[*self.notes, sentence])

    def filled(self, bgr: np.ndarray, hole: np.ndarray) -> 'Picture':
        """The picture with colours, uint8 BGR `(H, W, 3)`, in the hole, uint8 `(H, W)` 1 there.

        A grey picture takes their luminance, one of black and white what is nearer. Outside the
        hole every sample stays, and the alpha channel does everywhere.
        """
        colours = bgr
        if self.mode in ('1', 'L', 'LA'):
            rgb = Image.fromarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            colours = np.asarray(rgb.convert('L'))
            if self.mode == '1':
                colours = 255 * binarize(colours)
        if self.pixels.dtype == np.uint16:
            colours = colours * np.uint16(257)
        where = hole == 1
        pixels = self.pixels.copy()
        if pixels.ndim == 2:
            np.copyto(pixels, colours, where=where)
        else:
            colours = colours.reshape(*where.shape, -1)
            np.copyto(pixels[..., :3], colours, where=where[..., None])
        return replace(self, pixels=pixels, notes=[*self.notes])

    def as_given(self) -> Image.Image | np.ndarray:
        """The same kind as `of` was given: an array of the same form, or a PIL image.

        The PIL image of a path or a PIL image has the mode 1, L, LA, RGB, RGBA or I;16. One with a
        palette becomes RGB or RGBA, colours of 16 bits become 8 bits with a note.
        """
        if self.from_array:
            return self.pixels.copy()
        picture = self
        if self.pixels.dtype == np.uint16 and self.mode != 'L':
            picture = self._in_8_bits('a PIL image')
        image = picture._image()
        names = ('icc_profile', 'exif', 'dpi')
        image.info.update({key: self.metadata[key] for key in names if key in self.metadata})
        return image

    def save(self, path: str | Path, quality: int = 95) -> None:
        """Write a JPEG, PNG, WebP, BMP or TIFF file, as the suffix of `path` says.

        All but JPEG lose nothing. What came from a JPEG goes into one quantized and turned as it
        was, anything else with `quality` (1 to 100) and colours of full resolution. Colour profile
        and EXIF are kept; what the format cannot hold becomes a note. The file is complete or not
        there. Raises `ImageError` for another suffix and where it cannot be written.
        """
        path = Path(path)
        check_writable(path)
        try:
            data = self._encoded(_FORMATS[path.suffix.lower()], quality)
        except Exception as error:  # of Pillow, for a size that the format does not allow
            raise ImageError(f'cannot write {path}: {error}; choose another format') from None
        part = path.with_name(f'.{path.name}.part')
        try:
            with part.open('xb') as file:
                try:
                    file.write(data)
                    file.flush()
                    part.replace(path)
                except BaseException:
                    part.unlink()
                    raise
        except FileExistsError:
            raise ImageError(
                f'cannot write {path}: {part.name} is there, another write is under way or was '
                'killed: remove it if none is'
            ) from None
        except OSError as error:
            raise ImageError(f'cannot write {path}: {error.strerror}') from None

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _in_8_bits(self, target: str) -> 'Picture':
        self._note(f'{target} cannot hold the 16 bits of {self.name}: they were reduced to 8')
        return replace(self, pixels=_to_8_bits(self.pixels))

    def _without_alpha(self, target: str) -> 'Picture':
        self._note(f'{target} cannot hold the transparency of {self.name}: it was left out')
        if self.mode == 'LA':
            return replace(self, mode='L', pixels=self.pixels[..., 0].copy())
        return replace(self, mode='RGB', pixels=self.pixels[..., :3].copy())

    def _image(self) -> Image.Image:
        """The PIL image, of 8 bits or of 16 of grey."""
        if self.mode == 'LA':
            return Image.fromarray(self.pixels[..., [0, 3]].copy())
        if self.mode == 'RGBA':
            return Image.fromarray(cv2.cvtColor(self.pixels, cv2.COLOR_BGRA2RGBA))
        if self.mode == 'RGB':
            return Image.fromarray(cv2.cvtColor(self.pixels, cv2.COLOR_BGR2RGB))
        image = Image.fromarray(self.pixels)
        return image.convert('1') if self.mode == '1' else image

    def _encoded(self, target: str, quality: int) -> bytes:
        picture = self
        if target in ('JPEG', 'WEBP', 'BMP') and picture.pixels.dtype == np.uint16:
            picture = picture._in_8_bits(target)
        if target in ('JPEG', 'BMP') and picture.mode in ('LA', 'RGBA'):
            picture = picture._without_alpha(target)
        if target == 'TIFF':
            return _tiff(picture)
        if target == 'PNG':
            return _png(picture)
        options = {key: value for key, value in self.metadata.items() if key != 'text'}
        if target == 'WEBP':
            options.update(lossless=True, exact=True)  # exact: colours where it is transparent
        if target == 'JPEG':
            options.update(self.jpeg or dict(quality=quality, subsampling=0))
            if self.jpeg and self.orientation != 1:
                # Lies as it lay: in blocks that begin elsewhere, everything would change.
                back = {6: 8, 8: 6}.get(self.orientation, self.orientation)
                picture = replace(picture, pixels=_upright(picture.pixels, back))
                exif = Image.Exif()
                exif.load(options.get('exif', b''))
                exif[_ORIENTATION] = self.orientation
                options['exif'] = exif.tobytes()
            for key in ('exif', 'xmp'):
                if len(options.get(key, b'')) > 65000:
                    del options[key]
                    self._note(f'JPEG cannot hold the {key.upper()} of {self.name}: left out')
        return _saved(picture._image(), target, **options)


def check_writable(path: Path) -> None:
    """Raise the `ImageError` with which `Picture.save` would refuse a name, before any work."""
    if path.suffix.lower() not in _FORMATS:
        raise ImageError(
            f'cannot write {path}: expected a name that ends in {", ".join(_FORMATS)}, '
            f'got {path.suffix or "no such ending"}'
        )
    try:
        if not path.exists() and not path.parent.is_dir():
            raise ImageError(f'cannot write {path}: there is no folder {path.parent}')
    except OSError as error:  # of a name that is too long
        raise ImageError(f'cannot write {path}: {error.strerror}') from None


def read_hole(
    mask: ImageLike,
    shape: tuple[int, int],
    invert: bool = False,
    resize: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """The hole that a mask tells of, uint8 `(H, W)`, 1 in the hole.

    `mask` is a path or PIL image as `Picture.of` takes them, or an array of numbers `(H, W)` or
    `(H, W, 1, 3 or 4)`. Hole is what is painted, where alpha is not the same everywhere, else what
    is at least half of white; `invert` swaps hole and surroundings. `resize` scales a mask of
    another size than `shape` (height, width), so that the thinnest stroke stays. A mask without a
    hole is returned as it is. Raises `ImageError` for a mask that cannot be used, of another size,
    or all hole.
    """
    if isinstance(mask, np.ndarray):
        name, samples = 'the mask', mask
    else:
        picture = _picture_of(mask, 'mask', max_megapixels)
        name, samples = picture.name, picture.pixels
    hole = _painted(samples)
    if invert:
        hole = 1 - hole
    if hole.shape != tuple(shape):
        if not resize:
            raise ImageError(
                f'{name} has {hole.shape[1]}x{hole.shape[0]} pixels, the image '
                f'{shape[1]}x{shape[0]}: expected the same width and height, or resize=True '
                '(--resize-mask) to scale the mask'
            )
        hole = _resized(hole, shape)
    if hole.all():
        raise ImageError(
            f'{name} covers the whole image: expected some of it to stay, or invert=True '
            '(--invert-mask) for a hole that is black'
        )
    return hole


def _picture_of(image: ImageLike, what: str, max_megapixels: float) -> Picture:
    if isinstance(image, (str, Path)):
        return Picture.read(image, max_megapixels)
    name = f'the {what}'
    if isinstance(image, Image.Image):
        try:
            image.load()
            return _picture(image, name)
        except ImageError:
            raise
        except Exception as error:  # of a file that is decoded only now
            raise ImageError(f'cannot read {name}: {error}') from None
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
    _check_size(image.shape[:2], name)
    return Picture(np.require(image, requirements='CW'), mode, name, from_array=True)


def _check_size(shape: tuple[int, ...], name: str) -> None:
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

    picture = _picture(image, name, upright=True)
    if several:
        picture._note(f'{name} holds more than one picture: the first was taken')
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
            if (orientation := image.getexif().get(_ORIENTATION)) in range(2, 9):
                picture.orientation = orientation
        picture.pixels = _upright(picture.pixels, picture.orientation)
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
        picture._note(f'the 16 bits of {picture.name} were reduced to 8')
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
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # unknown TIFF tags
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)


def _picture(image: Image.Image, name: str, upright: bool = False) -> Picture:
    """The picture of a decoded image; `upright` leaves the orientation out of its metadata."""
    _check_size(image.size[::-1], name)
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
            picture._note(f'{name} was converted from {image.mode} to RGB')
            image = _to_rgb(image)
        if picture.mode in ('1', 'L'):
            picture.pixels = np.array(image.convert('L'))
        elif picture.mode == 'RGB':
            picture.pixels = cv2.cvtColor(np.asarray(image.convert('RGB')), cv2.COLOR_RGB2BGR)
        else:
            rgba = np.asarray(image.convert(picture.mode).convert('RGBA'))
            picture.pixels = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)
    picture.metadata = _metadata(image, picture, upright)
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


def _metadata(image: Image.Image, picture: Picture, upright: bool) -> dict[str, Any]:
    kept = {}
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
        kept['xmp'] = re.sub(rb'(tiff:Orientation(?:="|>))[2-8]', rb'\g<1>1', xmp)
    try:
        if exif := _exif(image, upright):
            kept['exif'] = exif
    except Exception:  # as diverse as what a damaged file may hold
        picture._note(f'the EXIF of {picture.name} is damaged: it was left out')
    return kept


def _exif(image: Image.Image, upright: bool) -> bytes:
    came, kept = image.getexif(), Image.Exif()
    for tag in _EXIF_TAGS & set(came):
        kept[tag] = came[tag]
        if tag in _IFDS:
            kept[tag] = dict(came.get_ifd(tag))
            kept[tag].pop(ExifTags.IFD.Interop, None)  # a position in the former file
    if upright and _ORIENTATION in kept:
        del kept[_ORIENTATION]
    return kept.tobytes() if len(kept) else b''


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turned and mirrored as EXIF's orientation, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])


def _to_8_bits(pixels: np.ndarray) -> np.ndarray:
    return cv2.convertScaleAbs(pixels, alpha=1 / 257).reshape(pixels.shape)


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
    if picture.pixels.dtype == np.uint8 or picture.mode == 'L':
        return _saved(picture._image(), 'PNG', **options)
    # Pillow cannot write colours of 16 bits: all but the picture is taken from one of its files.
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
        tags[tag] = exif.get_ifd(tag) if tag in _IFDS else exif[tag]
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


def _painted(samples: np.ndarray) -> np.ndarray:
    """Where a mask of any kind is painted: uint8 `(H, W)`, 1 there."""
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if samples.ndim not in (2, 3) or channels not in (1, 3, 4) or samples.dtype.kind not in 'buif':
        raise ImageError(
            'expected a mask of numbers (H, W), (H, W, 1), BGR (H, W, 3) or BGRA (H, W, 4), '
            f'got {samples.dtype} of shape {samples.shape}'
        )
    _check_size(samples.shape[:2], 'the mask')
    if samples.dtype not in (np.uint8, np.uint16):
        samples = 255 * binarize(samples)
    if channels == 4 and samples[..., 3].min() < samples[..., 3].max():
        samples = samples[..., 3]
    elif channels >= 3:
        samples = cv2.cvtColor(np.ascontiguousarray(samples[..., :3]), cv2.COLOR_BGR2GRAY)
    if samples.dtype == np.uint16 and samples.max() > 255:
        samples = samples >> 8
    return binarize(samples.reshape(samples.shape[:2]))


def _resized(hole: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    smaller = min(width, hole.shape[1]), min(height, hole.shape[0])
    share = cv2.resize(hole.astype(np.float32), smaller, interpolation=cv2.INTER_AREA)
    # Hole is what covers any of it: a stroke of one pixel is less than half of a larger one.
    share = (share > 1e-6).astype(np.float32)
    share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    return (share >= 0.5).astype(np.uint8)
