"""File to sample."""

from .demo_photos import DemoPhotos
from .image_dataset import ImageDataset, read_image
from .masks import (
    bbox2mask,
    free_form_mask,
    irregular_mask,
    mask2bbox,
    pair,
    random_bbox,
    shapes_mask,
)
from .names import read_list
from .samplers import DrawSampler, EvaluationSampler
from .several import ConcatDataset, RepeatDataset
from .transforms import (
    CenterCrop,
    Flip,
    LoadImageFromFile,
    LoadMask,
    PackInputs,
    RandomCrop,
    RandomResize,
    Resize,
)

__all__ = [
    'CenterCrop',
    'ConcatDataset',
    'DemoPhotos',
    'DrawSampler',
    'EvaluationSampler',
    'Flip',
    'ImageDataset',
    'LoadImageFromFile',
    'LoadMask',
    'PackInputs',
    'RandomCrop',
    'RandomResize',
    'RepeatDataset',
    'Resize',
    'bbox2mask',
    'free_form_mask',
    'irregular_mask',
    'mask2bbox',
    'pair',
    'random_bbox',
    'read_image',
    'read_list',
    'shapes_mask',
]
