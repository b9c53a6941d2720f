import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

root = Path(__file__).parent
version = re.search(r"__version__ = '(.+)'", (root / 'mmedit_gl/__init__.py').read_text())[1]
metrics = ['torchmetrics', 'torch-fidelity']
onnx = ['onnx', 'onnxruntime', 'onnxscript']
patchmatch = ['pypatchmatch>=2.2']
tests = ['hypothesis', 'lmdb', 'playwright', 'pytest', 'pytest-xdist', 'ruff', 'scikit-image']
tests += ['pip>=22.3', 'setuptools>=70.1']  # to build and install the package in a test
web = ['gradio>=6,<7']


def files_below(*folders: str) -> list[str]:
    paths = (path for folder in folders for path in Path(folder).rglob('*'))
    files = (path for path in paths if path.is_file() and '__pycache__' not in path.parts)
    return sorted(path.as_posix() for path in files)


class BuildPy(build_py):
    """Puts configurations and tools into a wheel, where the package and openmim look for them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the clone's own are used
            return
        mim = Path(self.build_lib, 'mmedit_gl/.mim')
        shutil.rmtree(mim, ignore_errors=True)  # an earlier build's
        files = files_below('configs', 'tools')
        for file in files:
            (mim / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, mim / file)
        imports = [f'- {file}\n' for file in files if file.endswith('/metafile.yml')]
        (mim / 'model-index.yml').write_text('Import:\n' + ''.join(imports), encoding='utf-8')

    def get_source_files(self) -> list[str]:
        """What an sdist holds."""
        return [*super().get_source_files(), *files_below('configs', 'tools', 'tests')]


setup(
    name='mmedit_gl',
    version=version,
    description='Globally and Locally Consistent Image Completion: training, evaluation, use',
    long_description=(root / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmedit_gl*']),
    package_data={'mmedit_gl.apis': ['default/*']},
    cmdclass={'build_py': BuildPy},
    entry_points={'console_scripts': ['mmedit-gl = mmedit_gl.cli:main']},
    python_requires='>=3.10,<3.14',
    install_requires=[
        'mmcv-lite>=2.2,<2.3',
        'mmengine>=0.10.7,<0.11',
        'numpy',
        'opencv-python>=4.8',
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
