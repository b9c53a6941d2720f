import cv2
import numpy as np
import pytest
import torch
from conftest import random_image

from mmedit_gl.datasets import (
    CenterCrop,
    Flip,
    LoadImageFromFile,
    LoadMask,
    PackInputs,
    RandomCrop,
    RandomResize,
    Resize,
    free_form_mask,
    irregular_mask,
    mask2bbox,
    random_bbox,
    read_image,
)
from mmedit_gl.errors import ImageError, UserError


def sample(img, seed=0):
    return dict(gt_img=img, img_path='a/picture.jpg', rng=np.random.default_rng(seed))


def test_image_is_read_as_bgr(tmp_path):
    img = random_image(0, 20, 30)
    cv2.imwrite(str(tmp_path / 'img.png'), img)
    results = LoadImageFromFile()(dict(img_path=str(tmp_path / 'img.png')))
    assert np.array_equal(results['gt_img'], img)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.bmp'])
def test_a_truncated_image_is_refused(tmp_path, suffix):
    path = tmp_path / f'img{suffix}'
    cv2.imwrite(str(path), random_image(0, 200, 300))
    content = path.read_bytes()
    for share in (0.0, 0.5, 0.97):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ImageError, match='not an image, or a truncated one'):
            read_image(str(path))


def test_a_jpeg_with_pictures_before_and_behind_its_own_is_refused_where_it_is_cut(tmp_path):
    _, jpeg = cv2.imencode('.jpg', random_image(0, 200, 300))
    jpeg, small = jpeg.tobytes(), cv2.imencode('.jpg', random_image(1, 8, 8))[1].tobytes()
    thumbnail = b'\xff' * 3 + b'\xe1' + (2 + len(small)).to_bytes(2, 'big') + small
    whole = jpeg[:2] + thumbnail + jpeg[2:]
    path = tmp_path / 'img.jpg'
    for content in (whole, whole + small[: len(small) // 2], whole + b'\xff\xda\xff\xff'):
        path.write_bytes(content)
        assert np.array_equal(read_image(str(path)), cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1))
    for end in (-2, -len(jpeg) // 2):
        path.write_bytes(whole[:end])
        with pytest.raises(ImageError, match='not an image, or a truncated one'):
            read_image(str(path))


def test_a_missing_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match='No such file'):
        read_image(str(tmp_path / 'img.png'))


def test_random_crops_reach_every_corner_and_show_the_picture():
    img = random_image(0, 12, 14)
    corners = set()
    for seed in range(300):
        crop = RandomCrop((10, 10))(sample(img, seed))['gt_img']
        places = [
            (t, s)
            for t in range(3)
            for s in range(5)
            if np.array_equal(crop, img[t:, s:][:10, :10])
        ]
        corners.add(places[0])
    assert len(corners) == 15


def test_center_crop_is_in_the_middle():
    img = random_image(0, 12, 15)
    assert np.array_equal(CenterCrop((10, 10))(sample(img))['gt_img'], img[1:11, 2:12])


@pytest.mark.parametrize('crop', [RandomCrop, CenterCrop])
def test_a_picture_too_small_for_the_crop_is_refused(crop):
    with pytest.raises(
        ImageError, match=r'picture.jpg has 12x14 pixels, too few for a crop of 13x9'
    ):
        crop((13, 9))(sample(random_image(0, 12, 14)))


@pytest.mark.parametrize('crop', [RandomCrop, CenterCrop])
def test_a_crop_that_allows_smaller_pictures_takes_their_short_edges_whole(crop):
    img = random_image(0, 12, 14)
    assert np.array_equal(crop((16, 16), allow_smaller=True)(sample(img))['gt_img'], img)
    crops = [crop((16, 9), allow_smaller=True)(sample(img, seed=i))['gt_img'] for i in range(9)]
    for cropped in crops:
        assert any(np.array_equal(cropped, img[:, left : left + 9]) for left in range(6))
    large = [crop((10, 11), allow_smaller=allow)(sample(img))['gt_img'] for allow in (0, 1)]
    assert np.array_equal(*large)


def test_resize_to_a_size_and_by_the_shorter_edge():
    img = random_image(0, 60, 90)
    assert Resize((40, 20))(sample(img))['gt_img'].shape == (20, 40, 3)
    assert Resize(40)(sample(img))['gt_img'].shape == (40, 60, 3)
    assert Resize(40)(sample(img.transpose(1, 0, 2)))['gt_img'].shape == (60, 40, 3)
    halved = Resize((45, 30))(sample(img))['gt_img'].astype(float)
    blocks = img.reshape(30, 2, 45, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - blocks).max() <= 0.5


@pytest.mark.parametrize('crop', [RandomCrop, CenterCrop])
def test_a_crop_of_an_int_is_a_square(crop):
    img = random_image(0, 12, 14)
    for seed in range(9):
        square, pair = (crop(size)(sample(img, seed))['gt_img'] for size in (7, [7, 7]))
        assert square.shape == (7, 7, 3) and np.array_equal(square, pair)
    for size in ((7, 7, 3), '7', 0, (7, -1), 7.5):
        with pytest.raises(UserError, match=r'crop_size: .* of at least 1, or a pair of them, got'):
            crop(size)


@pytest.mark.parametrize(
    ('scale', 'size'),
    [
        ((50, 90), (90, 45)),  # as long as it may be
        ((90, 50), (90, 45)),  # whichever way it is written
        ((200, 60), (120, 60)),  # as short as it may be
        (40, (80, 40)),  # an int is the shorter edge, which keeps it anyway
        (0.5, (80, 40)),
        (1.26, (202, 101)),  # 201.6 and 100.8
        (0.001, (1, 1)),
    ],
)
def test_resize_keeps_the_ratio_within_two_edges_or_by_a_factor(scale, size):
    img = random_image(0, 80, 160)
    resize = Resize(scale, keep_ratio=True)
    for lying, expected in ((img, size), (img.transpose(1, 0, 2), size[::-1])):
        results = resize(sample(np.ascontiguousarray(lying)))
        assert results['gt_img'].shape[1::-1] == expected
        assert np.array_equal(results['gt_img'], cv2.resize(lying, expected))
    assert Resize((50, 90))(sample(img))['gt_img'].shape == (90, 50, 3)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            dict(scale=0.5),
            'a float, a factor; got scale=0.5, keep_ratio=False',
        ),
        (dict(scale=-0.5, keep_ratio=True), 'got scale=-0.5'),
        (dict(scale=0), 'got scale=0'),
        (dict(scale=(1, 2, 3)), r'scale: expected .* or a pair of them, got \(1, 2, 3\)'),
        (dict(scale=(64, -1), keep_ratio=True), 'scale: expected a number of pixels of at least 1'),
        (dict(scale='64'), "scale: expected .* got '64'"),
    ],
)
def test_scales_that_are_none_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        Resize(**arguments)


