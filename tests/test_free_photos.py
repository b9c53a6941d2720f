"""The photographs of a list are fetched, checked and named, whatever a server or a list says."""

import hashlib
import http.server
import runpy
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import ROOT, run_tool

TOOL = ROOT / 'tools/dataset_converters/free_photos.py'
GITHUB = 'https://raw.githubusercontent.com'
SHIPPED = ROOT / 'mmedit_gl/apis/default/photographs.tsv'
HEADER = ['repository', 'commit', 'path', 'git_blob', 'bytes', 'credit', 'licence']
COMMIT = 'c' * 40


class Server(http.server.ThreadingHTTPServer):
    """Answers from `contents` by path, and notes what it was asked for."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.contents: dict[str, bytes | Iterator[bytes]] = {}
        self.requests: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        content = self.server.contents.get(self.path)
        self.send_response(404 if content is None else 200)
        self.end_headers()
        with suppress(ConnectionError):
            for part in content if isinstance(content, Iterator) else [content or b'']:
                self.wfile.write(part)

    def log_message(self, *args):
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(server, tmp_path, monkeypatch, capfd):
    """Runs the tool in `tmp_path`, with the server for GitHub; gives its status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    code = TOOL.read_text(encoding='utf-8')
    assert code.count(GITHUB) == 1
    code = code.replace(GITHUB, f'http://127.0.0.1:{server.server_port}')
    Path('free_photos.py').write_text(code, encoding='utf-8')

    def run(*args) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['free_photos.py', *map(str, args)])
        capfd.readouterr()
        status = 0
        try:
            runpy.run_path('free_photos.py', run_name='__main__')
        except SystemExit as end:
            # Python itself prints a message that is given as the status, and ends with 1.
            status = end.code
            if isinstance(status, str):
                print(status, file=sys.stderr)
                status = 1
        return status, *capfd.readouterr()

    return run


def git_blob(content: bytes) -> str:
    return hashlib.sha1(f'blob {len(content)}\0'.encode() + content).hexdigest()


def row(path: str, content: bytes) -> list[str]:
    return ['some/photos', COMMIT, path, git_blob(content), str(len(content)), 'me', 'CC0 1.0']


def put_list(*rows: list[str], header: list[str] = HEADER) -> Path:
    text = ''.join('\t'.join(row) + '\n' for row in (header, *rows))
    Path('list.tsv').write_text(text, encoding='utf-8')
    return Path('list.tsv')


def pictures(out: str = 'out') -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(out).iterdir() if path.suffix != '.txt'}


def serve(server: Server, *contents: bytes) -> list[list[str]]:
    """Puts them on the server as a/0.jpg, a/1.jpg, and so on; gives their rows."""
    for i, content in enumerate(contents):
        server.contents[f'/some/photos/{COMMIT}/a/{i}.jpg'] = content
    return [row(f'a/{i}.jpg', content) for i, content in enumerate(contents)]


def test_photographs_come_from_their_commits_as_they_are(server, fetch):
    contents = {'a/1.jpg': b'one', 'b/1.jpg': b'two', 'Dôme du #1?.JPEG': b'\0\r\n' * 99}
    urls = ('a/1.jpg', 'b/1.jpg', 'D%C3%B4me%20du%20%231%3F.JPEG')
    for url, content in zip(urls, contents.values()):
        server.contents[f'/some/photos/{COMMIT}/{url}'] = content
    status, said, error = fetch(put_list(*(row(*pair) for pair in contents.items())), 'out/new')
    assert (status, said.splitlines()[-1], error) == (0, 'out/new: 3 of 3 photographs', '')
    assert sorted(pictures('out/new').values()) == sorted(contents.values())
    readable = sorted(name.rpartition('-')[0] for name in pictures('out/new'))
    assert readable == ['some-photos-1', 'some-photos-1', 'some-photos-D-me-du-1-']
    assert sorted(Path(name).suffix for name in pictures('out/new')) == ['.JPEG', '.jpg', '.jpg']
    assert Path('out/new/failed.txt').read_text() == ''


def test_a_list_that_an_editor_saved_is_the_same(server, fetch):
    path = put_list(*serve(server, b'one', b'two'))
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes().replace(b'\n', b'\r\n'))
    assert fetch(path, 'out')[0] == 0
    assert sorted(pictures().values()) == [b'one', b'two']


