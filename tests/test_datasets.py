import os
import pickle
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import random_image
from mmengine.dataset import DefaultSampler, default_collate
from torch.utils.data import DataLoader

from mmedit_gl.datasets import (
    ConcatDataset,
    DemoPhotos,
    DrawSampler,
    EvaluationSampler,
    ImageDataset,
    RepeatDataset,
    read_image,
    read_list,
)
from mmedit_gl.datasets.names import Names
from mmedit_gl.datasets.samplers import shuffled
from mmedit_gl.errors import ImageError, UserError
from mmedit_gl.registry import DATASETS

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=(32, 32)),
    dict(type='Flip'),
    dict(type='LoadMask', mask_mode='bbox', mask_config=dict(max_bbox_shape=(8, 8))),
    dict(type='PackInputs'),
]


@pytest.fixture
def pictures(tmp_path):
    for i in range(5):
        path = tmp_path / f'sub{i % 2}' / f'{i}.PNG'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), random_image(i, 40, 44))
    (tmp_path / 'notes.txt').write_text('not a picture')
    return tmp_path


def stems(dataset):
    return [dataset.get_data_info(i)['img_path'].rsplit('/', 1)[-1] for i in range(len(dataset))]


def test_a_folder_is_read_sorted_with_its_subfolders(pictures):
    dataset = ImageDataset(PIPELINE, data_root=str(pictures))
    assert stems(dataset) == ['0.PNG', '2.PNG', '4.PNG', '1.PNG', '3.PNG']
    assert dataset[1]['gt_img'].shape == (32, 32, 3)


@pytest.mark.parametrize('count', [0, 1, 63, 64, 65, 128, 1000])
def test_names_are_a_sequence_of_what_was_given_in_a_tenth_of_the_memory(count):
    given = [f'{i}/é \n{i:0100}.jpg' for i in range(count)]
    names = Names(name for name in given)
    assert (list(names), names) == (given, given)
    assert names != [*given[:-1], 'other'] and names != [*given, 'more'] and names != 'text'
    assert len(names) == count and bool(names) == bool(count)
    assert [names[i] for i in range(-count, count)] == 2 * given
    for index in (count, -count - 1):
        with pytest.raises(IndexError):
            names[index]
    below = names.below('b/').below('a/')
    assert list(below) == [below[i] for i in range(count)] == [f'a/b/{name}' for name in given]
    assert list(names) == given
    pickled = pickle.dumps(below)
    assert pickle.loads(pickled) == below
    assert len(pickled) < 1000 + sum(map(len, given)) / 10


def test_files_are_in_the_order_of_their_parts_whatever_they_are_called(tmp_path):
    files = [
        'b.jpg',
        'a/1.jpg',
        'a b.jpg',
        'a/b/2.PNG',
        'a.jpg/3.jpg',
        'B.Jpeg',
        'é.jpg',
        'a-/4.tif',
    ]
    for file in [*files, 'a/notes.txt', 'line\nbreak.bmp', os.fsdecode(b'\xff.webp')]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b'')
    for link, to in [('f.jpg', 'a'), ('gone.jpg', 'nowhere'), ('self.jpg', 'self.jpg'), ('l', 'a')]:
        (tmp_path / link).symlink_to(to)
    paths = sorted(
        Path(root, file)
        for root, _, files in os.walk(tmp_path)
        for file in files
        if not file.endswith('.txt')
    )
    assert len(paths) == 12
    dataset = ImageDataset(PIPELINE, data_root=str(tmp_path))
    assert [info['img_path'] for info in infos(dataset)] == list(map(str, paths))