def test_random_resize_draws_every_length_of_the_shorter_edge():
    shapes = {
        RandomResize((20, 23))(sample(random_image(0, 60, 90), seed))['gt_img'].shape
        for seed in range(60)
    }
    assert shapes == {(20, 30, 3), (21, 32, 3), (22, 33, 3), (23, 34, 3)}


def test_resize_by_area_takes_the_mean_of_what_a_pixel_covers():
    img = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    blocks = img.reshape(15, 4, 15, 6, 3).mean(axis=(1, 3))
    by_area = Resize((15, 15), interpolation='area')(sample(img))['gt_img']
    assert np.abs(by_area - blocks).max() <= 0.5
    assert np.abs(Resize((15, 15))(sample(img))['gt_img'] - blocks).max() > 20
    random = RandomResize((15, 15), interpolation='area')(sample(img))['gt_img']
    assert np.array_equal(random, Resize(15, interpolation='area')(sample(img))['gt_img'])
    for resize in (Resize, RandomResize):
        with pytest.raises(UserError, match=r"interpolation in .*, got 'cubic'"):
            resize((8, 8), interpolation='cubic')


@pytest.mark.parametrize(('direction', 'axis'), [('horizontal', 1), ('vertical', 0)])
def test_flip_mirrors_as_often_as_asked(direction, axis):
    img = random_image(0, 6, 8)
    flip = Flip(0.25, direction)
    outputs = [flip(sample(img, seed))['gt_img'] for seed in range(400)]
    flipped = [np.array_equal(output, np.flip(img, axis)) for output in outputs]
    assert all(f or np.array_equal(o, img) for f, o in zip(flipped, outputs))
    assert 0.19 < np.mean(flipped) < 0.31
    with pytest.raises(UserError, match="got 'diagonal'"):
        Flip(direction='diagonal')


