"""Sample to losses, or to a completion."""

from .discriminators import GLDiscs, MultiLayerDiscriminator
from .generator import GLDecoder, GLDilationNeck, GLEncoder, GLEncoderDecoder
from .hole_aware import HoleAware
from .inpaintor import GLInpaintor, Phase, composite
from .local_window import crop, local_windows
from .losses import GANLoss, L1Loss, MeanColourLoss, MSELoss
from .preprocessor import GLPreprocessor, to_float, to_uint8

__all__ = [
    'GANLoss',
    'GLDecoder',
    'GLDilationNeck',
    'GLDiscs',
    'GLEncoder',
    'GLEncoderDecoder',
    'GLInpaintor',
    'GLPreprocessor',
    'HoleAware',
    'L1Loss',
    'MSELoss',
    'MeanColourLoss',
    'MultiLayerDiscriminator',
    'Phase',
    'composite',
    'crop',
    'local_windows',
    'to_float',
    'to_uint8',
]