def test_links_to_folders_elsewhere_are_followed_once_and_in_no_circle(tmp_path):
    for file in ['root/a/1.jpg', 'x/2.jpg', 'x/sub/3.jpg', 'x/sub/deep/4.jpg', 'y/5.jpg', '6.jpg']:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b'')
    links = {
        'root/A': 'root/a',  # is there without the link
        'root/above': '.',
        'root/a/self': 'root',
        'root/l1': 'x/sub',
        'root/l2': 'x',
        'root/l3': 'x',
        'root/n': 'y',
        'x/back': 'root',
        'y/x': 'x',
        'x/y': 'y',
        'x/sub/deep/up': 'x',
    }
    for link, to in links.items():
        (tmp_path / link).symlink_to(tmp_path / to, target_is_directory=True)
    (tmp_path / 'here').symlink_to('root')
    for root in ('root', 'here'):
        dataset = ImageDataset(PIPELINE, data_root=str(tmp_path / root))
        assert [info['name'] for info in infos(dataset)] == [
            'a/1.jpg',
            'l1/3.jpg',
            'l1/deep/4.jpg',
            'l1/deep/up/2.jpg',
            'l1/deep/up/y/5.jpg',
        ]


def test_lists_are_read_as_places365_and_celeba_hq_give_them(tmp_path):
    (tmp_path / 'places').write_text('/a/airfield/00000001.jpg 0\n/z/zen garden/2.jpg 364\n\n')
    assert read_list(tmp_path / 'places') == ['a/airfield/00000001.jpg', 'z/zen garden/2.jpg']
    (tmp_path / 'celeba').write_text('00001.png\r\nfolder/my face 2.png\r\n')
    assert read_list(tmp_path / 'celeba') == ['00001.png', 'folder/my face 2.png']


@pytest.mark.parametrize('mark', [b'', b'\xef\xbb\xbf'])
@pytest.mark.parametrize('end', [b'\n', b'\r\n'])
def test_a_list_as_an_editor_wrote_it_names_the_pictures(mark, end, pictures):
    lines = [b'/sub0/0.PNG 7', b'sub1/1.PNG', 'sub1/\ufeff3.PNG'.encode(), b'']
    (pictures / 'list.txt').write_bytes(mark + end.join(lines))
    (pictures / 'sub1/3.PNG').rename(pictures / 'sub1/\ufeff3.PNG')
    dataset = ImageDataset(PIPELINE, data_root=str(pictures), ann_file='list.txt', test_mode=True)
    assert stems(dataset) == ['0.PNG', '1.PNG', '\ufeff3.PNG']
    assert [dataset[i]['gt_img'].shape for i in range(3)] == 3 * [(32, 32, 3)]


@pytest.mark.parametrize('key', ['img', 'gt'])
def test_a_list_file_names_the_pictures(key, data_root):
    dataset = ImageDataset(
        PIPELINE,
        data_root=str(data_root),
        ann_file='places365_train_standard.txt',
        data_prefix={key: 'data_large'},
    )
    assert len(dataset) == 6
    assert dataset[0]['img_path'] == str(data_root / 'data_large/a/airfield/00000000.jpg')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(data_root='nowhere'), 'no folder nowhere: the pictures are expected there'),
        (dict(ann_file='missing.txt'), 'cannot read the list file .*missing.txt'),
        (dict(ann_file='empty.txt'), 'the list file .*empty.txt is empty'),
        (dict(ann_file='utf-16.txt'), 'cannot read the list file .*utf-16.txt .*NUL'),
        (dict(ann_file='sub0/0.PNG'), 'cannot read the list file .*0.PNG .*utf-8'),
        (dict(data_prefix=dict(img='nothing')), 'no pictures in .*nothing'),
        (dict(data_prefix=dict(foo='x')), r"expected dict\(img='FOLDER'\) or dict\(gt='FOLDER'\)"),
        (dict(data_prefix=dict(gt='x', img='y')), "got {'gt': 'x', 'img': 'y'}"),
        (dict(data_prefix='x'), "data_prefix: expected .* got 'x'"),
        (dict(data_prefix=dict(img=None)), 'data_prefix: expected a path as text, got None'),
        (dict(data_root=None), 'data_root: expected a path as text, got None'),
        (dict(ann_file=['a.txt']), r"ann_file: expected a path as text, got \['a.txt'\]"),
        (dict(in_memory=0), 'in_memory: expected a whole number of at least 1, got 0'),
        (dict(in_memory='256'), "in_memory: expected a whole number of at least 1, got '256'"),
        (dict(backend_args='lmdb'), 'expected backend_args=.* got lmdb'),
        (dict(backend_args=dict(backend='lmdb', db_path=3)), "got .*'db_path': 3"),
    ],
)
def test_missing_data_is_refused_with_the_place_where_it_is_expected(pictures, options, message):
    (pictures / 'empty.txt').write_text('\n')
    (pictures / 'utf-16.txt').write_text('0.PNG\n', encoding='utf-16-be')
    (pictures / 'nothing').mkdir()
    with pytest.raises(UserError, match=message):
        ImageDataset(PIPELINE, **{'data_root': str(pictures), **options})


