"""A picture, its files, its hole, and what arithmetic alone makes of them."""

from .cloning import clone, postprocess, windows
from .holes import painted, read_hole
from .membrane import membrane
from .picture import FORMATS, Picture
from .reading import MAX_MEGAPIXELS, ImageLike, picture_of, read_picture
from .texture import textured
from .writing import check_writable, write_picture

__all__ = [
    'FORMATS',
    'MAX_MEGAPIXELS',
    'ImageLike',
    'Picture',
    'check_writable',
    'clone',
    'membrane',
    'painted',
    'picture_of',
    'postprocess',
    'read_hole',
    'read_picture',
    'textured',
    'windows',
    'write_picture',
]
