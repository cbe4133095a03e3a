"""Files of a package registry are fetched as files: over HTTP on loopback, and from folders."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mashbill import InputError
from mashbill.files.fetch import fetch, member
from mashbill.files.packages import Places

pytestmark = pytest.mark.enable_socket


def sdist(marker) -> bytes:
    """Return a source archive whose setup.py and build backend write a file when they run."""
    evil = f"open({str(marker)!r}, 'w').write('ran')\n"
    files = {
        "setup.py": f"{evil}from setuptools import setup\nsetup(name='toy', version='1.0')\n",
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\n"
        "backend-path = ['.']\n",
        "backend.py": evil,
        "toy.pth": f"import os; {evil}",
        "data.txt": "words\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"toy-1.0/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return made.getvalue()


def wheel() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("toy/data.txt", "words of the wheel\n")
    return made.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Index:
    """An index on loopback: what it answers to each path, and what it was asked."""

    def __init__(self):
        self.answers: dict[str, tuple[int, dict, bytes]] = {}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, self.headers.get("Authorization")))
                code, headers, data = outer.answers.get(self.path, (404, {}, b""))
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def file(self, name, data, at="/files/"):
        self.answers[f"{at}{name}"] = (200, {}, data)

    def html(self, *links, page="/simple/toy/"):
        text = "".join(f'<a href="{href}" {more}>x</a><br>\n' for href, more in links)
        self.answers[page] = (200, {"Content-Type": "text/html"}, f"<html>{text}".encode())

    def json(self, *files, page="/simple/toy/"):
        kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
        data = {"meta": {"api-version": "1.1"}, "name": "toy", "files": list(files)}
        self.answers[page] = (200, kind, json.dumps(data).encode())


@pytest.fixture
def index(monkeypatch, tmp_path):
    made = Index()
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setattr("mashbill.files.packages._pip_says", lambda _: {})  # it takes its time
    monkeypatch.setenv("PIP_INDEX_URL", f"{made.url}/simple/")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield made
    made.close()


def get(tmp_path, data, address="pypi:toy==1.0"):
    return fetch(address, sha256(data), tmp_path, tmp_path / "cache")


@pytest.mark.parametrize("form", ["html", "json"])
def test_a_source_archive_is_fetched_and_never_run(index, tmp_path, form):
    marker = tmp_path / "marker"
    data = sdist(marker)
    index.file("toy-1.0.tar.gz", data)
    if form == "html":
        index.html((f"../../files/toy-1.0.tar.gz#sha256={sha256(data)}", ""))
    else:
        hashes = {"sha256": sha256(data)}
        index.json(
            {"filename": "toy-1.0.tar.gz", "url": "../../files/toy-1.0.tar.gz", "hashes": hashes}
        )
    path = get(tmp_path, data)
    assert path.read_bytes() == data
    assert member(path, "toy-1.0/data.txt") == b"words\n"
    assert not marker.exists()
    before = len(index.asked)
    assert get(tmp_path, data) == path
    assert len(index.asked) == before  # it is kept


def test_of_two_files_the_pinned_one_is_fetched_and_a_yanked_one_too(index, tmp_path):
    one, other = sdist(tmp_path / "marker"), wheel()
    index.file("toy-1.0.tar.gz", one)
    index.file("toy-1.0-py3-none-any.whl", other)
    index.html(
        (f"/files/toy-1.0.tar.gz#sha256={sha256(one)}", 'data-yanked="broken"'),
        (f"/files/toy-1.0-py3-none-any.whl#sha256={sha256(other)}", ""),
        ("/files/toy-0.9.tar.gz#sha256=" + "0" * 64, ""),
    )
    assert get(tmp_path, other).name == "toy-1.0-py3-none-any.whl"
    assert get(tmp_path, one).name == "toy-1.0.tar.gz"
    assert not any("0.9" in path for path, _ in index.asked)


def test_a_file_whose_digest_the_index_does_not_tell_is_looked_at(index, tmp_path):
    data = wheel()
    index.file("toy-1.0.tar.gz", b"another")
    index.file("toy-1.0-py3-none-any.whl", data)
    index.html(("/files/toy-1.0.tar.gz", ""), ("/files/toy-1.0-py3-none-any.whl", ""))
    assert get(tmp_path, data).read_bytes() == data
    assert len(list((tmp_path / "cache" / "registry").rglob("*.*"))) == 1


def test_bytes_that_are_not_the_pinned_ones_are_not_kept(index, tmp_path):
    data = wheel()
    index.file("toy-1.0-py3-none-any.whl", data + b"more")
    index.html((f"/files/toy-1.0-py3-none-any.whl#sha256={sha256(data)}", ""))
    with pytest.raises(InputError, match=r"toy-1.0-py3-none-any.whl has another SHA-256"):
        get(tmp_path, data)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    with pytest.raises(InputError, match=r"there is toy-1.0-py3-none-any.whl [0-9a-f]{12}"):
        get(tmp_path, b"something else")


@pytest.mark.parametrize(
    "href",
    [
        "/files/..%2F..%2Ftoy-1.0-py3-none-any.whl",
        "/files/toy-1.0-py3-none-any.whl%00",
        "/files/%2Ftmp%2Ftoy-1.0.tar.gz%2F..",
        "file:///etc/toy-1.0-py3-none-any.whl",
        "/files/toy-1.0-py3-none-any.whl\\..",
        "http://[::1/toy-1.0.tar.gz",
        "http://127.0.0.1:x/toy-1.0.tar.gz",
    ],
)
def test_no_name_of_an_index_leads_out_of_the_cache(index, tmp_path, href):
    data = wheel()
    for name in ("toy-1.0-py3-none-any.whl", "..%2F..%2Ftoy-1.0-py3-none-any.whl"):
        index.file(name, data)
    index.html((f"{href}#sha256={sha256(data)}", ""))
    try:
        path = get(tmp_path, data)
    except InputError:
        pass
    else:
        assert path.parent == tmp_path / "cache" / "registry" / sha256(data)
    left = {p.parent.name for p in (tmp_path / "cache").rglob("*") if p.is_file()}
    assert left <= {sha256(data)}


def test_redirects_are_followed_on_the_web_only(index, tmp_path):
    data = wheel()
    name = "toy-1.0-py3-none-any.whl"
    index.file(name, data, "/elsewhere/")
    index.answers["/simple/toy/"] = (302, {"Location": "/moved/toy/"}, b"")
    index.html((f"/files/{name}#sha256={sha256(data)}", ""), page="/moved/toy/")
    index.answers[f"/files/{name}"] = (301, {"Location": f"/elsewhere/{name}"}, b"")
    assert get(tmp_path, data).read_bytes() == data
    other = data + b" "
    (tmp_path / name).write_bytes(other)
    for target in (f"file://{tmp_path / name}", f"ftp://127.0.0.1/{name}", "data:,x", "/round"):
        index.html((f"/files/{name}#sha256={sha256(other)}", ""), page="/moved/toy/")
        index.answers[f"/files/{name}"] = (301, {"Location": target}, b"")
        index.answers["/round"] = (301, {"Location": "/round"}, b"")
        with pytest.raises(InputError, match="no file with the pinned SHA-256"):
            get(tmp_path, other)


def test_a_huge_page_and_a_huge_file_are_left(index, tmp_path, monkeypatch):
    monkeypatch.setattr("mashbill.files.index_pages._PAGE", 10_000)
    data = wheel()
    index.html(*[("/x", "")] * 1000)
    with pytest.raises(InputError, match=r"a page of more than .* not read"):
        get(tmp_path, data)
    index.file("toy-1.0-py3-none-any.whl", data)
    index.html((f"/files/toy-1.0-py3-none-any.whl#sha256={sha256(data)}", ""))
    monkeypatch.setenv("MASHBILL_MAX_DOWNLOAD", "10")
    with pytest.raises(InputError, match=r"larger than MASHBILL_MAX_DOWNLOAD allows, 10 bytes"):
        get(tmp_path, data)


def test_a_file_that_ends_early_is_told(index, tmp_path):
    data = wheel()
    index.answers["/files/toy-1.0-py3-none-any.whl"] = (
        200,
        {"Content-Length": str(len(data) + 5)},
        data,
    )
    index.html((f"/files/toy-1.0-py3-none-any.whl#sha256={sha256(data)}", ""))
    index._server.RequestHandlerClass.timeout = 5
    with pytest.raises(InputError, match=r"bytes came|IncompleteRead"):
        get(tmp_path, data)


def test_folders_and_files_are_indexes_as_pip_has_it(index, tmp_path, monkeypatch):
    data, name = wheel(), "toy-1.0-py3-none-any.whl"
    simple = tmp_path / "mirror" / "simple" / "toy"
    simple.mkdir(parents=True)
    (simple / "index.html").write_text(f'<a href="../../{name}">{name}</a>')
    (tmp_path / "mirror" / name).write_bytes(data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InputError, match="of this version there is nothing"):
        get(tmp_path, data)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "mirror"))
    assert get(tmp_path, data).read_bytes() == data
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file://{tmp_path}/mirror/simple")
    assert fetch("pypi:Toy==1", sha256(data), tmp_path, tmp_path / "c2").read_bytes() == data
    assert "/simple/toy/" in [path for path, _ in index.asked]


def test_settings_are_those_of_pips_files_and_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://a.example/simple\nfind-links = /one\n  /two\n"
        "[download]\nextra-index-url = https://b.example/simple\n"
        "[install]\nno-index = true\n"
    )
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    found = Places.configured()
    assert found.indexes[0] == "https://a.example/simple"
    assert "https://b.example/simple" in found.indexes
    assert found.links == ("/one", "/two")
    monkeypatch.setenv("PIP_INDEX_URL", "https://c.example/simple")
    assert Places.configured().indexes[0] == "https://c.example/simple"


def test_a_password_of_an_index_goes_to_it_alone_and_into_no_error(index, tmp_path, monkeypatch):
    data, name = wheel(), "toy-1.0-py3-none-any.whl"
    other = Index()
    try:
        other.file(name, data)
        link = f"{other.url}/files/{name}#sha256={sha256(data)}"
        index.html((link, ""))
        url = index.url.replace("http://", "http://me:secret@")
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
        assert get(tmp_path, data).read_bytes() == data
        assert index.asked[0] == ("/simple/toy/", "Basic bWU6c2VjcmV0")
        assert other.asked == [(f"/files/{name}", None)]
        index.answers.clear()
        with pytest.raises(InputError, match="HTTP 404") as caught:
            get(tmp_path, b"none")
        assert "secret" not in str(caught.value)
    finally:
        other.close()


@pytest.mark.parametrize(
    "address",
    ["pypi:", "pypi:==", "pypi:toy", "pypi:toy==", "pypi:toy==1.*", "pypi:../x==1", "pypi:a/b==1",
     "pypi:toy==1 --hash", "pypi:-e==1", "pypi:toy[all]==1", "pypi:tøy==1", "pypi:" + "a" * 9999],
)  # fmt: skip
def test_what_is_no_requirement_is_told_before_anybody_is_asked(index, tmp_path, address):
    with pytest.raises(InputError, match=r"pypi:.*(write pypi:NAME==VERSION|is no name)"):
        get(tmp_path, b"", address)
    assert index.asked == []


@pytest.mark.parametrize("pin", ["", "00", "../../x", "0" * 63 + "G", "A" * 64])
def test_a_pin_is_a_digest_and_never_a_path(index, tmp_path, pin):
    with pytest.raises(InputError, match="must be 64 hexadecimal digits"):
        fetch("pypi:toy==1.0", pin, tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("application/vnd.pypi.simple.v1+json", b"{"),
        ("application/vnd.pypi.simple.v1+json", b"[" * 100_000),
        ("application/vnd.pypi.simple.v1+json", b'{"files": 3}'),
        ("application/vnd.pypi.simple.v1+json", b'{"files": [1, {"filename": 2, "url": []}]}'),
        ("text/html", b"<a href=x" * 1000 + b"\xff\x00<![CDATA[<!-- "),
        ("no type", b""),
    ],
)
def test_a_page_that_is_none_is_told(index, tmp_path, kind, data):
    index.answers["/simple/toy/"] = (200, {"Content-Type": kind}, data)
    with pytest.raises(InputError, match="no file with the pinned SHA-256"):
        get(tmp_path, b"x")


def test_a_folder_in_the_place_of_a_file_is_called_one(tmp_path):
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match="plain is a folder, and one file is wanted here"):
        fetch("plain", None, tmp_path, tmp_path / "cache")
    with pytest.raises(InputError, match="none: no such file beside the recipe"):
        fetch("none", None, tmp_path, tmp_path / "cache")