def test_unreadable_pictures_are_replaced_and_named_in_training(pictures):
    (pictures / 'sub0/0.PNG').write_bytes(b'')
    dataset = ImageDataset(PIPELINE, data_root=str(pictures))
    sample = dataset[0, (0, 7)]
    assert sample['skipped'].endswith('0.PNG: not an image, or a truncated one')
    assert sample['img_path'] != str(pictures / 'sub0/0.PNG')
    again = dataset[0, (0, 7)]
    assert all(torch.equal(sample[name], again[name]) for name in ('gt_img', 'mask', 'mask_bbox'))
    assert dataset[1]['skipped'] == ''


def test_an_unreadable_picture_is_an_error_in_testing(pictures):
    (pictures / 'sub0/0.PNG').write_bytes(b'')
    dataset = ImageDataset(PIPELINE, data_root=str(pictures), test_mode=True)
    with pytest.raises(ImageError, match=r'0.PNG: not an image'):
        dataset[0]


def test_a_set_of_unreadable_pictures_is_an_error(pictures):
    for path in pictures.glob('*/*.PNG'):
        path.write_bytes(b'GIF89a')
    with pytest.raises(UserError, match='20 pictures in a row cannot be used'):
        ImageDataset(PIPELINE, data_root=str(pictures))[0]


def load(dataset, sampler, batch_size, num_workers, batches):
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=default_collate,
    )
    iterator = iter(loader)
    taken = [next(iterator) for _ in range(batches)]
    return {
        name: torch.cat([batch[name] for batch in taken])
        for name in ('gt_img', 'mask', 'mask_bbox')
    }


def test_draws_depend_neither_on_workers_nor_on_batch_size_nor_on_a_resume(pictures):
    dataset = ImageDataset(PIPELINE, data_root=str(pictures))
    plain = load(dataset, DrawSampler(dataset, seed=3), batch_size=2, num_workers=0, batches=6)
    other = load(dataset, DrawSampler(dataset, seed=3), batch_size=4, num_workers=2, batches=3)
    resumed = DrawSampler(dataset, seed=3)
    resumed.start = 8
    tail = load(dataset, resumed, batch_size=2, num_workers=0, batches=2)
    another_seed = load(dataset, DrawSampler(dataset, seed=4), 2, 0, 6)
    for name, values in plain.items():
        assert torch.equal(values, other[name])
        assert torch.equal(values[8:], tail[name])
    assert not torch.equal(plain['mask_bbox'], another_seed['mask_bbox'])


def test_training_sees_each_picture_once_a_pass_in_changing_order(pictures):
    sampler = iter(DrawSampler(ImageDataset(PIPELINE, data_root=str(pictures)), seed=0))
    draws = [next(sampler) for _ in range(50)]
    passes = np.array([index for index, _ in draws]).reshape(10, 5)
    assert (np.sort(passes) == np.arange(5)).all()
    assert len({tuple(order) for order in passes}) > 5
    assert [seed for _, seed in draws] == [(0, draw) for draw in range(50)]


@pytest.mark.parametrize('size', [*range(1, 40), 1000])
def test_what_is_shuffled_is_all_of_a_range(size):
    assert sorted(shuffled(i, size, 'a') for i in range(size)) == list(range(size))


