"""Train a model by its configuration."""

import argparse
import json
from pathlib import Path

from mmengine.dist import is_main_process

from mmedit_gl.engine import Options, Runner, checkpoints, load_config, shared_work
from mmedit_gl.errors import UserError, one_sentence_errors
from mmedit_gl.evaluation import metrics_table, summarize


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='a name as gl_256x256_8x12_places, or a file of your own')
    parser.add_argument('--work-dir', help='where the run writes; default: work_dirs/CONFIG')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on with the run of CHECKPOINT; without it, with the latest of the work-dir',
    )
    parser.add_argument(
        '--load-from',
        metavar='CHECKPOINT',
        help='path or URL of weights that a new run starts with',
    )
    parser.add_argument('--amp', action='store_true', help='forward passes in bfloat16')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        metavar='KEY=VALUE',
        help='values to put over those of CONFIG, e.g. train_dataloader.batch_size=8',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.resume and args.load_from:
        raise UserError('--resume goes on with a run, --load-from starts one: give one of them')
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    work_dir = Path(args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}')
    cfg.work_dir = str(work_dir)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    elif args.load_from:
        cfg.load_from = args.load_from
    if args.amp:
        for name in ('generator', 'disc'):
            if cfg.optim_wrapper.get(name):
                cfg.optim_wrapper[name].type = 'AmpOptimWrapper'

    with shared_work():
        runner = Runner.from_cfg(cfg)
        runner.train()
        is_main = is_main_process()
    if not is_main:
        return
    metrics = work_dir / 'metrics.json'
    if metrics.is_file():
        found = json.loads(metrics.read_text(encoding='utf-8'))
        print(metrics_table(summarize([found]), found['num_images']))
    paths = [*checkpoints(work_dir)[-1:], Path(runner.log_dir), metrics, work_dir / 'completions']
    print('Written:', ', '.join(str(path) for path in paths if path.exists()))


if __name__ == '__main__':
    with one_sentence_errors():
        main()
