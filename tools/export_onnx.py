"""Write a checkpoint as an ONNX file that completes pictures without torch and this package."""

import argparse

from mmedit_gl.apis import init_model
from mmedit_gl.apis.onnx import export_onnx
from mmedit_gl.errors import one_sentence_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='a name as gl_256x256_8x12_places, or a file of your own')
    parser.add_argument('checkpoint', help='path or URL')
    parser.add_argument('out', help='the file to write, e.g. gl.onnx')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    print(export_onnx(init_model(args.config, args.checkpoint, 'cpu'), args.out))


if __name__ == '__main__':
    with one_sentence_errors():
        main()
