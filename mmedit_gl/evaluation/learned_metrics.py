"""Distances in the features of trained networks, by torchmetrics; nothing is downloaded."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from mmedit_gl.checkpoint import read_checkpoint
from mmedit_gl.errors import UserError

ALEXNET = 'https://download.pytorch.org/models/alexnet-owt-7be5be79.pth'
INCEPTION = (
    'https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/'
    'weights-inception-2015-12-05-6726825d.pth'
)


class LPIPS:
    """Learned perceptual similarity (Zhang et al. 2018); smaller is nearer.

    `metric` is what `load_lpips` gives.
    """

    def __init__(self, metric: nn.Module):
        self.metric = metric

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        """`(N, 3, H, W), (N, 3, H, W) -> (N,)`, uint8 BGR; each pair by itself, for equal bits."""
        self.metric.to(pred.device)
        pairs = zip(_rgb(pred) / 127.5 - 1, _rgb(target) / 127.5 - 1)
        values = [self.metric(x[None], y[None]) for x, y in pairs]
        self.metric.reset()
        return torch.stack(values).detach()


def load_lpips() -> nn.Module:
    """LPIPS with AlexNet; `UserError` where torchmetrics or the weights are missing."""
    _local_file('LPIPS', ALEXNET)
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity(net_type='alex')


class FID:
    """Frechet inception distance (Heusel et al. 2017) of completed pictures from their originals.

    It is one number for all pictures, of which a set of fewer than about ten thousand says little.
    `inception` is what `load_inception` gives.
    """

    def __init__(self, inception: nn.Module):
        from torchmetrics.image.fid import FrechetInceptionDistance

        self.inception = inception
        features = nn.Identity()
        features.num_features = 2048
        self.metric = FrechetInceptionDistance(features)

    def update(self, pred: Tensor, target: Tensor) -> None:
        """Count pictures in: `(N, 3, H, W), (N, 3, H, W)`, uint8 BGR."""
        for img, real in ((target, True), (pred, False)):
            features = self.inception.to(img.device)(_rgb(img).to(torch.uint8))
            self.metric.to(img.device).update(features, real=real)

    def compute(self) -> float:
        """The distance; `UserError` for fewer than two pictures."""
        if self.metric.fake_features_num_samples < 2:
            raise UserError('FID compares sets of pictures: expected at least 2, got 1')
        return self.metric.compute().item()


def load_inception() -> nn.Module:
    """The network of FID; `UserError` where torchmetrics or its weights are missing."""
    path = _local_file('FID', INCEPTION)
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3('inception-v3-compat', ['2048'], str(path))


def _local_file(metric: str, url: str) -> Path:
    """Where torch keeps what is at a URL; its hash is checked, and that it holds tensors alone."""
    if not all(map(find_spec, ('torchmetrics', 'torch_fidelity'))):
        raise UserError(f'{metric} is measured by torchmetrics: pip install "mmedit_gl[metrics]"')
    path = Path(torch.hub.get_dir()) / 'checkpoints' / Path(url).name
    if not path.is_file():
        raise UserError(f'{metric} needs the weights of a network: download {url} to {path}')
    read_checkpoint(path)
    return path


def _rgb(bgr: Tensor) -> Tensor:
    return bgr.flip(1).float()
