"""The embedded default: colour photographs that scikit-image ships."""

from pathlib import Path

from mmedit_gl.datasets.image_dataset import ImageDataset
from mmedit_gl.errors import UserError, check_count
from mmedit_gl.registry import DATASETS

# The retina and the deep field are left out: few pictures have their red or their black.
SPLITS = dict(
    train=('astronaut.png', 'ihc.png', 'motorcycle_left.png', 'motorcycle_right.png', 'rocket.jpg'),
    val=('chelsea.png', 'coffee.png'),
    test=('astronaut.png', 'chelsea.png', 'coffee.png', 'motorcycle_left.png', 'rocket.jpg'),
)
SHORTER_EDGE = 256


@DATASETS.register_module()
class DemoPhotos(ImageDataset):
    """Photographs of scikit-image, each `repeats` times in a row.

    `split` is 'train' or 'val', or 'test' for a model that was trained on others. They are few, so
    they are decoded once and shrunk to a shorter edge of 256 pixels: the pipeline starts with
    `gt_img` at hand. Raises `UserError` if scikit-image is not installed.
    """

    def __init__(self, pipeline: list[dict], split: str, repeats: int = 1, test_mode: bool = False):
        if split not in list(SPLITS):
            raise UserError(f'DemoPhotos: expected split in {sorted(SPLITS)}, got {split!r}')
        check_count('DemoPhotos: repeats', repeats)
        self.split, self.repeats = split, repeats
        super().__init__(pipeline, test_mode=test_mode, in_memory=SHORTER_EDGE)

    def find_paths(self) -> list[str]:
        try:
            import skimage.data
        except ImportError:
            raise UserError(
                'the demo trains on photographs of scikit-image: pip install "mmedit_gl[demo]"'
            ) from None
        folder = Path(skimage.data.__file__).parent
        return [str(folder / name) for name in SPLITS[self.split] for _ in range(self.repeats)]
