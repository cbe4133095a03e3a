"""Every reader of a file that a person hands over: how a right one is written, and how it is read.

A new function of the package that opens a file belongs here, or into ``NOT_HERE`` with a reason:
tests/fuzz/test_registry.py looks for those that are in neither.
"""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
import json
import os
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.mutations import OF_BYTES, OF_JSON, OF_TEXT, another_word

from mashbill.core.canonical import digest_bytes

HERE = Path(__file__).parent
DATA = HERE.parent / "policy" / "data"
RECIPES = HERE.parents[1] / "recipes"
KEPT = HERE.parent / "ledgers" / "v0.1.0"


@dataclass(frozen=True)
class Reader:
    """One reader."""

    name: str
    functions: tuple[str, ...]
    """module:function of what opens the file, under mashbill"""
    valid: object
    """(Kept) -> bytes of a right file"""
    read: object
    """(Path of the file) -> anything"""
    file: str
    """its name"""
    ways: tuple = OF_JSON
    beside: object = None
    """(folder, Kept): writes what else is wanted beside it"""
    weight: float = 1.0
    """inputs beside the others': less where one takes long"""
    refuses: bool = True
    """whether it refuses what it should not be; else what it finds is its answer"""


class Kept:
    """Right files that more than one reader needs; made once."""

    def __init__(self, store: Path, **made: bytes) -> None:
        self.store = store
        self.journal, self.exported = made["journal"], made["exported"]
        self.statement, self.model = made["statement"], made["model"]

    def of(self, path: str) -> bytes:
        return (self.store / path).read_bytes()

    @property
    def nodes(self) -> bytes:
        return self.of("datasets/unique@1/nodes.parquet")


def _recipe(path):
    from mashbill.core.recipe import load_recipe

    recipe = load_recipe(path)
    for name in recipe.stages:
        recipe.literals(name)


def _rules(path):
    from datetime import date

    from mashbill.policy.house import OF_SOURCE, apply_rule, load_rules

    for rule in load_rules([path]):
        facts = dict.fromkeys(OF_SOURCE, "x")
        apply_rule(rule, "x", facts, {"share": (0.0, 1.0)}, date(2026, 1, 1))


def _terms(path):
    from mashbill.policy.documents import load_registry

    load_registry([path])


def _definition(path):
    from mashbill.lineage.bills.definitions import load_definitions

    load_definitions([str(path)])


def _accounts(path):
    from mashbill.client.accounts import Accounts

    Accounts.load(path.parent, {"MASHBILL_ACCOUNTS": str(path)})


def _proof(path):
    from mashbill.core import parsing
    from mashbill.lineage.bills.bill import bill
    from mashbill.lineage.bills.definitions import judge_all
    from mashbill.lineage.circuit.arrays import Circuit
    from mashbill.lineage.evidence.proven import check_proof

    circuit = Circuit.of(check_proof(parsing.json_object(path, what="a proof")).as_dataset())
    bill(circuit), judge_all(circuit)


def _statement(path):
    from mashbill.conduct import statement

    statement.check(path)


def _case(path):
    """Read it, and draw what was read: whatever is taken for a case has a page."""
    from mashbill.conduct.evidence.case import read
    from mashbill.report.conduct_case import page_of_case

    page_of_case(read(path))


def _case_valid(_kept):
    from tests_conduct_cases import made

    return made("L").written()


def _note(path):
    from mashbill.core import checkpoint
    from mashbill.core.parsing import read_text

    checkpoint.parse(read_text(path))


def _ledger(path):
    from mashbill.core.ledger import GENESIS, Ledger, check_line
    from mashbill.core.store import Store

    for number, line in enumerate(path.read_bytes().split(b"\n")[:3]):
        check_line(line, number, GENESIS, {})
    Ledger(path)
    Store(path.parent).manifests()


def _audit(path):
    from mashbill.lineage.evidence.audit import Auditor

    root = next(p for p in path.parents if (p / "ledger.jsonl").exists() or p.name == "store")
    Auditor(root).run()


def _manifest(path):
    from mashbill.core.artifact import ArtifactRef
    from mashbill.core.store import Store

    Store(path.parents[2]).get(ArtifactRef("unique", "1"))


def _curves_valid(_kept):
    from mashbill.core.curves import Curves

    curves, stream = Curves(), io.BytesIO()
    for step in range(9):
        curves.log(step, loss=1 / (step + 1), tokens=5)
    curves.log(8, held_out_loss=2.0)
    pq.write_table(curves.table(), stream)
    return stream.getvalue()