@pytest.mark.parametrize(
    ('mode', 'config'),
    [
        ('bbox', dict(max_bbox_shape=(20, 20), max_bbox_delta=8, min_margin=4)),
        ('irregular', dict(length_range=(5, 30), brush_width=(3, 9))),
        ('ff', dict(brush_width=(3, 9))),
        ('shapes', dict(size_range=(3, 30), max_shapes=2)),
        ('mix', dict(sources=[dict(mask_mode='ff'), dict(mask_mode='shapes')], max_holes=2)),
    ],
)
def test_drawn_masks_come_with_their_tight_box(mode, config):
    load_mask = LoadMask(mode, config)
    for seed in range(20):
        results = load_mask(sample(random_image(0, 48, 64), seed))
        top, left, height, width = results['mask_bbox']
        mask = results['mask']
        box = mask[top : top + height, left : left + width]
        assert mask.shape == (48, 64)
        assert mask.sum() == box.sum() > 0
        assert all(edge.any() for edge in (box[0], box[-1], box[:, 0], box[:, -1]))


@pytest.fixture
def mask_files(tmp_path):
    for i, name in enumerate(['picture', 'other']):
        mask = np.zeros((48, 64), np.uint8)
        mask[10 + i : 20, 30:50] = 255
        cv2.imwrite(str(tmp_path / f'{name}.png'), mask)
    (tmp_path / 'list.txt').write_text('picture.png\nother.png\n')
    return tmp_path


def test_mask_of_each_picture_is_read_by_its_stem(mask_files):
    results = LoadMask('file', dict(mask_dir=str(mask_files)))(sample(random_image(0, 48, 64)))
    assert results['mask_bbox'] == (10, 30, 10, 20)
    assert set(np.unique(results['mask'])) == {0, 1}


def test_masks_of_a_set_are_drawn_at_random(mask_files):
    config = dict(mask_list_file=str(mask_files / 'list.txt'), prefix=str(mask_files))
    load_mask = LoadMask('set', config)
    results = [load_mask(sample(random_image(0, 48, 64), seed)) for seed in range(20)]
    assert {r['mask_bbox'] for r in results} == {(10, 30, 10, 20), (11, 30, 9, 20)}


@pytest.mark.parametrize('max_holes', [0, 1, 9])
def test_a_mask_of_another_size_is_refused(mask_files, max_holes):
    own = dict(mask_mode='file', mask_config=dict(mask_dir=str(mask_files)))
    sources = [own, dict(mask_mode='ff')]
    mix = dict(mask_mode='mix', mask_config=dict(sources=sources, max_holes=max_holes))
    message = r'picture.jpg has 48x64 pixels, the picture 40x64 .* as \S+/picture.png$'
    with pytest.raises(UserError, match=message):
        for seed in range(9):
            LoadMask(**(mix if max_holes else own))(sample(random_image(0, 40, 64), seed))


def test_an_empty_and_a_missing_mask_are_refused(mask_files):
    load_mask = LoadMask('file', dict(mask_dir=str(mask_files)))
    cv2.imwrite(str(mask_files / 'picture.png'), np.zeros((48, 64), np.uint8))
    with pytest.raises(UserError, match='the mask is empty'):
        load_mask(sample(random_image(0, 48, 64)))
    (mask_files / 'picture.png').unlink()
    with pytest.raises(UserError, match=r'cannot read .*picture.png: No such file'):
        load_mask(sample(random_image(0, 48, 64)))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(mask_mode='circle'), "expected mask_mode in .*'ff'.*, got 'circle'"),
        (dict(mask_mode='bbox', mask_config=dict(max_bbox_shap=(3, 3))), 'max_bbox_shap'),
        (dict(mask_mode='ff', mask_config=dict(colour=3)), 'colour'),
        (dict(mask_mode='file'), "mode 'file': missing .*'mask_dir'"),
        (dict(mask_mode='file', mask_config=dict(mask_dir='none')), 'no folder none: mask_dir is'),
        (dict(mask_mode='file', mask_config=dict(mask_dir=None)), "mode 'file': .*NoneType"),
        (dict(mask_mode='set', mask_config=dict(mask_list_file='none')), 'the list file none'),
        (dict(mask_mode='list', mask_config=dict(mask_list_file='none')), 'the list file none'),
        (dict(mask_mode='list', mask_config=dict(mask_list_file='/dev/null')), 'null is empty'),
        (dict(mask_mode=['ff']), r"expected mask_mode in .*, got \['ff'\]"),
        (dict(mask_mode='ff', mask_config='wide'), "expected a dict as mask_config, got 'wide'"),
        (dict(mask_mode='bbox', mask_config=dict(max_bbox_shape='9')), 'max_bbox_shape: '),
        (dict(mask_mode='irregular', mask_config=dict(brush_width=(9, 3))), 'brush_width: '),
        (dict(mask_mode='ff', mask_config=dict(mean_angle='1')), 'mean_angle: '),
        (dict(mask_mode='shapes', mask_config=dict(size_range=(9, 3))), 'expected size_range to '),
    ],
)
def test_mask_options_without_a_sense_are_refused_by_name(arguments, message):
    with pytest.raises(UserError, match=message):
        LoadMask(**arguments)


