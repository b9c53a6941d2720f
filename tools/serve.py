"""Serve a page on which pictures are completed in the browser, to this machine only by default."""

import argparse

from mmedit_gl.apis import MODES, Inpainter
from mmedit_gl.errors import one_sentence_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config', help='its name or file; default, with --checkpoint: the model of this package'
    )
    parser.add_argument('--checkpoint', help='path or URL')
    parser.add_argument('--device', help='default: a GPU where there is one')
    parser.add_argument('--precision', choices=['fp32', 'bf16'], default='fp32')
    parser.add_argument(
        '--host', default='127.0.0.1', help='0.0.0.0 lets in all who reach this machine'
    )
    parser.add_argument('--port', type=int, default=7860, help='0: any free one')
    parser.add_argument(
        '--mode', choices=MODES, default='texture', help='what the page offers first'
    )
    parser.add_argument(
        '--max-megapixels', type=float, default=25, metavar='N', help='of an uploaded picture'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmedit_gl.apis.web import serve  # not above: without gradio this is a user's mistake

    inpainter = Inpainter(args.config, args.checkpoint, args.device, args.precision)
    serve(inpainter, args.host, args.port, args.mode, args.max_megapixels)


if __name__ == '__main__':
    with one_sentence_errors():
        main()