def test_a_name_depends_on_its_row_alone(server, fetch):
    rows = serve(server, b'one', b'two', b'three')
    fetch(put_list(*rows), 'out')
    fetch(put_list(rows[2]), 'other')
    assert pictures('other').items() < pictures().items()


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'a photo', 'expected 10 bytes, got 7'),
        (b'', 'expected 10 bytes, got 0'),
        (b'photograph, and more', 'expected 10 bytes, got more'),
        (
            b'PHOTOGRAPH',
            f'expected blob {git_blob(b"photograph")}, got {git_blob(b"PHOTOGRAPH")}',
        ),
    ],
)
def test_other_content_than_the_list_names_is_not_kept(content, reason, server, fetch):
    rows = serve(server, b'photograph', b'other')
    server.contents[f'/some/photos/{COMMIT}/a/0.jpg'] = content
    status, said, _ = fetch(put_list(*rows), 'out')
    assert status == 1
    assert said.splitlines()[-1] == 'out: 1 of 2 photographs'
    assert list(pictures().values()) == [b'other']
    (failed,) = Path('out/failed.txt').read_text().splitlines()
    assert failed.endswith(f'/some/photos/{COMMIT}/a/0.jpg: other content: {reason}')


def test_no_more_than_the_listed_bytes_is_read(server, fetch):
    rows = serve(server, b'photograph')
    much = repeat(bytes(2**20), 200)
    server.contents[f'/some/photos/{COMMIT}/a/0.jpg'] = much
    assert fetch(put_list(*rows), 'out')[0] == 1
    assert 'expected 10 bytes, got more' in Path('out/failed.txt').read_text()
    assert next(much, None) is not None


def test_what_fails_leaves_the_others_and_comes_with_the_next_run(server, fetch):
    rows = serve(server, *(b'%d' % i for i in range(20)))
    lost = server.contents.pop(f'/some/photos/{COMMIT}/a/7.jpg')
    status, said, error = fetch(put_list(*rows), 'out', '--workers', 3)
    assert (status, said.splitlines()[-1]) == (1, 'out: 19 of 20 photographs')
    assert error == 'error: 1 not fetched: out/failed.txt says why, run it again\n'
    (failed,) = Path('out/failed.txt').read_text().splitlines()
    assert failed.endswith(f'/{COMMIT}/a/7.jpg: no answer: HTTP Error 404: Not Found')
    assert lost not in pictures().values()
    server.contents[f'/some/photos/{COMMIT}/a/7.jpg'] = lost
    server.requests.clear()
    status, said, error = fetch('list.tsv', 'out')
    assert (status, said.splitlines()[-1], error) == (0, 'out: 20 of 20 photographs', '')
    assert server.requests == [f'/some/photos/{COMMIT}/a/7.jpg']
    assert Path('out/failed.txt').read_text() == ''


def test_a_server_that_cannot_be_reached_is_a_failure_of_each_photograph(server, fetch):
    rows = serve(server, b'one', b'two')
    server.shutdown()
    server.server_close()
    status, said, _ = fetch(put_list(*rows), 'out')
    assert (status, said.splitlines()[-1]) == (1, 'out: 0 of 2 photographs')
    failed = Path('out/failed.txt').read_text().splitlines()
    assert len(failed) == 2
    assert all('.jpg: no answer: ' in line for line in failed)


def test_only_files_that_are_whole_are_not_fetched_again(server, fetch):
    contents = [b'first', b'second', b'third', b'fourth']
    rows = serve(server, *contents)
    fetch(put_list(*rows), 'out')
    whole = pictures()
    names = {content: name for name, content in whole.items()}
    Path('out', names[b'first']).unlink()
    Path('out', names[b'second']).write_bytes(b'SECOND')
    Path('out', names[b'third']).write_bytes(b'thi')
    server.requests.clear()
    assert fetch('list.tsv', 'out')[0] == 0
    assert sorted(server.requests) == [f'/some/photos/{COMMIT}/a/{i}.jpg' for i in range(3)]
    assert pictures() == whole


@pytest.mark.parametrize(
    'path',
    [
        '../../../up.jpg',
        '/tmp/root.jpg',
        '..\\..\\up.jpg',
        'C:\\up.jpg',
        '...jpg',
        '~/-rf.jpg',
        'nul\0byte\x1b[2J.jpg',
        f'{"long" * 200}.jpg',
    ],
)
def test_no_path_of_a_list_leads_out_of_the_folder(path, server, fetch, tmp_path):
    server.contents[f'/some/photos/{COMMIT}/{quote(path)}'] = b'hostile'
    before = {p for p in tmp_path.rglob('*') if p.is_file()} | {tmp_path / 'list.tsv'}
    assert fetch(put_list(row(path, b'hostile')), 'out')[0] == 0
    (name,) = pictures()
    assert name.startswith('some-photos-')
    assert name.endswith('.jpg')
    assert name.isascii()
    assert name.isprintable()
    new = {p for p in tmp_path.rglob('*') if p.is_file()} - before
    assert new == {tmp_path / 'out' / name, tmp_path / 'out/failed.txt'}


