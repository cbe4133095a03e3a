"""The commands, on the toy store, as a user or a program calls them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests_standing import Standing

import mashbill

BLOCK = """
import sys
from pathlib import Path
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "sklearn", "scipy", "openvino", "openvino_genai",
                                  "gguf", "tokenizers", "safetensors", "transformers"}:
            raise ModuleNotFoundError(name + " is not installed", name=name)
sys.meta_path.insert(0, Absent())
"""
MAIN = "from mashbill.cli import main; main()"


def environ():
    return {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    made = Standing(tmp_path_factory.mktemp("standing"), environ(), BLOCK)
    yield made
    made.close()


@pytest.fixture
def call(standing):
    """Call a command where the ML stack cannot be imported, and return what it prints."""

    def called(*arguments, code=0):
        found, out, err = standing.call([str(each) for each in arguments])
        assert found == code, out + err
        return out + err

    return called


def alone(*arguments, before=""):
    done = subprocess.run(
        [sys.executable, "-c", before + MAIN, *map(str, arguments)],
        capture_output=True, text=True, env=environ(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_bill_trace_audit_and_report_need_no_ml_stack(finished, tmp_path, call):
    root = finished[0]
    text = alone("bill", "scratch", "--store", root, before=BLOCK)
    assert text == call("bill", "scratch", "--store", root)
    assert "fake teacher" in text
    assert "C any depth, with judgement" in text
    trace = call("trace", "scratch", "--row", 3, "--store", root)
    for part in ("confident@1", "relabelled@1", "classifier@1", "labelled@1", "call", "toy texts"):
        assert part in trace
    assert "holds:" in call("audit", "--store", root)
    page = tmp_path / "page.html"
    call("report", "scratch", "--store", root, "--to", page)
    assert "<svg" in page.read_text()


def test_a_trace_leads_to_the_call_that_was_made(finished, call):
    hop = json.loads(call("trace", "labelled", "--row", 5, "--store", finished[0], "--json"))
    call_hop = next(h for h in hop["behind"] if h["kind"] == "call")
    assert hop["facts"]["text"] in call_hop["facts"]["asked"]
    assert call_hop["facts"]["teacher"]["kind"] == "fake"


def test_json_is_json(finished, call):
    root, recipe, _ = finished
    assert json.loads(call("bill", "scratch", "--store", root, "--json"))["bill"]
    assert json.loads(call("audit", "--store", root, "--json"))["holds"] is True
    plan = json.loads(call("plan", recipe, "--store", root, "--json"))
    assert {stage["status"] for stage in plan["stages"]} == {"done"}
    ran = json.loads(alone("run", recipe, "--store", root, "--json"))
    assert all(stage["was_cached"] for stage in ran["stages"])


def test_a_plan_shows_what_a_closed_teacher_would_put_on_the_bill(finished, call):
    text = " ".join(call("plan", finished[1], "--teacher", "openai:gpt-4o-mini").split())
    assert "gpt-4o-mini (closed-api, api:openai) as teacher: judgement" in text
    assert "yes (depth 2" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bill", "nothing"), "has no artifact 'nothing'; it has"),
        (("trace", "scratch", "--row", 99999), "learned from rows 0 to"),
        (("trace", "first", "--row", -1), "row -1 is not"),
        (
            ("plan", "nowhere"),
            "nor a shipped recipe (arms, channels, ",
        ),
        (("plan", "grey_area", "--teacher", "x"), "write SERVICE:MODEL"),
        (("bill", "scratch", "--definition", "Z"), "neither one of A, B, C"),
    ],
)
def test_an_error_is_told_in_plain_words(finished, arguments, message, call):
    text = call(*arguments, "--store", finished[0], code=2)
    assert message in " ".join(text.split())
    assert "Traceback" not in text


def test_a_folder_that_is_no_store_is_told(tmp_path, call):
    assert "is not a store" in call("bill", "x", "--store", tmp_path, code=2)


def test_running_without_the_ml_stack_names_the_extra(finished, recipe_file, tmp_path, call):
    text = call("run", recipe_file, "--store", tmp_path / "store", code=2)
    assert "needs mashbill's extra 'train'" in text
    assert "-m pip install" in text


def test_no_public_name_goes_and_each_is_there_for_checkers_too():
    kept = {
        "Answer", "ArtifactRef", "AuditError", "CanonicalError", "Channel", "DriftError",
        "InputError", "Manifest", "MashbillError", "MissingExtraError", "Question", "Recipe",
        "RecipeError", "Signer", "Source", "StageContext", "StageSpec", "Store", "StoreError",
        "TeacherError", "TeacherSpec", "Uses", "load_recipe",
    }  # fmt: skip
    assert kept <= set(mashbill.__all__)
    assert all(hasattr(mashbill, name) for name in mashbill.__all__)
    text = Path(mashbill.__file__).read_text("utf-8")
    typed = set(re.findall(r"^    from \S+ import \w+ as (\w+)", text, re.MULTILINE))
    assert typed == set(mashbill.__all__)


@pytest.mark.slow
def test_the_lineage_commands_need_no_ml_stack(channels, tmp_path, call):
    at = ("--store", channels)
    text = call("bill", "scratch", *at)
    assert "of tokens have a recorded origin" in text
    assert "cannot be decided from lineage" in text
    made = json.loads(call("bill", "scratch", "--json", "--paths", 3, *at))
    assert made["coverage"][0] < 1
    assert {v["definition"] for v in made["verdicts"]} == {"A", "B", "C", "EU-2.5", "HR8283"}
    assert any(v["other_paths"] for v in made["verdicts"])
    text = call("bill", "scratch", "--against", "tuned", *at)
    assert "not there" in text
    differ = json.loads(call("bill", "tuned", "--definition", "A", "--against", "C", "--json", *at))
    assert differ["verdicts"]
    assert not differ["lines"]
    text = call("affected", "--country", "US", *at)
    assert "evaluation@1" in text
    assert call("affected", "--country", "US", "--rows", "elsewhere", *at).strip()
    assert "say which sources" in call("affected", *at, code=2)
    assert "--kind 'closed'" in call("affected", "--kind", "closed", *at, code=2)
    text = call("trace", "second", "--row", 3, "--forward", *at)
    assert "pool@1 row" in text


def test_a_checkpoint_and_a_proof_are_written_and_checked(channels, tmp_path, call):
    at = ("--store", channels)
    call("checkpoint", "--to", tmp_path / "kept.note", *at)
    assert "2 checkpoints" in call("audit", "--checkpoint", tmp_path / "kept.note", *at)
    proof = tmp_path / "p.json"
    call("prove", "preferred", "--row", 3, "--to", proof, *at)
    text = call("audit", "--proof", proof, "--store", tmp_path / "nowhere")
    assert "holds: preferred@1 row 3" in text
    proof.write_text(proof.read_text().replace("preferred@1", "preferred@2"))
    assert "error" in call("audit", "--proof", proof, code=2)
    proof.write_text(proof.read_text() + " " * (16 << 20))
    assert "more than 16,777,216 bytes" in call("audit", "--proof", proof, code=2)


def test_an_export_is_written_or_refused(channels, tmp_path, call):
    at = ("--store", channels)
    call("export", "scratch", "--format", "cyclonedx", "--to", tmp_path / "bom.json", *at)
    assert json.loads((tmp_path / "bom.json").read_text())["specVersion"] == "1.7"
    assert "Example Closed" in call("export", "scratch", "--format", "eu-2.5", *at)
    assert "cyclonedx-1.6" in call("export", "scratch", "--format", "sbom", *at, code=2)


def test_a_rebuild_is_written_and_planned(channels, tmp_path, call):
    to = tmp_path / "r.toml"
    text = call("rebuild", "channels", "--kind", "closed-api", "--store", channels, "--to", to)
    assert "rows taken away behind" in text
    assert "gone: its teacher closed goes" in text
    assert to.is_file()
    assert "write OLD=NEW" in call(
        "rebuild", "channels", "--without", "x", "--teacher", "y", "--store", channels, code=2
    )
