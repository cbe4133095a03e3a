"""Every reader of a file that a person hands over: how a right one is written, and how it is read.

A new function of the package that opens a file belongs here, or into ``NOT_HERE`` with a reason:
tests/fuzz/test_registry.py looks for those that are in neither.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz.mutations import OF_BYTES, OF_JSON, OF_TEXT, another_word

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
    from mashbill.lineage.definitions import load_definitions

    load_definitions([str(path)])


def _accounts(path):
    from mashbill.conduct.accounts import Accounts

    Accounts.load(path.parent, {"MASHBILL_ACCOUNTS": str(path)})


def _proof(path):
    from mashbill.core import parsing
    from mashbill.lineage.bill import bill
    from mashbill.lineage.circuit import Circuit
    from mashbill.lineage.definitions import judge_all
    from mashbill.lineage.proof import check_proof

    circuit = Circuit.of(check_proof(parsing.json_object(path, what="a proof")).as_dataset())
    bill(circuit), judge_all(circuit)


def _statement(path):
    from mashbill.conduct import statement

    statement.check(path)


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
    from mashbill.lineage.audit import Auditor

    root = next(p for p in path.parents if (p / "ledger.jsonl").exists() or p.name == "store")
    Auditor(root).run()


def _manifest(path):
    from mashbill.core.artifact import ArtifactRef
    from mashbill.core.store import Store

    Store(path.parents[2]).get(ArtifactRef("unique", "1"))


def _nodes(path):
    from mashbill.lineage.bill import bill
    from mashbill.lineage.circuit import Circuit
    from mashbill.lineage.nodes import NodeTable

    bill(Circuit.of(NodeTable.read(path)))


def _circuit(path):
    from mashbill.lineage.bill import bill, coverage
    from mashbill.lineage.circuit import Circuit

    circuit = Circuit.read(path)
    bill(circuit), coverage(circuit)


def _shard(path):
    from mashbill.core.artifact import ArtifactRef
    from mashbill.core.store import Store

    dataset = Store(path.parents[2]).dataset(ArtifactRef("unique", "1"))
    dataset.row(0), dataset.made_of(1), dataset.columns


def _journal_of(path):
    from mashbill.conduct import keeping
    from mashbill.conduct.journal import Journal

    journal = Journal(path)
    try:
        for run in journal.runs():
            list(journal.rows_of(run.run)), journal.events(run.run)
        list(journal.all_calls()), list(journal.all_bought()), journal.totals(), journal.terms()
    finally:
        journal.close()
    keeping.size(path)


def _taken_in(path):
    from mashbill.conduct import keeping

    store = path.with_name("calls.sqlite")
    for beside in path.parent.glob("calls.sqlite*"):
        beside.unlink()
    keeping.take_in(store, path)


def _schema(path):
    from mashbill.stages.structure import Structure

    structure = Structure.of(path.parent, path.name)
    structure.columns()
    for text in (
        '{"a": 1, "tags": ["x", "y"]}',
        '{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab": "a"}',
        "[1",
    ):
        structure.read(text)


def _tools(path):
    from mashbill.stages.tracing import declared_tools

    declared_tools(path)


def _results(path):
    from mashbill.stages.tools import ToolsSpec

    spec = ToolsSpec(input="i", teacher="t", tools="t.json", results=path.name)
    spec.known(path.parent)


def _prompt(path):
    from mashbill.stages.prompting import Prompt

    Prompt(path).render({"text": "abc", "label": "b"}, "row 1")


def _template(path):
    from mashbill.stages.asking import Template

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


def _catalogue(path):
    from mashbill.lineage.public import lineage_of
    from mashbill.policy.claims import load_catalogue

    lineage_of(load_catalogue([path], shipped=False))


def _gguf(path):
    from mashbill.teachers.chat_template import describe
    from mashbill.teachers.gguf_file import GgufFile

    file = GgufFile(path)
    describe(file)
    file.tokenizer()
    for _ in file.weights():
        pass


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
    from mashbill.train.linear import LinearPredictor

    LinearPredictor(path.parent)


def _model_beside(folder, kept):
    for name, data in (("config.json", _CONFIG), ("weights.safetensors", kept.model)):
        (folder / name).write_bytes(data)


_CONFIG = json.dumps({"labels": ["a", "b"], "buckets": 16, "temperature": 1.0}).encode()


def _folder_config(path):
    from mashbill.teachers.folder_model import _read

    _read(path)


def _tokenizer(path):
    from mashbill.teachers.folder_model import plain_tokenizer

    plain_tokenizer(path.parent)


def _tokenizer_valid(_kept):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer.to_str().encode()


def _whole_store(folder, kept):
    shutil.copytree(kept.store, folder.joinpath(*_up(folder)), dirs_exist_ok=True)


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

READERS = (
    Reader("recipe", ("core.parsing:read_bytes", "core.parsing:read_toml",
                      "core.recipe:load_recipe"),
           _file(RECIPES / "channels.toml"), _recipe, "recipes/channels.toml", OF_TEXT,
           lambda folder, _kept: shutil.copytree(RECIPES, folder, dirs_exist_ok=True), 0.5),
    Reader("house rules", ("policy.house:load_rules",), _text(_RULES), _rules, "rules.toml", OF_TEXT,
           weight=0.3),
    Reader("terms", ("policy.documents:load_registry",),
           lambda _kept: (Path(__import__("mashbill").__file__).parent / "policy/terms/mistral.toml"
                          ).read_bytes().replace(b'id = "', b'id = "own-'),
           _terms, "terms.toml", OF_TEXT),
    Reader("definition", ("lineage.definitions:load_definitions",), _text(_DEFINITION), _definition,
           "mine.toml", OF_TEXT),
    Reader("accounts", ("conduct.accounts:load",), _text(_ACCOUNTS), _accounts, "accounts.toml",
           OF_TEXT),
    Reader("proof", ("cli.evidence:_audit_proof", "core.parsing:read_json"), _file(KEPT / "proof.json"), _proof, "p.json"),
    Reader("statement", ("conduct.statement:check",), lambda kept: kept.statement, _statement,
           "s.json"),
    Reader("checkpoint note", ("core.checkpoint:_read", "cli.evidence:audit",
                                "cli.evidence:read_text", "core.parsing:read_text"), _file(KEPT / "checkpoint.note"), _note,
           "c.note", OF_TEXT),
    Reader("ledger", ("core.ledger:__init__", "core.checkpoint:lines_of", "core.checkpoint:kept"),
           lambda kept: kept.of("ledger.jsonl"), _ledger, "store/ledger.jsonl", weight=0.5),
    Reader("ledger, audited", ("lineage.audit:_ledger",), lambda kept: kept.of("ledger.jsonl"),
           _audit, "store/ledger.jsonl", OF_JSON, _whole_store, 0.05),
    Reader("shard, audited", ("lineage.audit:_files",),
           lambda kept: kept.of("datasets/unique@1/part-00000.parquet"), _audit,
           "store/datasets/unique@1/part-00000.parquet", OF_BYTES, _whole_store, 0.05),
    Reader("manifest", ("core.store:get",), lambda kept: kept.of("datasets/unique@1/manifest.json"),
           _manifest, "store/datasets/unique@1/manifest.json", OF_JSON,
           lambda folder, kept: folder.joinpath("../../ledger.jsonl").write_bytes(
               kept.of("ledger.jsonl"))),
    Reader("node table", ("core.tables:read_parquet",), lambda kept: kept.nodes, _nodes,
           "nodes.parquet", OF_BYTES),
    Reader("node table as arrays", ("lineage.circuit:read",), lambda kept: kept.nodes, _circuit,
           "nodes.parquet", OF_BYTES),
    Reader("shard", ("core.dataset:__init__",),
           lambda kept: kept.of("datasets/unique@1/part-00000.parquet"), _shard,
           "store/datasets/unique@1/part-00000.parquet", OF_BYTES,
           lambda folder, kept: [
               (folder / "manifest.json").write_bytes(kept.of("datasets/unique@1/manifest.json")),
               folder.joinpath("../../ledger.jsonl").write_bytes(kept.of("ledger.jsonl"))]),
    Reader("journal", ("conduct.journal:__init__",), lambda kept: kept.journal,
           _journal_of, "calls.sqlite", (*OF_BYTES, another_word)),
    Reader("journal export", ("conduct.keeping:_lines",), lambda kept: kept.exported, _taken_in,
           "calls.jsonl", weight=0.5),
    Reader("JSON Schema", ("stages.structure:of",), _text(json.dumps(_SCHEMA)), _schema, "s.json"),
    Reader("tools", ("stages.tracing:declared_tools",), _text(json.dumps(_TOOLS)), _tools, "t.json"),
    Reader("tool results", ("stages.tools:known",),
           _text('{"name": "w", "arguments": {"a": 1}, "result": {"b": [1]}}\n' * 3), _results,
           "r.jsonl"),
    Reader("prompt", ("stages.prompting:__init__",),
           _file(RECIPES / "prompts" / "judge.jinja")
           if (RECIPES / "prompts" / "judge.jinja").exists()
           else _text("{% block user %}{% for i in range(3) %}{{ text | upper }}{% endfor %}{% endblock %}"),
           _prompt, "p.jinja", OF_TEXT),
    Reader("prompt of labels", ("stages.asking:__init__",), _text("Say {{ text }}\nnow:"), _template,
           "p.txt", OF_TEXT),
    Reader("card", ("policy.importers.cards:read", "policy.importers.cards:_front_matter",
                     "policy.importers.imported:read_text"),
           lambda _kept: next((DATA / "cards").rglob("README.md")).read_bytes(), _imports("card"),
           "README.md", OF_TEXT),
    Reader("ModSleuth", ("policy.importers.modsleuth:read",),
           _file(DATA / "modsleuth" / "viewer.json"), _imports("modsleuth"), "g.json"),
    Reader("DPI", ("policy.importers.dpi:read",), _file(DATA / "dpi" / "Chats.json"),
           _imports("dpi"), "d.json"),
    Reader("claims", ("policy.claims:read_rows",), _text(_CLAIMS), _catalogue, "claims.csv",
           OF_TEXT),
    Reader("GGUF", ("teachers.gguf_header:check_header", "teachers.gguf_file:__init__"), _gguf_valid,
           _gguf, "m.gguf", OF_BYTES),
    Reader("classifier's weights", ("train.linear:__init__",), lambda kept: kept.model, _linear,
           "weights.safetensors", OF_BYTES, _model_beside),
    Reader("classifier's config", ("train.linear:_read",), lambda _kept: _CONFIG, _linear,
           "config.json", OF_JSON, _model_beside),
    Reader("config of weights", ("teachers.folder_model:_read", "teachers.folder_model:describe"),
           _text('{"eos_token_id": 1, "max_position_embeddings": 5}'), _folder_config,
           "config.json"),
    Reader("tokenizer of weights", ("teachers.folder_model:plain_tokenizer",), _tokenizer_valid,
           _tokenizer, "tokenizer.json"),
)  # fmt: skip
