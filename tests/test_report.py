import json
import math

import numpy as np
import pytest
import torch
from conftest import random_image

from mmedit_gl.datasets import bbox2mask
from mmedit_gl.errors import UserError
from mmedit_gl.evaluation import (
    comparison_table,
    evaluation,
    metrics_table,
    read_evaluation,
    save_json,
    strip,
    summarize,
)

METRICS = {'l1': 11.1644, 'l1_image': 2.5, 'psnr': 23.1516, 'ssim': 0.86249, 'num_images': 36500}
BASELINES = {
    'mean/l1': 20.0,
    'mean/l1_image': 4.0,
    'mean/psnr': 18.5,
    'mean/ssim': 0.8,
    'telea/l1': 13.25,
    'telea/l1_image': 3.0,
    'telea/psnr': 21.125,
    'telea/ssim': 0.8125,
}


ONE_IMAGE = '"images": [{"index": 0, "draw": 0, "crc32": 1}]'


def refuse_constant(name):
    raise ValueError(f'{name} is no JSON')


def picture(number: int, **scores) -> dict:
    return dict(
        img_path=f'{number}.png', mask_bbox=(1, 2, 3, 4), hole=0.25, crc32=number, scores=scores
    )


def found(values: dict[str, list[list[float]]]) -> dict:
    """An evaluation of PSNR by method, draw and picture."""
    draws = []
    for scores in zip(*values.values()):
        pictures = [
            picture(100 * len(draws) + i, **{m: dict(psnr=v) for m, v in zip(values, of_picture)})
            for i, of_picture in enumerate(zip(*scores))
        ]
        flat = {
            'psnr' if method == 'model' else f'{method}/psnr': sum(v) / len(v)
            for method, v in zip(values, scores)
        }
        draws.append(({**flat, 'num_images': len(pictures)}, pictures))
    return evaluation(dict(seed=0), draws)


def test_strip_shows_original_masked_and_completed_with_white_between():
    gt_img, fake_img = random_image(1, 24, 40), random_image(2, 24, 40)
    mask = bbox2mask((24, 40), (5, 10, 8, 16))
    picture = strip(
        dict(
            gt_img=torch.from_numpy(gt_img).permute(2, 0, 1),
            fake_img=torch.from_numpy(fake_img).permute(2, 0, 1),
            mask=torch.from_numpy(mask)[None],
        )
    )
    assert (picture.shape, picture.dtype) == ((24, 3 * 40 + 8, 3), np.uint8)
    masked_img = gt_img.copy()
    masked_img[5:13, 10:26] = 255
    assert np.array_equal(picture[:, :40], gt_img)
    assert (picture[:, 40:44] == 255).all()
    assert np.array_equal(picture[:, 44:84], masked_img)
    assert (picture[:, 84:88] == 255).all()
    assert np.array_equal(picture[:, 88:], fake_img)


def test_table_has_units_a_row_for_each_method_and_the_number_of_images():
    table = metrics_table(summarize([METRICS | BASELINES]), 36500)
    header, *rows, last = table.splitlines()
    titles = ['l1 in the hole (%)', 'l1 (%)', 'PSNR (dB)', 'SSIM']
    assert [title.strip() for title in header.split('   ') if title.strip()] == titles
    assert [row.split() for row in rows] == [
        ['model', '11.164', '2.500', '23.152', '0.862'],
        ['mean', '20.000', '4.000', '18.500', '0.800'],
        ['telea', '13.250', '3.000', '21.125', '0.812'],
    ]
    assert last == '36500 images'
    assert {len(line) for line in (header, *rows)} == {len(header)}  # columns are aligned


def test_several_draws_give_their_mean_and_its_standard_error():
    summary = summarize(
        [dict(l1=1.0, psnr=20.0), dict(l1=2.0, psnr=math.inf), dict(l1=6.0, psnr=26.0)]
    )
    assert summary['model']['l1'] == dict(mean=3.0, standard_error=math.sqrt(7 / 3))
    assert summary['model']['psnr'] == pytest.approx(dict(mean=23.0, standard_error=3.0))
    table = metrics_table(summary, 2, draws=3)
    assert table.splitlines()[-1] == '2 images, 3 draws of each'
    assert metrics_table(summary, 1).splitlines()[-1] == '1 image'
    (row,) = [line for line in table.splitlines() if 'model' in line]
    assert row.split() == ['model', '3.000', '±', '1.528', '23.000', '±', '3.000']


def test_table_says_how_many_pictures_are_identical_to_their_originals():
    draws = [dict(psnr=20.0, num_identical=2), dict(psnr=20.0)]
    table = metrics_table(summarize(draws), 9)
    assert table.splitlines()[-1] == 'model: 2 identical to the original, left out of PSNR'
    table = metrics_table(summarize([dict(psnr=math.inf, num_identical=9)]), 9)
    assert table.splitlines()[1].split() == ['model', '-']


def test_evaluation_has_every_draw_picture_and_method_in_order():
    values = dict(model=[[20.0, 22.0], [math.inf, 24.0]], telea=[[18.0, 19.0], [17.0, 16.0]])
    content = found(values)
    assert content['methods'] == dict(
        model=dict(psnr=[20.0, 22.0, None, 24.0]), telea=dict(psnr=[18.0, 19.0, 17.0, 16.0])
    )
    keys = [(i['index'], i['draw'], i['img_path']) for i in content['images']]
    assert keys == [(0, 0, '0.png'), (1, 0, '1.png'), (0, 1, '100.png'), (1, 1, '101.png')]
    assert content['summary']['telea']['psnr']['mean'] == 17.5


