"""Measure a checkpoint or classical methods on the test pictures of a configuration."""

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from mmengine import Config
from mmengine.dist import is_main_process
from rich.progress import Progress
from torch.utils.data import default_collate

import mmedit_gl
from mmedit_gl.apis import Inpainter
from mmedit_gl.checkpoint import local_file, sha256
from mmedit_gl.engine import (
    CompletionsHook,
    Options,
    Runner,
    TestProgressHook,
    load_config,
    shared_work,
)
from mmedit_gl.errors import UserError, one_sentence_errors
from mmedit_gl.evaluation import (
    BASELINES,
    comparison_table,
    complete,
    evaluation,
    metrics_table,
    read_evaluation,
    save_json,
    shown,
    write_report,
)
from mmedit_gl.files import check_place, make_folder


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config', nargs='?', help='a name as gl_256x256_8x12_places, or a file of your own'
    )
    parser.add_argument(
        'checkpoint', nargs='?', help='path or URL; may be left out with --baseline'
    )
    parser.add_argument(
        '--mode',
        choices=['texture', 'smooth'],
        help='measure also what tools/inpaint.py makes of it in this mode: wide holes are reduced, '
        'and get texture or stay smooth',
    )
    parser.add_argument(
        '--baseline',
        nargs='+',
        choices=list(BASELINES),
        metavar='METHOD',
        help=f'measure classical methods on the same holes: {", ".join(BASELINES)}',
    )
    parser.add_argument(
        '--draws',
        type=int,
        default=1,
        metavar='K',
        help='draw crops and holes from K seeds, and give mean and standard error over them',
    )
    parser.add_argument('--lpips', action='store_true', help='measure LPIPS too')
    parser.add_argument('--fid', action='store_true', help='measure FID too')
    parser.add_argument('--work-dir', help='where the log goes; default: work_dirs/CONFIG')
    parser.add_argument(
        '--out', metavar='FILE', help='write the metrics, and those of each picture, as JSON'
    )
    parser.add_argument(
        '--report', metavar='DIR', help='write a page of tables, distributions and pictures'
    )
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='write a strip original | masked | completed for each picture, of the first draw',
    )
    parser.add_argument(
        '--compare',
        nargs='+',
        metavar='FILE',
        help='only compare files of --out that were measured on the same holes',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        metavar='KEY=VALUE',
        help='values to put over those of CONFIG, e.g. test_dataloader.batch_size=1',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    args = parser.parse_intermixed_args()  # options may stand between CONFIG and CHECKPOINT
    if not args.compare and not args.config:
        parser.error('expected CONFIG and CHECKPOINT, or --compare')
    if args.compare and args.config:
        parser.error('--compare stands alone: expected no CONFIG')
    if not args.compare and not args.checkpoint and not args.baseline:
        parser.error('expected CHECKPOINT, or --baseline to measure classical methods alone')
    if args.mode and not args.checkpoint:
        parser.error('--mode wants CHECKPOINT: it says how a model completes wide holes')
    if args.draws < 1:
        parser.error(f'--draws: expected at least 1, got {args.draws}')
    return args


def configure(args: argparse.Namespace) -> Config:
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    cfg.load_from, cfg.resume = args.checkpoint, False
    if not args.checkpoint:
        cfg.model = dict(type='Unfilled')
    completions = dict(type='CompletionsHook', out_dir=args.show_dir, max_images=None)
    cfg.default_hooks.completions = completions if args.show_dir else None
    # What is fastest to compute with is timed, and may be another at each run.
    cfg.env_cfg.cudnn_benchmark = False
    torch.backends.cudnn.deterministic = True
    evaluator = cfg.get('test_evaluator')
    if not isinstance(evaluator, dict) or evaluator.get('type') != 'InpaintingMetrics':
        raise UserError(
            f"test_evaluator: expected dict(type='InpaintingMetrics', ...), got {evaluator}"
        )
    if args.baseline:
        cfg.test_evaluator.baselines = args.baseline
    cfg.test_evaluator.learned = [name for name in ('lpips', 'fid') if getattr(args, name)]
    return cfg


def about(args: argparse.Namespace, seed: int) -> dict:
    return dict(
        config=Path(args.config).stem,
        checkpoint=args.checkpoint and Path(args.checkpoint).name,
        sha256=args.checkpoint and sha256(local_file(args.checkpoint)),
        seed=seed,
        draws=args.draws,
        version=mmedit_gl.__version__,
    )


@torch.no_grad()
def pictures_of(image: dict, runner: Runner, fills: dict[str, Callable]) -> dict[str, np.ndarray]:
    """One of an evaluation's images, its masked version and its completions, uint8 BGR."""
    index, seed = image['index'], runner.seed + image['draw']
    sample = runner.test_dataloader.dataset[index, (seed, index)]
    (prediction,) = runner.model.test_step(default_collate([sample]))
    gt_img, mask = prediction['gt_img'], prediction['mask']
    pictures = dict(original=gt_img, masked=gt_img.masked_fill(mask == 1, 255))
    completions = {name: imgs[0] for name, imgs in complete([prediction], fills).items()}
    return {
        name: img.permute(1, 2, 0).cpu().numpy() for name, img in (pictures | completions).items()
    }


def main() -> None:
    args = parse_args()
    if args.compare:
        print(comparison_table({path: read_evaluation(path) for path in args.compare}))
        return
    cfg = configure(args)
    for path in (args.out, args.report and Path(args.report, 'report.html')):
        if path:  # what cannot be written is said before the work
            make_folder(Path(path).parent)
            check_place(path)
    draws = []
    with shared_work():
        runner = Runner.from_cfg(cfg)
        (metric,) = runner.test_evaluator.metrics
        if args.mode:
            # Made once, but not before the test has loaded the weights.
            inpainter = cache(lambda: Inpainter.from_model(runner.model))
            used = {args.mode: lambda img, mask: inpainter()(img, mask, mode=args.mode)}
            metric.fills = used | metric.fills
        with Progress(disable=not is_main_process()) as progress:
            runner.register_hook(TestProgressHook(progress))
            for seed in range(runner.seed, runner.seed + args.draws):
                runner.test_dataloader.sampler.seed = seed
                metrics = runner.test()
                draws.append((metrics, metric.pictures))
                for hook in runner.hooks:
                    if isinstance(hook, CompletionsHook):
                        hook.max_images = 0  # the strips are those of the first draw
        is_main = is_main_process()
    if not is_main:
        return
    found = evaluation(about(args, runner.seed), draws)
    print(metrics_table(found['summary'], len(metric.pictures), args.draws))
    if args.out:
        save_json(found, args.out)
    if args.report:
        pictures = {
            i: pictures_of(found['images'][i], runner, metric.fills)
            for positions in shown(found).values()
            for i in positions
        }
        found['about']['options'] = cfg.pretty_text
        print(f'Written: {write_report(Path(args.report), found, pictures)}')


if __name__ == '__main__':
    with one_sentence_errors():
        main()
