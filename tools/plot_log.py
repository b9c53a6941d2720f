"""Draw the losses, the validation metrics and the phases of runs from their logs."""

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from mmedit_gl.errors import UserError, one_sentence_errors
from mmedit_gl.evaluation.report import METRICS
from mmedit_gl.files import check_place, make_folder, whole
from mmedit_gl.models import Phase

OF_PIXELS = ('loss_l1_hole', 'loss_l1_valid', 'loss_mean_colour')
ADVERSARIAL = ('fake_loss', 'real_loss', 'loss_g_fake')
LOSSES = OF_PIXELS + ADVERSARIAL
PANELS = {name: (name,) for name in OF_PIXELS} | {'adversarial losses': ADVERSARIAL}
PANELS |= {title: (metric,) for metric, title in METRICS.items()}
MAX_POINTS = 300  # of a line; the log's own are faint behind it
STYLES = ('-', '--', ':')
TINTS = {Phase.GENERATOR: 0.3, Phase.DISCRIMINATOR: 1, Phase.JOINT: 0.6}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'logs',
        nargs='+',
        type=Path,
        metavar='LOG_OR_WORK_DIR',
        help="a session's vis_data/scalars.json, or a work-dir: all sessions of its run",
    )
    parser.add_argument('--out', type=Path, default=Path('losses.png'), help='a .png file')
    return parser.parse_args()


def read_session(path: Path) -> list[dict]:
    """The losses and metrics of a log, each line a dict with its `step`."""
    lines = []
    for text in path.read_text(encoding='utf-8-sig', errors='replace').splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the end of a killed run
        if not isinstance(line, dict) or not isinstance(line.get('step'), int):
            continue
        values = {name: line[name] for name in (*LOSSES, *METRICS) if name in line}
        if values:
            lines.append(dict(step=line['step'], **values))
    return lines


def read_log(path: Path) -> list[dict]:
    """The lines of a run; a session replaces what earlier ones logged from its start on."""
    if not path.exists():
        raise UserError(f'no log or work-dir {path}: expected what tools/train.py has written')
    files = sorted(path.glob('*/vis_data/scalars.json')) if path.is_dir() else [path]
    if not files:
        raise UserError(f'{path} holds no log: expected a work-dir with */vis_data/scalars.json')
    lines = []
    for session in filter(None, map(read_session, files)):
        lines = [line for line in lines if place(line) < place(session[0])] + session
    if not lines:
        raise UserError(
            f'{path} has no line with a loss or metric: expected the scalars.json of a run that '
            'reached its first one'
        )
    return lines


def place(line: dict) -> tuple[int, bool]:
    """Where a line stands in a run: a validation after the training step of its number."""
    return line['step'], 'psnr' in line


def find_phases(lines: list[dict]) -> list[tuple[Phase, int, int]]:
    """Each phase with its ends; it begins at the last line of the one before."""
    phases = []
    for line in lines:
        if line.keys().isdisjoint(LOSSES):
            continue
        phase = Phase.JOINT if 'loss_l1_hole' in line else Phase.DISCRIMINATOR
        phase = phase if 'fake_loss' in line else Phase.GENERATOR
        last, begin, end = phases[-1] if phases else (None, None, line['step'])
        if phase is last:
            phases[-1] = (phase, begin, line['step'])
        else:
            phases.append((phase, end, line['step']))
    return phases


def curve(lines: list[dict], name: str) -> np.ndarray:
    """Iterations and values `(2, N)` of a loss or metric; NaN, a gap, where it has none."""
    kind = LOSSES if name in LOSSES else METRICS
    lines = [line for line in lines if not line.keys().isdisjoint(kind)]
    points = np.array([(line['step'], line.get(name, np.nan)) for line in lines], np.float64)
    points = points.reshape(-1, 2).T
    return np.where(np.isfinite(points), points, np.nan)


def smooth(points: np.ndarray) -> np.ndarray:
    """Means of so many neighbours that at most `MAX_POINTS` points are left."""
    number = points.shape[1]
    size = -(-number // MAX_POINTS) or 1
    return points[:, number % size :].reshape(2, number // size, size).mean(axis=2)


def draw(runs: dict[str, list[dict]]) -> Figure:
    """Phases on top, a bar for each run; below them a panel for each kind of value."""
    names = {name for lines in runs.values() for line in lines for name in line}
    panels = {title: values for title, values in PANELS.items() if not names.isdisjoint(values)}
    heights = [0.2 * len(runs), *(2 for _ in panels)]
    figure = Figure(figsize=(9, 1.2 + 0.2 * len(runs) + sum(heights)), layout='constrained')
    top, *axes = figure.subplots(
        len(heights), sharex=True, height_ratios=heights, subplot_kw=dict(xmargin=0.01)
    )
    for ax, (title, values) in zip(axes, panels.items()):
        curves = [[curve(lines, name) for name in values] for lines in runs.values()]
        for i, of_run in enumerate(curves):
            for points, style in zip(of_run, STYLES):
                marker = 'o' if points.shape[1] < 100 else None
                ax.plot(*points, color=f'C{i}', alpha=0.15, lw=0.8)
                ax.plot(*smooth(points), style, color=f'C{i}', marker=marker, ms=3, lw=1.3)
        drawn = np.concatenate([points[1] for of_run in curves for points in of_run])
        if title not in METRICS.values() and (drawn > 0).any() and not (drawn < 0).any():
            ax.set_yscale('log')
        if len(values) > 1:
            handles = [Line2D([], [], color='0.2', ls=style) for style in STYLES]
            ax.legend(handles, values, ncols=3, frameon=False)
        ax.set_ylabel(title)
        ax.grid(alpha=0.3)
        ax.spines[['top', 'right']].set_visible(False)
    for i, lines in enumerate(runs.values()):
        phases = find_phases(lines)
        for phase, begin, end in phases:
            top.barh(-i, end - begin, 0.8, begin, color=f'C{i}', alpha=TINTS[phase], lw=0)
        for _, begin, _ in phases[1:]:
            for ax in axes:
                ax.axvline(begin, color=f'C{i}', ls='--', lw=0.8, alpha=0.6)
    patches = [Patch(color='0.2', alpha=tint, lw=0) for tint in TINTS.values()]
    corner = dict(loc='lower right', bbox_to_anchor=(1, 1), borderaxespad=0.2, frameon=False)
    top.legend(patches, [f'{phase.value} phase' for phase in TINTS], ncols=3, **corner)
    top.set(yticks=[], frame_on=False)
    top.tick_params(bottom=False)
    lines = [Line2D([], [], color=f'C{i}', lw=3) for i in range(len(runs))]
    figure.legend(lines, list(runs), loc='outside upper left', frameon=False)
    figure.align_ylabels(axes)
    axes[-1].set_xlabel('iteration')
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes[-1].xaxis.set_major_formatter(EngFormatter(sep=''))
    return figure


def main() -> None:
    args = parse_args()
    if args.out.suffix != '.png':
        raise UserError(f'--out: expected a .png file, got {args.out}')
    make_folder(args.out.parent)
    check_place(args.out)
    figure = draw({str(path): read_log(path) for path in args.logs})
    rounded = matplotlib.rc_context({'axes.formatter.min_exponent': 4})  # 0.2, not 2 x 10^-1
    with rounded, whole(args.out) as part:
        figure.savefig(part, format='png', dpi=120)
    print(f'The losses, metrics and phases are drawn in {args.out}')


if __name__ == '__main__':
    with one_sentence_errors():
        main()
