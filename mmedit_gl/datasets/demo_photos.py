"""The embedded default: colour photographs that scikit-image ships."""

from pathlib import Path

from mmedit_gl.datasets.image_dataset import ImageDataset
from mmedit_gl.datasets.transforms import read_image
from mmedit_gl.errors import UserError
from mmedit_gl.registry import DATASETS

# Two of the same scene, the motorcycle's, stay on one side.
SPLITS = dict(
    train=(
        'astronaut.png',
        'hubble_deep_field.jpg',
        'ihc.png',
        'motorcycle_left.png',
        'motorcycle_right.png',
        'retina.jpg',
        'rocket.jpg',
    ),
    val=('chelsea.png', 'coffee.png'),
)


@DATASETS.register_module()
class DemoPhotos(ImageDataset):
    """Photographs of scikit-image, `split` 'train' or 'val', each `repeats` times in a row.

    They are few, so they are decoded once: the pipeline starts with `gt_img` at hand. Raises
    `UserError` if scikit-image is not installed.
    """

    def __init__(self, pipeline: list[dict], split: str, repeats: int = 1, test_mode: bool = False):
        if split not in SPLITS:
            raise UserError(f'DemoPhotos: expected split in {sorted(SPLITS)}, got {split!r}')
        self.split, self.repeats = split, repeats
        super().__init__(pipeline, test_mode=test_mode)

    def load_data_list(self) -> list[dict]:
        try:
            import skimage.data
        except ImportError:
            raise UserError(
                'the demo trains on photographs of scikit-image: pip install -e ".[demo]"'
            ) from None
        folder = Path(skimage.data.__file__).parent
        paths = [str(folder / name) for name in SPLITS[self.split]]
        photos = [dict(img_path=path, gt_img=read_image(path)) for path in paths]
        return [photo for photo in photos for _ in range(self.repeats)]
