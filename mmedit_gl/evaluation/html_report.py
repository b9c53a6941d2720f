"""An evaluation as one page that needs nothing beside it: numbers, distributions and pictures."""

import base64
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

import cv2
import numpy as np
from matplotlib.ticker import MaxNLocator

from mmedit_gl.evaluation.report import HIGHER_IS_BETTER, METRICS
from mmedit_gl.files import save_text

# A plot in units of its viewBox, about the pixels of a phone.
WIDTH, LEFT, RIGHT = 360, 38, 346
ROW = 64
MAX_POINTS = 400  # of a method in a scatter plot

STYLE = """
:root { color-scheme: light dark; --back: #fff; --card: #f6f7f9; --text: #1b1f24; --soft: #5c6570;
  --line: #d9dde2; --c0: #0b6bcb; --c1: #d9730d; --c2: #0f9468; --c3: #b4479f; --c4: #757b84;
  --c5: #c8102e }
@media (prefers-color-scheme: dark) { :root { --back: #14171b; --card: #1d2126; --text: #e6e9ed;
  --soft: #9aa3ae; --line: #353b43; --c0: #5aa9ff; --c1: #ffab5c; --c2: #3fcf98; --c3: #e58ad4;
  --c4: #a5abb5; --c5: #ff7d87 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; background: var(--back);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { margin: 0 0 1rem; font-size: 1.6rem; line-height: 1.25 }
h2 { margin: 2.75rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line);
  font-size: 1.2rem }
h3 { margin: 1.75rem 0 .5rem; font-size: 1rem }
p, figcaption, small { color: var(--soft) }
p, small { font-size: .85rem }
code, pre { font: .85em/1.5 ui-monospace, monospace }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: 0 }
dt { color: var(--soft) }
dd { margin: 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
.scores { overflow-x: auto; overflow-wrap: normal }
.scores .key { margin: 0; white-space: nowrap }
.scores table { width: 100% }
.scores th, .scores td { padding: .45rem .6rem; text-align: right; border-bottom: 1px solid
  var(--line); vertical-align: top }
.scores tr > :first-child { padding-left: 0; text-align: left }
thead th { color: var(--soft); font-size: .85rem; font-weight: 500; vertical-align: bottom }
tbody th, td { font-weight: 400 }
.best { font-weight: 700 }
.key { display: inline-block; margin-right: .75em }
td small { white-space: nowrap; font-weight: 400 }
i { display: inline-block; width: .65em; height: .65em; margin-right: .5em; border-radius: 50% }
figure { margin: 0 }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr));
  gap: 1rem }
.plots figure { padding: .75rem; border-radius: .5rem; background: var(--card) }
.plots figcaption { margin-bottom: .4rem; color: var(--text); font-weight: 600 }
svg { display: block; width: 100%; font: 11px system-ui, sans-serif; fill: var(--soft) }
.grid { stroke: var(--line); fill: none }
.curve { fill: none; stroke-linecap: round; stroke-linejoin: round }
.strip { margin: 0 0 1rem; padding: .75rem; border-radius: .5rem; background: var(--card) }
.strip h4 { margin: 0 0 .5rem; font-size: .85rem; font-weight: 500 }
.strip div { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(9.5rem, 46%), 1fr));
  gap: .75rem }
.strip figure { max-width: 20rem }
img { display: block; width: 100%; height: auto; border-radius: .25rem }
.strip figcaption { padding-top: .3rem; color: var(--text); font-size: .85rem; font-weight: 600 }
.strip table { width: 100%; color: var(--text); font-size: .75rem; font-weight: 400 }
.strip th { padding: 0; color: var(--soft); text-align: left; overflow-wrap: normal }
.strip td { padding: 0; text-align: right }
summary { cursor: pointer; font-size: 1.2rem; font-weight: 700 }
details { margin-top: 2.75rem }
pre { padding: .75rem; border-radius: .5rem; background: var(--card); white-space: pre-wrap }
@media (max-width: 40rem) { body { padding: 1.25rem .9rem 3rem }
  .scores { font-size: .85rem } .scores small { display: block; font-size: .7rem }
  .scores th, .scores td { padding: .4rem .25rem } }
"""


