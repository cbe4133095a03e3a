"""publish and read again: folders of this disk, and a real S3 API on loopback."""

import hashlib
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest
import yaml
from tests_support import BAD, GOOD, PLAIN, rows_of, run_stages
from typer.testing import CliRunner

from mashbill import InputError, Store, StoreError
from mashbill.cli import app
from mashbill.core.errors import MissingExtraError
from mashbill.publish.publish import Wish, publish
from mashbill.publish.rows import DATA_FORMATS

LOOPBACK = pytest.mark.allow_hosts(["127.0.0.1"])


def put(store, name, to, **wish):
    return publish(store, store.find(name), str(to), Wish(**wish))


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def user_rows(store, name):
    return [{k: v for k, v in row.items() if k[0] != "_"} for row in rows_of(store, name)]


CORPUS = '[stages.got]\nkind = "corpus"\ntitle = "Set"\ndedup = false\nsource = "{}"\n{}\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small store: rows in three shards, and some that were rejected."""
    folder = tmp_path_factory.mktemp("made")
    texts = [f"text {i} é\u2028" for i in range(20)] + [" ", "text 1 é\u2028"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    stages = (
        '[stages.corpus]\nkind = "corpus"\ntitle = "Some"\nlicense = "MIT"\nsource = "a.jsonl"\n'
        '[stages.part]\nkind = "split"\ninput = "corpus"\nrange = [0.0, 1.0]\nshard_rows = 8\n'
    )
    return run_stages(folder, stages, {"a.jsonl": lines})


def test_a_folder_has_rows_card_bill_and_digests(made, tmp_path):
    to = tmp_path / "deep" / "out"
    done = invoke("publish", "part", "--to", to, "--store", made.root)
    assert done.exit_code == 0
    assert "part@1 → " in done.stdout
    assert "20 rows, 6 files; 6 written, 0 unchanged" in done.stdout
    assert "`mashbill check part@1 --store" in done.stderr
    assert sorted(p.name for p in to.iterdir()) == ["README.md", "SHA256SUMS", "bill.json", "data"]
    assert sorted(p.name for p in to.glob("data/*")) == [f"part-0000{i}.parquet" for i in range(3)]
    front = yaml.safe_load((to / "README.md").read_text().split("---\n")[1])
    (config,) = front["configs"]
    assert (config["config_name"], config["data_files"]) == ("default", "data/part-*.parquet")
    bill = json.loads((to / "bill.json").read_text())
    shown = invoke("bill", "part", "--json", "--store", made.root)
    assert bill.pop("making")  # what a card that comes back is read by
    assert json.loads(shown.stdout) == bill | {"unsettled": []}
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=to, capture_output=True)
    assert checked.returncode == 0
    again = invoke("publish", "part", "--to", to, "--store", made.root, "--json")
    facts = json.loads(again.stdout)
    assert (facts["written"], len(facts["unchanged"])) == ([], 6)
    assert (
        facts["files"]["bill.json"] == hashlib.sha256((to / "bill.json").read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("kind", DATA_FORMATS)
def test_rows_keep_their_receipts_if_wished(made, tmp_path, kind):
    def took(name, stage):
        return run_stages(tmp_path / name, stage, {}, allow=[tmp_path])

    put(made, "part", tmp_path / "with", format=kind)
    stage = CORPUS.format(tmp_path / "with" / "data" / f"part-*.{kind}", 'text = "_bill"')
    nodes = {row["text"] for row in rows_of(took("x", stage), "got")}
    assert len(nodes) == 1
    assert all(len(node) == 64 for node in nodes)
    put(made, "part", tmp_path / "without", format=kind, receipts=False)
    with pytest.raises(InputError, match=r"has no column '_bill'; it has 'text', 'part';"):
        took("y", stage.replace("/with/", "/without/"))


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_nothing_is_overwritten_silently(made, tmp_path):
    put(made, "part", tmp_path, format="csv")
    before = files_of(tmp_path)
    with pytest.raises(
        InputError, match=r"holds README.md, SHA256SUMS with other bytes.*--replace"
    ):
        put(made, "part", tmp_path, format="jsonl")
    (tmp_path / "data" / "part-00001.csv").write_text("mine")
    with pytest.raises(InputError, match=r"holds data/part-00001.csv with other bytes"):
        put(made, "part", tmp_path, format="csv")
    (tmp_path / "data" / "part-00001.csv").write_bytes(before["data/part-00001.csv"])
    (tmp_path / "part-00009.csv").write_text("of a mashbill that wrote no folder")
    (tmp_path / "data" / "part-00009.csv").write_text("older")
    with pytest.raises(
        InputError, match=r"holds data/part-00009.csv, part-00009.csv, which this has not"
    ):
        put(made, "part", tmp_path, format="csv")
    (tmp_path / "notes.txt").write_text("mine")
    done = put(made, "part", tmp_path, format="csv", replace=True)
    assert (done.written, done.removed) == ((), ("data/part-00009.csv", "part-00009.csv"))
    (tmp_path / "notes.txt").unlink()
    assert files_of(tmp_path) == before


def test_rejected_rows_go_only_if_wished(made, tmp_path):
    assert put(made, "corpus", tmp_path / "a").rows == 20
    assert not list((tmp_path / "a").rglob("rejected*"))
    done = put(made, "corpus", tmp_path / "b", rejected=True, receipts=False, format="jsonl")
    assert done.rows == 22
    (file,) = (tmp_path / "b" / "rejected").glob("rejected-*")
    reasons = [json.loads(line)["_reason"] for line in file.read_text("utf-8").split("\n")[:-1]]
    assert reasons == ["empty", "duplicate of a.jsonl row 1"]


def test_a_publication_with_rejected_rows_is_read_without_them(made, tmp_path):
    put(made, "corpus", tmp_path / "b", rejected=True)
    store = run_stages(tmp_path, CORPUS.format(tmp_path / "b", ""), {}, allow=[tmp_path])
    assert [row["text"] for row in rows_of(store, "got")] == [
        row["text"] for row in rows_of(made, "corpus")
    ]


@pytest.mark.parametrize("kind", DATA_FORMATS)
def test_the_field_reads_a_publication_with_one_line(made, tmp_path, kind, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    rows = [row["text"] for row in rows_of(made, "corpus")]
    put(made, "corpus", tmp_path / "p", format=kind, rejected=kind != "csv")
    if kind == "parquet":
        pandas = pytest.importorskip("pandas")
        assert pandas.read_parquet(tmp_path / "p" / "data")["text"].tolist() == rows
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    found = datasets.load_dataset(str(tmp_path / "p"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    assert found["train"]["text"][:] == rows


def test_the_field_s_cache_tells_folders_of_one_name_apart(made, tmp_path, monkeypatch):
    """It keeps rows under the folder's name: two of one name gave the rows of the first."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = {}
    for place, name in (("a", "corpus"), ("b", "part"), ("c", "corpus")):
        put(made, name, tmp_path / place / "published", format="jsonl", receipts=place != "c")
        found = datasets.load_dataset(
            str(tmp_path / place / "published"), cache_dir=str(tmp_path / "cache"), split="train"
        )
        rows[place] = found.column_names
        assert len(found) == len(rows_of(made, name))
    assert "_bill" in rows["a"]
    assert "_bill" not in rows["c"]


def test_a_model_goes_with_its_card(tmp_path):
    draw = random.Random(2)
    rows = [{"text": " ".join(draw.choices(PLAIN + GOOD + BAD, k=8))} for _ in range(80)]
    stages = (
        '[stages.c]\nkind = "corpus"\ntitle = "Some"\nsource = "a.jsonl"\n'
        '[stages.l]\nkind = "label"\ninput = "c"\nteacher = "t"\nprompt = "p.txt"\n'
        'labels = { good = " good", bad = " bad" }\ncalibrate_on = 16\n'
        '[stages.m]\nkind = "classifier"\ninput = "l"\nbuckets = 64\n'
    )
    prompt = "Text: a kind day -> good\nText: {{ text }} ->\n"
    store = run_stages(tmp_path, stages, {"a.jsonl": rows, "p.txt": prompt})
    to = tmp_path / "out"
    put(store, "m", to)
    own = {item.file for item in store.find("m").files}
    assert own < {path.name for path in to.iterdir()}
    assert {path.name for path in to.iterdir()} - own == {
        "README.md", "SHA256SUMS", "bill.json", "manifest.json", "nodes.parquet",
    }  # fmt: skip
    assert "# m@1" in (to / "README.md").read_text()
    told = invoke("publish", "m", "--to", to, "--format", "csv", "--store", store.root)
    assert "is a model and has no rows" in str(told.exception)


def test_what_cannot_be_published_is_told(made, tmp_path):
    (tmp_path / "file").write_text("")
    for to, message in {
        tmp_path / "file": r"file is a file; name a folder",
        made.root / "datasets" / "part@1": r"is in the store .* evidence; publish elsewhere",
        "https://127.0.0.1/x": r"a web address can be read, and nothing published",
        "s3://key:secret@bucket/x": r"s3://…/x: an address is recorded, so no name or password",
        "nosuch://x/y": r"nosuch://x/y: Protocol not known.*write a path, s3://",
        "gs://x/y": r"gs://x/y: .*gcsfs",
        "hf:acme": r"hf:acme: write hf:OWNER/NAME",
        "hf:acme/set/file.csv": r"publish to a whole repository, hf:datasets/acme/set",
    }.items():
        with pytest.raises(InputError, match=message):
            put(made, "part", to)
    with pytest.raises(InputError, match=r"--format 'xml': choose of parquet, jsonl, csv, arrow"):
        raise invoke(
            "publish", "part", "--to", tmp_path, "--format", "xml", "--store", made.root
        ).exception


def test_a_damaged_store_is_not_published(made, tmp_path):
    copy = shutil.copytree(made.root, tmp_path / "store")
    (copy / "datasets" / "part@1" / "part-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"part-00001.parquet is not what was committed.*audit"):
        put(Store(copy), "part", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_any_file_system_of_fsspec_will_do(made, tmp_path):
    put(made, "part", "memory://bucket/set", format="jsonl")
    assert put(made, "part", "memory://bucket/set", format="jsonl").written == ()
    with fsspec.open("memory://bucket/set/data/part-00001.jsonl", "wb") as stream:
        stream.write(b"mine")
    with pytest.raises(
        InputError, match=r"memory://bucket/set holds data/part-00001.jsonl with other"
    ):
        put(made, "part", "memory://bucket/set", format="jsonl")
    put(made, "part", f"file://{tmp_path}/of a file", format="jsonl")
    assert (tmp_path / "of a file" / "SHA256SUMS").exists()


@pytest.mark.parametrize(
    ("module", "address"), [("fsspec", "s3://b/k"), ("s3fs", "s3://b/k"), ("aiohttp", "http://a/b")]
)
def test_without_the_packages_the_extra_is_named(monkeypatch, tmp_path, module, address):
    import fsspec  # whichever copy of it other tests left

    known = fsspec.get_filesystem_class.__globals__
    for name in list(sys.modules):
        if name.split(".")[0] in {"s3fs", module} or name.startswith("fsspec.implementations.http"):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    # Emptied as it is, and not replaced: a view of it is what is read.
    for protocol in list(known["_registry"]):
        monkeypatch.delitem(known["_registry"], protocol)
    with pytest.raises(MissingExtraError, match="extra 'objects'"):
        run_stages(tmp_path, CORPUS.format(address, ""), {})


@pytest.fixture(scope="module")
def s3():
    """A real S3 API on loopback, with one bucket."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION"):
            patch.setenv(f"AWS_{name}", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")
        patch.setenv("NO_PROXY", "127.0.0.1")
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        bucket = fsspec.filesystem("s3", skip_instance_cache=True)
        bucket.mkdir("bucket")
        yield bucket
        server.stop()


def pinned(folder, address, *, more=""):
    """Run a corpus without a pin, which is refused with the pin, and then with it."""
    with pytest.raises(InputError, match="pin sha256, so that it is the same tomorrow") as told:
        run_stages(folder, CORPUS.format(address, more), {})
    pin = str(told.value).split("sha256 = '")[1].split("'")[0]
    stage = CORPUS.format(address, f'{more}\nsha256 = "{pin}"')
    return stage, run_stages(folder, stage, {})


@LOOPBACK
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_set_goes_through_a_bucket(made, s3, tmp_path, kind):
    address = f"s3://bucket/sets/{kind}"
    done = put(made, "part", address, format=kind)
    assert len(done.written) == 6
    assert put(made, "part", address, format=kind).written == ()
    with pytest.raises(
        InputError, match=rf"{address} holds README.md, SHA256SUMS, data/part-00000.{kind}, "
    ):
        put(made, "part", address, format=kind, receipts=False)
    stage, store = pinned(tmp_path, address)
    rows = [row["text"] for row in user_rows(made, "part")]
    assert [row["text"] for row in rows_of(store, "got")] == rows
    assert store.find("got").measures["files"] == {
        name: sha256 for name, sha256 in done.sums.items() if name.startswith("data/part-")
    }
    # What is pinned is kept by its digest: the bucket is not asked again, and cannot alter it.
    s3.pipe(f"bucket/sets/{kind}/data/part-00001.{kind}", b"altered")
    run_stages(tmp_path, stage.replace("[stages.got]", "[stages.more]"), {})
    with pytest.raises(InputError, match=r"list of its 3 files is .* the bytes have changed"):
        run_stages(tmp_path / "elsewhere", stage, {})


@LOOPBACK
def test_one_object_and_a_glob_are_read(s3, tmp_path):
    s3.pipe("bucket/one/a b.jsonl", b'{"text": "a"}\n')
    s3.pipe("bucket/one/b.csv", b"text\nb\n")
    s3.pipe("bucket/one/deep/c.csv", b"text\nc\n")
    for address, texts in {
        "s3://bucket/one/a b.jsonl": ["a"],
        "s3://bucket/one/*.csv": ["b"],
        "s3://bucket/one/**/*.csv": ["b", "c"],
    }.items():
        folder = tmp_path / str(len(texts) + ("*" in address))
        _, store = pinned(folder, address)
        assert [row["text"] for row in rows_of(store, "got")] == texts


@LOOPBACK
@pytest.mark.parametrize(
    ("key", "data", "message"),
    [
        ("cut.parquet", b"PAR1 and no end", r"s3://bucket/cut.parquet is not a Parquet file, or"),
        ("not.arrow", b"text\na\n", r"s3://bucket/not.arrow is not an Arrow file"),
        ("ragged.csv", b"text,b\na,b\nc\n", r"s3://bucket/ragged.csv: line 3 has 1 fields"),
        ("bad.jsonl", b'{"text": "a"}\n\xff', r"s3://bucket/bad.jsonl is not utf-8 at line 2"),
        ("cut.jsonl.gz", b"\x1f\x8b\x08\x00", r"s3://bucket/cut.jsonl.gz is no gz file, or not a"),
    ],
)
def test_a_broken_object_is_told_by_its_address(s3, tmp_path, key, data, message):
    s3.pipe(f"bucket/{key}", data)
    with pytest.raises(InputError, match=message):
        pinned(tmp_path, f"s3://bucket/{key}")


@LOOPBACK
def test_what_a_bucket_does_not_give_is_told(made, s3, tmp_path, monkeypatch):
    endpoint = r"http://127\.0\.0\.1:\d+"
    for address, message in {
        "s3://nosuch/a": rf"s3://nosuch/a: nothing of that name is there at {endpoint}.*bucket",
        "s3://bucket/none.csv": rf"none.csv: nothing of that name is there at {endpoint}",
        "s3://bucket/none*.csv": r"there is no file of that pattern; check the bucket",
    }.items():
        with pytest.raises(InputError, match=message):
            run_stages(tmp_path, CORPUS.format(address, ""), {})
    with pytest.raises(InputError, match=rf"s3://nosuch/a/.*nothing of that name .* at {endpoint}"):
        put(made, "part", "s3://nosuch/a")
    assert not s3.exists("nosuch")
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(InputError, match=rf"could not be read at {endpoint}.*AWS_ENDPOINT_URL"):
        run_stages(tmp_path, CORPUS.format("s3://bucket/a.csv", ""), {})


@LOOPBACK
def test_a_file_of_a_web_server_is_read(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a b.csv").write_text("text\na\n")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        stage, store = pinned(tmp_path / "r", f"{address}/a%20b.csv?download=true")
        with pytest.raises(InputError, match=r"nothing of that name is there"):
            run_stages(tmp_path, CORPUS.format(f"{address}/none.csv", ""), {})
        with pytest.raises(InputError, match=r"a web server cannot be asked which files it has"):
            run_stages(tmp_path, CORPUS.format(f"{address}/", ""), {})
        server.shutdown()
    assert [row["text"] for row in rows_of(store, "got")] == ["a"]
    # pinned and kept, so the server is not needed any more
    run_stages(tmp_path / "r", stage.replace("[stages.got]", "[stages.more]"), {})
