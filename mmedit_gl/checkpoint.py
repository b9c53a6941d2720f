"""Checkpoints of 2020 and of today, read as the untrusted files they are."""

import hashlib
import pickle
import re
from contextlib import AbstractContextManager
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor, nn
from torch.serialization import safe_globals

from mmedit_gl.errors import UserError, reason
from mmedit_gl.files import make_folder

# What a wrapper for several processes, of the model or of each network, puts into a name.
WRAPPED = re.compile(r'(generator\.|disc\.|)module\.')


def read_checkpoint(source: str | Path, map_location: str | torch.device = 'cpu') -> dict:
    """The content of a checkpoint, by its path or URL, with the weights under `state_dict`.

    Nothing in the file is ever executed (`weights_only`). A URL is downloaded once, to torch's hub
    folder. Where the file name ends in 8 hex digits, the file's SHA-256 must begin with them.
    Raises `UserError` for a file that is missing, truncated, changed, no checkpoint, or would run
    code.
    """
    path = local_file(source)
    try:
        return _read(path, map_location)
    except UserError:
        if path != Path(source):
            path.unlink(missing_ok=True)  # or the next attempt would find it again
        raise


def local_file(source: str | Path) -> Path:
    """The path of a checkpoint; a URL is downloaded first if it was not before.

    Raises `UserError` for what cannot be downloaded.
    """
    is_url = str(source).startswith(('http://', 'https://'))
    return _download(str(source)) if is_url else Path(source)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read(path: Path, map_location: str | torch.device) -> dict:
    if not path.is_file():
        raise UserError(f'no checkpoint {path}: expected a file, or a URL beginning with https://')
    _check_hash(path)
    try:
        with _allow_message_hub():
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        if name := re.search(r'GLOBAL (\S+)|ask for (.+)', str(error)):
            raise UserError(
                f'the checkpoint {path} is refused: loading it would run code of the file '
                f'({name[1] or name[2]}); expected tensors and plain values only'
            ) from None
        raise _broken(path) from None
    except Exception:  # a damaged byte shows as almost any, AssertionError and IndexError too
        raise _broken(path) from None
    if isinstance(checkpoint, dict) and checkpoint and _all_tensors(checkpoint):
        checkpoint = dict(state_dict=checkpoint)
    if isinstance(checkpoint, dict) and isinstance(weights := checkpoint.get('state_dict'), dict):
        if weights and all(WRAPPED.match(str(name)) for name in weights):
            weights = {WRAPPED.sub(r'\1', name, count=1): value for name, value in weights.items()}
        return {**checkpoint, 'state_dict': weights}
    raise UserError(f'{path} holds no weights: expected a dict with a state_dict')


def _history_buffer_method(owner: type, name: str):
    """`builtins.getattr` of a checkpoint, for the statistics of a HistoryBuffer alone."""
    if owner is not HistoryBuffer or name not in HistoryBuffer._statistics_methods:
        raise pickle.UnpicklingError(f'a checkpoint may not ask for getattr({owner!r}, {name!r})')
    return getattr(HistoryBuffer, name)


def _allow_message_hub() -> AbstractContextManager:
    """Lets `torch.load(..., weights_only=True)` read the log that mmengine saves with the weights.

    Goes with `test_checkpoint_of_a_run_loads_with_weights_only`.
    """
    HistoryBuffer()  # fills HistoryBuffer._statistics_methods
    scalar_dtypes = [type(np.dtype(code)) for code in (np.float64, np.float32, np.int64, np.bool_)]
    # A function has the name of numpy 1 or 2, by which of them the checkpoint was written.
    reconstruct, scalar = (value.__reduce__()[0] for value in (np.empty(0), np.float64()))
    names = ('numpy._core.multiarray', 'numpy.core.multiarray')
    return safe_globals(
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *scalar_dtypes,
            *((reconstruct, f'{name}._reconstruct') for name in names),
            *((scalar, f'{name}.scalar') for name in names),
            (_history_buffer_method, 'builtins.getattr'),
        ]
    )


def best_weights(checkpoint: dict) -> dict[str, Tensor]:
    """The weights to complete pictures with: the generator's moving average where there is one.

    mmengine's EMAHook has swapped the two: its average is the `state_dict`.
    """
    return {**checkpoint['state_dict'], **_of(checkpoint.get('ema_state_dict', {}), 'generator.')}