def _curves(path):
    from mashbill.core.curves import read_curves

    for curve in read_curves(path.parent).values():
        assert len(curve.steps) == len(curve.values)


def _nodes(path):
    from mashbill.lineage.bills.bill import bill
    from mashbill.lineage.circuit.arrays import Circuit
    from mashbill.lineage.circuit.nodes import NodeTable

    bill(Circuit.of(NodeTable.read(path)))


def _circuit(path):
    from mashbill.lineage.bills.bill import bill, coverage
    from mashbill.lineage.circuit.arrays import Circuit

    circuit = Circuit.read(path)
    bill(circuit), coverage(circuit)


def _shard(path):
    from mashbill.core.artifact import ArtifactRef
    from mashbill.core.store import Store

    dataset = Store(path.parents[2]).dataset(ArtifactRef("unique", "1"))
    dataset.row(0), dataset.made_of(1), dataset.columns


def _journal_of(path):
    from mashbill.calls import upkeep as keeping
    from mashbill.calls.journal import Journal

    journal = Journal(path)
    try:
        for run in journal.runs():
            list(journal.rows_of(run.run)), journal.events(run.run)
        list(journal.here.all()), list(journal.all_bought()), journal.totals(), journal.terms()
    finally:
        journal.close()
    keeping.size(path)


def _taken_in(path):
    from mashbill.calls import upkeep as keeping

    store = path.with_name("calls.sqlite")
    for beside in path.parent.glob("calls.sqlite*"):
        beside.unlink()
    keeping.take_in(store, path)


def _schema(path):
    from mashbill.prompts.schema import Structure

    structure = Structure.of(path.parent, path.name)
    structure.columns()
    for text in (
        '{"a": 1, "tags": ["x", "y"]}',
        '{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab": "a"}',
        "[1",
    ):
        structure.read(text)


def _tools(path):
    from mashbill.stages.writing.tool_rollout import declared_tools

    declared_tools(path)


def _results(path):
    from mashbill.stages.tools import ToolsSpec

    spec = ToolsSpec(input="i", teacher="t", tools="t.json", results=path.name)
    spec.known(path.parent)


def _prompt(path):
    from mashbill.prompts.prompt import Prompt

    Prompt(path).render({"text": "abc", "label": "b"}, "row 1")


def _template(path):
    from mashbill.stages.judging import Template

    Template(path, ["text"]).fill({"text": "abc"}, 100)


def _imports(form):
    def read(path):
        from mashbill.policy.importers import import_claims

        if form == "card":
            from mashbill.policy.importers.cards import read as card

            card(path, "acme/x")
        else:
            import_claims(form, path)

    return read


def _repository(path):
    from mashbill.policy.importers import Origin, read_repository

    read_repository(path, Origin("maker/code", "0123456", {"*": "made/it"}))


def _catalogue(path):
    from mashbill.lineage.catalogue.public import lineage_of
    from mashbill.policy.claims import load_catalogue
    from mashbill.policy.keeping import open_index

    lineage_of(load_catalogue([path], shipped=False))
    open_index([path], shipped=False)


def _gguf(path):
    from mashbill.models.chat_template import describe
    from mashbill.models.gguf_file import GgufFile

    file = GgufFile(path)
    describe(file)
    file.tokenizer()
    for _ in file.weights():
        pass


def _gguf_keys(path):
    from mashbill.models.gguf_header import texts_of

    texts_of(path, b"general.")


def _tensor_header(path):
    from mashbill.core.tensor_header import tensors_of

    tensors_of(path)


def _told_in(path):
    from mashbill.models import own_artifacts

    return own_artifacts._told_in(path)


def _record(path):
    from mashbill.core.training_record import read_record

    read_record(path, path.name)


def _published_bill(path):
    from mashbill.core.canonical import digest_file
    from mashbill.lineage.bills.bill import bill
    from mashbill.train.outside_data import published

    # Whoever writes the bill writes its digest, too.
    (path.parent / "SHA256SUMS").write_text(f"{digest_file(path)}  bill.json\n")
    found = published(path.parent, "pub")
    for one in found.origins:
        bill(found.table, one.node)


def _published_sums(path):
    from mashbill.train import outside_data

    (path.parent / "bill.json").write_bytes(_BILL.encode())
    outside_data.published(path.parent, "pub")
    outside_data.check_published(path.parent, "pub")