@pytest.mark.parametrize(
    ('column', 'value', 'expected'),
    [
        ('repository', '../..', 'owner/name'),
        ('repository', 'some/..', 'owner/name'),
        ('repository', 'some/photos/more', 'owner/name'),
        ('repository', '@example.org/photos', 'owner/name'),
        ('repository', 'some/ph?otos', 'owner/name'),
        ('commit', 'main', '40 hexadecimal digits'),
        ('commit', '../' * 13 + '.', '40 hexadecimal digits'),
        ('path', '', 'a path to .jpg, '),
        ('path', 'run.py', 'a path to .jpg, '),
        ('path', 'a/.jpg', 'a path to .jpg, '),
        ('git_blob', 'c' * 41, '40 hexadecimal digits'),
        ('bytes', '-1', 'a number below 50 million'),
        ('bytes', '0', 'a number below 50 million'),
        ('bytes', '50000000', 'a number below 50 million'),
        ('bytes', '٣', 'a number below 50 million'),
        ('licence', ' ', 'the name of the licence'),
    ],
)
def test_a_row_that_is_not_of_its_form_is_refused_with_its_line(
    column, value, expected, server, fetch
):
    good, bad = row('1.jpg', b'one'), row('2.jpg', b'two')
    bad[HEADER.index(column)] = value
    status, said, error = fetch(put_list(good, bad), 'out')
    assert (status, said) == (2, '')
    assert error.startswith(f'error: list.tsv, line 3: expected as {column} {expected}')
    assert error.endswith(f', got {value!r}\n')
    assert server.requests == []
    assert not Path('out').exists()


def test_a_list_that_is_none_is_refused(server, fetch):
    one = row('1.jpg', b'one')
    cut = put_list(one[:-1], header=HEADER[:-1])
    assert 'list.tsv, line 1: expected the columns repository, commit, ' in fetch(cut, 'out')[2]
    assert 'line 1: expected the columns' in fetch(put_list(), 'out')[2]
    assert 'line 3: expected 7 columns, got 6' in fetch(put_list(one, one[:-1]), 'out')[2]
    assert (
        "line 3: expected each photograph once, got '1.jpg' again"
        in (fetch(put_list(one, one), 'out')[2])
    )
    Path('list.tsv').write_bytes(b'\xff\n')
    assert 'cannot read the list list.tsv: ' in fetch('list.tsv', 'out')[2]
    status, _, error = fetch('none.tsv', 'out')
    assert (status, len(error.splitlines())) == (2, 1)
    assert 'cannot read the list none.tsv: ' in error
    assert not Path('out').exists()


def test_what_cannot_be_done_is_said_in_a_sentence(server, fetch):
    (one,) = serve(server, b'one')
    assert fetch(put_list(one), 'out', '--workers', 0) == (
        2,
        '',
        'error: expected --workers of at least 1, got 0\n',
    )
    Path('file').write_text('')
    status, _, error = fetch('list.tsv', 'file/out')
    assert status == 2
    assert error == 'error: cannot make the folder file/out: Not a directory\n'
    Path('there/failed.txt').mkdir(parents=True)
    why = 'it is a folder, expected the name of a file'
    assert fetch('list.tsv', 'there') == (2, '', f'error: cannot write there/failed.txt: {why}\n')
    assert [path.name for path in Path('there').iterdir()] == ['failed.txt']


def test_the_list_of_the_small_model_names_a_licence_and_a_credit_where_one_is_due():
    photographs = runpy.run_path(str(TOOL))['read_photographs'](SHIPPED)
    assert len(photographs) == 2328
    assert SHIPPED.read_bytes().endswith(b'\n')
    assert photographs == sorted(photographs, key=lambda p: (p.repository, p.path))
    for photograph in photographs:
        free = any(word in photograph.licence.lower() for word in ('cc0', 'public domain'))
        assert photograph.credit.strip() or free, photograph
        assert ' (panel' not in photograph.path
        for value in photograph:
            assert value == value.strip()
            assert '""' not in value


def test_it_runs_as_a_command(tmp_path):
    done = run_tool('dataset_converters/free_photos.py', '--help', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'photographs.tsv' in done.stdout
    done = run_tool('dataset_converters/free_photos.py', 'none.tsv', 'out', cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith('error: cannot read the list none.tsv')
