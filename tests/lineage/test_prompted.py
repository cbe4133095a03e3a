"""Whose words teachers were asked by: declared as a source through prompt, or told as not known."""

import json
import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import TEACHER, run_stages

from mashbill import RecipeError, load_recipe
from mashbill.core.use import Use
from mashbill.lineage.bills.bill import bill, coverage
from mashbill.lineage.bills.prompted import PromptCoverage, prompt_coverage
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.duties.obligations import OutputLicence
from mashbill.lineage.duties.releasing import decide_release
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.exports import FORMATS, export, gather
from mashbill.lineage.exports.bill_file import bill_text
from mashbill.lineage.subject import own_subject
from mashbill.plan import build
from mashbill.policy.decision import strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.house import load_rules
from mashbill.report import write_report

ROWS = [{"text": f"a text of our own, number {i}"} for i in range(20)]
FILES = {"rows.jsonl": ROWS, "ask.txt": "Answer: {{ text }}", "judge.txt": "Text: {{ text }} ->"}
STAGES = """
[stages.ours]
kind = "corpus"
title = "Ours"
origin = "own-dataset"
source = "rows.jsonl"

[stages.asked]
kind = "generate"
input = "ours"
teacher = "t"
prompt = "ask.txt"

[stages.mixed]
kind = "mix"
inputs = { ours = 1, asked = 1 }
"""
PEOPLE = '[origins]\n"ask.txt" = { by = "people" }\n'
MODEL = (
    '[origins]\n"ask.txt" = { by = "model", name = "gpt-4o", provider = "OpenAI", '
    'kind = "closed-api", called_by = "us" }\n'
)


def made(folder, origins="", stages=STAGES):
    return run_stages(folder, stages, FILES, TEACHER + origins)


def covered(store, name):
    return prompt_coverage(store, store.find(name))


def test_what_is_not_declared_is_not_recorded_and_no_node_knows_of_it(tmp_path):
    store = made(tmp_path)
    assert covered(store, "ours").recorded == (1.0, 1.0)
    assert str(covered(store, "ours")) == ""
    asked = covered(store, "asked")
    assert asked.recorded == (0.0, 0.0)
    assert asked.undeclared == (("asked@1", "ask.txt"),)
    low, high = covered(store, "mixed").recorded
    assert 0.0 < low == high < 1.0
    literals = store.find("asked").stage
    assert "origins" not in literals
    assert {line.source.title for line in bill(NodeTable.of(store, store.find("asked")))} == {
        "Ours",
        "fake teacher",
    }


def test_a_shipped_prompt_is_ours_and_lacks_nothing(tmp_path):
    store = made(tmp_path, stages=STAGES.replace('prompt = "ask.txt"\n', ""))
    assert covered(store, "asked").recorded == (1.0, 1.0)


@pytest.mark.parametrize(("origins", "name", "kind"), [
    (PEOPLE, "ask.txt: people", "human"), (MODEL, "gpt-4o", "closed-api"),
    ('[origins]\n"ask.txt" = [{ by = "people" }, { by = "dataset", name = "GSM8K" }]\n',
     "GSM8K", "public-dataset"),
])  # fmt: skip
def test_what_is_declared_is_a_source_through_prompt(tmp_path, origins, name, kind):
    store = made(tmp_path, origins)
    assert covered(store, "asked").recorded == (1.0, 1.0)
    lines = {
        line.source.name: line for line in bill(Circuit.of_artifact(store, store.find("mixed")))
    }
    assert lines[name].source.kind == kind
    assert [channel.value for channel in lines[name].channels] == ["prompt"]
    result = Auditor(store.root).run()
    assert not result.findings
    prov = export(store, store.find("asked"), "openlineage")
    assert name in prov


def test_a_declaration_makes_another_artifact_and_none_leaves_it_as_it_was(tmp_path):
    old = made(tmp_path / "a").find("asked")
    new = made(tmp_path / "b", PEOPLE).find("asked")
    same = made(tmp_path / "c", "[origins]\n").find("asked")
    assert old.fingerprint != new.fingerprint
    assert (old.fingerprint, old.digest) == (same.fingerprint, same.digest)


def test_a_closed_model_in_a_prompt_is_decided_about_and_concluded_on(tmp_path):
    made(tmp_path, MODEL)
    path = tmp_path / "some.toml"
    path.write_text(path.read_text() + '[use]\ncompetes_with = ["OpenAI"]\n')
    plan = build(load_recipe(path))
    decided = plan.decide(load_registry(), date(2026, 11, 20)).decisions
    assert {d.outcome for d in decided if d.about.startswith("gpt-4o")} - {"allow"}