def test_every_order_of_a_few_comes_as_often_and_no_neighbours_of_many_stay():
    orders = Counter(tuple(shuffled(i, 4, f'0 {n}') for i in range(4)) for n in range(4800))
    assert len(orders) == 24
    # Chi squared with 23 degrees of freedom is below 49.7 with a probability of 0.999.
    assert sum((count - 200) ** 2 / 200 for count in orders.values()) < 49.7
    drawn = [shuffled(i, 8_097_967, '0 0') for i in range(4000)]
    for values in (drawn, [b - a for a, b in pairwise(drawn)]):
        counts = np.bincount(np.array(values) % 8_097_967 * 16 // 8_097_967)
        expected = len(values) / 16
        assert ((counts - expected) ** 2 / expected).sum() < 37.7  # of 15 degrees of freedom


def test_a_draw_from_very_many_pictures_needs_no_list_of_them():
    size = 10**15
    sampler = DrawSampler(range(size), seed=0)
    sampler.start = 7 * size + size // 3
    draws = [draw for draw, _ in zip(sampler, range(100))]
    indices = {index for index, _ in draws}
    assert len(indices) == 100
    assert 0 <= min(indices) < size // 10 and size - size // 10 < max(indices) < size
    assert [seed for _, seed in draws] == [(0, sampler.start + i) for i in range(100)]


def test_processes_share_the_draws_between_them(pictures, monkeypatch):
    dataset = ImageDataset(PIPELINE, data_root=str(pictures))
    whole = iter(DrawSampler(dataset, seed=0))
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(
            'mmedit_gl.datasets.samplers.get_dist_info', lambda rank=rank: (rank, 2)
        )
        parts.append(iter(DrawSampler(dataset, seed=0)))
    for _ in range(12):
        assert [next(whole), next(whole)] == [next(parts[0]), next(parts[1])]


def test_evaluation_sees_every_picture_once_with_its_own_seed(pictures):
    dataset = ImageDataset(PIPELINE, data_root=str(pictures), test_mode=True)
    sampler = EvaluationSampler(dataset, seed=5)
    assert list(sampler) == [(i, (5, i)) for i in range(5)]
    assert len(sampler) == 5


@pytest.mark.parametrize(('size', 'world_size'), [(5, 2), (6, 3), (2, 5), (1, 4), (9, 1)])
def test_processes_evaluate_the_same_number_of_pictures(size, world_size, monkeypatch):
    for rank in range(world_size):
        for module in ('mmedit_gl.datasets.samplers', 'mmengine.dataset.sampler'):
            monkeypatch.setattr(f'{module}.get_dist_info', lambda rank=rank: (rank, world_size))
        sampler = EvaluationSampler(range(size), seed=0)
        expected = DefaultSampler(range(size), shuffle=False)
        assert [index for index, _ in sampler] == list(expected)
        assert len(sampler) == len(expected)


def test_demo_photographs_for_training_and_validation_are_different_ones():
    train, val = (DemoPhotos(PIPELINE[1:], split=split) for split in ('train', 'val'))
    assert not set(stems(train)) & set(stems(val))
    assert {name.startswith('motorcycle') for name in stems(val)} == {False}
    assert train[0]['gt_img'].shape == (32, 32, 3)
    repeated = DemoPhotos(PIPELINE[1:], split='val', repeats=3)
    assert stems(repeated) == [name for name in stems(val) for _ in range(3)]
    assert not torch.equal(repeated[0]['mask_bbox'], repeated[1]['mask_bbox'])
    tests = set(stems(DemoPhotos(PIPELINE[1:], split='test')))
    assert set(stems(val)) < tests and len(tests) == 5
    with pytest.raises(UserError, match=r"expected split in .*, got 'all'"):
        DemoPhotos(PIPELINE[1:], split='all')
    with pytest.raises(UserError, match='repeats: expected a whole number of at least 1, got 0'):
        DemoPhotos(PIPELINE[1:], split='val', repeats=0)


def test_pictures_in_memory_are_the_files_shrunk_and_read_once(pictures):
    from_files = ImageDataset(PIPELINE, data_root=str(pictures))
    expected = [
        cv2.resize(img, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)
        for img in map(read_image, (info['img_path'] for info in infos(from_files)))
    ]
    in_memory = ImageDataset(PIPELINE[1:], data_root=str(pictures), in_memory=36)
    shutil.rmtree(pictures)
    assert len(in_memory) == 5
    for info, img in zip(infos(in_memory), expected):
        assert np.array_equal(info['gt_img'], img)
    assert in_memory[0]['gt_img'].shape == (32, 32, 3)


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


@pytest.mark.parametrize('in_memory', [None, 36])
def test_another_process_gets_the_same_data_set(pictures, in_memory):
    pipeline = PIPELINE if in_memory is None else PIPELINE[1:]
    dataset = ImageDataset(pipeline, data_root=str(pictures), in_memory=in_memory)
    copy = pickle.loads(pickle.dumps(dataset))
    for i in range(5):
        for name in ('gt_img', 'mask', 'mask_bbox'):
            assert torch.equal(copy[i, (0, 7)][name], dataset[i, (0, 7)][name])


def test_what_a_pipeline_does_to_a_picture_in_memory_stays_in_its_sample(pictures):
    dataset = ImageDataset([], data_root=str(pictures), in_memory=36)
    expected = dataset[0]['gt_img'].copy()
    dataset[0]['gt_img'][:] = 0
    assert expected.any()
    assert np.array_equal(dataset[0]['gt_img'], expected)


def test_demo_without_scikit_image_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'skimage.data', None)
    with pytest.raises(UserError, match=r'pip install "mmedit_gl\[demo\]"'):
        DemoPhotos(PIPELINE[1:], split='train')


