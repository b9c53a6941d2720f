"""Masks in files, as `LoadMask` gives them to training and evaluation."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import CONFIGS, ROOT, random_image
from mmengine import DictAction
from PIL import Image

from mmedit_gl.datasets import Flip, ImageDataset, LoadMask, mask2bbox
from mmedit_gl.datasets.names import Names
from mmedit_gl.datasets.packing import pack
from mmedit_gl.engine import load_config
from mmedit_gl.errors import ImageError, UserError
from mmedit_gl.pictures import read_hole
from mmedit_gl.registry import TRANSFORMS

PHOTOS = sorted((ROOT / 'configs/inpainting/photos').glob('*.py'))
HEIGHT, WIDTH = 40, 52
HOLE = np.zeros((HEIGHT, WIDTH), np.uint8)
HOLE[5:17, 30:41] = HOLE[14:30, 36:49] = 1  # its mirrored images are others
MODES = ('file', 'set', 'list', 'mix of file', 'mix of set')


def painting(colour: tuple) -> Image.Image:
    image = Image.new('RGBA', (WIDTH, HEIGHT))
    image.paste(colour, mask=Image.fromarray(255 * HOLE))
    return image


def kinds() -> dict[str, Image.Image]:
    grey = Image.fromarray(255 * HOLE)
    clear = grey.convert('P')
    clear.info['transparency'] = clear.getpixel((0, 0))
    all_white = Image.new('RGBA', (WIDTH, HEIGHT), 'white')
    all_white.putalpha(Image.fromarray(np.where(HOLE, 128, 127).astype(np.uint8)))
    return {
        'white on transparency': painting((255, 255, 255, 255)),
        'black on transparency': painting((0, 0, 0, 255)),
        'white, softly painted': all_white,
        'grey and alpha': painting((90, 90, 90, 255)).convert('LA'),
        'opaque RGBA': grey.convert('RGBA'),
        'RGB': grey.convert('RGB'),
        'soft grey': Image.fromarray(np.where(HOLE, 128, 127).astype(np.uint8)),
        'zero and one': Image.fromarray(HOLE),
        '1 bit': grey.convert('1'),
        '16 bits': Image.fromarray(np.where(HOLE, 32768, 32767).astype(np.uint16)),
        '16 bits, zero and one': Image.fromarray(HOLE.astype(np.uint16)),
        'palette': grey.convert('P'),
        'palette with transparency': clear,
        'painted palette': painting((200, 0, 0, 255)).quantize(4),
    }


KINDS = kinds()


def sample(name: str = 'picture.jpg', shape: tuple[int, int] = HOLE.shape, **others) -> dict:
    rng = np.random.default_rng(0)
    picture = dict(gt_img=random_image(0, *shape), img_path=f'photos/{name}', name=name, rng=rng)
    return dict(picture, sample_idx=0) | others


def load_mask(mode: str, folder: Path) -> LoadMask:
    """Of the mask picture.png in a folder."""
    _, is_mix, mode = mode.rpartition('mix of ')
    (folder / 'list.txt').write_text('picture.png\n')
    config = dict(mask_list_file=str(folder / 'list.txt'), prefix=str(folder))
    config = dict(mask_dir=str(folder)) if mode == 'file' else config
    step = dict(mask_mode=mode, mask_config=config)
    return LoadMask('mix', dict(sources=[step])) if is_mix else LoadMask(**step)


@pytest.mark.parametrize('mode', ['set', 'list', 'mix of set'])
def test_a_listed_mask_that_is_not_there_is_missed_at_once(tmp_path, mode):
    with pytest.raises(UserError, match=f'no mask {tmp_path}/picture.png, which {tmp_path}/list.t'):
        load_mask(mode, tmp_path)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('kind', KINDS)
def test_every_way_to_a_file_reads_every_kind_of_mask_as_the_tools_do(tmp_path, mode, kind):
    path = tmp_path / 'picture.png'
    KINDS[kind].save(path)
    results = load_mask(mode, tmp_path)(sample())
    assert np.array_equal(results['mask'], HOLE)
    assert np.array_equal(results['mask'], read_hole(path, HOLE.shape))
    assert results['mask_bbox'] == mask2bbox(HOLE)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (0, r'^the mask is empty: \S+/picture.png has no pixel'),
        (255, r'^the mask \S+/picture.png covers the whole picture'),
    ],
)
def test_a_mask_without_hole_or_surroundings_is_refused_by_its_file(tmp_path, mode, value, message):
    cv2.imwrite(str(tmp_path / 'picture.png'), np.full(HOLE.shape, value, np.uint8))
    with pytest.raises(UserError, match=message) as refused:
        load_mask(mode, tmp_path)(sample())
    assert type(refused.value) is UserError  # not of one picture that training does without


BOX = dict(mask_mode='bbox', mask_config=dict(max_bbox_shape=HOLE.shape))


@pytest.mark.parametrize('step', [BOX, dict(mask_mode='mix', mask_config=dict(sources=[BOX]))])
def test_what_is_drawn_over_a_whole_picture_is_refused_by_the_picture(step):
    message = r'^the mask for photos/picture.jpg covers the whole picture'
    with pytest.raises(ImageError, match=message):
        LoadMask(**step)(sample())
    assert LoadMask(**step)(sample(shape=(HEIGHT, WIDTH + 1)))['mask'].sum() == HOLE.size


@pytest.mark.parametrize('config', [*CONFIGS, *PHOTOS], ids=lambda path: path.stem)
def test_own_masks_are_set_from_the_command_line(config, tmp_path):
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        steps = load_config(config)[loader].dataset.pipeline
        (place,) = (i for i, step in enumerate(steps) if step.type == 'LoadMask')
        step = f'{loader}.dataset.pipeline.{place}'
        words = [f'{step}.mask_mode=file', f'{step}.mask_config.mask_dir={tmp_path}']
        words += [f'{step}.mask_config._delete_=True', f'{step}.real_bbox=False']
        parser = argparse.ArgumentParser()
        parser.add_argument('--cfg-options', nargs='+', action=DictAction)
        refused, taken = (
            load_config(config, parser.parse_args(['--cfg-options', *options]).cfg_options)
            for options in (words[:2], words)
        )
        with pytest.raises(UserError, match=r'expected mask_dir; .*mask_config._delete_=True'):
            TRANSFORMS.build({**refused[loader].dataset.pipeline[place], 'real_bbox': False})
        loading = TRANSFORMS.build(taken[loader].dataset.pipeline[place])
        Image.fromarray(255 * HOLE).save(tmp_path / 'picture.png')
        assert np.array_equal(loading(sample())['mask'], HOLE)


def quarters(folder: Path, names: list[str]) -> dict[str, np.ndarray]:
    """A mask file for each name, each with another hole."""
    masks = {}
    for i, name in enumerate(names):
        path = (folder / name).with_suffix('.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        masks[name] = np.zeros((40, 44), np.uint8)
        masks[name][3 + i : 20 + 2 * i, 5 : 15 + i] = 1
        cv2.imwrite(str(path), 255 * masks[name])
    return masks


@pytest.mark.parametrize('prefix', ['', 'photos', 'photos/large'])
@pytest.mark.parametrize('listed', [False, True])
def test_a_picture_in_a_subfolder_has_its_mask_in_the_same_subfolder(tmp_path, prefix, listed):
    names = ['1.jpg', 'a/1.jpg', 'a/b/1.jpg', 'a.b/1.c.JPG']
    for i, name in enumerate(names):
        path = tmp_path / 'data' / prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random_image(i, 40, 44))
    masks = quarters(tmp_path / 'masks', names)
    (tmp_path / 'data/list.txt').write_text(''.join(f'/{name} 7\n' for name in names))
    step = dict(
        type='LoadMask', mask_mode='file', mask_config=dict(mask_dir=str(tmp_path / 'masks'))
    )
    dataset = ImageDataset(
        [dict(type='LoadImageFromFile'), step],
        data_root=f'{tmp_path}/data',
        data_prefix=dict(img=prefix),
        ann_file='list.txt' if listed else '',
        test_mode=True,
    )
    read = {picture['name']: picture['mask'] for picture in dataset}
    assert read.keys() == masks.keys()
    for name, mask in masks.items():
        assert np.array_equal(read[name], mask)
    (tmp_path / 'masks/a/b/1.png').unlink()
    with pytest.raises(UserError, match=r'cannot read \S+/masks/a/b/1.png: No such file'):
        list(dataset)


def test_a_picture_in_a_database_has_its_mask_in_the_same_subfolder(tmp_path):
    names = ['photos/1.png', 'photos/a/1.png', 'others/1.png']
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), random_image(i, 40, 44))
    pack(tmp_path, Names(names), tmp_path / 'packed')
    masks = quarters(tmp_path / 'masks', ['1.png', 'a/1.png'])
    config = dict(mask_dir=str(tmp_path / 'masks'))
    dataset = ImageDataset(
        [
            dict(type='LoadImageFromFile'),
            dict(type='LoadMask', mask_mode='file', mask_config=config),
        ],
        data_prefix=dict(img='photos'),
        backend_args=dict(backend='lmdb', db_path=str(tmp_path / 'packed')),
        test_mode=True,
    )
    assert len(dataset) == 2
    for i in range(2):
        assert np.array_equal(dataset[i]['mask'], masks[dataset[i]['name']])


@pytest.mark.parametrize(
    ('directions', 'ratio'),
    [(['horizontal'], 1), (['vertical'], 1), (['vertical', 'horizontal'], 1), (['vertical'], 0)],
)
@pytest.mark.parametrize('before', [False, True])
def test_a_mask_turns_with_its_picture(tmp_path, directions, ratio, before):
    marked = random_image(0, *HOLE.shape)
    marked[HOLE == 1] = (1, 2, 3)
    Image.fromarray(255 * HOLE).save(tmp_path / 'picture.png')
    steps = [Flip(ratio, direction) for direction in directions]
    loading = load_mask('file', tmp_path)
    steps = [*steps, loading] if before else [loading, *steps]
    results = sample(gt_img=marked)
    for step in steps:
        results = step(results)
    is_marked = (results['gt_img'] == (1, 2, 3)).all(axis=-1)
    assert np.array_equal(results['gt_img'], marked) == (ratio == 0)
    assert np.array_equal(results['mask'] == 1, is_marked)
    assert results['mask_bbox'] == mask2bbox(is_marked)


@pytest.mark.parametrize(('direction', 'axis'), [('horizontal', 1), ('vertical', 0)])
def test_drawn_boxes_turn_with_their_picture(direction, axis):
    drawn = LoadMask('ff', dict(brush_width=(2, 5)), real_bbox=True)
    for seed in range(9):
        before, results = (drawn(sample(rng=np.random.default_rng(seed))) for _ in range(2))
        results = Flip(1, direction)(results)
        assert np.array_equal(results['mask'], np.flip(before['mask'], axis))
        assert results['mask_bbox'] == mask2bbox(results['mask'])
        top, left, height, width = before['real_bbox']
        second = np.zeros_like(HOLE)
        second[top : top + height, left : left + width] = 1
        assert results['real_bbox'] == mask2bbox(np.flip(second, axis))