def test_it_is_told_in_a_sentence_wherever_lineage_is(tmp_path):
    store = made(tmp_path)
    wanted = "nobody says it of ask.txt (asked@1)"
    page = write_report(store, store.find("mixed"), tmp_path / "page.html").read_text()
    assert wanted in page
    assert wanted in export(store, store.find("mixed"), "cyclonedx")
    assert set(FORMATS)
    run = [sys.executable, "-c", "from mashbill.cli import main; main()"]
    told = subprocess.run([*run, "bill", "mixed", "--store", str(store.root)],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert wanted in " ".join(told.stdout.split())
    data = subprocess.run([*run, "bill", "mixed", "--json", "--store", str(store.root)],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(data.stdout)["prompt_coverage"]["undeclared"] == [
        {"artifact": "asked@1", "file": "ask.txt"}
    ]
    plan = subprocess.run([*run, "plan", str(tmp_path / "some.toml"), "--store", "none"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert "Who wrote ask.txt is not declared" in " ".join(plan.stdout.split())


@pytest.mark.parametrize(("origins", "licence"), [
    (PEOPLE, None), (PEOPLE.replace(" }", ', license = "CC0-1.0" }'), "CC0-1.0"),
])  # fmt: skip
def test_an_own_prompt_wants_no_licence_and_keeps_the_one_it_has(tmp_path, origins, licence):
    store = made(tmp_path, origins)
    circuit = Circuit.of_artifact(store, store.find("asked"))
    sources = {line.source.name: line.source for line in bill(circuit)}
    assert sources["ask.txt: people"].license == licence
    stated = OutputLicence(("MIT",), "MIT", (), (), stated="MIT")
    found = decide_release(circuit, stated, Use(distribution="public"), date(2026, 11, 20))
    assert "ask.txt" not in str([each for each in found if each.outcome != "allow"])


@pytest.mark.parametrize(("origins", "says"), [
    ('[origins]\n"rows.jsonl" = { by = "people" }\n', "is no file that a teacher is asked by"),
    ('[origins]\n"aks.txt" = { by = "people" }\n', "ask.txt"),
    ('[origins]\n"ask.txt" = { by = "nobody" }\n', "people"),
    ('[origins]\n"ask.txt" = { by = "model" }\n', "needs a name"),
    ('[origins]\n"ask.txt" = { by = "people", name = "gpt-4o" }\n', "goes without name"),
    ('[origins]\n"ask.txt" = { by = "people", called_by = "us" }\n', "goes without called_by"),
    ('[origins]\n"ask.txt" = { by = "people", kind = "closed-api" }\n', "goes without kind"),
    ('[origins]\n"ask.txt" = { by = "model", name = "m", kind = "human" }\n', "no kind of model"),
    ('[origins]\n"ask.txt" = { by = "model", name = "m", kind = "test-double" }\n', "no kind"),
    ('[origins]\n"ask.txt" = []\n', "has no origin"),
    ('[origins]\n"ask.txt" = "people"\n', "ask.txt"),
])  # fmt: skip
def test_what_is_declared_wrong_is_told_with_file_and_key(tmp_path, origins, says):
    made(tmp_path)
    path = tmp_path / "some.toml"
    path.write_text(path.read_text().replace("[stages.ours]", f"{origins}\n[stages.ours]", 1))
    with pytest.raises(RecipeError, match="origins") as error:
        load_recipe(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)


RULES = """
[[rule]]
id = "named"
says = "Everything named."
for = "artifact"
when = "named < 0.95"

[[rule]]
id = "covered"
says = "Everything covered."
for = "artifact"
when = "coverage < 0.01"

[[rule]]
id = "no-closed"
says = "Nothing closed."
when = 'kind == "closed-api"'

[[rule]]
id = "no-texts-of-them"
says = "Nothing that is owed."
when = 'kind == "closed-api" && owed > 0.0'
"""
OURS = '[origins]\n"ask.txt" = { by = "people", license = "CC0-1.0" }\n'


def checked(folder, origins, **use):
    store = made(folder, origins)
    rules = folder / "rules.toml"
    rules.write_text(RULES)
    asked = own_subject("mixed", store)
    declared = Use(license="MIT", competes_with=(), commercial=True, **use)
    return asked.decide(
        load_registry(), date(2026, 11, 20), declared, load_rules([rules]), is_release=True
    )


def outcomes(decided):
    return {
        rule: strictest(d.outcome for d in decided.decisions if d.rule == rule)
        for rule in ("named", "covered", "no-closed", "no-texts-of-them")
    }


@pytest.mark.parametrize(("distribution", "asks"), [
    ("public", True), (None, True), ("service", False), ("private", False),
])  # fmt: skip
def test_a_release_wants_to_know_who_wrote_its_prompts(tmp_path, distribution, asks):
    lacks = checked(tmp_path / "a", "", distribution=distribution)
    found = [d for d in lacks.decisions if d.rule == "prompt-origin-not-recorded"]
    assert [d.outcome for d in found] == ["review"] * asks
    assert all("ask.txt (asked@1)" in d.because and "[origins]" in d.because for d in found)
    assert all("origin of ask.txt" in d.lacking for d in found)
    told = checked(tmp_path / "b", OURS, distribution=distribution)
    assert not [d for d in told.decisions if d.rule == "prompt-origin-not-recorded"]


def test_no_rule_passes_on_a_prompt_of_which_nobody_says_whose_it_is(tmp_path):
    """What the prompt holds, if it is told, is denied; left out, it is review and never leave."""
    lacks, people, model = (
        outcomes(checked(tmp_path / name, origins, distribution="public"))
        for name, origins in (("a", ""), ("b", OURS), ("c", MODEL))
    )
    assert model["no-closed"] == "deny"
    assert lacks == {
        "named": "review",
        "covered": "allow",
        "no-closed": "review",
        "no-texts-of-them": "allow",
    }
    assert people["named"] == people["no-closed"] == "allow"
    for rule, outcome in model.items():
        assert outcome == "allow" or lacks[rule] != "allow"


def test_what_was_asked_for_in_such_words_leaves_coverage_open(tmp_path):
    store = made(tmp_path)
    circuit = Circuit.of_artifact(store, store.find("mixed"))
    prompts = covered(store, "mixed")
    plain, asked = coverage(circuit), coverage(circuit, prompts.nodes)
    assert asked.named[0] == pytest.approx(prompts.recorded[0])
    assert (plain.named[1], plain.recorded[1]) == (asked.named[1], asked.recorded[1])
    assert asked.recorded[0] <= min(plain.recorded[0], asked.named[0])


@pytest.mark.slow
@law(30)
@given(st.lists(st.booleans(), min_size=1, max_size=4))
def test_declaring_one_more_never_lowers_what_is_recorded(tmp_path_factory, declared):
    folder = tmp_path_factory.mktemp("more")
    stages = STAGES.partition("[stages.asked]")[0]
    names = [f"ask{i}" for i in range(len(declared))]
    for name in names:
        stages += (
            f'[stages.{name}]\nkind = "generate"\ninput = "ours"\nteacher = "t"\n'
            f'prompt = "{name}.txt"\n'
        )
    weights = ", ".join(f"{name} = 1" for name in names)
    stages += f'[stages.all]\nkind = "mix"\ninputs = {{ ours = 1, {weights} }}\n'
    files = {"rows.jsonl": ROWS[:4], **{f"{n}.txt": f"{n}: {{{{ text }}}}" for n in names}}

    def recorded(told):
        lines = [f'"{n}.txt" = {{ by = "people" }}' for n, is_told in told if is_told]
        origins = "\n".join(["[origins]", *lines, ""])
        where = folder / "".join("1" if is_told else "0" for _, is_told in told)
        store = run_stages(where, stages, files, TEACHER + origins)
        return covered(store, "all").recorded

    first = list(zip(names, declared, strict=True))
    more = [(names[0], True), *first[1:]]
    one, two = recorded(first), recorded(more)
    assert one[0] <= two[0]
    assert one[1] <= two[1]
    assert (two == (1.0, 1.0)) == all(is_told for _, is_told in more)


@pytest.mark.parametrize("unit", ["tokens", "words", "characters"])
def test_the_share_of_prompts_is_counted_in_the_unit_of_the_artifact(unit):
    told = str(PromptCoverage((0.25, 0.5), (("asked@1", "ask.txt"),), unit))
    assert f" of the {unit}; " in told


def test_an_artifact_of_words_is_asked_for_in_words(tmp_path):
    store = made(tmp_path)
    for manifest in store.manifests():
        found = prompt_coverage(store, manifest)
        assert found.unit == manifest.token_unit
        assert "of tokens" not in str(found)


def test_coverage_counts_the_words_in_wherever_it_is_shown(tmp_path):
    store = made(tmp_path)
    mixed = store.find("mixed")
    lacking = prompt_coverage(store, mixed).recorded
    told = json.loads(bill_text(gather(store, mixed)))
    assert told["coverage"][0] == told["named"][0] == pytest.approx(lacking[0])
    assert "ask.txt (asked@1)" in export(store, mixed, "card")
    run = [sys.executable, "-c", "from mashbill.cli import main; main()"]
    shown = subprocess.run([*run, "bill", "mixed", "--json", "--store", str(store.root)],
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(shown.stdout)["coverage"] == told["coverage"]
    subprocess.run([*run, "brief", "mixed", "--to", str(tmp_path), "--store", str(store.root)],
                   capture_output=True, text=True, check=True)  # fmt: skip
    brief = next(tmp_path.glob("*.brief.md")).read_text()
    part = brief.partition("Coverage, and what is not known")[2]
    assert "who wrote ask.txt" in part.partition("Definitions")[0].replace("\\", "")
    told = made(tmp_path / "told", PEOPLE)
    known = json.loads(bill_text(gather(told, told.find("mixed"))))
    assert known["coverage"] == [1.0, 1.0]


def test_a_plan_decides_by_the_words_that_nobody_declared(tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)

    def planned(name, origins):
        made(tmp_path / name, origins)
        plan = build(load_recipe(tmp_path / name / "some.toml"))
        return outcomes(plan.decide(load_registry(), date(2026, 11, 20), load_rules([rules])))

    lacks, people = planned("a", ""), planned("b", PEOPLE)
    assert lacks["no-closed"] == "review"
    assert people["no-closed"] == "allow"
    assert lacks["no-texts-of-them"] == people["no-texts-of-them"]
