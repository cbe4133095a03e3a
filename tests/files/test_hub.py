"""Cards from a hub: a real server on loopback that answers as the hub does."""

import hashlib
import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from mashbill.core.errors import InputError, MissingExtraError
from mashbill.files.hub_cards import fetch_cards
from mashbill.policy.importers import import_claims


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for the files that it has, by path, and notes who asked for what."""

    files: ClassVar[dict[str, bytes]] = {
        "/acme/student-7b/resolve/main/README.md": b"---\nlicense: mit\n---\n",
        "/datasets/acme/chats/resolve/main/README.md": b"---\nsource_datasets: [a/b]\n---\n",
    }
    errors: ClassVar[dict[str, tuple[int, str]]] = {
        "/acme/empty/resolve/main/README.md": (404, "EntryNotFound"),
        "/acme/gated/resolve/main/README.md": (403, "GatedRepo"),
        "/acme/ill/resolve/main/README.md": (501, ""),
    }
    asked: ClassVar[list[str]] = []

    def do_HEAD(self):
        self.asked.append(f"{self.command} {self.path}")
        body = self.files.get(self.path)
        if body is None:
            status, code = self.errors.get(self.path, (401, "RepoNotFound"))
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", "0")
        else:
            self.send_response(200)
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"')
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.files.get(self.path, b""))

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        Hub.asked.clear()
        yield address
        server.shutdown()
        thread.join()


LOOPBACK = pytest.mark.allow_hosts(["127.0.0.1"])


@LOOPBACK
def test_cards_are_fetched_to_where_the_importer_looks(hub, tmp_path):
    names = ["hf:acme/student-7b", "datasets/acme/chats"]
    files = fetch_cards(names, tmp_path)
    assert [str(f.relative_to(tmp_path)) for f in files] == [
        "acme/student-7b/README.md",
        "datasets/acme/chats/README.md",
    ]
    imported = import_claims("card", tmp_path)
    assert [e.license for e in imported.entities if e.id == "acme/student-7b"] == ["MIT"]
    assert [(c.child, c.parent) for c in imported.claims] == [("acme/chats", "a/b")]
    assert "GET /datasets/acme/chats/resolve/main/README.md" in Hub.asked
    files[0].write_text("old")
    assert fetch_cards(names[:1], tmp_path)[0].read_bytes() != b"old"
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["README.md"] * 2


@LOOPBACK
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acme/none", r"hf:acme/none: {hub} has no such repository.*HTTP 401.*HF_TOKEN"),
        ("acme/gated", r"hf:acme/gated: {hub} has no such repository.*HTTP 403.*HF_TOKEN"),
        ("acme/empty", r"hf:acme/empty: the repository at {hub} has no README.md \(HTTP 404\)"),
        ("acme/ill", r"hf:acme/ill: {hub} could not be reached or is no hub: .*501"),
        ("no-owner", r"'no-owner': write hf:OWNER/NAME"),
        ("a/../b", r"'a/\.\./b': write hf:OWNER/NAME"),
        ("../b", r"'\.\./b': write hf:OWNER/NAME"),
    ],
)
def test_what_cannot_be_fetched_is_named_with_the_address(hub, tmp_path, name, message):
    with pytest.raises(InputError, match=message.format(hub=re.escape(hub))):
        fetch_cards([name], tmp_path)
    assert list(tmp_path.iterdir()) == []


@LOOPBACK
def test_a_hub_that_is_not_there_is_named(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", address + "/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    http = pytest.importorskip("huggingface_hub.utils._http")
    monkeypatch.setattr(http.time, "sleep", lambda _: None)  # it waits between attempts
    with pytest.raises(InputError, match=f"hf:a/b: {re.escape(address)} could not be reached"):
        fetch_cards(["a/b"], tmp_path)


def test_without_the_hubs_package_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="extra 'hub'"):
        fetch_cards(["a/b"], tmp_path)
