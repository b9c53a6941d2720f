"""Time training, completing, testing or loading beside plain code that does the same."""

import argparse

from benchmarks import data, infer, test, train
from mmedit_gl.engine import load_config
from mmedit_gl.errors import one_sentence_errors

BENCHMARKS = dict(train=train, infer=infer, test=test, data=data)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='what', required=True)
    for name, benchmark in BENCHMARKS.items():
        command = commands.add_parser(name, help=benchmark.__doc__, description=benchmark.__doc__)
        command.add_argument('config', nargs='?', default='gl_256x256_8x12_places')
        command.add_argument('--rounds', type=int, default=5, help='times that each variant runs')
        for option, settings in benchmark.OPTIONS.items():
            command.add_argument(option, **settings)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    BENCHMARKS[args.what].run(load_config(args.config), args)


if __name__ == '__main__':
    with one_sentence_errors():
        main()
