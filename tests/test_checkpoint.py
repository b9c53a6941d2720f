import builtins
import functools
import hashlib
import http.server
import os
import pickle
import threading
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from test_inpaintor import build_small, optimizers

from mmedit_gl.checkpoint import best_weights, load_weights, read_checkpoint
from mmedit_gl.errors import UserError

FORMATS = pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])


class Reduced:
    """Pickled as the call `function(*args)`."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def save(content, path: Path, is_zip: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    return path


def assert_equal_weights(first: dict, second: dict) -> None:
    assert list(first) == list(second)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@FORMATS
def test_both_formats_of_torch_load(tmp_path, is_zip):
    weights = build_small().state_dict()
    path = save(dict(state_dict=weights, meta=dict(iter=3)), tmp_path / 'c.pth', is_zip)
    assert (path.read_bytes()[:2] == b'PK') == is_zip
    checkpoint = read_checkpoint(path)
    assert checkpoint['meta'] == dict(iter=3)
    assert_equal_weights(checkpoint['state_dict'], weights)


@FORMATS
def test_weights_alone_are_a_checkpoint(tmp_path, is_zip):
    weights = build_small().state_dict()
    checkpoint = read_checkpoint(save(weights, tmp_path / 'c.pth', is_zip))
    assert list(checkpoint) == ['state_dict']
    assert_equal_weights(checkpoint['state_dict'], weights)


def test_checkpoint_of_2020_loads(tmp_path):
    model = build_small()
    wrappers = optimizers(model)
    meta = dict(
        env_info='Python: 3.7.7',
        config="model = dict(type='GLInpaintor')",
        seed=0,
        iter=500_000,
        epoch=22,
        mmcv_version='0.6.1',
        time='Fri Jun 19 04:12:32 2020',
    )
    optimizer = {name: wrappers[name].optimizer.state_dict() for name in ('generator', 'disc')}
    weights = OrderedDict(model.state_dict())
    content = dict(meta=meta, state_dict=weights, optimizer=optimizer)
    checkpoint = read_checkpoint(save(content, tmp_path / 'c.pth', is_zip=False))
    assert checkpoint['meta'] == meta
    assert checkpoint['optimizer']['disc']['param_groups'][0]['lr'] == 4e-4
    other = build_small()
    for parameter in other.parameters():
        parameter.data.zero_()
    load_weights(other, checkpoint['state_dict'], 'c.pth')
    assert_equal_weights(other.state_dict(), model.state_dict())


@FORMATS
def test_checkpoint_of_a_run_loads_with_weights_only(tmp_path, is_zip):
    hub = MessageHub('of_a_run')
    for value in (0.5, 1.0, 1.5):
        hub.update_scalar('train/loss_l1_hole', value)
    hub.update_info('iter', 3)
    content = dict(state_dict=build_small().state_dict(), message_hub=hub.state_dict())
    path = save(content, tmp_path / 'c.pth', is_zip)
    with pytest.raises(Exception, match='Weights only load failed'):
        torch.load(path, weights_only=True)  # the day it loads, _allow_message_hub can go
    restored = MessageHub('restored')
    restored.load_state_dict(read_checkpoint(path)['message_hub'])
    assert restored.get_info('iter') == 3
    scalar = restored.get_scalar('train/loss_l1_hole')
    assert isinstance(scalar, HistoryBuffer)
    assert (scalar.mean(2), scalar.mean(), scalar.current()) == (1.25, 1.0, 1.5)


@FORMATS
@pytest.mark.parametrize(
    ('name', 'call'),
    [
        ('system', lambda mark: Reduced(os.system, f'touch {mark}')),
        ('eval', lambda mark: Reduced(builtins.eval, f'open({str(mark)!r}, "w")')),
        ('exec', lambda mark: Reduced(builtins.exec, f'open({str(mark)!r}, "w")')),
        ('open', lambda mark: Reduced(builtins.open, str(mark), 'w')),
        (
            '__import__',
            lambda mark: Reduced(
                Reduced(builtins.getattr, Reduced(__import__, 'os'), 'system'), f'touch {mark}'
            ),
        ),
    ],
)
def test_a_pickle_that_would_run_code_is_refused_by_name(tmp_path, is_zip, name, call):
    mark = tmp_path / 'mark'
    content = dict(state_dict=dict(a=torch.zeros(1)), meta=call(mark))
    if name == '__import__':
        # A function that is itself the result of a call: pickle takes no such object from Python.
        content['meta'] = call(mark).function
    path = save(content, tmp_path / 'c.pth', is_zip)
    with pytest.raises(UserError, match=rf'would run code of the file \(\S*{name}\)'):
        read_checkpoint(path)
    assert not mark.exists()
    if name != '__import__':
        pickle.loads(pickle.dumps(content['meta']))
        assert mark.exists()  # it was no empty threat


@FORMATS
@pytest.mark.parametrize(
    ('owner', 'name'), [(HistoryBuffer, '__init__'), (OrderedDict, 'fromkeys'), (dict, 'clear')]
)
def test_getattr_is_refused_but_for_the_statistics_of_a_run(tmp_path, is_zip, owner, name):
    content = dict(state_dict=dict(a=torch.zeros(1)), meta=Reduced(getattr, owner, name))
    path = save(content, tmp_path / 'c.pth', is_zip)
    asked = owner.__name__ if owner is dict else rf"getattr\(<class '\S*{owner.__name__}'>, '{name}"
    with pytest.raises(UserError, match=rf'would run code of the file \(\S*{asked}'):
        read_checkpoint(path)


@FORMATS
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, is_zip):
    content = dict(state_dict=build_small().state_dict(), meta=dict(iter=3))
    path = save(content, tmp_path / 'c.pth', is_zip)
    whole = path.read_bytes()
    for size in (0, 1, 2, 10, *(len(whole) * i // 10 for i in range(3, 10)), len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match='truncated'):
            read_checkpoint(path)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@FORMATS
def test_damaged_bytes_never_escape_as_another_error(tmp_path, is_zip):
    path = save(dict(state_dict=dict(a=torch.zeros(3))), tmp_path / 'c.pth', is_zip)
    whole = path.read_bytes()
    refused = 0
    for i in range(0, len(whole), 3):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :])
        try:
            read_checkpoint(path)
        except UserError:
            refused += 1
    assert refused > 50


def test_the_hash_in_a_file_name_is_checked(tmp_path):
    weights = build_small().state_dict()
    path = save(weights, tmp_path / 'gl-00000000.pth')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UserError, match=f'begins with 00000000, got {digest[:8]}'):
        read_checkpoint(path)
    right = path.rename(tmp_path / f'gl-{digest[:8]}.pth')
    assert_equal_weights(read_checkpoint(right)['state_dict'], weights)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'no checkpoint .*c.pth: expected a file'),
        ('a text, no checkpoint', 'c.pth: it is truncated, or not a file of torch.save'),
        (dict(iter=3, name='x'), 'c.pth holds no weights: expected a dict with a state_dict'),
        ({}, 'c.pth holds no weights'),
        ([torch.zeros(1)], 'c.pth holds no weights'),
    ],
    ids=['missing', 'text', 'values', 'empty', 'list'],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content, message):
    path = tmp_path / 'c.pth'
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        save(content, path)
    with pytest.raises(UserError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize('network', ['generator', 'disc'])
@pytest.mark.parametrize('difference', ['missing', 'unexpected', 'shape'])
def test_weights_of_another_architecture_are_refused_and_change_nothing(network, difference):
    model = build_small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = {name: value + 1 for name, value in before.items()}
    first = next(name for name in before if name.startswith(network) and before[name].ndim == 4)
    if difference == 'missing':
        del given[first]
        message = f'{first} is missing; 1 differences in all'
    elif difference == 'unexpected':
        given[f'{network}.more'] = torch.zeros(1)
        message = f'{network}.more is unexpected; 1 differences in all'
    else:
        given[first] = torch.zeros(1, 2, 3, 4)
        message = f'{first} has the shape (1, 2, 3, 4) and not {tuple(before[first].shape)}'
    with pytest.raises(UserError) as error:
        load_weights(model, given, 'c.pth')
    assert str(error.value).startswith('c.pth is of another architecture than the configuration')
    assert message in str(error.value)
    assert_equal_weights(model.state_dict(), before)


def test_a_checkpoint_of_something_else_names_the_first_differences_only():
    given = {f'backbone.{i}.weight': torch.zeros(1) for i in range(50)}
    with pytest.raises(UserError) as error:
        load_weights(build_small(), given, 'c.pth')
    assert 'generator.encoder.enc1.conv.weight is missing' in str(error.value)
    assert len(str(error.value)) < 500


def test_weights_of_a_wrapped_model_and_averages_of_mmengine_load(tmp_path):
    model = build_small()
    average = {name: value + 1 for name, value in model.state_dict().items()}
    trained = {f'module.{name}': value for name, value in model.state_dict().items()}
    wrapped = {f'module.{name}': value for name, value in average.items()}
    torch.save(dict(state_dict=wrapped), tmp_path / 'wrapped.pth')
    # mmengine's EMAHook saves the average as the weights, and what it averages beside it.
    content = dict(state_dict=average, ema_state_dict={'steps': torch.tensor(3), **trained})
    torch.save(content, tmp_path / 'ema.pth')
    for name in ('wrapped.pth', 'ema.pth'):
        other = build_small()
        load_weights(other, best_weights(read_checkpoint(tmp_path / name)), name)
        assert_equal_weights(other.state_dict(), average)


def test_values_that_are_no_tensors_are_refused():
    model = build_small()
    given = {name: value.tolist() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match='holds no weights: expected tensors'):
        load_weights(model, given, 'c.pth')


def test_a_generator_alone_is_enough():
    model = build_small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = {n: value + 1 for n, value in before.items() if n.startswith('generator.')}
    load_weights(model, given, 'c.pth')
    for name, value in model.state_dict().items():
        expected = before[name] + 1 if name.startswith('generator.') else before[name]
        assert torch.equal(value, expected), name


def test_discriminators_are_ignored_by_a_model_without_them():
    given = {name: value + 1 for name, value in build_small().state_dict().items()}
    model = build_small(disc=None, loss_gan=None)
    load_weights(model, given, 'c.pth')
    for name, value in model.state_dict().items():
        assert name.startswith('generator.')
        assert torch.equal(value, given[name]), name


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server's folder and address; downloads go to another folder, `hub`."""
    folder = tmp_path / 'served'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield folder, f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_url_is_downloaded_once(server, tmp_path):
    folder, url = server
    weights = build_small().state_dict()
    path = save(dict(state_dict=weights), folder / 'gl.pth')
    assert_equal_weights(read_checkpoint(f'{url}/gl.pth')['state_dict'], weights)
    assert (tmp_path / 'hub/checkpoints/gl.pth').read_bytes() == path.read_bytes()
    path.unlink()
    assert_equal_weights(read_checkpoint(f'{url}/gl.pth')['state_dict'], weights)


def test_a_download_that_is_refused_is_not_kept(server, tmp_path):
    folder, url = server
    weights = build_small().state_dict()
    good = save(weights, tmp_path / 'good').read_bytes()
    name = f'gl-{hashlib.sha256(good).hexdigest()[:8]}.pth'
    (folder / name).write_bytes(good[:-1] + b'x')
    with pytest.raises(UserError, match='damaged or not what its name says'):
        read_checkpoint(f'{url}/{name}')
    (folder / name).write_bytes(good)
    assert_equal_weights(read_checkpoint(f'{url}/{name}')['state_dict'], weights)
    (folder / 'half.pth').write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match='truncated'):
        read_checkpoint(f'{url}/half.pth')
    assert [p.name for p in (tmp_path / 'hub/checkpoints').iterdir()] == [name]


@pytest.mark.parametrize(
    'address', ['{url}/none.pth', 'http://127.0.0.1:1/gl.pth', 'http://a b/gl.pth', '{url}']
)
def test_a_url_that_cannot_be_downloaded_is_refused(server, address):
    address = address.format(url=server[1])
    with pytest.raises(UserError, match=f'cannot download {address}'):
        read_checkpoint(address)
