import json

import numpy as np
import pytest
import torch
from conftest import random_image

from mmedit_gl.datasets import bbox2mask
from mmedit_gl.evaluation import metrics_table, read_metrics, save_metrics, strip

METRICS = {'l1': 11.1644, 'psnr': 23.1516, 'ssim': 0.86249, 'num_images': 36500}
BASELINES = {'mean/l1': 20.0, 'mean/psnr': 18.5, 'mean/ssim': 0.8, 'telea/l1': 13.25} | {
    'telea/psnr': 21.125,
    'telea/ssim': 0.8125,
}


def refuse_constant(name):
    raise ValueError(f'{name} is no JSON')


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


def test_table_has_units_a_row_for_each_fill_and_the_number_of_images():
    header, *rows, last = metrics_table(METRICS | BASELINES).splitlines()
    assert header.split('  ')[-1].strip() == 'SSIM'
    assert [title in header for title in ('l1 in the hole (%)', 'PSNR (dB)')] == [True, True]
    assert [row.split() for row in rows] == [
        ['model', '11.164', '23.152', '0.862'],
        ['mean', '20.000', '18.500', '0.800'],
        ['telea', '13.250', '21.125', '0.812'],
    ]
    assert last == '36500 images'
    assert {len(line) for line in (header, *rows)} == {len(header)}  # columns are aligned


def test_table_without_fills_has_the_model_alone():
    lines = metrics_table(METRICS).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ['model', '36500']


def test_metrics_are_read_back_as_they_were_saved(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'metrics.json'
    save_metrics(METRICS | BASELINES, path)
    assert read_metrics(path) == METRICS | BASELINES
    assert json.loads(path.read_text(encoding='utf-8')) == METRICS | BASELINES
    assert [p.name for p in path.parent.iterdir()] == ['metrics.json']


def test_saving_again_replaces_the_file(tmp_path):
    path = tmp_path / 'metrics.json'
    save_metrics(METRICS | BASELINES, str(path))
    save_metrics(METRICS, str(path))
    assert read_metrics(str(path)) == METRICS
    assert [p.name for p in tmp_path.iterdir()] == ['metrics.json']


def test_an_infinite_psnr_is_valid_json_and_read_back(tmp_path):
    path = tmp_path / 'metrics.json'
    save_metrics(METRICS | dict(psnr=float('inf')), path)
    values = json.loads(path.read_text(), parse_constant=refuse_constant)
    assert values == read_metrics(path) == METRICS | dict(psnr=float('inf'))


def test_metrics_that_cannot_be_written_leave_the_folder_as_it_was(tmp_path):
    path = tmp_path / 'metrics.json'
    with pytest.raises(TypeError, match='not JSON serializable'):
        save_metrics(dict(l1=torch.ones(2)), path)
    assert list(tmp_path.iterdir()) == []
    save_metrics(METRICS, path)
    with pytest.raises(TypeError, match='not JSON serializable'):
        save_metrics(dict(l1=torch.ones(2)), path)
    assert read_metrics(path) == METRICS
    assert [p.name for p in tmp_path.iterdir()] == ['metrics.json']
