import sys

import numpy as np
import pytest
import torch
from conftest import random_image
from torch import nn
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import alexnet

from mmedit_gl.errors import UserError
from mmedit_gl.evaluation import InpaintingMetrics
from mmedit_gl.evaluation.learned_metrics import FID, LPIPS, load_inception, load_lpips


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty folder where torch looks for weights."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    return folder


def pictures(*seeds):
    images = np.stack([random_image(seed, 64, 72) for seed in seeds])
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def test_weights_that_are_missing_are_named_with_the_place_where_they_belong(hub):
    for load, name in [
        (load_lpips, 'alexnet-owt-7be5be79.pth'),
        (load_inception, 'weights-inception-2015-12-05-6726825d.pth'),
    ]:
        message = rf'needs the weights of a network: download https://\S+/{name} to {hub}/{name}$'
        with pytest.raises(UserError, match=message):
            load()
    for name in ('lpips', 'fid'):
        with pytest.raises(UserError, match=f'^{name.upper()} needs the weights'):
            InpaintingMetrics(learned=[name])
    assert list(hub.iterdir()) == []


@pytest.mark.parametrize('package', ['torchmetrics', 'torch_fidelity'])
def test_packages_that_are_missing_are_said_in_a_sentence(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    for load in (load_lpips, load_inception):
        with pytest.raises(UserError, match=r'measured by torchmetrics: .*\[metrics\]'):
            load()


def test_weights_that_are_not_what_their_name_says_are_refused(hub):
    torch.save(alexnet(weights=None).state_dict(), hub / 'alexnet-owt-7be5be79.pth')
    with pytest.raises(UserError, match='expected a SHA-256 that begins with 7be5be79'):
        load_lpips()


def test_lpips_is_that_of_torchmetrics_in_rgb_each_picture_by_itself(hub):
    torch.manual_seed(0)
    torch.save(alexnet(weights=None).state_dict(), hub / 'alexnet-owt-7be5be79.pth')
    metric = LearnedPerceptualImagePatchSimilarity(net_type='alex')
    pred, target = pictures(1, 2, 3), pictures(4, 5, 3)
    values = LPIPS(metric)(pred, target)
    assert values.shape == (3,)
    assert values[0] > 0
    assert values[2] == 0
    for i in range(3):
        rgb = [2 * img[i : i + 1].float()[:, [2, 1, 0]] / 255 - 1 for img in (pred, target)]
        assert values[i].item() == pytest.approx(metric(*rgb).item(), rel=1e-4, abs=1e-7)
        assert LPIPS(metric)(pred[i : i + 1], target[i : i + 1]).item() == values[i].item()


class Corner(nn.Module):
    """2048 numbers of a picture as features."""

    def forward(self, rgb):
        assert rgb.dtype == torch.uint8
        return rgb.flatten(1)[:, :2048].float()


def test_fid_is_the_frechet_distance_of_two_gaussians():
    pred, target = pictures(1, 2, 3, 4), pictures(5, 6, 7, 8)
    fid = FID(Corner())
    for i in (0, 2):
        fid.update(pred[i : i + 2], target[i : i + 2])
    x, y = (Corner()(img[:, [2, 1, 0]]).double().numpy() for img in (pred, target))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum()
    # Of covariances X'X and Y'Y, the trace of the root of their product is the nuclear norm of XY'.
    x, y = ((z - z.mean(0)) / np.sqrt(3) for z in (x, y))
    expected += (x**2).sum() + (y**2).sum() - 2 * np.linalg.norm(x @ y.T, 'nuc')
    assert fid.compute() == pytest.approx(expected, rel=1e-3)


def test_fid_of_one_picture_is_refused():
    fid = FID(Corner())
    fid.update(pictures(1), pictures(2))
    with pytest.raises(UserError, match='expected at least 2, got 1'):
        fid.compute()
