"""The page of an evaluation says what its results say, and needs nothing beside itself."""

import base64
import io
import re
import xml.etree.ElementTree as ET
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from conftest import random_image
from PIL import Image

from mmedit_gl.datasets import read_image
from mmedit_gl.errors import UserError
from mmedit_gl.evaluation import BASELINES
from mmedit_gl.evaluation.html_report import shown, write_report

RANGES = dict(l1=(1, 30), l1_image=(0.1, 5), psnr=(12, 45), ssim=(0.5, 1))
TITLES = ['l1 in the hole (%)', 'l1 (%)', 'PSNR (dB)', 'SSIM']
HOSTILE = """<script>alert(1)</script>"><img src=x onerror="alert('2')">&amp;{}</style></pre>"""


def evaluation(number, methods=('model', 'mean', 'telea'), seed=0, **about):
    """Random results for `number` pictures, and what `write_report` is to show of them."""
    rng = np.random.default_rng(seed)
    scores = {
        name: {metric: rng.uniform(*ends, number).tolist() for metric, ends in RANGES.items()}
        for name in methods
    }
    images = [
        dict(index=i, draw=0, img_path=f'a/{i}.jpg', mask_bbox=[1, 2, 3, 4], hole=rng.uniform())
        for i in range(number)
    ]
    about = dict(config='gl', checkpoint='a.pth', sha256=8 * '0123abcd', seed=7, draws=1) | about
    results = dict(
        about=dict(version='0.1.0', options='a = 1\n') | about,
        images=images,
        methods=scores,
        summary={name: dict(summary(metrics), num_identical=0) for name, metrics in scores.items()},
    )
    pictures = {
        i: {
            name: random_image(100 * i + j, 24, 40)
            for j, name in enumerate(['original', 'masked', *methods])
        }
        for i in chain(*shown(results).values())
    }
    return results, pictures


def summary(metrics):
    values = {name: np.array(metric) for name, metric in metrics.items()}
    return {
        name: dict(mean=v.mean(), standard_error=v.std(ddof=1) / np.sqrt(len(v)))
        for name, v in values.items()
        if len(v) > 1
    } or {name: dict(mean=v.mean(), standard_error=None) for name, v in values.items()}


@pytest.fixture
def write(tmp_path):
    """The page, read as XML, which is stricter than HTML."""

    def run(results, pictures):
        path = write_report(tmp_path / 'report', results, pictures)
        assert [p.name for p in path.parent.iterdir()] == ['report.html']
        return parse(path)

    return run


def parse(path):
    doctype, page = path.read_text(encoding='utf-8').split('\n', 1)
    assert doctype == '<!DOCTYPE html>'
    return ET.fromstring(page)


def text(element):
    return ''.join(element.itertext())


def table(element):
    return [[text(cell) for cell in row] for row in element.iter('tr')]


def bold(element):
    return [[cell.get('class') == 'best' for cell in row] for row in element.iter('tr')]


def plots(page):
    """The plots by their titles."""
    return {
        text(f.find('figcaption')): f.find('svg') for f in page.findall('.//*[@class="plots"]/*')
    }


def x_axis(svg):
    """From a place on the plot's horizontal axis to its value, by the outermost labels."""
    labels = [t for t in svg.findall('text') if 'middle' in t.get('style')]
    (x0, v0), *_, (x1, v1) = [(float(t.get('x')), float(t.text)) for t in labels]
    values = [float(t.text) for t in labels]
    assert np.allclose(np.diff(values), values[1] - values[0])
    return lambda x: v0 + (x - x0) / (x1 - x0) * (v1 - v0)


def y_axis(svg):
    labels = [t for t in svg.findall('text') if 'end' in t.get('style')]
    (y0, v0), *_, (y1, v1) = [(float(t.get('y')), float(t.text)) for t in labels]
    return lambda y: v0 + (y + 4 - y0) / (y1 - y0) * (v1 - v0)  # half a letter above the line


