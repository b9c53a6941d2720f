"""Measure a checkpoint: l1 in the hole, PSNR and SSIM on the test pictures of a configuration."""

import argparse
from pathlib import Path

from mmengine import DictAction
from mmengine.dist import is_main_process
from rich.progress import Progress

from mmedit_gl.engine import Runner, TestProgressHook, load_config
from mmedit_gl.errors import one_sentence_errors
from mmedit_gl.evaluation import metrics_table, save_metrics


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='a file of configs/inpainting/global_local, or your own')
    parser.add_argument('checkpoint', help='path or URL')
    parser.add_argument('--work-dir', help='where the log goes; default: work_dirs/CONFIG')
    parser.add_argument('--out', metavar='FILE', help='write the metrics as JSON')
    parser.add_argument(
        '--show-dir', metavar='DIR', help='write a strip original | masked | completed a picture'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='values to put over those of CONFIG, e.g. test_dataloader.batch_size=1',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    cfg.load_from, cfg.resume = args.checkpoint, False
    completions = dict(type='CompletionsHook', out_dir=args.show_dir, max_images=None)
    cfg.default_hooks.completions = completions if args.show_dir else None

    runner = Runner.from_cfg(cfg)
    with Progress(disable=not is_main_process()) as progress:
        runner.register_hook(TestProgressHook(progress))
        metrics = runner.test()
    if is_main_process():
        print(metrics_table(metrics))
        if args.out:
            save_metrics(metrics, args.out)


if __name__ == '__main__':
    with one_sentence_errors():
        main()
