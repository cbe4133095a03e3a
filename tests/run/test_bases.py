"""What a trainer starts from: found, pinned, on the bill by channel weights."""

import datetime as dt
import re
import shutil

import pytest
from tests_bases import FILES, GIVEN, NEXT, ROWS, TUNED, nudging, pin, table, write_base, write_next  # noqa: F401
from tests_support import rows_of, run_stages, run_toy

from mashbill import InputError, MashbillError, Signer, Store, load_recipe
from mashbill.calls.journal import Journal
from mashbill.core import registry
from mashbill.core.stage import Channel
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable, source_of
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.evidence.proof import prove
from mashbill.lineage.evidence.proven import check_proof
from mashbill.lineage.evidence.trace import Tracer
from mashbill.lineage.whatif.rebuild import rebuild
from mashbill.lineage.whatif.removal import Selector
from mashbill.plan import build
from mashbill.policy.documents import load_registry
from mashbill.report.gather import gather
from mashbill.run import taking_in
from mashbill.run.rederiving import Rederiver
from mashbill.testing import LawError, check_trainer

pytestmark = pytest.mark.usefixtures("nudging")
pytest.importorskip("transformers")


def members_of(store, name):
    manifest = store.find(name)
    lineage = NodeTable.of(store, manifest)
    found = []
    for how, node, _ in lineage.bodies[lineage.root]["members"]:
        body = lineage.bodies[node]
        found.append((how, source_of(body).title if body["type"] == "source" else body["artifact"]))
    return found