def trained_otherwise(model: nn.Module, checkpoint: dict) -> str:
    """In what a model differs from the one that the weights were trained in; empty if in nothing.

    Weights of before this was kept differ in nothing.
    """
    meta = checkpoint.get('meta')
    kept = meta.get('trained_with', {}) if isinstance(meta, dict) else {}
    own = getattr(model, 'trained_with', {})
    return '; '.join(
        f'{name} was {kept[name]!r} and is {value!r}'
        for name, value in own.items()
        if name in kept and kept[name] != value
    )


def discriminators_differ(model: nn.Module, state_dict: dict[str, Tensor]) -> bool:
    """Whether both have discriminators, and they are not of the same architecture."""
    own, given = (
        {name: getattr(value, 'shape', None) for name, value in _of(weights, 'disc.').items()}
        for weights in (model.state_dict(), state_dict)
    )
    return bool(own) and bool(given) and own != given


def optimizers_in_order(model: nn.Module, checkpoint: dict, source: str | Path) -> dict[str, dict]:
    """The states of a checkpoint's optimizers, their parameters in the order that `model` has.

    An optimizer knows its parameters by their numbers, which go as the names of its network do in
    the `state_dict`: a network with its parts in another order has other numbers. Raises
    `UserError` for an optimizer of more parameters or fewer.
    """
    states = {}
    for network, state in checkpoint['optimizer'].items():
        own = [name for name, _ in model.get_submodule(network).named_parameters(network)]
        places = {name: i for i, name in enumerate(n for n in checkpoint['state_dict'] if n in own)}
        groups = state['param_groups']
        numbers = [number for group in groups for number in group['params']]
        if len(numbers) != len(own) or len(groups) not in (1, len(own)):
            raise UserError(
                f'{source}: the optimizer of {network} has {len(numbers)} parameters in '
                f'{len(groups)} groups: expected the {len(own)} of the network, in one group or '
                'one in each'
            )
        if len(groups) == 1:
            groups = [{**groups[0], 'params': [numbers[places[name]] for name in own]}]
        else:
            groups = [groups[places[name]] for name in own]
        states[network] = {**state, 'param_groups': groups}
    return states


def load_weights(model: nn.Module, state_dict: dict[str, Tensor], source: str | Path) -> None:
    """Put a checkpoint's weights into a `GLInpaintor`.

    The generator's names must match exactly, the discriminators' where both sides have them. Raises
    `UserError` naming the first that differ, in name or shape, and then changes nothing.
    """
    own = model.state_dict()
    given = state_dict
    if _of(own, 'disc.') and not _of(given, 'disc.'):
        own = _of(own, 'generator.')
    elif not _of(own, 'disc.'):
        given = {name: value for name, value in given.items() if not name.startswith('disc.')}
    if not _all_tensors(given):
        raise UserError(f'{source} holds no weights: expected tensors in its state_dict')
    differences = [f'{name} is missing' for name in own if name not in given]
    differences += [f'{name} is unexpected' for name in given if name not in own]
    differences += [
        f'{name} has the shape {tuple(given[name].shape)} and not {tuple(own[name].shape)}'
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    if differences:
        raise UserError(
            f'{source} is of another architecture than the configuration: '
            f'{"; ".join(differences[:3])}; {len(differences)} differences in all'
        )
    model.load_state_dict(given, strict=False)


def _of(state_dict: dict, prefix: str) -> dict:
    return {name: value for name, value in state_dict.items() if name.startswith(prefix)}


def _all_tensors(state_dict: dict) -> bool:
    return all(isinstance(value, Tensor) for value in state_dict.values())


def _broken(path: Path) -> UserError:
    return UserError(
        f'cannot read the checkpoint {path}: it is truncated, or not a file of torch.save'
    )


def _download(url: str) -> Path:
    if not (name := Path(urlparse(url).path).name):
        raise UserError(f'cannot download {url}: expected the address of a file')
    path = Path(torch.hub.get_dir()) / 'checkpoints' / name
    if not path.is_file():
        make_folder(path.parent)
        try:
            torch.hub.download_url_to_file(url, str(path))
        except (OSError, ValueError, HTTPException) as error:
            raise UserError(f'cannot download {url}: {reason(error)}') from None
    return path


def _check_hash(path: Path) -> None:
    if not (expected := re.search(r'-([0-9a-f]{8})$', path.stem)):
        return
    if not (digest := sha256(path)).startswith(expected[1]):
        raise UserError(
            f'{path} is damaged or not what its name says: expected a SHA-256 that begins with '
            f'{expected[1]}, got {digest[:8]}; download it again'
        )
