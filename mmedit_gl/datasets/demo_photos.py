"""The embedded default: colour photographs that scikit-image ships."""

from pathlib import Path

import cv2

from mmedit_gl.datasets.image_dataset import ImageDataset
from mmedit_gl.datasets.transforms import read_image
from mmedit_gl.errors import UserError
from mmedit_gl.registry import DATASETS

# The retina and the deep field are left out: few pictures have their red or their black.
SPLITS = dict(
    train=('astronaut.png', 'ihc.png', 'motorcycle_left.png', 'motorcycle_right.png', 'rocket.jpg'),
    val=('chelsea.png', 'coffee.png'),
)
SHORTER_EDGE = 256


@DATASETS.register_module()
class DemoPhotos(ImageDataset):
    """Photographs of scikit-image, `split` 'train' or 'val', each `repeats` times in a row.

    They are few, so they are decoded once and shrunk to a shorter edge of 256 pixels: the pipeline
    starts with `gt_img` at hand. Raises `UserError` if scikit-image is not installed.
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
        photos = []
        for name in SPLITS[self.split]:
            path = str(Path(skimage.data.__file__).parent / name)
            img = read_image(path)
            ratio = SHORTER_EDGE / min(img.shape[:2])
            img = cv2.resize(img, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
            photos += [dict(img_path=path, gt_img=img)] * self.repeats
        return photos