def test_a_folder_is_started_from_and_on_the_bill_by_its_weights(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    store = run_stages(tmp_path, table("tiny", sha256) + ROWS + TUNED, FILES, "")
    assert members_of(store, "tuned") == [(Channel.CONTENT, "own"), (Channel.WEIGHTS, "Tiny")]
    manifest = store.find("tuned")
    assert manifest.measures["started_from"] == {"Tiny": sha256}
    assert manifest.stage["bases"]["tiny"]["sha256"] == sha256
    assert Auditor(store.root).run().findings == []


def test_a_base_that_changed_on_disk_is_not_used(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    write_base(tmp_path / "tiny", (1.0,) * 8)
    with pytest.raises(InputError, match=rf"models\.tiny: tiny: .* pins {sha256}; the bytes have"):
        run_stages(tmp_path, table("tiny", sha256) + ROWS + TUNED, FILES, "")


def test_a_base_without_a_pin_is_told_the_pin(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    with pytest.raises(InputError, match=rf"models\.tiny: tiny: pin sha256.*sha256 = '{sha256}'"):
        run_stages(tmp_path, table("tiny", "") + ROWS + TUNED, FILES, "")


def test_a_stage_is_a_base_too(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    again = '\n[stages.again]\nkind = "nudge"\nbase = "tuned"\n'
    store = run_stages(tmp_path, table("tiny", sha256) + ROWS + TUNED + again, FILES, "")
    assert members_of(store, "again") == [(Channel.WEIGHTS, "tuned@1")]
    assert store.find("again").measures["started_from"] == {"tuned@1": store.find("tuned").digest}
    assert Auditor(store.root).run().findings == []


def made(tmp_path, name="other"):
    """Return a store that has tuned@1, from a base Tiny and rows of ours."""
    folder = tmp_path / name
    sha256 = write_base(folder / "tiny")
    return run_stages(folder, table("tiny", sha256) + ROWS + TUNED, FILES, "")


def bill_of(store, name):

    return bill(Circuit.of_artifact(store, store.find(name)))


def test_a_model_of_an_earlier_recipe_is_started_from_by_its_address(tmp_path):
    store = made(tmp_path)
    path = write_next(tmp_path / "other", GIVEN.format("tuned@1", "") + NEXT)
    run_toy(path, store.root)
    store = Store(store.root)
    assert members_of(store, "next") == [(Channel.WEIGHTS, "tuned@1")]
    assert store.find("next").inputs[0].digest == store.find("tuned").digest
    assert Auditor(store.root).run().findings == []
    _, again = run_toy(path, store.root)
    assert [one.was_cached for one in again] == [True]


def test_a_model_of_another_store_is_taken_in_with_its_bill(tmp_path):
    other = made(tmp_path)
    folder = tmp_path / "own"
    folder.mkdir()
    path = write_next(folder, GIVEN.format("tuned@1", 'store = "../other/store"\n') + NEXT)
    store, _ = run_toy(path, folder / "store", [tmp_path / "other"])
    assert members_of(store, "next") == [(Channel.WEIGHTS, "tuned@1")]
    depths = {line.source.name: line.depth for line in bill_of(store, "next")}
    assert depths == {"Tiny": 2, "own": 2}
    result = Auditor(store.root).run()
    assert result.findings == []
    assert any("its lineage is the word of" in str(one) for one in result.not_derived)
    shutil.rmtree(other.root)
    _, again = run_toy(path, folder / "store", [tmp_path / "other"])
    assert [one.was_cached for one in again] == [True]


ASKED = """
[teachers.student]
kind = "student"
model = "tuned@1"
{}
[stages.openings]
kind = "corpus"
title = "openings"
origin = "own-dataset"
source = "rows.jsonl"

[stages.written]
kind = "generate"
input = "openings"
teacher = "student"
prompt = "on.txt"
"""


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_model_by_its_address_is_asked_as_a_teacher(tmp_path, is_elsewhere):
    other = made(tmp_path)
    folder = tmp_path / "own" if is_elsewhere else tmp_path / "other"
    folder.mkdir(exist_ok=True)
    (folder / "on.txt").write_text("{{ text }}")
    (folder / "rows.jsonl").write_text('{"text": "the sea"}\n{"text": "a hill"}\n')
    path = write_next(folder, ASKED.format('store = "../other/store"\n' if is_elsewhere else ""))
    store, _ = run_toy(path, folder / "store", [tmp_path / "other"])
    rows = [row["text"] for row in rows_of(store, "written")]
    assert rows == ["the sea w56", "a hill w56"]
    (asked,) = [item for item in store.find("written").inputs if item.asks]
    digest = other.find("tuned").digest
    assert (asked.name, asked.digest, asked.role) == ("tuned@1", digest, "actor")
    assert asked.asks == {"kind": "student", "model": "tuned@1", "sha256": digest}
    assert {(line.source.name, line.depth) for line in bill_of(store, "written")} == {
        ("openings", 1), ("own", 2), ("Tiny", 2)
    }  # fmt: skip
    result = Auditor(store.root).run()
    assert result.findings == []
    hop = Tracer(store, Journal.of(store)).trace("written", 0)
    kinds = [(depth, one.kind, one.what) for depth, one in hop.walk()]
    assert (1, "model", "tuned@1") in kinds
    assert (2, "source", "Tiny") in kinds
    if not is_elsewhere:
        assert any(kind == "row" and what.startswith("rows@1") for _, kind, what in kinds)
    proof = prove(store, "written", 1, Signer.default())
    assert {line.source.name for line in bill(Circuit.of(check_proof(proof).as_dataset()))} == {
        "openings", "own", "Tiny"
    }  # fmt: skip
    _, again = run_toy(path, folder / "store", [tmp_path / "other"])
    assert all(one.was_cached for one in again)


REFUSED = {
    "a version that does not exist": (
        GIVEN.format("tuned@9", ""), NEXT,
        r"models\.first\.artifact = 'tuned@9': .* has no such artifact; it has tuned@1: correct",
    ),
    "a name that is nearly right": (
        GIVEN.format("tuned1@1", ""), NEXT, r"no such artifact; did you mean 'tuned@1'\?",
    ),
    "a dataset": (
        GIVEN.format("rows@1", ""), NEXT,
        r"models\.first\.artifact = 'rows@1': it is a dataset of .*, and a model is needed",
    ),
    "another digest": (
        GIVEN.format("tuned@1", f'sha256 = "{"0" * 64}"\n'), NEXT,
        r"its digest is [0-9a-f]{64}, and the recipe pins 0{64}; not used",
    ),
    "no address": (GIVEN.format("tuned", ""), NEXT, r"models\.first\.artifact.*write NAME@VERSION"),
    "no such store": (
        GIVEN.format("x@1", 'store = "elsewhere"\n'), NEXT,
        r"models\.first\.store = 'elsewhere': there is no store .*; write where it is now",
    ),
    "an unknown key": (
        GIVEN.format("tuned@1", 'licence = "MIT"\n'), NEXT, r"models\.first\.licence = 'MIT' is an",
    ),
    "an unknown kind": (
        '\n[models.first]\nkind = "foldr"\n', NEXT,
        r"models\.first\.kind = 'foldr' is no kind of a base; did you mean 'folder'\?",
    ),
    "no kind": (
        "\n[models.first]\nname = 'x'\n", NEXT, r"\[models\.first\] needs kind = one of hub,"
    ),
    "a base that is no table": (
        GIVEN.format("tuned@1", ""), NEXT.replace('"first"', '"frist"'),
        r"next\.base names 'frist', which is no .*, and no stage above it; did you mean 'first'\?",
    ),
    "a base that is a name of both": (
        GIVEN.format("tuned@1", ""), NEXT.replace("next]", "first]").replace('"first"', '"x"'),
        r"models\.first and stages\.first have one name",
    ),
    "an artifact of this very recipe": (
        GIVEN.format("next@2", ""), NEXT, r"is what stages\.next of this recipe makes; name the st",
    ),
    "a base as rows": (
        GIVEN.format("tuned@1", ""), NEXT + 'input = "first"\n',
        r"next\.\w+ names 'first', which is no stage above it; \[models\.first\] is what a trainer",
    ),
    "a base as a teacher": (
        GIVEN.format("tuned@1", ""), NEXT + 'teacher = "first"\n',
        r"which is no \[teachers\.\*\] table; \[models\.first\] .* and a teacher has a table",
    ),
    "a student of no such version": (
        "", ASKED.format("").replace("tuned@1", "tuned@9"),
        r"teachers\.student\.model = 'tuned@9': .*it has tuned@1",
    ),
    "a student that is no address": (
        "", ASKED.format("").replace("tuned@1", "Tuned@@1"),
        r"teachers\.student\.model names 'Tuned@@1': .*NAME@VERSION",
    ),
    "a student of another store that is a stage": (
        "", ASKED.format('store = "x"\n').replace("tuned@1", "written"),
        r"store is of a model that is named NAME@VERSION, and 'written' is a stage",
    ),
    "a student that this recipe makes": (
        "", ASKED.format("").replace("tuned@1", "openings@2"),
        r"which stages\.openings of this recipe makes; write model = 'openings'",
    ),
    "a student that is a dataset": (
        "", ASKED.format("").replace("tuned@1", "rows@1"),
        r"teachers\.student\.model = 'rows@1': it is a dataset",
    ),
}  # fmt: skip


def test_what_cannot_be_started_from_or_asked_is_told_before_anything_runs(tmp_path):
    store = made(tmp_path)
    (tmp_path / "other" / "on.txt").write_text("{{ text }}")
    wrong = []
    for name, (models, stages, told) in REFUSED.items():
        path = write_next(tmp_path / "other", models + stages)
        try:
            build(load_recipe(path), Store(store.root))
            wrong.append(f"{name}: not refused")
        except MashbillError as error:
            if not re.search(told, str(error)):
                wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)


def test_what_speaks_against_an_origin_goes_along_to_another_store(tmp_path):
    folder = tmp_path / "other"
    sha256 = write_base(folder / "tiny")
    rows = [{"text": f"a day {n}", "generator": "gpt-4o"} for n in range(6)]
    run_stages(folder, table("tiny", sha256) + ROWS + TUNED, {"rows.jsonl": rows}, "")
    (tmp_path / "own").mkdir()
    models = GIVEN.format("tuned@1", 'store = "../other/store"\n')
    path = write_next(tmp_path / "own", models + NEXT)
    plan = build(load_recipe(path, [folder]), None)
    store, _ = run_toy(path, tmp_path / "own" / "store", [folder])
    for found in (bill(Circuit.of(plan.preview)), bill_of(store, "next")):
        assert any(line.source.contradicted for line in found), found
        assert any("gpt-4o" in line.source.name for line in found), found
    assert Auditor(store.root).run().findings == []


TEACHERS = """
[teachers.closed]
kind = "fake"
name = "Closed"
source_kind = "closed-api"
words.good = ["good"]

[teachers.judge]
kind = "fake"
name = "Judge"
words.good = ["good"]
"""


def test_base_teacher_and_judge_are_three_channels_of_a_student(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    stages = TUNED + 'teacher = "closed"\njudge = "judge"\n'
    again = NEXT.replace('"first"', '"tuned"').replace("next", "again") + 'others = ["tiny"]\n'
    models = table("tiny", sha256)
    store = run_stages(tmp_path, models + ROWS + stages + again, FILES, TEACHERS)
    assert members_of(store, "tuned") == [
        (Channel.CONTENT, "own"), (Channel.WEIGHTS, "Tiny"), (Channel.LOGITS, "Closed (stand-in)"),
        (Channel.SELECTION, "Judge"),
    ]  # fmt: skip
    lines = {line.source.name: (line.channels, line.depth) for line in bill_of(store, "tuned")}
    lines = {name.removesuffix(" (stand-in)"): told for name, told in lines.items()}
    assert {name: channels for name, (channels, _) in lines.items()} == {
        "own": ("content",), "Tiny": ("weights",), "Closed": ("logits",), "Judge": ("selection",),
    }  # fmt: skip
    assert Auditor(store.root, rederive=Rederiver(store)).run().findings == []
    hop = Tracer(store, None).trace("tuned", 2)
    told = {(one.what, one.facts["through"]) for _, one in hop.walk() if "through" in one.facts}
    assert told >= {
        ("Tiny", "weights"), ("Closed (stand-in)", "logits"), ("Judge", "selection"),
    }  # fmt: skip
    assert {name: depth for name, (_, depth) in lines.items()} == dict.fromkeys(lines, 1)
    after = {line.source.name.split(" (")[0]: line.depth for line in bill_of(store, "again")}
    assert after == {"own": 2, "Tiny": 1, "Closed": 2, "Judge": 2}
    gather(store, store.find("again"))


def test_a_rebuild_leaves_out_what_started_from_what_goes(tmp_path):
    store = made(tmp_path)
    selector = Selector(license="MIT")
    again = rebuild(tmp_path / "other" / "some.toml", store, selector)
    assert again.gone == {"tuned": f"it takes tiny, which rests on {selector}"}
    assert again.kept == ["rows"]
    path = write_next(tmp_path / "other", GIVEN.format("tuned@1", "") + NEXT)
    run_toy(path, store.root)
    assert rebuild(path, Store(store.root), selector).gone == {
        "next": f"it takes tuned@1, which rests on {selector}"
    }


def test_a_chain_over_three_stores_holds_when_the_first_two_are_gone(tmp_path):
    made(tmp_path, "first")
    before = "tuned@1"
    for number, (name, other) in enumerate([("second", "first"), ("third", "second")], 2):
        (tmp_path / name).mkdir()
        models = GIVEN.format(before, f'store = "../{other}/store"\n')
        path = write_next(tmp_path / name, models + NEXT, str(number))
        store, _ = run_toy(path, tmp_path / name / "store", [tmp_path / other])
        before = f"next@{number}"
    for name in ("first", "second"):
        shutil.rmtree(tmp_path / name / "store")
    assert {line.source.name: line.depth for line in bill_of(store, "next")} == {
        "Tiny": 3, "own": 3
    }  # fmt: skip
    assert Auditor(store.root).run().findings == []
    _, again = run_toy(path, store.root, [tmp_path / "second"])
    assert [one.was_cached for one in again] == [True]


def test_an_address_stands_for_one_content(tmp_path):
    """Two stores with one address and other contents are told, and so is one's own beside it."""
    made(tmp_path)
    store = "../other/store"
    path = write_next(tmp_path / "other", GIVEN.format("tuned@1", "") + NEXT)
    own = tmp_path / "own"
    (own / "x").mkdir(parents=True)
    path = write_next(own, GIVEN.format("tuned@1", f'store = "{store}"\n') + NEXT)
    run_toy(path, own / "store", [tmp_path / "other"])
    shutil.rmtree(tmp_path / "other")
    folder = tmp_path / "other"
    sha256 = write_base(folder / "tiny", (3.0,) * 8)
    run_stages(folder, table("tiny", sha256) + ROWS + TUNED, FILES, "")
    with pytest.raises(
        InputError, match=r"it was taken in with digest .*, and in \.\./other/store"
    ):
        build(load_recipe(path, [folder]), Store(own / "store"))


@pytest.mark.parametrize("file", ["model.safetensors", "nodes.parquet", "manifest.json"])
def test_what_was_altered_in_the_other_store_is_not_taken_in(tmp_path, file):
    other = made(tmp_path)
    place = other.folder("model", other.find("tuned").ref) / file
    place.write_bytes(place.read_bytes() + b" ")
    own = tmp_path / "own"
    own.mkdir()
    path = write_next(own, GIVEN.format("tuned@1", 'store = "../other/store"\n') + NEXT)
    with pytest.raises(MashbillError, match=r"not as it was committed|is not the one that"):
        run_toy(path, own / "store", [tmp_path / "other"])
    assert not list((own / "store" / "models").glob("*/manifest.json"))


def test_a_taking_in_that_was_cut_off_is_done_anew(tmp_path, monkeypatch):
    made(tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    path = write_next(own, GIVEN.format("tuned@1", 'store = "../other/store"\n') + NEXT)
    copies = []
    copy = shutil.copyfile

    def cut(*places):
        copies.append(places)
        if len(copies) == 3:
            raise KeyboardInterrupt
        return copy(*places)

    monkeypatch.setattr(taking_in.shutil, "copyfile", cut)
    with pytest.raises(KeyboardInterrupt):
        run_toy(path, own / "store", [tmp_path / "other"])
    assert Auditor(own / "store").run().findings == []
    store, _ = run_toy(path, own / "store", [tmp_path / "other"])
    assert members_of(store, "next") == [(Channel.WEIGHTS, "tuned@1")]
    assert Auditor(store.root).run().findings == []


def test_what_is_held_out_beside_is_on_no_bill(tmp_path):
    pytest.importorskip("torch")
    stages = (
        ROWS + ROWS.replace(".rows]", ".held]").replace('"own"', '"held out"') + "\n[stages.s]\n"
        'kind = "pretrain"\ninputs = ["rows"]\nheldout = "held"\nsteps = 1\nlayers = 1\n'
        "width = 16\nheads = 2\nvocabulary = 512\nbatch_tokens = 64\ncontext = 32\n"
    )
    rows = [{"text": f"a day {n}"} for n in range(6)]
    store = run_stages(tmp_path, stages, {"rows.jsonl": rows}, "")
    (line,) = bill_of(store, "s")
    assert (line.source.name, line.owed) == ("own", (1.0, 1.0))
    assert Auditor(store.root).run().findings == []


def test_the_kit_tries_a_trainer_that_starts_from_weights(tmp_path):
    write_base(tmp_path / "tiny")
    trainer = registry.find("nudge", registry.TRAINERS)
    spec = trainer(input="rows", base="tiny")
    # It started from them and holds all laws but one: what it writes is never drawn.
    with pytest.raises(LawError, match=r"breaks 1 of the laws:\s+what is drawn"):
        check_trainer(spec, [{"text": "a"}, {"text": "b"}], bases={"tiny": tmp_path / "tiny"})
    with pytest.raises(ValueError, match=r"the model 'tiny'; give its folder: bases="):
        check_trainer(spec, [{"text": "a"}])


@pytest.mark.parametrize(
    ("license", "outcome"),
    [("MIT", "allow"), ("CC-BY-NC-4.0", "deny"), ("LicenseRef-mine", "review"), ("", "review")],
)
def test_the_terms_of_a_base_decide_a_plan(tmp_path, license, outcome):  # noqa: A002
    sha256 = write_base(tmp_path / "tiny")
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    told = table("tiny", sha256).replace(
        'license = "MIT"', f'license = "{license}"' * bool(license)
    )
    use = '[use]\ncommercial = true\ndistribution = "public"\npurpose = "product"\n'
    path = write_next(tmp_path, use + told + ROWS + TUNED)
    decided = build(load_recipe(path)).decide(load_registry(), dt.date(2026, 11, 29))
    found = {one.outcome for one in decided.decisions if "Tiny" in str(one)}
    assert found == {outcome}