def test_scores_have_their_units_errors_directions_and_the_best_in_bold(write):
    results, pictures = evaluation(9)
    page = write(results, pictures)
    scores = page.find('.//*[@class="scores"]/table')
    header, *rows = table(scores)
    assert header == ['', 'l1 in the hole (%) ↓', 'l1 (%) ↓', 'PSNR (dB) ↑', 'SSIM ↑']
    means = {name: [np.mean(v) for v in m.values()] for name, m in results['methods'].items()}
    errors = {
        name: [np.std(v) / np.sqrt(8) for v in m.values()] for name, m in results['methods'].items()
    }
    assert rows == [
        [name, *(f'{m:.3f} ± {e:.3f}' for m, e in zip(means[name], errors[name]))]
        for name in ('model', 'mean', 'telea')
    ]
    columns = np.array(list(means.values()))
    expected = columns == [*columns.min(0)[:2], *columns.max(0)[2:]]
    assert [row[1:] for row in bold(scores)[1:]] == expected.tolist()


def test_what_was_evaluated_is_told_at_the_top(write):
    results, pictures = evaluation(4)
    for image, index, draw, hole in zip(
        results['images'], (0, 0, 1, 1), (0, 1, 0, 1), (0.1, 0.2, 0.3, 0.2)
    ):
        image.update(index=index, draw=draw, hole=hole)
    results['about']['draws'] = 2
    page = write(results, pictures)
    assert text(page.find('.//h1')) == 'Evaluation of gl'
    terms = page.find('.//dl')
    facts = dict(zip(*([text(e) for e in terms.findall(tag)] for tag in ('dt', 'dd'))))
    assert facts == {
        'checkpoint': 'a.pth',
        'SHA-256': 8 * '0123abcd',
        'pictures': '2',
        'draws of each': '2',
        'hole': '20.0 % of a picture (10.0 to 30.0)',
        'seed': '7',
        'mmedit_gl': '0.1.0',
    }
    assert text(page.find('.//details/pre')) == 'a = 1\n'
    titles = [text(h) for h in page.iter('h4')]
    for position in chain(*shown(results).values()):
        image = results['images'][position]
        share = f'{100 * image["hole"]:.1f}'
        assert titles.pop(0) == f'{image["img_path"]} · hole {share} % · draw {image["draw"]}'