def _claims_of_a_model(path):
    from mashbill.stages.marks import claims

    claims.claims_of(path.parent)


_BILL = json.dumps(
    {
        "artifact": "a@1",
        "digest": "00" * 32,
        "verdicts": [],
        "bill": [
            {
                "source": {"name": "m", "what": "model", "kind": "closed-api", "route": "api:x"},
                "channels": ["judgement", "prompt"], "share": share, "records": 3, "depth": depth,
            }
            for share, depth in (([1.0, 1.0], 2), ([0.0, 0.5], 1))
        ],
    }
)  # fmt: skip
_RECORD = json.dumps(
    {
        "format": 1,
        "trainer": {"name": "trl", "version": "1"},
        "base": {"name": "o/n", "revision": "main"},
        "steps": 4, "epochs": 2.0, "tokens": 9, "counted": "all", "method": "full",
        "datasets": [{"sums": "00" * 32, "artifact": "a@1", "rows": 3, "parts": {"x": 4}}],
        "weights": {"model.safetensors": "00" * 32},
    }
)  # fmt: skip


def _gguf_valid(_kept):
    from gguf import GGUFWriter

    path = Path(os.environ["MASHBILL_FUZZ_FOLDER"]) / "made.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(["a", "b", "ab", "<|end|>"])
    writer.add_token_merges(["a b"])
    writer.add_token_types([1, 1, 1, 3])
    writer.add_eos_token_id(3)
    writer.add_bos_token_id(3)
    writer.add_chat_template("{{ messages[0].content }}")
    writer.add_tensor("w", np.zeros((4, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def _linear(path):
    from mashbill.models.linear import LinearPredictor

    predictor = LinearPredictor.load(path.parent)
    predictor.probabilities(["a text", ""])


def _model_beside(folder, kept):
    for name, data in (("config.json", _CONFIG), ("weights.safetensors", kept.model)):
        (folder / name).write_bytes(data)


_CONFIG = json.dumps(
    {"format": 2, "labels": ["a", "b"], "buckets": 16, "temperature": 1.0}
).encode()


def _model_fault(path):
    from mashbill.core.faults import model_fault

    model_fault("classifier", path.parent)


def _rows(**manner):
    """Return what reads the rows of a file as a stage does: to their end, twice."""

    def read(path):
        from mashbill.files.rows.chunks import Manner, read_chunks
        from mashbill.files.rows.spill import Spill

        with Spill(path.with_name("spilled")) as spill:
            for chunk in read_chunks(path, path.name, Manner(**manner)):
                spill.add(chunk.columns)
                for row in chunk.bad:
                    chunk.where(row)
            for chunk in spill.chunks():
                for name, cells in chunk.items():
                    cells.values(), spill.final(name, chunk, len(cells.array))

    return read


def _member(inside):
    def read(path):
        from mashbill.files.archives import member_of, unpacked

        with member_of(path, inside) as stream:
            stream.read()
        unpacked(path, inside, path.with_name("cache"))

    return read


def _index(path):
    from mashbill.files.index_pages import links_of
    from mashbill.files.web import Page

    kind = "application/json" if path.suffix == ".json" else "text/html"

    class Web:
        """Gives the page, as though an index had answered with it."""

        def page(self, address, accept, most):
            del accept, most
            return Page(address, kind, path.read_bytes())

    for address in ("https://example.org/simple/x/", "file:///srv/x/"):
        list(links_of(Web(), address))


def _table():
    """A table of every kind of column."""
    day = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
    rows = [
        {
            "text": f"text {i}", "n": i, "x": i / 3, "yes": i % 2 == 0, "raw": bytes([i, 255]),
            "tags": ["a", f"b{i}"], "deep": {"a": {"b": [i, None]}}, "day": day.date(),
            "at": day, "price": decimal.Decimal(i) / 4, "none": None,
        }
        for i in range(5)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    table = table.append_column("kind", pa.array(["x", "y", "x", None, "é"]).dictionary_encode())
    pairs = pa.array([[("k", 1)], [], None, [("k", 2)], []], pa.map_(pa.string(), pa.int32()))
    table = table.append_column("pairs", pairs)
    table = table.append_column("fine", pa.array([1, 2, None, 2**60, -1], pa.timestamp("ns")))
    return table.append_column("long", pa.array([1, 2, 3, 4, 5], pa.duration("us")))


def _parquet(_kept):
    out = io.BytesIO()
    pq.write_table(_table(), out, compression="zstd")
    return out.getvalue()


def _arrow(_kept):
    out = io.BytesIO()
    table = _table()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def _arrow_stream(_kept):
    out = io.BytesIO()
    table = _table()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def _zipped(how):
    def made(_kept):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", how) as archive:
            archive.writestr("b.txt", b"another")
            archive.writestr("a.txt", b"a text " * 40)
        return out.getvalue()

    return made


def _tarred(mode):
    def made(_kept):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as archive:
            for name in ("b.txt", "x" * 150, "a.txt"):  # a long name has a header of its own
                info = tarfile.TarInfo(name)
                info.size = 280
                archive.addfile(info, io.BytesIO(b"a text " * 40))
        return out.getvalue()

    return made


def _gz(_kept):
    return gzip.compress(_LINES.encode(), mtime=0)


def _zst(_kept):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(_SEPARATED.encode())
    return out.getvalue().to_pybytes()


def _folder_config(path):
    from mashbill.models.folder import _read

    _read(path)


def _tokenizer(path):
    from mashbill.models.folder import plain_tokenizer

    plain_tokenizer(path.parent)


def _tokenizer_valid(_kept):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer.to_str().encode()


def _whole_store(folder, kept):
    shutil.copytree(kept.store, folder.joinpath(*_up(folder)), dirs_exist_ok=True)


def _population(path):
    from mashbill.lineage.whatif.population import read_population

    return read_population(path)


def _up(folder):
    """Return the way from a file's folder to the store that it lies in."""
    return [".."] * (len(folder.parts) - folder.parts.index("store") - 1)


def _file(path):
    return lambda _kept: path.read_bytes()


def _text(text):
    return lambda _kept: text.encode()


_RULES = """
[[rule]]
id = "few"
says = "Few closed models."
for = "source"
when = 'kind == "closed-api" && share > 0.05'
outcome = "review"

[[rule]]
id = "none"
says = "None of it."
when = 'channels.exists(c, c == "logits") && depth < 3'
"""
_DEFINITION = """
name = "mine"
version = "1"
title = "mine"
text = "Anything."
channels = ["content", "weights"]
max_hops = 2
"""
_ACCOUNTS = """
contact = "data@example.org"

[accounts.main]
service = "openai"
keys_env = ["A", "B"]
organisation = "Acme"
requests_per_minute = 500
"""
_SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "minimum": 0, "multipleOf": 2},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "uniqueItems": True},
    },
    "patternProperties": {"^x": {"type": "string", "pattern": "^[a-z]+$"}},
    "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "maxLength": 10, "enum": ["x", "y"]}},
}
_TOOLS = [{"name": "w", "description": "d", "parameters": _SCHEMA, "returns": {"type": "object"}}]
_CLAIMS = (
    "child,parent,relation,route,share,tokens,of,of_tokens,source\n"
    "acme/a,acme/b,sft-data,api,0.5,100,midtraining,200,paper\n"
    "acme/b,acme/c,base-weights,weights,,,,,paper\n"
)
_LINES = (
    '{"text": "one", "n": 1, "x": 0.5, "tags": ["a", {"b": null}], "yes": true}\n'
    '{"text": "two \u00e9", "n": 12345678901234567890, "more": {}}\n\n'
    '{"n": "3", "text": null}\n'
)
_SEPARATED = 'text,n,x\n"one, and ""two""",1,0.5\n"over\ntwo lines",2,\né,3,x\n'
_TABS = 'text\tn\tx\none\t1\t0.5\n"two\t2\t\n'
_INDEX = (
    '<html><head><base href="https://example.org/files/"></head><body>\n'
    f'<a href="x-1.0-py3-none-any.whl#sha256={"0" * 64}">x</a>\n'
    '<a href="../../x-1.0.tar.gz" data-yanked="&quot;bad&quot;">y</a>\n</body></html>\n'
)
_INDEX_JSON = json.dumps(
    {
        "meta": {"api-version": "1.1"}, "name": "x",
        "files": [
            {"filename": "x-1.0-py3-none-any.whl", "url": "x-1.0-py3-none-any.whl", "size": 3,
             "hashes": {"sha256": "0" * 64}, "yanked": False},
            {"filename": "x-1.0.tar.gz", "url": "https://e.org:443/x-1.0.tar.gz", "hashes": {}},
        ],
    }
)  # fmt: skip
_OF_MEMBERS = (
    "files.archives:_from_zip", "files.archives:_from_tar", "files.archives:unpacked"
)  # fmt: skip
_OF_ROWS = ("files.rows.chunks:read_chunks", "files.opening:open_file")