def test_comparison_pairs_pictures_and_takes_the_mean_over_their_draws_first():
    one = found(dict(model=[[20.0, 30.0, 25.0], [22.0, 30.0, 27.0]]))
    other = found(dict(model=[[21.0, 32.0, 28.0], [25.0, 32.0, 30.0]]))
    table = comparison_table({'a.json': one, 'b.json': other})
    header, first, second, difference, last = table.splitlines()
    assert header.split() == ['PSNR', '(dB)']
    assert first.split() == ['a.json:', 'model', '25.667']
    assert second.split() == ['b.json:', 'model', '28.000']
    # By picture 2, 2 and 3 more.
    assert difference.split() == ['difference', '+2.333', '±', '0.333']
    assert last == '3 images, 2 draws of each'


def test_comparison_leaves_out_pairs_with_a_picture_identical_to_its_original():
    one = found(dict(model=[[20.0, math.inf, 25.0]], telea=[[21.0, 22.0, 27.0]]))
    lines = comparison_table({'a.json': one}).splitlines()
    assert lines[3].split() == ['difference', '+1.500', '±', '0.500']
    one = found(dict(model=[[20.0]], telea=[[math.inf]]))
    lines = comparison_table({'a.json': one}).splitlines()
    assert lines[2].split() == ['a.json:', 'telea', '-']
    assert lines[3].split() == ['difference', '-']


def test_evaluations_of_other_holes_are_not_compared():
    one, other = (found(dict(model=[[20.0, 30.0]])) for _ in range(2))
    other['images'][1]['crc32'] += 1
    with pytest.raises(UserError, match=r'^a and b were not measured on the same pictures'):
        comparison_table(dict(a=one, b=other))
    with pytest.raises(UserError, match='expected the same test set, seed and draws'):
        comparison_table(dict(a=one, b=found(dict(model=[[20.0]]))))


def test_an_evaluation_is_read_back_as_it_was_saved(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'found.json'
    content = found(dict(model=[[20.0, math.inf]], telea=[[18.0, 19.0]]))
    save_json(content, path)
    assert read_evaluation(path) == json.loads(json.dumps(content))
    assert [p.name for p in path.parent.iterdir()] == ['found.json']


def test_an_evaluation_that_an_editor_saved_is_read(tmp_path):
    content = found(dict(model=[[20.0]]))
    save_json(content, path := tmp_path / 'metrics.json')
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert read_evaluation(path) == json.loads(json.dumps(content))


def test_json_has_a_line_for_each_key(tmp_path):
    save_json(METRICS, tmp_path / 'metrics.json')
    text = (tmp_path / 'metrics.json').read_text(encoding='utf-8')
    assert json.loads(text) == METRICS
    assert text.splitlines()[1:3] == [' "l1": 11.1644,', ' "l1_image": 2.5,']


def test_saving_again_replaces_the_file(tmp_path):
    path = tmp_path / 'metrics.json'
    save_json(METRICS | BASELINES, str(path))
    save_json(METRICS, str(path))
    assert json.loads(path.read_text()) == METRICS
    assert [p.name for p in tmp_path.iterdir()] == ['metrics.json']


def test_an_infinite_psnr_is_valid_json_and_read_back(tmp_path):
    path = tmp_path / 'metrics.json'
    save_json(METRICS | dict(psnr=float('inf')), path)
    values = json.loads(path.read_text(), parse_constant=refuse_constant)
    assert values == METRICS | dict(psnr=float('inf'))


def test_metrics_that_cannot_be_written_leave_the_folder_as_it_was(tmp_path):
    path = tmp_path / 'metrics.json'
    with pytest.raises(TypeError, match='not JSON serializable'):
        save_json(dict(l1=torch.ones(2)), path)
    assert list(tmp_path.iterdir()) == []
    save_json(METRICS, path)
    with pytest.raises(TypeError, match='not JSON serializable'):
        save_json(dict(l1=torch.ones(2)), path)
    assert json.loads(path.read_text()) == METRICS
    assert [p.name for p in tmp_path.iterdir()] == ['metrics.json']
    with pytest.raises(UserError, match=f'^cannot make the folder {path}: '):
        save_json(METRICS, path / 'x.json')
    (tmp_path / 'folder.json').mkdir()
    with pytest.raises(UserError, match=f'^cannot write {tmp_path}/folder.json: Is a directory$'):
        save_json(METRICS, tmp_path / 'folder.json')
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, 'No such file'),
        ('not JSON', 'is not what tools/test.py --out writes'),
        ('[1, 2]', 'is not what tools/test.py --out writes'),
        ('{"l1": 3, "num_images": 2}', 'is not what tools/test.py --out writes'),
        ('{"images": [{}], "methods": {"m": {"l1": [1]}}}', 'is not what'),
        (f'{{{ONE_IMAGE}, "methods": {{"m": {{"l1": [1, 2]}}}}}}', 'is not what'),
        (f'{{{ONE_IMAGE}, "methods": {{"m": {{"l1": ["1"]}}}}}}', 'is not what'),
        (f'{{{ONE_IMAGE}, "methods": {{"m": [1]}}}}', 'is not what'),
    ],
)
def test_what_is_no_evaluation_is_refused(tmp_path, text, message):
    path = tmp_path / 'found.json'
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_evaluation(path)
