"""A workspace gives the same answers as the commands, as values that print well."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests_support import ANSWERS, CHANNELS, write_recipe
from typer.testing import CliRunner

import mashbill as mb
from mashbill import Signer, Store, StoreError
from mashbill.cli import app
from mashbill.core.errors import PolicyError
from mashbill.workspace.opened import UnreadWarning

ROOT = Path(__file__).parents[2]


def said(*command):
    result = CliRunner().invoke(app, list(map(str, command)))
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def ws(channels):
    return mb.open(str(channels))


def test_the_public_names_are_there_and_nothing_else_is():
    for name in mb.__all__:
        assert getattr(mb, name) is not None
    assert set(mb.__all__) <= set(dir(mb))
    with pytest.raises(AttributeError, match="no attribute 'execute'"):
        _ = mb.execute


def test_a_bill_is_that_of_the_command(ws, channels):
    _, told = said("bill", "scratch", "--store", channels, "--json")
    billed = ws.bill("scratch")
    assert json.loads(json.dumps(billed.as_json())) == told
    verdict = billed.verdict("c")
    assert verdict.definition.name == "C"
    assert [step.what for step in verdict.path]
    with pytest.raises(mb.InputError, match=r"did you mean 'EU-2\.5'"):
        billed.verdict("EU-25")
    with pytest.raises(mb.InputError, match="on 'closed' or on 'any' models"):
        billed.verdict("C", on="open")


def test_rows_come_as_arrow_and_as_a_frame_with_receipts_if_wanted(ws):
    rows = ws["preferred"]
    assert rows.to_arrow().num_rows == len(rows) == rows.manifest.rows
    assert not [name for name in rows.to_arrow().column_names if name.startswith("_")]
    assert {"_id", "_bill", "_from"} <= set(rows.to_arrow(receipts=True).column_names)
    assert rows.to_pandas().to_dict("list") == rows.to_arrow().to_pydict()
    with pytest.raises(mb.InputError, match="is a dataset"):
        rows.load()


def test_rows_come_as_a_dataset_of_hugging_face(ws):
    rows = ws["preferred"]
    assert rows.to_dataset().to_dict() == rows.to_arrow().to_pydict()


def test_a_model_loads_and_has_no_rows(ws):
    model = ws["scratch"]
    found = model.load().probabilities(["a kind day", "a cold line"])
    assert found.shape == (2, 2)
    for ask in (model.to_arrow, model.to_pandas, model.to_dataset, lambda: len(model)):
        with pytest.raises(mb.InputError, match="is a model"):
            ask()


def test_what_is_decided_traced_and_audited_is_what_the_commands_say(ws, channels):
    code, told = said("check", "scratch", "--store", channels, "--json")
    decided = ws.check("scratch")
    assert decided.outcome == told["outcome"]
    assert code == {"allow": 0, "deny": 1, "review": 3}[decided.outcome]
    assert (
        ws.trace("preferred", 3).as_json()
        == said("trace", "preferred", "--row", 3, "--store", channels, "--json")[1]
    )
    assert ws.audit().holds
    assert json.loads(ws.export("scratch", "cyclonedx"))["bomFormat"] == "CycloneDX"


def test_values_are_frozen_and_print_in_a_notebook(ws):
    plan = ws.plan(CHANNELS)
    for value in (ws["preferred"], ws["scratch"], ws.bill("scratch"), plan):
        assert dataclasses.is_dataclass(value)
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.registry = None
        page = value._repr_html_()
        assert page.startswith("<div>")
        assert "<table>" in page
        assert len(str(value).splitlines()) > 1
    assert all(stage.status == "done" for stage in plan.stages)


def test_markup_in_a_row_is_text_in_a_notebook(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "<script>alert(1)</script> one \\u202e two"}\n')
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        '[recipe]\nname = "r"\nversion = "1"\nseed = 1\nresult = "rows"\n[stages.rows]\n'
        'kind = "import"\ntitle = "rows"\nsource = "rows.jsonl"\ngenerator = "none"\n'
    )
    space = mb.open(tmp_path / "store")
    space.run(space.plan(recipe), accept=ANSWERS)
    page = space["rows"]._repr_html_()
    assert "<script>" not in page
    assert "\u202e" not in page


def test_a_plan_of_another_teacher_and_one_that_nobody_accepts_do_not_run(tmp_path):
    recipe = write_recipe(tmp_path / "recipe")
    space = mb.open(tmp_path / "store")
    with pytest.raises(mb.InputError, match="supposes another teacher"):
        space.run(space.plan(recipe, teacher="openai:gpt-4o-mini"), accept=ANSWERS)
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nid = "none"\nsays = "nothing is made"\nabout = "artifact"\n'
        'when = "true"\noutcome = "deny"\n'
    )
    planned = space.plan(recipe, rules=[rules])
    assert planned.decision.outcome == "deny"
    with pytest.raises(PolicyError, match="denied"):
        space.run(planned, accept=ANSWERS)
    assert not (tmp_path / "store").exists() or not space.artifacts()


def test_a_plan_of_another_day_is_decided_by_the_texts_of_that_day(tmp_path):
    recipe = write_recipe(tmp_path / "recipe")
    space = mb.open(tmp_path / "store")
    early = space.plan(recipe, teacher="openai:gpt-4o-mini", as_of=dt.date(2020, 1, 1))
    assert early.decision.as_of == dt.date(2020, 1, 1)


def test_reading_a_bill_loads_no_ml_stack_and_no_network(channels):
    code = (
        "import sys, mashbill as mb; mb.open(sys.argv[1]).bill('scratch').verdict('A'); "
        "stack = ('torch', 'sklearn', 'transformers', 'httpx', 'openvino'); "
        "print([name for name in stack if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(channels)], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_the_notebook_of_the_examples_runs_to_its_end(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "notebook.py"), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "the audit holds: True" in done.stdout


PUBLIC = "hf:HuggingFaceTB/SmolLM3-3B"
DAY = dt.date(2026, 11, 1)
CLOSED = 'kind == "closed-api"'
MODELS = 'what == "model"'


def asked(space, command):
    """Return what a workspace says to what a command asks."""
    return {
        "bill": lambda: space.bill("scratch", ["A", "EU-2.5"], paths=2),
        "bill --through": lambda: space.bill("scratch", through=True),
        "bill --against": lambda: space.bill("scratch").against(space.bill("preferred")),
        "bill --against a definition": lambda: space.bill("scratch", ["A"]).against("C"),
        "bill of the catalogue": lambda: space.bill(PUBLIC, claims=("stated", "derived")),
        "check": lambda: space.check("scratch", as_of=DAY, purpose="product", competes_with=[]),
        "check of the catalogue": lambda: space.check(PUBLIC, as_of=DAY),
        "affected": lambda: space.affected(kind="human"),
        "affected --rows": lambda: space.affected_rows("preferred", kind="human"),
        "audit": lambda: space.audit(deep=True, sample=0.2),
        "whatif": lambda: space.whatif(remove=MODELS, as_of=DAY, most=3),
        "whatif of the catalogue": lambda: space.whatif(
            remove=CLOSED,
            terms=["OpenAI forbids training from 2027-01-01"],
            title="Nothing closed",
            definition="A",
            about="catalogue",
            as_of=DAY,
            lead_months=2,
            claims=("stated",),
            most=2,
        ),
    }[command]()


COMMANDS = {
    "bill": ["bill", "scratch", "--definition", "A", "--definition", "EU-2.5", "--paths", "2"],
    "bill --through": ["bill", "scratch", "--through-catalogue"],
    "bill --against": ["bill", "scratch", "--against", "preferred"],
    "bill --against a definition": ["bill", "scratch", "--definition", "A", "--against", "C"],
    "bill of the catalogue": ["bill", PUBLIC, "--claims", "stated,derived"],
    "check": [
        *("check", "scratch", "--as-of", DAY, "--purpose", "product"),
        *("--competes-with", "none"),
    ],
    "check of the catalogue": ["check", PUBLIC, "--as-of", DAY],
    "affected": ["affected", "--kind", "human"],
    "affected --rows": ["affected", "--kind", "human", "--rows", "preferred"],
    "audit": ["audit", "--deep", "--sample", "0.2"],
    "whatif": ["whatif", "--remove", MODELS, "--as-of", DAY, "--most", "3"],
    "whatif of the catalogue": [
        *("whatif", "--remove", CLOSED, "--title", "Nothing closed", "--definition", "A"),
        *("--terms", "OpenAI forbids training from 2027-01-01", "--as-of", DAY),
        *("--lead-months", "2", "--claims", "stated", "--most", "2"),
    ],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_verb_and_its_command_say_the_same(command, ws, channels):
    store = () if command == "whatif of the catalogue" else ("--store", channels)
    _, told = said(*COMMANDS[command], *store, "--json")
    found = asked(ws, command)
    assert json.loads(json.dumps(found.as_json())) == told
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.artifact = "another"
    assert "<table>" in found._repr_html_()
    assert len(str(found).splitlines()) > 1


def test_what_cannot_be_asked_is_said_in_words_of_the_workspace(ws):
    for ask, why in (
        (ws.whatif, "say what goes: remove="),
        (lambda: ws.whatif(remove=MODELS, title=["a", "b"]), "title: there are 2 for 1 of remove"),
        (lambda: ws.whatif(remove=MODELS, about="all"), "choose of 'store' and 'catalogue'"),
        (lambda: ws.whatif(remove='kind == "x"'), "fits nothing"),
        (ws.affected, "say which sources: source, provider"),
        (lambda: ws.affected(country="XX", colour="red"), "colour 'red'"),
        (lambda: ws.check("scratch", purpose="fun"), "purpose 'fun'"),
        (lambda: ws.checkpoint(witness="https://w"), "witness and witness_key go together"),
        (lambda: ws.audit(witness_keys=["w+00000000+AAAA"]), "."),
    ):
        with pytest.raises(mb.InputError, match=why):
            ask()


def test_a_page_a_brief_and_a_proof_are_those_of_the_commands(ws, channels, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    ws.whatif(remove=MODELS, as_of=DAY).write(one / "page.html")
    ws.brief("scratch", one, as_of=DAY)
    for command in (
        ["whatif", "--remove", MODELS, "--as-of", DAY, "--to", two / "page.html"],
        ["brief", "scratch", "--as-of", DAY, "--to", two],
    ):
        code = said(*command, "--store", channels, "--json")[0]
        assert code == 0
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    proof = ws.prove("preferred", 2, tmp_path / "row.proof.json")
    _, told = said("audit", "--proof", proof, "--json")
    assert json.loads(json.dumps(ws.audit_proof(proof).as_json())) == told


def test_what_of_a_ledger_is_not_read_is_told_once(channels, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(channels, store)
    ledger = store / "ledger.jsonl"
    *lines, last = ledger.read_text().splitlines()
    sig = json.loads(last)["signatures"][0]["sig"]
    other = ("A" if sig[3] != "A" else "B").join((sig[:3], sig[4:]))
    ledger.write_text("\n".join([*lines, last.replace(sig, other)]) + "\n")
    space = mb.open(store)
    with pytest.warns(UnreadWarning, match="not read: .* from entry"):
        space.bill("scratch")
    space.trace("preferred", 1)  # a second warning would be an error here


ASSEMBLING = {
    "Auditor", "Circuit", "Journal", "Rederiver", "Tracer", "affected", "affected_rows", "bill",
    "build", "check_proof", "covered_with", "judge_all", "load_recipe", "open_index",
    "own_subject", "prove", "public_subject", "rebuild", "tell", "through_catalogue",
    "things_of_index", "things_of_store", "unsettled", "write_brief", "write_report",
}  # fmt: skip
"""what makes an answer out of a store; commands have the answer from a workspace"""


def test_commands_parse_call_and_print_and_assemble_nothing():
    found = set()
    for path in sorted((ROOT / "src" / "mashbill" / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                found |= {(path.name, one.name) for one in node.names if one.name in ASSEMBLING}
    assert not found


SERVICE = """
[recipe]
name = "svc"
version = "1"
seed = 1
result = "made"
[teachers.t]
kind = "fake-service"
[teachers.t.words]
good = ["fine"]
bad = ["poor"]
[stages.rows]
kind = "import"
title = "rows"
source = "rows.jsonl"
generator = "none"
[stages.made]
kind = "label"
input = "rows"
teacher = "t"
labels = { good = "good", bad = "bad" }
prompt = "p.txt"
"""


def test_runs_that_asked_services_and_how_one_had_access_are_what_commands_say(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"text": "fine {n}"}}\n' for n in range(6)))
    (tmp_path / "p.txt").write_text("Good or bad?\n\n{{ text }}\n")
    (tmp_path / "r.toml").write_text(SERVICE)
    space = mb.open(tmp_path / "store")
    with pytest.raises(mb.StoreError, match="is not a store"):
        space.service_runs()
    space.run(space.plan(tmp_path / "r.toml"), accept=ANSWERS)
    runs = space.service_runs()
    assert runs.as_json() == said("conduct", "runs", "--store", space.root, "--json")[1]
    (run,) = runs.runs
    assert (run.calls, run.failed, space.service_run(run.run[:12])) == (6, 0, run.run)
    assert "<table>" in runs._repr_html_()
    stated = space.statement()
    assert (stated.run, stated.calls) == (run.run, 6)
    (tmp_path / "statement.json").write_text(str(stated))
    audited = said("conduct", "audit", tmp_path / "statement.json", "--store", space.root, "--json")
    assert audited[1]["holds"]
    with pytest.raises(mb.InputError, match="names 0 runs"):
        space.statement("another")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("stagee-25", "did you mean 'stage-25'?"),
        ("stage-10@2", "did you mean 'stage-10@1'?"),
        ("STAGE-10", "did you mean 'stage-10'?"),
        ("x\n\x1b[31m", "; it has"),
    ],
)
def test_a_name_that_is_none_is_told_with_what_was_meant_and_few_of_many(
    tmp_path, monkeypatch, asked, said
):
    names = [f"stage-{number}" for number in range(10, 40)]
    refs = [SimpleNamespace(name=name, ref=f"{name}@1") for name in names]
    (tmp_path / "store").mkdir()
    store = Store(tmp_path / "store", Signer.default())
    monkeypatch.setattr(store, "manifests", lambda: refs)
    with pytest.raises(StoreError) as told:
        store.find(asked)
    assert said in str(told.value)
    assert str(told.value).count("@1") - said.count("@1") == 12
    assert "18 more" in str(told.value)
    assert "\n" not in str(told.value)