READERS = (
    Reader("recipe", ("core.parsing:read_bytes", "core.plain_toml:read_toml",
                      "core.recipe:load_recipe"),
           _file(RECIPES / "channels.toml"), _recipe, "recipes/channels.toml", OF_TEXT,
           lambda folder, _kept: shutil.copytree(RECIPES, folder, dirs_exist_ok=True), 0.5),
    Reader("house rules", ("policy.house:load_rules",), _text(_RULES), _rules, "rules.toml", OF_TEXT,
           weight=0.3),
    Reader("terms", ("policy.documents:load_registry",),
           lambda _kept: (Path(__import__("mashbill").__file__).parent / "policy/terms/mistral.toml"
                          ).read_bytes().replace(b'id = "', b'id = "own-'),
           _terms, "terms.toml", OF_TEXT),
    Reader("definition", ("lineage.bills.definitions:load_definitions",), _text(_DEFINITION), _definition,
           "mine.toml", OF_TEXT),
    Reader("accounts", ("client.accounts:load",), _text(_ACCOUNTS), _accounts, "accounts.toml",
           OF_TEXT),
    Reader("list of models", ("lineage.whatif.population:read_population",),
           _text("name,what\nacme/a,model\nacme/b,dataset\n"), _population, "list.csv", OF_TEXT,
           weight=0.3),
    Reader("proof", ("workspace.proven:audit_proof", "core.parsing:read_json"), _file(KEPT / "proof.json"), _proof, "p.json"),
    Reader("statement", ("conduct.statement:check",), lambda kept: kept.statement, _statement,
           "s.json"),
    Reader("case of conduct", ("conduct.evidence.case:read",), _case_valid, _case, "case.json"),
    Reader("checkpoint note", ("core.checkpoint:_read", "cli.auditing:audit",
                                "core.parsing:read_text"), _file(KEPT / "checkpoint.note"), _note,
           "c.note", OF_TEXT),
    Reader("ledger", ("core.ledger:__init__", "core.checkpoint:lines_of", "core.checkpoint:kept"),
           lambda kept: kept.of("ledger.jsonl"), _ledger, "store/ledger.jsonl", weight=0.5),
    Reader("ledger, audited", ("lineage.evidence.counting:count",), lambda kept: kept.of("ledger.jsonl"),
           _audit, "store/ledger.jsonl", OF_JSON, _whole_store, 0.05, refuses=False),
    Reader("shard, audited", ("lineage.evidence.audit:_files",),
           lambda kept: kept.of("datasets/unique@1/part-00000.parquet"), _audit,
           "store/datasets/unique@1/part-00000.parquet", OF_BYTES, _whole_store, 0.05,
           refuses=False),
    Reader("manifest", ("core.store:get",), lambda kept: kept.of("datasets/unique@1/manifest.json"),
           _manifest, "store/datasets/unique@1/manifest.json", OF_JSON,
           lambda folder, kept: folder.joinpath("../../ledger.jsonl").write_bytes(
               kept.of("ledger.jsonl"))),
    Reader("node table", ("core.tables:read_parquet", "lineage.circuit.nodes:of"), lambda kept: kept.nodes, _nodes,
           "nodes.parquet", OF_BYTES),
    Reader("curves", ("core.curves:read_curves",), _curves_valid, _curves, "curves.parquet", OF_BYTES),
    Reader("node table as arrays", ("lineage.circuit.arrays:read",), lambda kept: kept.nodes, _circuit,
           "nodes.parquet", OF_BYTES),
    Reader("shard", ("core.dataset:__init__",),
           lambda kept: kept.of("datasets/unique@1/part-00000.parquet"), _shard,
           "store/datasets/unique@1/part-00000.parquet", OF_BYTES,
           lambda folder, kept: [
               (folder / "manifest.json").write_bytes(kept.of("datasets/unique@1/manifest.json")),
               folder.joinpath("../../ledger.jsonl").write_bytes(kept.of("ledger.jsonl"))]),
    Reader("journal", ("calls.journal:__init__",), lambda kept: kept.journal,
           _journal_of, "calls.sqlite", (*OF_BYTES, another_word)),
    Reader("journal export", ("calls.upkeep:_lines",), lambda kept: kept.exported, _taken_in,
           "calls.jsonl", weight=0.5),
    Reader("JSON Schema", ("prompts.schema:of",), _text(json.dumps(_SCHEMA)), _schema, "s.json"),
    Reader("tools", ("stages.writing.tool_rollout:declared_tools",), _text(json.dumps(_TOOLS)), _tools, "t.json"),
    Reader("tool results", ("stages.tools:known",),
           _text('{"name": "w", "arguments": {"a": 1}, "result": {"b": [1]}}\n' * 3), _results,
           "r.jsonl"),
    Reader("prompt", ("prompts.prompt:__init__",),
           _file(RECIPES / "prompts" / "judge.jinja")
           if (RECIPES / "prompts" / "judge.jinja").exists()
           else _text("{% block user %}{% for i in range(3) %}{{ text | upper }}{% endfor %}{% endblock %}"),
           _prompt, "p.jinja", OF_TEXT),
    Reader("prompt of labels", ("stages.judging:__init__",), _text("Say {{ text }}\nnow:"), _template,
           "p.txt", OF_TEXT),
    Reader("card", ("policy.importers.cards:read", "policy.importers.cards:_front_matter",
                     "policy.importers.imported:read_text"),
           lambda _kept: next((DATA / "cards").rglob("README.md")).read_bytes(), _imports("card"),
           "README.md", OF_TEXT),
    Reader("recipe of a repository", ("policy.importers.repository:_recipes",),
           _text("model_name_or_path: base/big\ndataset_mixture:\n  datasets:\n    - id: data/one\n"
                 "      split: a\n      weight: 0.5\nhub_model_id: made/it\n"), _repository,
           "r.yaml", OF_TEXT, refuses=False),
    Reader("script of a repository", ("policy.importers.recipe_shell:read_commands",),
           _text("M=base/big\npython sft.py --model_name_or_path $M \\\n  --dataset_mixer "
                 "'{\"data/one\": 0.5}' --hub_model_id made/it\n"), _repository, "r.sh", OF_TEXT,
           refuses=False),
    Reader("page of a repository", ("policy.importers.recipe_tables:read_tables",),
           _text("# Run\n```bash\nx --model_name_or_path a/b\n```\n| M | Base model |\n|---|---|\n"
                 "| [m](https://huggingface.co/o/m) | [b](https://huggingface.co/o/b) |\n"),
           _repository, "r.md", OF_TEXT, refuses=False),
    Reader("ModSleuth", ("policy.importers.modsleuth:read",),
           _file(DATA / "modsleuth" / "viewer.json"), _imports("modsleuth"), "g.json"),
    Reader("DPI", ("policy.importers.dpi:read",), _file(DATA / "dpi" / "Chats.json"),
           _imports("dpi"), "d.json"),
    Reader("claims", ("policy.claim_rows:read_rows", "policy.columns:read_columns",
                      "policy.importers.adding_columns:_read"), _text(_CLAIMS), _catalogue, "claims.csv",
           OF_TEXT),
    Reader("GGUF", ("models.gguf_header:_opened", "models.gguf_file:__init__"), _gguf_valid,
           _gguf, "m.gguf", OF_BYTES),
    Reader("keys of GGUF", ("models.gguf_header:_opened",), _gguf_valid,
           _gguf_keys, "m.gguf", OF_BYTES, weight=0.5),
    Reader("a bill beside weights", ("models.own_artifacts:_told_in",),
           _text('{"artifact": "a@1", "bill": [], "verdicts": []}'), _told_in, "bill.json",
           refuses=False),
    Reader("a card beside weights", ("models.own_artifacts:_told_in",),
           _text("---\nx-mashbill: {artifact: a@1}\n---\n"), _told_in, "README.md", OF_TEXT,
           refuses=False),
    Reader("record of a training", ("core.training_record:read_record",), _text(_RECORD), _record,
           "mashbill.json"),
    Reader("bill of a published folder", ("train.outside_data:published",), _text(_BILL),
           _published_bill, "bill.json"),
    Reader("sums of a published folder", ("train.outside_data:_listed",),
           _text(f"{digest_bytes(_BILL.encode())}  bill.json\n"), _published_sums, "SHA256SUMS",
           OF_TEXT),
    Reader("card of a model", ("stages.marks.claims:_of_cards",),
           _text("---\nbase_model: [a/b]\ndatasets: c\nx-mashbill: {artifact: a@1}\n---\n"),
           _claims_of_a_model, "README.md", OF_TEXT, refuses=False),
    Reader("recipe of a merge", ("stages.marks.claims:_of_merges",),
           _text("models:\n- {model: {model: {path: a/b}}}\nbase_model: c\n"),
           _claims_of_a_model, "mergekit_config.yml", OF_TEXT, refuses=False),
    Reader("classifier's weights", ("models.linear:__init__",), lambda kept: kept.model, _linear,
           "weights.safetensors", OF_BYTES, _model_beside),
    Reader("a header of tensors", ("core.tensor_header:tensors_of",), lambda kept: kept.model,
           _tensor_header, "weights.safetensors", OF_BYTES, weight=0.5),
    Reader("classifier's config", ("models.linear:load",), lambda _kept: _CONFIG, _linear,
           "config.json", OF_JSON, _model_beside),
    Reader("config of weights", ("models.folder:_read", "models.folder:describe"),
           _text('{"eos_token_id": 1, "max_position_embeddings": 5}'), _folder_config,
           "config.json"),
    Reader("tokenizer of weights", ("models.folder:plain_tokenizer",), _tokenizer_valid,
           _tokenizer, "tokenizer.json"),
    Reader("config of a model judged", ("core.faults:model_fault",), lambda _kept: _CONFIG,
           _model_fault, "config.json", refuses=False),
    Reader("rows of JSON", _OF_ROWS, _text(_LINES), _rows(), "rows.jsonl"),
    Reader("rows of JSON, bad ones out", _OF_ROWS, _text(_LINES), _rows(on_bad_bytes="reject"),
           "rows.jsonl", refuses=False),
    Reader("rows of CSV", _OF_ROWS, _text(_SEPARATED), _rows(), "rows.csv", OF_TEXT),
    Reader("rows of CSV, bad ones out", _OF_ROWS, _text(_SEPARATED), _rows(on_bad_bytes="reject"),
           "rows.csv", OF_TEXT),
    Reader("rows of CSV, UTF-16", _OF_ROWS, lambda _kept: _SEPARATED.encode("utf-16"),
           _rows(encoding="utf-16"), "rows.csv", OF_TEXT, weight=0.5),
    Reader("rows of TSV", _OF_ROWS, _text(_TABS), _rows(), "rows.tsv", OF_TEXT),
    Reader("rows of TSV, bad ones out", _OF_ROWS, _text(_TABS), _rows(on_bad_bytes="reject"),
           "rows.tsv", OF_TEXT),
    Reader("rows of JSON, packed", _OF_ROWS, _gz, _rows(), "rows.jsonl.gz", OF_BYTES),
    Reader("rows of CSV, packed", _OF_ROWS, _zst, _rows(on_bad_bytes="reject"), "rows.csv.zst",
           OF_BYTES),
    Reader("rows of Parquet", _OF_ROWS, _parquet, _rows(), "rows.parquet",
           (*OF_BYTES, another_word)),
    Reader("rows of Arrow", _OF_ROWS, _arrow, _rows(), "rows.arrow", (*OF_BYTES, another_word)),
    Reader("rows of an Arrow stream", _OF_ROWS, _arrow_stream, _rows(), "rows.arrow",
           (*OF_BYTES, another_word)),
    Reader("member of a zip", _OF_MEMBERS, _zipped(zipfile.ZIP_DEFLATED), _member("a.txt"),
           "a.zip", OF_BYTES),
    Reader("member of a zip, bzip2", _OF_MEMBERS, _zipped(zipfile.ZIP_BZIP2), _member("a.txt"),
           "a.zip", OF_BYTES),
    Reader("member of a tar", _OF_MEMBERS, _tarred("w"), _member("a.txt"), "a.tar",
           (*OF_BYTES, another_word)),
    Reader("member of a packed tar", _OF_MEMBERS, _tarred("w:gz"), _member("a.txt"), "a.tar.gz",
           OF_BYTES),
    Reader("index page", ("files.index_pages:links_of",), _text(_INDEX), _index, "page.html",
           OF_TEXT, refuses=False),
    Reader("index page of JSON", ("files.index_pages:_of_json",), _text(_INDEX_JSON), _index,
           "page.json"),
)  # fmt: skip