def test_pictures_are_found_through_a_link(pictures, tmp_path_factory):
    root = tmp_path_factory.mktemp('linked')
    (root / 'data').symlink_to(pictures)
    assert len(ImageDataset(PIPELINE, data_root=str(root / 'data'))) == 5
    shutil.rmtree(pictures / 'sub1')
    assert len(ImageDataset(PIPELINE, data_root=str(root / 'data'))) == 3


def test_data_sets_are_joined_and_repeated_with_the_seed_of_each_draw(pictures):
    def part(number):
        folder = dict(data_prefix=dict(img=f'sub{number}'))
        return dict(type='ImageDataset', data_root=str(pictures), pipeline=PIPELINE, **folder)

    whole = ConcatDataset([part(0), dict(type='RepeatDataset', dataset=part(1), times=2)])
    parts = [DATASETS.build(part(i)) for i in (0, 1)]
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 0), (1, 1)]
    assert len(whole) == 7
    for index, (number, place) in enumerate(places):
        for item, seed in ((index, (0, index)), ((index, (4, 9)), (4, 9))):
            found, expected = whole[item], parts[number][place, seed]
            assert found['img_path'] == expected['img_path']
            assert torch.equal(found['gt_img'], expected['gt_img'])
            assert found['mask_bbox'].tolist() == expected['mask_bbox'].tolist()
    assert not torch.equal(whole[3]['gt_img'], whole[5]['gt_img'])  # another crop
    with pytest.raises(IndexError):
        whole[7]


def test_joined_data_sets_are_strict_together(pictures):
    part = dict(type='ImageDataset', data_root=str(pictures), pipeline=PIPELINE)
    repeated = dict(type='RepeatDataset', dataset=part, times=3)
    whole = ConcatDataset([dict(part, test_mode=True), repeated])
    assert whole.test_mode is False
    (pictures / 'sub0/0.PNG').write_bytes(b'GIF89a')
    assert 'cannot read' in whole[5]['skipped']
    whole.test_mode = True
    assert whole.test_mode is True
    with pytest.raises(ImageError, match='cannot read'):
        whole[5]


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: ConcatDataset([]), r'expected a list of dicts as datasets, got \[\]'),
        (lambda: ConcatDataset(['a']), 'expected a list of dicts as datasets'),
        (lambda: RepeatDataset({}, 0), 'RepeatDataset: times: expected a whole number of at least'),
    ],
)
def test_joined_data_sets_without_sense_are_refused(build, message):
    with pytest.raises(UserError, match=message):
        build()
