"""Repositories of a hub: a real server on loopback that answers as the hub's API does."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from tests_support import rows_of, run_stages

from mashbill import InputError
from mashbill.files.hub_repository import HubAddress
from mashbill.publish.publish import Wish, publish

LOOPBACK = pytest.mark.allow_hosts(["127.0.0.1"])
COMMIT = "{:040x}"


class Hub(BaseHTTPRequestHandler):
    """Keeps repositories in memory: (kind, name) -> files of each revision, visibility, commits."""

    repositories: ClassVar[dict] = {}
    asked: ClassVar[list[str]] = []
    read_only = False
    protocol_version = "HTTP/1.1"

    def reply(self, status, value=None, code="", **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for key, text in {
            "X-Error-Code": code,
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(key.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def repository(self, kind, name):
        found = self.repositories.get((kind, name))
        if found is None:
            self.reply(404, {"error": "Repository not found"}, "RepoNotFound")
        return found

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        told = re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/(revision|tree)/(.*))?", path)
        if told:
            kind, name, what, rest = told.groups()
            found = self.repository(kind, name)
            if found and what == "tree":
                self.tree(found, rest)
            elif found:
                facts = {"id": name, "private": found["private"], "sha": found["sha"]}
                self.reply(200, {**facts, "tags": [], "siblings": []})
            return
        kind, name, _, inside = re.fullmatch(
            r"/(datasets/)?([^/]+/[^/]+)/resolve/(refs/convert/parquet|[^/]+)/(.*)", path
        ).groups()
        found = self.repository("dataset" if kind else "model", name)
        if found and inside in found["files"]:
            data = found["files"][inside]
            tag = hashlib.sha1(data, usedforsecurity=False).hexdigest()
            self.reply(200, data, X_Repo_Commit=found["sha"], ETag=f'"{tag}"')
        elif found:
            self.reply(404, {"error": "no such entry"}, "EntryNotFound", X_Repo_Commit=found["sha"])

    do_HEAD = do_GET  # noqa: N815

    def tree(self, found, rest):
        for revision in ("refs/convert/parquet", "main", found["sha"], "nosuch"):
            if rest == revision or rest.startswith(f"{revision}/"):
                break
        if revision == "nosuch":
            self.reply(404, {"error": "no such revision"}, "RevisionNotFound")
            return
        base = rest.removeprefix(revision).lstrip("/")
        inside = {
            n: d for n, d in found["files"].items() if n.startswith(f"{base}/" if base else "")
        }
        if base and not inside:
            self.reply(404, {"error": "no such folder"}, "EntryNotFound")
            return
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", [""])[0].lower() == "true"
        items = [
            {"type": "file", "path": name, "size": len(data), "oid": git_sha1(data)}
            | ({"lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data),
                        "pointerSize": 1}} if name.endswith(".parquet") else {})
            for name, data in inside.items() if recursive or "/" not in name
        ]  # fmt: skip
        self.reply(200, items)

    def do_POST(self):
        self.asked.append(f"POST {self.path}")
        data = self.rfile.read(int(self.headers["Content-Length"]))
        told = re.fullmatch(
            r"/api/(model|dataset)s/([^/]+/[^/]+)/(preupload|commit)/main", self.path
        )
        if self.path == "/api/validate-yaml":
            self.reply(200, {"errors": [], "warnings": []})
        elif self.read_only:
            self.reply(403, {"error": "you may not write here"})
        elif self.path == "/api/repos/create":
            asked = json.loads(data)
            name = f"{asked['organization']}/{asked['name']}"
            self.repositories[asked.get("type", "model"), name] = {
                "files": {".gitattributes": b""},
                "sha": COMMIT.format(1),
                "commits": [],
                "private": asked.get("private", asked.get("visibility") == "private"),
            }
            self.reply(200, {"url": f"{self.server.address}/datasets/{name}"})
        elif told[3] == "preupload":
            files = json.loads(data)["files"]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            self.reply(200, {"files": [{"path": file["path"], **modes} for file in files]})
        else:
            self.commit(self.repositories[told[1], told[2]], data, f"{told[1]}s/{told[2]}")

    def commit(self, found, data, path):
        lines = [json.loads(line) for line in data.splitlines()]
        head, *operations = [(line["key"], line["value"]) for line in lines]
        if head[1].get("parentCommit") not in (None, found["sha"]):
            self.reply(412, {"error": "A commit has happened since."})
            return
        for key, value in operations:
            if key == "file":
                found["files"][value["path"]] = base64.b64decode(value["content"])
            else:
                assert key == "deletedFile"
                del found["files"][value["path"]]
        found["commits"].append(head[1]["summary"])
        found["sha"] = COMMIT.format(len(found["commits"]) + 1)
        url = f"{self.server.address}/{path}/commit/{found['sha']}"
        self.reply(200, {"success": True, "commitOid": found["sha"], "commitUrl": url})

    def log_message(self, *args):
        pass


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_TOKEN", "hf_none")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(Hub, "repositories", {})
        monkeypatch.setattr(Hub, "read_only", False)
        Hub.asked.clear()
        yield Hub
        server.shutdown()


def give(hub, name, *, private=False, **files):
    hub.repositories["dataset", name] = {
        "files": files,
        "private": private,
        "sha": COMMIT.format(7),
        "commits": [],
    }


CORPUS = '[stages.got]\nkind = "corpus"\ntitle = "Set"\nsource = "{}"\n{}\n'


def lines_of(*texts):
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


@LOOPBACK
@pytest.mark.parametrize(
    ("inside", "texts"),
    [
        ("", "abcd"),
        ("@main/", "abcd"),
        ("/data", "cd"),
        (f"@{COMMIT.format(7)}/data/c.jsonl", "c"),
        ("@refs%2Fconvert%2Fparquet/*.jsonl", "abcd"),
        ("/data/?.jsonl", "cd"),
    ],
)
def test_a_data_set_is_read_and_pinned_by_its_bytes(hub, tmp_path, inside, texts):
    files = {f"data/{name}.jsonl": lines_of(name) for name in "dc"}
    give(hub, "acme/set", **{"README.md": b"", "a.jsonl": lines_of("a", "b"), **files})
    source = f"hf:datasets/acme/set{inside}"
    with pytest.raises(InputError, match="pin sha256") as told:
        run_stages(tmp_path, CORPUS.format(source, ""), {})
    pin = str(told.value).split("sha256 = '")[1].split("'")[0]
    stage = CORPUS.format(source, f'sha256 = "{pin}"')
    store = run_stages(tmp_path, stage, {})
    assert "".join(row["text"] for row in rows_of(store, "got")) == texts
    many = len(texts) > 1
    assert len(store.find("got").measures.get("files", {})) == (len(set(texts) & set("acd")) * many)
    hub.repositories["dataset", "acme/set"]["files"] = {
        name: data.replace(b"c", b"x") for name, data in files.items()
    }
    hub.asked.clear()
    run_stages(tmp_path, stage.replace("[stages.got]", "[stages.more]"), {})
    assert hub.asked == []
    with pytest.raises(
        InputError, match=r"the recipe pins .*; the bytes have changed|has no such f"
    ):
        run_stages(tmp_path / "elsewhere", stage, {})


@LOOPBACK
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf:datasets/acme/none", r"acme/none: http://127.* has no such repository.*HF_TOKEN"),
        ("hf:datasets/acme/set/none.csv", r"the repository at http.* has no none.csv"),
        ("hf:datasets/acme/set/deep", r"the repository at http.* has no deep"),
        (
            "hf:datasets/acme/set/*.csv",
            r"set/\*.csv: the repository has no such file \(it has a.js",
        ),
        ("hf:datasets/acme/set@no/*", r"hf:datasets/acme/set: .*no such revision|Revision"),
        ("hf:datasets/acme", r"hf:datasets/acme: write hf:OWNER/NAME/FILE"),
        ("hf:datasets/acme/set/../x", r"write hf:OWNER/NAME/FILE"),
    ],
)
def test_what_the_hub_has_not_is_told(hub, tmp_path, source, message):
    give(hub, "acme/set", **{"a.jsonl": b""})
    with pytest.raises(InputError, match=message):
        run_stages(tmp_path, CORPUS.format(source, ""), {})


@LOOPBACK
@pytest.mark.parametrize("inside", ["a.jsonl", "", "*.jsonl"])
def test_a_file_that_is_larger_than_may_come_is_not_fetched(hub, tmp_path, monkeypatch, inside):
    from mashbill.files.hub_repository import HubAddress, hub_download

    give(hub, "acme/set", **{"a.jsonl": lines_of(*"abcdefgh")})
    monkeypatch.setenv("MASHBILL_MAX_DOWNLOAD", "20")
    with pytest.raises(InputError, match="larger than MASHBILL_MAX_DOWNLOAD allows, 20 bytes"):
        run_stages(tmp_path, CORPUS.format(f"hf:datasets/acme/set/{inside}", ""), {})
    with pytest.raises(InputError, match="larger than MASHBILL_MAX_DOWNLOAD allows, 20 bytes"):
        hub_download(HubAddress.parse("hf:datasets/acme/set"), "a.jsonl", tmp_path / "cache")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    stage = CORPUS.format("a.jsonl", "")
    return run_stages(folder, stage, {"a.jsonl": lines_of(*"abc").decode()})


def put(store, to, **wish):
    return publish(store, store.find("got"), to, Wish(**wish))


@LOOPBACK
def test_a_data_set_is_published_in_one_commit(hub, made, tmp_path):
    done = put(made, "hf:acme/out", format="jsonl")
    assert (done.to, done.commit) == ("hf:datasets/acme/out", COMMIT.format(2))
    there = hub.repositories["dataset", "acme/out"]
    assert there["private"]
    assert there["commits"] == ["got@1, published by mashbill"]
    assert set(there["files"]) == {
        ".gitattributes", "data/part-00000.jsonl", "README.md", "bill.json", "SHA256SUMS",
    }  # fmt: skip
    again = put(made, "hf:datasets/acme/out", format="jsonl")
    assert (again.written, again.commit, len(there["commits"])) == ((), "", 1)
    with pytest.raises(InputError, match=r"hf:datasets/acme/out holds README.md, SHA256SUMS with"):
        put(made, "hf:acme/out", format="parquet")
    done = put(made, "hf:acme/out", format="parquet", replace=True)
    assert (done.removed, len(there["commits"])) == (("data/part-00000.jsonl",), 2)
    assert "data/part-00000.jsonl" not in there["files"]
    assert put(made, "hf:acme/out").written == ()  # by the SHA-256 that the hub tells of large ones
    stage = CORPUS.format("hf:datasets/acme/out", f'sha256 = "{"0" * 64}"')
    with pytest.raises(InputError, match=r"list of its 1 files is \w+, the recipe pins 000"):
        run_stages(tmp_path, stage, {})


@LOOPBACK
def test_what_everyone_can_see_is_published_to_only_if_wished(hub, made):
    assert put(made, "hf:acme/open", public=True).commit
    assert not hub.repositories["dataset", "acme/open"]["private"]
    with pytest.raises(
        InputError, match=r"acme/open is there and everyone can see it; say --public"
    ):
        put(made, "hf:acme/open", receipts=False, replace=True)


@LOOPBACK
def test_a_commit_that_was_not_seen_is_not_overwritten(hub, made, monkeypatch):
    put(made, "hf:acme/out")
    seen = Hub.do_GET

    def meanwhile(self):
        seen(self)
        if "/tree/" in self.path:
            self.repositories["dataset", "acme/out"]["sha"] = COMMIT.format(99)

    monkeypatch.setattr(Hub, "do_GET", meanwhile)
    with pytest.raises(InputError, match=r"hf:datasets/acme/out: .*HTTP 412"):
        put(made, "hf:acme/out", receipts=False, replace=True)
    hub.read_only = True
    with pytest.raises(InputError, match=r"hf:datasets/acme/new: (?s:.*) HTTP 403(?s:.*)HF_TOKEN"):
        put(made, "hf:acme/new")


def test_an_address_of_the_hub_is_read():
    asked = HubAddress.parse("hf:datasets/a/b@refs%2Fconvert%2Fparquet/x/*.parquet")
    assert (asked.kind, asked.revision, asked.inside) == (
        "dataset",
        "refs/convert/parquet",
        "x/*.parquet",
    )
    assert asked.file("y") == "hf:datasets/a/b@refs%2Fconvert%2Fparquet/y"
    assert HubAddress.parse("hf:a/b/c.gguf").kind == "model"
