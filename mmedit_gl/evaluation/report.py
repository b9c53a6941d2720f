"""Numbers and pictures for people."""

import json
import math
from itertools import chain
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from mmedit_gl.errors import UserError
from mmedit_gl.files import save_text

METRICS = dict(
    l1='l1 in the hole (%)',
    colour='mean colour (%)',
    l1_image='l1 (%)',
    psnr='PSNR (dB)',
    ssim='SSIM',
    lpips='LPIPS',
    fid='FID',
)
HIGHER_IS_BETTER = ('psnr', 'ssim')


def strip(sample: dict) -> np.ndarray:
    """Original | masked | completed, uint8 BGR `(H, 3 * W + 8, 3)`, of a model's prediction."""
    gt_img, fake_img, mask = (
        sample[name].permute(1, 2, 0).cpu().numpy() for name in ('gt_img', 'fake_img', 'mask')
    )
    masked_img = np.where(mask == 1, 255, gt_img).astype(np.uint8)
    gap = np.full((gt_img.shape[0], 4, 3), 255, np.uint8)
    return np.hstack([gt_img, gap, masked_img, gap, fake_img])


def summarize(draws: list[dict[str, float]]) -> dict[str, dict]:
    """What `InpaintingMetrics` gave for one or more draws, by method and metric.

    A metric is a dict of `mean` and `standard_error`, over the draws; the latter is None for one
    draw, and both where every picture is identical to its original and has no PSNR.
    """
    summary = {}
    for key in draws[0]:
        method, _, name = key.rpartition('/')
        if name in METRICS:
            values = [draw[key] for draw in draws if math.isfinite(draw[key])]
            measured = dict(mean=_mean(values), standard_error=_standard_error(values))
            summary.setdefault(method or 'model', {})[name] = measured
    for method, metrics in summary.items():
        key = 'num_identical' if method == 'model' else f'{method}/num_identical'
        metrics['num_identical'] = sum(draw.get(key, 0) for draw in draws)
    return summary


def evaluation(about: dict, draws: list[tuple[dict[str, float], list[dict]]]) -> dict:
    """All that is known of an evaluation, as JSON can hold it.

    `draws` are what `InpaintingMetrics` gave, and its `pictures`. The result has `about`;
    `summary` by method and metric; `images`, what each was; and `methods`, by metric the values of
    all images in that order, a PSNR of None where a picture is identical to its original.
    """
    images, methods = [], {}
    for draw, (_, pictures) in enumerate(draws):
        for index, picture in enumerate(pictures):
            picture = dict(picture)
            for method, scores in picture.pop('scores').items():
                for name, value in scores.items():
                    values = methods.setdefault(method, {}).setdefault(name, [])
                    values.append(value if math.isfinite(value) else None)
            images.append(dict(index=index, draw=draw, **picture))
    summary = summarize([metrics for metrics, _ in draws])
    return dict(about=about, summary=summary, images=images, methods=methods)


def metrics_table(summary: dict[str, dict], num_images: int, draws: int = 1) -> str:
    """A summary with units: a row for each method, and how many pictures it is of."""
    names = [name for name in METRICS if any(name in metrics for metrics in summary.values())]
    rows = [['', *(METRICS[name] for name in names)]]
    for method, metrics in summary.items():
        rows.append([method, *(_cell(**metrics[name]) for name in names)])
    lines = [*_aligned(rows), _count(num_images, draws)]
    for method, metrics in summary.items():
        if count := metrics['num_identical']:
            lines.append(f'{method}: {count} identical to the original, left out of PSNR')
    return '\n'.join(lines)


def comparison_table(evaluations: dict[str, dict]) -> str:
    """Every method of evaluations, by their names, and its difference from the first.

    Differences are paired by picture, a mean over its draws first, and have their standard errors
    over pictures. Raises `UserError` where the pictures, crops or holes are not the same.
    """
    first, *others = evaluations
    for other in others:
        _check_same_holes(first, evaluations[first]['images'], other, evaluations[other]['images'])
    images = evaluations[first]['images']
    scores = {
        f'{name}: {method}': metrics
        for name, found in evaluations.items()
        for method, metrics in found['methods'].items()
    }
    reference = next(iter(scores.values()))
    names = [name for name in METRICS if all(name in metrics for metrics in scores.values())]
    rows = [['', *(METRICS[name] for name in names)]]
    for label, metrics in scores.items():
        rows.append([label, *(_cell(_mean(metrics[name])) for name in names)])
        if metrics is not reference:
            differences = (_paired(images, reference[n], metrics[n]) for n in names)
            rows.append(['  difference', *(_cell(*d, sign='+') for d in differences)])
    counts = (len({image[key] for image in images}) for key in ('index', 'draw'))
    return '\n'.join([*_aligned(rows), _count(*counts)])


def _count(num_images: int, draws: int) -> str:
    images = '1 image' if num_images == 1 else f'{num_images} images'
    return images + (f', {draws} draws of each' if draws > 1 else '')


def _check_same_holes(name: str, images: list[dict], other: str, others: list[dict]) -> None:
    same = [
        [(image['index'], image['draw'], image['crc32']) for image in one]
        for one in (images, others)
    ]
    if same[0] != same[1]:
        raise UserError(
            f'{name} and {other} were not measured on the same pictures, crops and holes: expected '
            'the same test set, seed and draws'
        )


def _standard_error(values: list[float]) -> float | None:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _paired(images: list[dict], values: list, others: list) -> tuple[float | None, float | None]:
    """Mean difference and its standard error over pictures."""
    differences = {}
    for image, value, other in zip(images, values, others):
        if value is not None and other is not None:
            differences.setdefault(image['index'], []).append(other - value)
    means = [fmean(of_picture) for of_picture in differences.values()]
    return _mean(means), _standard_error(means)


def _is_score(value: object) -> bool:
    return value is None or isinstance(value, (int, float))


def _cell(mean: float | None, standard_error: float | None = None, sign: str = '') -> str:
    if mean is None:
        return '-'
    return f'{mean:{sign}.3f}' + ('' if standard_error is None else f' ± {standard_error:.3f}')


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        f'{head:{widths[0]}}' + ''.join(f'{cell:>{w + 3}}' for cell, w in zip(cells, widths[1:]))
        for head, *cells in rows
    ]


def save_json(content: dict, path: str | Path) -> None:
    """Write JSON, a line for each key, as `save_text` does."""
    # JSON has no word for the PSNR of equal pictures; a number out of range is read as infinite.
    lines = ',\n'.join(f' {json.dumps(key)}: {json.dumps(value)}' for key, value in content.items())
    save_text(f'{{\n{lines}\n}}\n'.replace(': Infinity', ': 1e999'), path)


def read_evaluation(path: str | Path) -> dict:
    """What `tools/test.py --out` wrote; `UserError` for anything else."""
    try:
        found = json.loads(Path(path).read_text(encoding='utf-8-sig'))
        if not found['images'] or not found['methods']:
            raise KeyError
        if not all({'index', 'draw', 'crc32'} <= image.keys() for image in found['images']):
            raise KeyError
        for values in chain(*(metrics.values() for metrics in found['methods'].values())):
            if len(values) != len(found['images']) or not all(map(_is_score, values)):
                raise ValueError
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror}') from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f'{path} is not what tools/test.py --out writes') from None
    return found