def shown(results: dict, count: int = 4) -> dict[str, list[int]]:
    """The pictures worth a look, by l1 in the hole of the first method: places in `images`.

    Up to `count` each of `'best'`, from the lowest on, `'median'`, the middle in rising order, and
    `'worst'`, from the highest on; none is there twice, and of few pictures each gets a third.
    """
    values = next(iter(results['methods'].values()))['l1']
    order = np.argsort(values, kind='stable').tolist()
    count = min(count, max(1, len(order) // 3))
    best, rest = order[:count], order[count:]
    worst, rest = rest[::-1][:count], rest[:-count]
    start = max(0, len(rest) - count) // 2
    return dict(best=best, median=rest[start : start + count], worst=worst)


def write_report(folder: Path, results: dict, pictures: dict[int, dict[str, np.ndarray]]) -> Path:
    """Write `report.html` to `folder`, complete or not at all, and give its path.

    `pictures` has, for places in `results['images']`, uint8 BGR arrays `(H, W, 3)` by name: what
    the methods named so made of it, and others beside them; those that `shown` tells are shown.
    Raises `UserError` if the page cannot be written.
    """
    path = folder / 'report.html'
    save_text(_page(results, pictures), path)
    return path


def _page(results: dict, pictures: dict[int, dict[str, np.ndarray]]) -> str:
    about = results['about']
    first = escape(next(iter(results['methods'])))
    strips = ''.join(
        f'<section id="{group}"><h3>{group.capitalize()}</h3>'
        + ''.join(_strip(results, i, pictures[i]) for i in positions if i in pictures)
        + '</section>'
        for group, positions in shown(results).items()
        if positions
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/>
<link rel="icon" href="data:,"/>
<title>Evaluation of {escape(about['config'])}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Evaluation of {escape(about['config'])}</h1>
{_facts(results)}
<h2>Scores</h2>
{_scores(results['summary'])}
<h2>Distributions</h2>
<div class="plots">{_plots(results)}</div>
<p>Bars count pictures, with their median as a line. Points are pictures, up to {MAX_POINTS} of a
method, and a line goes through the means of all of a similar hole.</p>
<h2>Completions</h2>
<p>Ranked by l1 in the hole of {first}.</p>
{strips}
<details><summary>Configuration</summary><pre>{escape(about['options'])}</pre></details>
</body>
</html>
"""


def _facts(results: dict) -> str:
    about, images = results['about'], results['images']
    holes = [100 * image['hole'] for image in images]
    facts = {
        'checkpoint': about['checkpoint'] or 'none',
        'SHA-256': about['sha256'],
        'pictures': len({image['index'] for image in images}),
        'draws of each': about['draws'],
        'hole': f'{np.mean(holes):.1f} % of a picture ({min(holes):.1f} to {max(holes):.1f})',
        'seed': about['seed'],
        'mmedit_gl': about['version'],
    }
    rows = (
        f'<dt>{name}</dt><dd>{escape(str(value))}</dd>'
        for name, value in facts.items()
        if value is not None
    )
    return f'<dl>{"".join(rows)}</dl>'


def _number(value: float | None) -> str:
    return '∞' if value is None or np.isinf(value) else f'{value:.3f}'


def _best(metric: str, values: dict[str, float | None]) -> set[str]:
    """The names of the best values, equal ones included, where there is more than one name.

    None is the PSNR of equal pictures.
    """
    values = {name: np.inf if value is None else value for name, value in values.items()}
    best = (max if metric in HIGHER_IS_BETTER else min)(values.values(), default=None)
    return {name for name, value in values.items() if value == best} if len(values) > 1 else set()


def _colours(names: Iterable[str]) -> dict[str, str]:
    return {name: f'var(--c{i % 6})' for i, name in enumerate(names)}


def _key(name: str, colour: str) -> str:
    return f'<span class="key"><i style="background: {colour}"></i>{escape(name)}</span>'


def _title(metric: str) -> str:
    return f'{METRICS[metric]} {"↑" if metric in HIGHER_IS_BETTER else "↓"}'


def _scores(summary: dict[str, dict]) -> str:
    rows = {name: f'<th>{_key(name, colour)}</th>' for name, colour in _colours(summary).items()}
    header = '<th></th>'
    for metric in METRICS:
        scores = {name: s[metric] for name, s in summary.items() if metric in s}
        if not scores:
            continue
        header += f'<th>{_title(metric)}</th>'
        best = _best(metric, {name: score['mean'] for name, score in scores.items()})
        for name in summary:
            cell = _number(scores[name]['mean']) if name in scores else ''
            if name in scores and scores[name]['standard_error'] is not None:
                cell += f' <small>± {scores[name]["standard_error"]:.3f}</small>'
            rows[name] += f'<td class="best">{cell}</td>' if name in best else f'<td>{cell}</td>'
    if any(scores['num_identical'] for scores in summary.values()):
        header += '<th>identical pictures</th>'
        for name in summary:
            rows[name] += f'<td>{summary[name]["num_identical"]}</td>'
    body = ''.join(f'<tr>{row}</tr>' for row in rows.values())
    return (
        f'<div class="scores"><table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>'
        '</div><p>↓ lower is better, ↑ higher is better; ± is the standard error of the mean.</p>'
    )


def _plots(results: dict) -> str:
    methods, holes = results['methods'], 100 * np.array([i['hole'] for i in results['images']])
    plots, colours = [], _colours(methods)
    for metric in METRICS:
        # None, the PSNR of equal pictures, becomes NaN.
        values = {name: np.array(m[metric], float) for name, m in methods.items() if metric in m}
        if any(np.isfinite(v).any() for v in values.values()):
            plots.append((_title(metric), _histograms(values, colours)))
    if np.ptp(holes) > 0:
        values = {name: np.array(m['l1']) for name, m in methods.items()}
        plots.append(
            (
                f'{METRICS["l1"]} against the hole (% of the picture)',
                _scatter(holes, values, colours),
            )
        )
    return ''.join(
        f'<figure><figcaption>{title}</figcaption>{plot}</figure>' for title, plot in plots
    )


def _scale(values: np.ndarray, start: float, end: float) -> tuple[np.ndarray, Callable]:
    """Round numbers from below the least value to above the greatest, and where a value stands."""
    ticks = MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(values.min(), values.max())
    return ticks, lambda v: start + (v - ticks[0]) / (ticks[-1] - ticks[0]) * (end - start)


def _text(
    x: float, y: float, text: str, anchor: str = 'middle', colour: str = 'var(--soft)'
) -> str:
    style = f'text-anchor: {anchor}; fill: {colour}'
    return f'<text x="{x:.1f}" y="{y:.1f}" style="{style}">{escape(text)}</text>'


def _svg(height: float, ticks: np.ndarray, x: Callable, content: str) -> str:
    """A plot with the ticks of its horizontal axis below `height`."""
    grid = ''.join(f'M{x(tick):.1f} 16V{height}' for tick in ticks)
    labels = ''.join(_text(x(tick), height + 14, f'{tick:g}') for tick in ticks)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height + 20}"><path class="grid" d="{grid}"/>{content}'
        f'{labels}</svg>'
    )


def _histograms(values: dict[str, np.ndarray], colours: dict[str, str]) -> str:
    """A row for each method, with one scale for all; NaN is the PSNR of equal pictures."""
    identical = {name: np.isnan(v).sum() for name, v in values.items()}
    values = {name: v[np.isfinite(v)] for name, v in values.items()}
    ticks, x = _scale(np.concatenate(list(values.values())), LEFT, RIGHT)
    bins = int(np.clip(2 * np.sqrt(max(map(len, values.values()))), 10, 40))
    edges = np.linspace(ticks[0], ticks[-1], bins + 1)
    counts = {name: np.histogram(v, edges)[0] for name, v in values.items()}
    highest = max(count.max() for count in counts.values())
    content = ''
    for i, (name, count) in enumerate(counts.items()):
        base = ROW * (i + 1)
        content += f'<path class="grid" d="M{LEFT} {base}H{RIGHT}"/>'
        for number in (0, highest):
            content += _text(LEFT - 5, base - 34 * number / highest, str(number), 'end')
        content += f'<g fill="{colours[name]}">'
        for left, right, number in zip(edges, edges[1:], count):
            height = 38 * number / highest
            if number:
                content += (
                    f'<rect x="{x(left):.1f}" y="{base - height:.1f}" height="{height:.1f}" '
                    f'width="{x(right) - x(left):.2f}">'
                    f'<title>{left:.4g} to {right:.4g}: {number}</title></rect>'
                )
        content += '</g>'
        label = f'{name}, {identical[name]} identical' if identical[name] else name
        content += _text(RIGHT, base - 43, label, 'end', colours[name])
        if len(values[name]):
            median = x(np.median(values[name]))
            content += f'<path d="M{median:.1f} {base}v-40" stroke="var(--text)"/>'
    return _svg(ROW * len(counts), ticks, x, content)


def _scatter(holes: np.ndarray, values: dict[str, np.ndarray], colours: dict[str, str]) -> str:
    """A point for each picture, and a line through the means of groups of equal size."""
    height = ROW * max(3, len(values))
    ticks, x = _scale(holes, LEFT, RIGHT)
    y_ticks, y = _scale(np.concatenate(list(values.values())), height, 16)
    content = ''
    for tick in y_ticks:
        content += f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{RIGHT}"/>'
        content += _text(LEFT - 5, y(tick) + 4, f'{tick:g}', 'end')
    step = -(-len(holes) // MAX_POINTS)
    groups = np.array_split(np.argsort(holes), np.clip(len(holes) // 8, 1, 8))
    for name, value in values.items():
        points = ''.join(f'M{x(h):.1f} {y(v):.1f}h0' for h, v in zip(holes[::step], value[::step]))
        means = ' '.join(f'{x(holes[g].mean()):.1f},{y(value[g].mean()):.1f}' for g in groups)
        content += (
            f'<g class="curve" stroke="{colours[name]}">'
            f'<path d="{points}" stroke-width="4" stroke-opacity=".35"/>'
            f'<polyline points="{means}" stroke-width="2"/></g>'
        )
    keys = ' '.join(_key(name, colours[name]) for name in values)
    return f'{_svg(height, ticks, x, content)}<small>{keys}</small>'


def _strip(results: dict, position: int, pictures: dict[str, np.ndarray]) -> str:
    image, methods = results['images'][position], results['methods']
    title = f'{escape(image["img_path"])} · hole {100 * image["hole"]:.1f} %'
    if results['about']['draws'] > 1:
        title += f' · draw {image["draw"]}'
    figures = ''
    for name, picture in pictures.items():
        rows = ''
        for metric in METRICS:
            values = {n: m[metric][position] for n, m in methods.items() if metric in m}
            if name in values:
                best = ' class="best"' if name in _best(metric, values) else ''
                rows += f'<tr><th>{METRICS[metric]}</th><td{best}>{_number(values[name])}</td></tr>'
        figures += (
            f'<figure><img alt="{escape(name)}" src="{_embed(picture)}"/><figcaption>{escape(name)}'
            f'{f"<table>{rows}</table>" if rows else ""}</figcaption></figure>'
        )
    return f'<article class="strip"><h4>{title}</h4><div>{figures}</div></article>'


def _embed(img: np.ndarray) -> str:
    # Above 100 WebP loses nothing, and is smaller than PNG.
    content = cv2.imencode('.webp', img, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    return f'data:image/webp;base64,{base64.b64encode(content).decode()}'