@pytest.mark.parametrize(
    ('transform', 'arguments', 'message'),
    [
        (RandomResize, dict(scale=64), r'scale=\(shortest, longest\), .* that rise, got 64'),
        (RandomResize, dict(scale=(96, 64)), r'that rise, got \(96, 64\)'),
        (RandomResize, dict(scale=(0, 64)), r'that rise, got \(0, 64\)'),
        (RandomResize, dict(scale=('a', 'b')), r"that rise, got \('a', 'b'\)"),
        (RandomResize, dict(scale=(64, 64), interpolation=['area']), 'expected interpolation in'),
        (Flip, dict(flip_ratio=2), 'expected flip_ratio from 0 to 1, got 2'),
        (Flip, dict(flip_ratio='0.5'), "expected flip_ratio from 0 to 1, got '0.5'"),
        (Flip, dict(flip_ratio=float('nan')), 'expected flip_ratio from 0 to 1, got nan'),
        (CenterCrop, dict(crop_size=None), 'crop_size: expected a number of pixels .* got None'),
    ],
)
def test_arguments_without_a_sense_are_refused_when_a_step_is_built(transform, arguments, message):
    with pytest.raises(UserError, match=message):
        transform(**arguments)


def test_packed_sample_holds_tensors():
    results = LoadMask('bbox', dict(max_bbox_shape=(8, 8)))(sample(random_image(0, 20, 24)))
    packed = PackInputs()(results)
    assert packed['gt_img'].dtype == packed['mask'].dtype == torch.uint8
    assert np.array_equal(packed['gt_img'].numpy(), results['gt_img'])
    assert packed['mask'].shape == (1, 20, 24)
    assert tuple(packed['mask_bbox'].tolist()) == results['mask_bbox']
    assert packed['img_path'] == 'a/picture.jpg'


@pytest.mark.parametrize(
    'step', [CenterCrop(20), RandomCrop(20), Resize((24, 20)), RandomResize((20, 20))]
)
def test_what_changes_the_size_is_refused_after_the_mask(step):
    load_mask, img = LoadMask('bbox', dict(max_bbox_shape=8)), random_image(0, 20, 24)
    with pytest.raises(UserError, match=f'{type(step).__name__} stands after LoadMask'):
        step(load_mask(sample(img)))
    results = load_mask(step(sample(img)))
    PackInputs()(results)
    with pytest.raises(UserError, match='picture and mask differ in size'):
        PackInputs()(dict(results, gt_img=img[1:]))
    with pytest.raises(UserError, match='PackInputs: there is no mask'):
        PackInputs()(sample(img))


MODES = dict(
    bbox=dict(max_bbox_shape=(20, 20), max_bbox_delta=8),
    irregular=dict(
        num_vertices=(1, 3), length_range=(5, 15), brush_width=(3, 6), area_ratio_range=(0.02, 0.3)
    ),
    ff=dict(brush_width=(3, 9)),
)


@pytest.mark.parametrize('mode', MODES)
def test_real_bbox_is_that_of_the_next_mask_and_changes_the_first_in_nothing(mode):
    load_mask, both = LoadMask(mode, MODES[mode]), LoadMask(mode, MODES[mode], real_bbox=True)
    for seed in range(20):
        img = random_image(0, 48, 64)
        plain, results = (step(sample(img, seed)) for step in (load_mask, both))
        assert np.array_equal(results['mask'], plain['mask'])
        assert results['mask_bbox'] == plain['mask_bbox']
        assert 'real_bbox' not in plain
        # A second generator that stands where the first mask was drawn.
        rng = np.random.default_rng(seed)
        draw = dict(bbox=random_bbox, irregular=irregular_mask, ff=free_form_mask)[mode]
        draw(rng, (48, 64), **MODES[mode])
        second = draw(rng, (48, 64), **MODES[mode])
        expected = second if mode == 'bbox' else mask2bbox(second)
        assert results['real_bbox'] == expected != results['mask_bbox']


