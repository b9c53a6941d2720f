"""What a picture is: its own samples, and what is needed to give it back in the form it came in.

Of the file that it came from or goes to it knows nothing; `reading` makes one, `writing` takes one.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image

# How files end that are read and written, and Pillow's names of their formats.
FORMATS = {
    '.jpg': 'JPEG',
    '.jpeg': 'JPEG',
    '.png': 'PNG',
    '.webp': 'WEBP',
    '.bmp': 'BMP',
    '.tif': 'TIFF',
    '.tiff': 'TIFF',
}
# Those parts of EXIF that `Picture.metadata` keeps.
EXIF_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


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

    @property
    def bgr(self) -> np.ndarray:
        """The colours, uint8 BGR `(H, W, 3)`, as a network sees them."""
        pixels = self.pixels
        if pixels.dtype == np.uint16:
            pixels = to_8_bits(pixels)
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
                colours = np.where(colours < 128, np.uint8(0), np.uint8(255))
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
        """The same kind as `picture_of` was given: an array of the same form, or a PIL image.

        The PIL image of a path or a PIL image has the mode 1, L, LA, RGB, RGBA or I;16. One with a
        palette becomes RGB or RGBA, colours of 16 bits become 8 bits with a note.
        """
        if self.from_array:
            return self.pixels.copy()
        picture = self
        if self.pixels.dtype == np.uint16 and self.mode != 'L':
            picture = self.in_8_bits('a PIL image')
        image = picture.to_pil()
        names = ('icc_profile', 'exif', 'dpi')
        image.info.update({key: self.metadata[key] for key in names if key in self.metadata})
        return image

    def to_pil(self) -> Image.Image:
        """The PIL image, of 8 bits or of 16 of grey."""
        if self.mode == 'LA':
            return Image.fromarray(self.pixels[..., [0, 3]].copy())
        if self.mode == 'RGBA':
            return Image.fromarray(cv2.cvtColor(self.pixels, cv2.COLOR_BGRA2RGBA))
        if self.mode == 'RGB':
            return Image.fromarray(cv2.cvtColor(self.pixels, cv2.COLOR_BGR2RGB))
        image = Image.fromarray(self.pixels)
        return image.convert('1') if self.mode == '1' else image

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def in_8_bits(self, target: str) -> 'Picture':
        self.note(f'{target} cannot hold the 16 bits of {self.name}: they were reduced to 8')
        return replace(self, pixels=to_8_bits(self.pixels))


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turned and mirrored as EXIF's orientation, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    return cv2.convertScaleAbs(pixels, alpha=1 / 257).reshape(pixels.shape)