@pytest.mark.parametrize('number', [*range(1, 14), 30])
def test_best_median_and_worst_are_those_of_a_plain_sort(number):
    results, _ = evaluation(number, seed=number)
    values = results['methods']['model']['l1']
    ranks = {
        group: [sorted(values).index(values[i]) for i in p] for group, p in shown(results).items()
    }
    size = max(1, min(4, number // 3))
    assert ranks['best'] == list(range(size))
    assert ranks['worst'] == list(range(number - 1, max(0, number - 1 - size), -1))
    left = [rank for rank in range(number) if rank not in ranks['best'] + ranks['worst']]
    assert len(ranks['median']) == min(size, len(left))
    first = left.index(ranks['median'][0]) if left else 0
    assert ranks['median'] == left[first : first + size]
    assert len(left) - len(ranks['median']) - 2 * first in (0, 1)
    assert shown(results, count=1)['best'] == [int(np.argmin(values))]


def test_completions_stand_in_their_order_with_their_numbers_and_every_pixel(write):
    results, pictures = evaluation(12)
    page = write(results, pictures)
    groups = shown(results)
    assert [section.get('id') for section in page.iter('section')] == list(groups)
    for group, positions in groups.items():
        strips = page.findall(f'.//section[@id="{group}"]/article')
        assert len(strips) == len(positions) == 4
        for position, strip in zip(positions, strips):
            figures = list(strip.iter('figure'))
            assert [f.find('img').get('alt') for f in figures] == list(pictures[position])
            for figure, (name, picture) in zip(figures, pictures[position].items()):
                head, content = figure.find('img').get('src').split(',')
                assert head == 'data:image/webp;base64'
                with Image.open(io.BytesIO(base64.b64decode(content))) as img:
                    assert np.array_equal(np.asarray(img.convert('RGB'))[..., ::-1], picture)
                scores = results['methods'].get(name, {})
                values = [f'{scores[metric][position]:.3f}' for metric in scores]
                assert table(figure) == [list(row) for row in zip(TITLES, values)]
                for metric, (_, best) in zip(scores, bold(figure)):
                    every = [m[metric][position] for m in results['methods'].values()]
                    extreme = max(every) if metric in ('psnr', 'ssim') else min(every)
                    assert best == (scores[metric][position] == extreme)


def test_histograms_count_every_picture_on_the_axis_they_show(write):
    results, pictures = evaluation(200)
    page = write(results, pictures)
    for title, metric in zip(['l1 in the hole (%) ↓', 'l1 (%) ↓', 'PSNR (dB) ↑', 'SSIM ↑'], RANGES):
        svg = plots(page)[title]
        value = x_axis(svg)
        rows = svg.findall('g')
        medians = [p for p in svg.findall('path') if p.get('class') is None]
        names = [t.text for t in svg.findall('text') if t.text in results['methods']]
        assert names == list(results['methods'])
        areas = []
        for row, median, name in zip(rows, medians, names):
            values = np.array(results['methods'][name][metric])
            left = np.array([float(r.get('x')) for r in row])
            right = left + [float(r.get('width')) for r in row]
            counts = [int(r.find('title').text.split(': ')[1]) for r in row]
            tolerance = 0.1 * (value(1) - value(0))  # places are rounded to a tenth
            inside = [
                [
                    ((value(a) + s <= values) & (values < value(b) - s)).sum()
                    for a, b in zip(left, right)
                ]
                for s in (tolerance, -tolerance)
            ]
            assert (np.array(inside[0]) <= counts).all()
            assert (counts <= np.array(inside[1])).all()
            assert sum(counts) == 200
            assert abs(value(float(median.get('d')[1:].split()[0])) - np.median(values)) < tolerance
            areas += [float(r.get('height')) / c for r, c in zip(row, counts)]
        assert np.allclose(areas, areas[0], atol=0.06)  # one scale for all rows


def test_points_and_means_show_l1_against_the_hole(write):
    results, pictures = evaluation(64)
    svg = plots(write(results, pictures))['l1 in the hole (%) against the hole (% of the picture)']
    hole, l1 = x_axis(svg), y_axis(svg)
    holes = np.array([100 * image['hole'] for image in results['images']])
    order = np.argsort(holes).reshape(8, 8)
    for curve, scores in zip(svg.findall('g'), results['methods'].values()):
        points = re.findall(r'M(\S+) (\S+)h0', curve.find('path').get('d'))
        points = np.array(points, float).T
        assert np.allclose(hole(points[0]), holes, atol=0.05)
        assert np.allclose(l1(points[1]), scores['l1'], atol=0.05)
        means = curve.find('polyline').get('points').split()
        means = np.array([point.split(',') for point in means], float).T
        assert np.allclose(hole(means[0]), holes[order].mean(axis=1), atol=0.05)
        assert np.allclose(l1(means[1]), np.array(scores['l1'])[order].mean(axis=1), atol=0.05)


def test_holes_of_one_size_are_not_drawn_against(write):
    results, pictures = evaluation(20)
    for image in results['images']:
        image['hole'] = 0.25
    assert len(plots(write(results, pictures))) == 4


def test_many_pictures_make_no_large_page(tmp_path):
    results, _ = evaluation(20000)
    path = write_report(tmp_path, results, {})
    assert path.stat().st_size < 150_000


def test_twelve_strips_of_four_methods_stay_below_ten_megabytes(tmp_path):
    results, pictures = evaluation(3, methods=('model', 'mean', 'telea', 'another'))
    folder = Path(skimage.data.__file__).parent
    for i, name in zip(pictures, ('astronaut.png', 'chelsea.png', 'coffee.png')):
        photo = read_image(str(folder / name))[20:276, 40:296]
        mask = np.zeros((256, 256), np.uint8)
        mask[70:198, 60:188] = 1
        filled = BASELINES['telea'](photo, mask)
        pictures[i] = dict.fromkeys(('model', 'mean', 'telea', 'another'), filled)
        pictures[i] = dict(original=photo, masked=BASELINES['mean'](photo, mask)) | pictures[i]
    path = write_report(tmp_path, results, pictures)
    assert path.stat().st_size < 10e6 * 3 / 12


def test_one_picture_makes_a_page(write):
    results, pictures = evaluation(1)
    page = write(results, pictures)
    assert [section.get('id') for section in page.iter('section')] == ['best']
    _, first, *_ = table(page.find('.//*[@class="scores"]/table'))
    assert first == ['model', *(f'{v[0]:.3f}' for v in results['methods']['model'].values())]
    assert [len(svg.findall('.//rect')) for svg in plots(page).values()] == [3] * 4


def test_a_picture_completed_exactly_has_an_infinite_psnr_and_is_counted(write):
    results, pictures = evaluation(9)
    best = shown(results)['best'][0]
    scores = results['methods']['telea']
    scores['psnr'][best], scores['ssim'][best], scores['l1'][best] = None, 1.0, 0.0
    results['summary']['telea']['num_identical'] = 1
    page = write(results, pictures)
    header, *rows = table(page.find('.//*[@class="scores"]/table'))
    assert header[-1] == 'identical pictures'
    assert [row[-1] for row in rows] == ['0', '0', '1']
    figure = page.findall('.//section[@id="best"]/article')[0].findall('.//figure')[-1]
    assert table(figure)[2] == ['PSNR (dB)', '∞']
    assert [row[1] for row in bold(figure)] == [
        True,
        scores['l1_image'][best]
        < min(results['methods'][name]['l1_image'][best] for name in ('model', 'mean')),
        True,
        True,
    ]
    labels = [t.text for t in plots(page)['PSNR (dB) ↑'].findall('text')]
    assert 'telea, 1 identical' in labels


def test_pictures_all_completed_exactly_make_a_page(write):
    results, pictures = evaluation(3, methods=('model',))
    results['methods']['model'] = dict(l1=[0.0] * 3, psnr=[None] * 3, ssim=[1.0] * 3)
    score = dict(mean=0.0, standard_error=0.0)
    results['summary']['model'] = dict(l1=score, psnr=dict(mean=None, standard_error=None))
    results['summary']['model']['num_identical'] = 3
    page = write(results, pictures)
    assert table(page.find('.//*[@class="scores"]/table'))[1] == [
        'model',
        '0.000 ± 0.000',
        '∞',
        '3',
    ]
    assert [title[:4] for title in plots(page)] == ['l1 i', 'SSIM', 'l1 i']


def test_metrics_that_only_some_have_leave_their_cells_empty(write):
    results, pictures = evaluation(6, methods=('mean', 'telea'))  # and no model
    results['summary']['telea']['fid'] = dict(mean=12.5, standard_error=None)
    results['methods']['telea']['lpips'] = [0.25] * 6
    results['summary']['telea']['lpips'] = dict(mean=0.25, standard_error=0.0)
    page = write(results, pictures)
    rows = table(page.find('.//*[@class="scores"]/table'))
    assert [row[-2:] for row in rows] == [
        ['LPIPS ↓', 'FID ↓'],
        ['', ''],
        ['0.250 ± 0.000', '12.500'],
    ]
    svg = plots(page)['LPIPS ↓']
    (telea,) = svg.findall('g')
    assert telea.get('fill') == plots(page)['SSIM ↑'].findall('g')[1].get('fill')
    strip = page.find('.//section[@id="best"]/article')
    assert [len(table(figure)) for figure in strip.iter('figure')] == [0, 0, 4, 5]
    assert 'Ranked by l1 in the hole of mean.' in text(page)


def hostile_evaluation():
    results, pictures = evaluation(3, config=HOSTILE, checkpoint=HOSTILE, options=HOSTILE)
    results['images'][0]['img_path'] = HOSTILE
    results['images'][1]['img_path'] = 400 * 'W' + '\udcff'  # a byte that is no UTF-8
    for part in ('methods', 'summary'):
        results[part] = {HOSTILE: results[part].pop('model'), **results[part]}
    for position, by_name in pictures.items():
        pictures[position] = {HOSTILE: by_name.pop('model'), **by_name}
    return results, pictures


def test_names_and_configurations_are_text_whatever_they_hold(write):
    results, pictures = hostile_evaluation()
    page = write(results, pictures)
    titles = {text(h).rpartition(' · ')[0] for h in page.iter('h4')}
    assert titles == {HOSTILE, 400 * 'W' + '?', 'a/2.jpg'}
    assert text(page.find('.//details/pre')) == HOSTILE
    assert text(page.find('.//h1')) == text(page.find('.//title')) == f'Evaluation of {HOSTILE}'
    assert {e.tag for e in page.iter()}.isdisjoint({'script', 'iframe', 'object', 'base', 'form'})
    assert not any(name.startswith('on') for e in page.iter() for name in e.attrib)
    assert len(page.findall('.//img')) == 3 * 5


def test_nothing_is_loaded_from_anywhere(write):
    results, pictures = evaluation(5)
    page = write(results, pictures)
    links = [e.get(name) for e in page.iter() for name in ('src', 'href') if e.get(name)]
    assert len(links) == 16
    assert all(link.startswith('data:') for link in links)
    assert not re.search(r'url\(|@import|https?:', ET.tostring(page, encoding='unicode'))
    policy = page.find('.//meta[@http-equiv="Content-Security-Policy"]').get('content')
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_a_page_takes_the_place_of_the_one_before(write):
    write(*evaluation(3))
    page = write(*evaluation(3, config='another'))
    assert text(page.find('.//h1')) == 'Evaluation of another'


def test_a_page_that_cannot_be_written_is_said_in_a_sentence_and_nothing_is_left(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(
        UserError, match=r'cannot make the folder .*: (Not a directory|File exists)'
    ):
        write_report(tmp_path / 'file', *evaluation(3))
    (tmp_path / 'report.html').mkdir()
    with pytest.raises(UserError, match='Is a directory'):
        write_report(tmp_path, *evaluation(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'report.html']


@pytest.mark.parametrize('width', [390, 1280])
@pytest.mark.parametrize('make', [hostile_evaluation, lambda: evaluation(30)])
def test_chromium_shows_all_of_it_without_a_request_or_an_error(browser, tmp_path, width, make):
    path = write_report(tmp_path, *make())
    requests, faults = [], []
    with browser.new_page(viewport=dict(width=width, height=844)) as page:
        page.on('request', lambda request: requests.append(request.url))
        page.on('console', lambda message: faults.append(message.text))
        page.on('pageerror', lambda error: faults.append(str(error)))
        page.on('dialog', lambda dialog: faults.append(dialog.message))
        page.goto(path.as_uri())
        sizes = page.eval_on_selector_all('img', 'all => all.map(e => e.naturalWidth)')
        right = 'all => Math.max(...all.map(e => e.getBoundingClientRect().right))'
        assert page.evaluate('document.documentElement.scrollWidth') == width
        assert page.eval_on_selector_all('img, svg, h4, dd, pre', right) <= width
        if make is not hostile_evaluation:
            assert page.eval_on_selector_all('td', right) <= width
    assert set(sizes) == {40}
    assert faults == []
    assert [url for url in requests if not url.startswith('data:')] == [path.as_uri()]