@pytest.mark.parametrize('mode', MODES)
def test_masks_that_may_be_larger_than_the_window_come_with_random_positions(mode):
    boxes, strokes = {'mask_bbox', 'real_bbox'}, {'window_position', 'real_window_position'}
    expected = boxes if mode == 'bbox' else boxes | strokes
    positions = []
    for seed in range(100):
        results = LoadMask(mode, MODES[mode], real_bbox=True)(sample(random_image(0, 48, 64), seed))
        packed = PackInputs()(results)
        assert packed.keys() == {'gt_img', 'mask', 'img_path'} | expected
        assert packed['real_bbox'].tolist() == list(results['real_bbox'])
        if mode != 'bbox':
            positions.append([packed[name].tolist() for name in sorted(strokes)])
    if mode != 'bbox':
        positions = np.array(positions).reshape(100, 4)
        assert positions.min() < 0.1 < 0.9 < positions.max() < 1
        assert np.abs(np.corrcoef(positions.T) - np.eye(4)).max() < 0.35
        plain = PackInputs()(LoadMask(mode, MODES[mode])(sample(random_image(0, 48, 64))))
        assert plain.keys() == {'gt_img', 'mask', 'img_path', 'mask_bbox', 'window_position'}


def test_a_second_mask_of_a_picture_that_has_one_is_refused(mask_files):
    with pytest.raises(UserError, match=r'real_bbox=True takes a second mask at random'):
        LoadMask('file', dict(mask_dir=str(mask_files)), real_bbox=True)
    config = dict(mask_list_file=str(mask_files / 'list.txt'), prefix=str(mask_files))
    load_mask = LoadMask('set', config, real_bbox=True)
    results = [load_mask(sample(random_image(0, 48, 64), seed)) for seed in range(20)]
    assert {r['mask_bbox'] == r['real_bbox'] for r in results} == {True, False}


def test_a_mix_draws_its_sources_by_their_weights_and_unites_holes():
    def box(size: int, **weight) -> dict:
        config = dict(max_bbox_shape=(size, size))
        return dict(mask_mode='bbox', mask_config=config, **weight)

    img = random_image(0, 64, 64)
    sources = [box(2, weight=3), box(5), box(9, weight=0)]
    load_mask = LoadMask('mix', dict(sources=sources))
    sides = [load_mask(sample(img, seed))['mask_bbox'][2] for seed in range(400)]
    assert set(sides) == {2, 5}
    assert 0.69 < np.mean(np.equal(sides, 2)) < 0.81
    united = LoadMask('mix', dict(sources=sources[:1], max_holes=3))
    areas = [united(sample(img, seed))['mask'].sum() for seed in range(100)]
    assert max(areas) == 12 and min(areas) == 4 and 8 in areas


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(sources=[]), "mode 'mix': sources: expected one with a weight above 0"),
        (dict(sources=[dict(mask_mode='ff', weight=0)]), 'one with a weight above 0'),
        (dict(sources=[dict(mask_mode='ff', weight=-1)]), r'at least 0 as weight, got \[-1\]'),
        (dict(sources=[dict(mask_mode='ff', weight='3')]), r"at least 0 as weight, got \['3'\]"),
        (dict(sources=['ff']), r"sources: expected a list of dicts, got \['ff'\]"),
        (dict(sources=[dict(mask_mode='ff')], max_holes=0), 'max_holes: .* of at least 1, got 0'),
        (dict(sources=[dict(mask_mode='ff')], max_holes='2'), "max_holes: .* number .* got '2'"),
        (dict(sources=[dict(mask_mode='set')]), "mode 'set': missing .*'mask_list_file'"),
        (dict(sources=[dict(mask_mode='disc')]), "expected mask_mode in .*, got 'disc'"),
        (dict(sources=[dict(mask_mode='ff', mask_config=dict(brush=3))]), "mode 'ff': .*brush"),
        (dict(sources=[dict(weight=1)]), 'mask_mode'),
    ],
)
def test_a_mix_that_is_none_is_refused(config, message):
    with pytest.raises(UserError, match=message):
        LoadMask('mix', config)
