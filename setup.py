import re
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
version = re.search(r"__version__ = '(.+)'", (root / 'mmedit_gl/__init__.py').read_text())[1]
metrics = ['torchmetrics', 'torch-fidelity']
onnx = ['onnx', 'onnxruntime', 'onnxscript']
patchmatch = ['pypatchmatch>=2.2']
tests = ['hypothesis', 'lmdb', 'playwright', 'pytest', 'pytest-xdist', 'ruff', 'scikit-image']
web = ['gradio>=6,<7']

setup(
    name='mmedit_gl',
    version=version,
    description='Globally and Locally Consistent Image Completion: training, evaluation, use',
    long_description=(root / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmedit_gl*']),
    package_data={'mmedit_gl.apis': ['default/*']},
    python_requires='>=3.10,<3.14',
    install_requires=[
        'mmcv-lite>=2.2,<2.3',
        'mmengine>=0.10.7,<0.11',
        'numpy',
        'opencv-python>=5',
        'pillow',
        'rich',
        'tensorboard',
        'torch>=2.6',
        'torchvision',
    ],
    extras_require={
        'demo': ['scikit-image'],
        'lmdb': ['lmdb'],
        'metrics': metrics,
        'onnx': onnx,
        'patchmatch': patchmatch,
        'web': web,
        'tests': [*tests, *metrics, *onnx, *patchmatch, *web],
    },
)
