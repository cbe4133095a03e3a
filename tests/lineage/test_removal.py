"""What rests on a source, and a rebuild without it: checked against walking every row's nodes."""

import shutil
import tomllib

import numpy as np
import pytest
from conftest import CHANNELS
from tests_support import execute

from mashbill import ArtifactRef, InputError, RecipeError, Signer, Store, load_recipe
from mashbill.core.record import BILL
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable, reachable, source_of
from mashbill.lineage.whatif.rebuild import rebuild, write_rebuild
from mashbill.lineage.whatif.removal import Selector, affected, affected_rows, touch
from mashbill.plan import build
from mashbill.run.executor import Execution

CLOSED = Selector(kind="closed-api")


@pytest.fixture
def store_copy(channels, tmp_path):
    shutil.copytree(channels, tmp_path / "store")
    return Store(tmp_path / "store", Signer.default())


def oracle(store, manifest, selector):
    """Which rows rest on the sources, by walking down from each row's node."""
    table = NodeTable.of(store, manifest)
    gone = {
        name for name, body in table.bodies.items()
        if body["type"] == "source" and selector.holds(source_of(body))
    }  # fmt: skip
    rests = [not gone.isdisjoint(reachable(table, [node])) for node in table.numbered]
    bills = store.dataset(manifest.ref).column(BILL).to_pylist()
    return np.array([rests[bill] for bill in bills])


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "selector",
    [CLOSED, Selector(source="example judge (stand-in)"), Selector(country="fr"),
     Selector(provider="Example AI", kind="closed-api"), Selector(license="MIT")],
)  # fmt: skip
def test_affected_rows_are_those_that_walking_finds(channels, selector):
    store = Store(channels)
    found = {item.manifest.ref: item for item in affected(store, selector)}
    assert found
    for manifest in store.manifests():
        if manifest.kind == "dataset":
            rows = oracle(store, manifest, selector)
            assert (manifest.ref in found) == bool(rows.any())
            ranges = affected_rows(store, manifest, selector)
            assert sum(end - first for first, end in ranges) == rows.sum()
            for first, end in ranges:
                assert rows[first:end].all()
            if rows.any():
                assert found[manifest.ref].records == rows.sum()
        low, high = found[manifest.ref].share if manifest.ref in found else (0, 0)
        assert 0 <= low <= high <= 1


def test_unknown_origins_may_rest_on_it_and_are_counted(channels):
    store = Store(channels)
    item = next(i for i in affected(store, CLOSED) if i.manifest.name == "elsewhere")
    assert item.maybe > 0
    assert item.share[1] > item.share[0]


def test_an_evaluation_names_the_systems_that_rest_on_it(channels):
    found = affected(Store(channels), CLOSED)
    item = next(i for i in found if i.manifest.name == "evaluation")
    assert item.what == "evaluation"
    assert set(item.systems) == {"tiny", "scratch"}


def test_a_source_that_is_not_there_is_refused_with_those_that_are(channels):
    with pytest.raises(InputError, match=r"no source.*Example Judge"):
        affected(Store(channels), Selector(source="gpt-0"))


def test_a_rebuild_runs_keeps_what_it_can_and_rests_on_nothing_that_went(store_copy, tmp_path):
    made = rebuild(CHANNELS, store_copy, CLOSED)
    to = tmp_path / "new" / "recipe.toml"
    write_rebuild(made, CHANNELS, to, CLOSED)
    assert {"lines", "first", "elsewhere"} <= set(made.kept)
    assert made.thinned["elsewhere"] > 0
    assert "pool" in made.rebuilt
    assert "prompts" in made.gone
    assert "its teacher closed goes" in to.read_text()
    plan = build(load_recipe(to), store_copy)
    status = {stage.name: stage.status for stage in plan.stages}
    assert all(status[name] == "done" for name in made.kept)
    done = execute(plan, store_copy, Execution(tmp_path / "cache", threads=1))
    bought = sum(item.calls for item in done)
    assert bought == 0
    for item in done:
        rests = touch(Circuit.of_artifact(store_copy, item.manifest), CLOSED).whole
        assert rests == (item.name in made.thinned), item.name
    # No row that did not rest on it was lost on the way to the pool.
    old = store_copy.dataset(ArtifactRef("pool", "1"))
    rests = oracle(store_copy, old.manifest, CLOSED)
    kept = [t for t, out in zip(old.column("text").to_pylist(), rests, strict=True) if not out]
    new = next(item.manifest for item in done if item.name == "pool")
    assert store_copy.dataset(new.ref).column("text").to_pylist() == kept


def test_another_teacher_may_stand_in_and_what_it_answered_before_is_not_bought(
    store_copy, tmp_path
):
    made = rebuild(CHANNELS, store_copy, CLOSED, {"closed": "open"})
    assert {"prompts", "rivals", "soft", "scratch"} <= set(made.rebuilt)
    assert not made.gone
    assert made.data["stages"]["prompts"]["teacher"] == "open"
    write_rebuild(made, CHANNELS, tmp_path / "r.toml", CLOSED)
    recipe = load_recipe(tmp_path / "r.toml")
    assert "closed" not in recipe.teachers
    for verdict, _ in build(recipe, store_copy).verdicts()[:3]:
        assert verdict.conclusion == "none recorded"


def test_a_stand_in_must_be_there_and_not_be_one_that_goes(channels):
    with pytest.raises(RecipeError, match=r"there is no \[teachers.nobody\]"):
        rebuild(CHANNELS, Store(channels), CLOSED, {"closed": "nobody"})
    with pytest.raises(RecipeError, match="cannot stand in"):
        rebuild(CHANNELS, Store(channels), CLOSED, {"open": "closed"})
    with pytest.raises(InputError, match="nothing that it makes"):
        rebuild(CHANNELS, Store(channels), Selector(country="AQ"))


def test_files_beside_the_recipe_come_along_and_others_are_not_overwritten(channels, tmp_path):
    made = rebuild(CHANNELS, Store(channels), CLOSED)
    write_rebuild(made, CHANNELS, tmp_path / "r.toml", CLOSED)
    assert (tmp_path / "data" / "lines.jsonl").is_file()
    (tmp_path / "data" / "lines.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"is another file than"):
        write_rebuild(made, CHANNELS, tmp_path / "r.toml", CLOSED)
    stages = tomllib.loads((tmp_path / "r.toml").read_text())["stages"]
    assert stages["elsewhere-without"]["without"] == {"kind": "closed-api"}
