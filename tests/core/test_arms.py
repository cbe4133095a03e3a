"""``[arms]``: a recipe is written out as anybody would by hand, and nothing is made twice."""

from __future__ import annotations

import contextlib
import copy
import re
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import write_recipe
from tests_tables import table

from mashbill import RecipeError, load_recipe
from mashbill.core.arms import as_set
from mashbill.core.job import Job
from mashbill.core.recipe_tables import tables_of

TOY = """
[teachers.other]
kind = "fake"
name = "another"
words.good = ["kind"]
words.bad = ["cold"]
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("arms"), rows=20)


def tables(toy: Path) -> dict:
    return tomllib.loads(toy.read_text() + TOY)


def written(toy: Path, data: dict, name: str = "tried.toml") -> Path:
    path = toy.with_name(name)
    path.write_text(tomli_w.dumps(data))
    return path


def loaded(toy: Path, arms: dict, **changed):
    """Return the toy recipe with these arms."""
    return load_recipe(written(toy, {**tables(toy), **changed, "arms": arms}))


def literals(recipe) -> dict:
    return {name: Job.of(recipe, name).literals for name in recipe.stages}


# ---- names ----


def test_what_an_arm_touches_is_made_apart_and_the_rest_once(toy):
    recipe = loaded(
        toy,
        {
            "seeds": [1, 2],
            "top": {"confident": {"keep_top": 0.2}},
            "raw": {"scratch": {"inputs": ["relabelled"]}},
        },
    )
    names = list(recipe.stages)
    assert names[:7] == list(tables(toy)["stages"])[:7]  # down to relabelled, made once
    assert [n for n in names if n.startswith("confident")] == ["confident.top", "confident"]
    assert [n for n in names if n.startswith("scratch")] == [
        "scratch.top.s1", "scratch.top.s2", "scratch.raw.s1", "scratch.raw.s2"
    ]  # fmt: skip
    assert recipe.stages["scratch.raw.s2"].inputs == ("relabelled",)
    assert recipe.stages["scratch.top.s2"].inputs == ("confident.top",)
    assert [recipe.seed_of(n) for n in ("scratch.top.s2", "confident.top")] == [2, 7]
    assert recipe.stages["evaluation.raw.s1"].systems == {
        "teacher": "heldout-teacher",
        "classifier": "heldout-classifier",
        "scratch": "heldout-scratch.raw.s1",
    }
    assert recipe.result == "scratch.top.s1"
    cell = recipe.arms.of(["raw"], [2])[0]
    assert (cell.stages["scratch"], cell.stages["first"]) == ("scratch.raw.s2", "first")


def test_a_teacher_that_an_arm_sets_is_another_teacher_and_what_asks_it_another_stage(toy):
    recipe = loaded(toy, {"calm": {"teachers": {"fake": {"noise": 0.0}}}, "plain": {}})
    assert recipe.teachers["fake.calm"].noise == 0.0
    assert recipe.stages["labelled.calm"].teacher == "fake.calm"
    assert recipe.arms.of(["plain"])[0].stages["labelled"] == "labelled"


def test_a_base_that_an_arm_sets_is_another_base(toy):
    data = tables(toy)
    data["models"] = {"base": {"kind": "gguf"}}
    data["stages"]["tuned"] = {"kind": "sft", "inputs": ["labelled"], "base": "base"}
    data["arms"] = {"seeds": [4], "here": {}, "there": {"models": {"base": {"country": "FR"}}}}
    recipe = load_recipe(written(toy, data))
    assert recipe.models["base.there"].country == "FR"
    assert recipe.stages["tuned.there.s4"].base == "base.there"
    assert recipe.stages["tuned.s4"].base == "base"
    assert recipe.arms.of(["there"])[0].stages["labelled"] == "labelled"


def test_an_arm_of_another_kind_writes_the_stage_anew(toy):
    line = {"kind": "classifier", "input": "confident", "buckets": 512}
    recipe = loaded(toy, {"seeds": [3], "small": {}, "linear": {"scratch": line}})
    spec = recipe.stages["scratch.linear"]  # a classifier draws nothing: no seed
    assert (spec.kind, spec.buckets, spec.seed) == ("classifier", 512, None)
    assert "evaluation.linear" in recipe.stages
    assert "evaluation.s3" in recipe.stages


def test_what_an_arm_no_longer_needs_is_not_made_for_it(toy):
    arms = {
        "seeds": [1, 2],
        "trained": {"scratch": {"steps": 9}},
        "none": {
            "evaluation": {
                "systems": {"teacher": "heldout-teacher"},
                "compare": [],
            }
        },
    }
    recipe = loaded(toy, arms)
    assert "scratch.s1" not in recipe.stages
    assert [n for n in recipe.stages if n.startswith("evaluation")] == [
        "evaluation.trained.s1", "evaluation.trained.s2", "evaluation.none"
    ]  # fmt: skip
    assert "scratch" not in recipe.arms.of(["none"])[0].stages
    arms["none"]["scratch"] = False
    arms["none"]["heldout-scratch"] = False
    assert list(loaded(toy, arms).stages) == list(recipe.stages)


def test_seeds_alone_and_what_is_seeded(toy):
    recipe = loaded(toy, {"seeds": [0, 5]})
    assert [n for n in recipe.stages if ".s" in n and n.startswith("scratch")] == [
        "scratch.s0", "scratch.s5"
    ]  # fmt: skip
    assert recipe.arms.names == ("",)
    recipe = loaded(toy, {"seeds": [0, 5], "seeded": ["first"]})
    assert "corpus" in recipe.stages
    assert {"first.s0", "labelled.s5", "classifier.s5", "scratch.s0"} <= recipe.stages.keys()
    assert [recipe.seed_of(n) for n in ("first.s5", "scratch.s5")] == [5, 7]


def test_a_seeded_stage_asks_teachers_that_draw_by_its_seed(toy):
    data = tables(toy)
    drawing = {"kind": "student", "model": "scratch", "temperature": 1.0, "seed": 4}
    data["teachers"]["pupil"] = drawing
    data["teachers"]["greedy"] = {**drawing, "temperature": 0.0}
    for name, teacher in (("drafts", "pupil"), ("likeliest", "greedy"), ("once", "pupil")):
        data["stages"][name] = {
            "kind": "generate",
            "input": "first",
            "teacher": teacher,
            "prompt": "toy.txt",
        }
    data["arms"] = {"seeds": [1, 2], "seeded": ["drafts", "likeliest"]}
    del data["recipe"]["result"]
    path = written(toy, data)
    try:
        recipe = load_recipe(path)
    except RecipeError as error:  # keys of generate are another test's
        pytest.fail(str(error))
    assert recipe.teachers["pupil.s2"].seed == 2
    assert recipe.teachers["pupil"].seed == 4
    assert recipe.stages["drafts.s2"].teacher == "pupil.s2"
    assert recipe.stages["likeliest.s2"].teacher == "greedy"
    assert recipe.stages["once"].teacher == "pupil"


def test_students_and_the_stages_they_are(toy):
    data = tables(toy)
    data["teachers"]["pupil"] = {"kind": "student", "model": "scratch"}
    data["teachers"]["unasked"] = {"kind": "student", "model": "scratch"}
    data["stages"]["drafts"] = {
        "kind": "generate",
        "input": "first",
        "teacher": "pupil",
        "prompt": "toy.txt",
    }
    data["arms"] = {"seeds": [1], "a": {"scratch": {"steps": 4}}, "b": {"scratch": {"steps": 5}}}
    recipe = load_recipe(written(toy, data))
    assert recipe.teachers["pupil.b.s1"].model == "scratch.b.s1"
    assert recipe.stages["drafts.b.s1"].teacher == "pupil.b.s1"
    assert recipe.teachers["unasked.a.s1"].model == "scratch.a.s1"


def test_a_student_whose_stage_is_called_as_its_kind(toy):
    data = tables(toy)
    data["stages"] = {("student" if n == "scratch" else n): t for n, t in data["stages"].items()}
    data["stages"]["heldout-scratch"]["model"] = "student"
    data["teachers"]["student"] = {"kind": "student", "model": "student"}
    drafts = {"kind": "generate", "input": "first", "teacher": "student", "prompt": "toy.txt"}
    data["stages"]["drafts"] = drafts
    data["recipe"]["result"] = "student"
    data["arms"] = {"seeds": [1], "a": {"student": {"steps": 4}}, "b": {"student": {"steps": 5}}}
    recipe = load_recipe(written(toy, data))
    found = recipe.teachers["student.b.s1"]
    assert (found.kind, found.model) == ("student", "student.b.s1")
    assert recipe.stages["drafts.b.s1"].teacher == "student.b.s1"


def test_a_stage_takes_another_one_of_all_arms(toy):
    data = tables(toy)
    data["stages"]["side-by-side"] = {
        "kind": "evaluate",
        "input": "heldout",
        "systems": {"scratch": "heldout-scratch.*", "a-alone": "heldout-scratch.a.*",
                    "classifier": "heldout-classifier"},
        "compare": [["scratch.a", "scratch.b"]],
    }  # fmt: skip
    data["arms"] = {"a": {"scratch": {"steps": 4}}, "b": {"scratch": {"steps": 5}}}
    recipe = load_recipe(written(toy, data))
    found = recipe.stages["side-by-side"].systems
    assert found == {
        "scratch.a": "heldout-scratch.a",
        "scratch.b": "heldout-scratch.b",
        "a-alone": "heldout-scratch.a",
        "classifier": "heldout-classifier",
    }


def test_the_seeds_of_an_arm_are_a_list(toy):
    data = tables(toy)
    data["stages"]["all"] = {"kind": "merge", "models": {"scratch.*": 1.0}}
    inputs = ["confident", "heldout-scratch.b.*"]
    data["stages"]["mixed"] = {"kind": "pretrain", "inputs": inputs, "steps": 2}
    data["arms"] = {
        "seeds": [1, 2],
        "seeded": ["scratch"],
        "a": {"scratch": {"steps": 4}},
        "b": {"scratch": {"steps": 5}},
    }
    found = tables_of(written(toy, data))["stages"]
    assert found["mixed"]["inputs"] == ["confident", "heldout-scratch.b.s1", "heldout-scratch.b.s2"]
    assert list(found["all"]["models"]) == [
        "scratch.a.s1", "scratch.a.s2", "scratch.b.s1", "scratch.b.s2"
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 50])
def test_any_number_of_arms(toy, count):
    arms = {f"steps{n}": {"scratch": {"steps": 2 + n}} for n in range(count)}
    recipe = loaded(toy, {"seeds": [1, 2], **arms})
    assert sum(n.startswith("scratch.") for n in recipe.stages) == 2 * count


# ---- laws ----

MENU = [
    ("stages", "first", {"range": [0.0, 0.2]}),
    ("stages", "labelled", {"teacher": "other"}),
    ("stages", "classifier", {"strength": 2.0}),
    ("stages", "classifier", {"buckets": 4096}),  # as it is written
    ("stages", "confident", {"keep_top": 0.7}),
    ("stages", "confident", {"shard_rows": 64}),
    ("stages", "scratch", {"steps": 3}),
    ("stages", "scratch", {"inputs": ["relabelled"]}),
    ("stages", "scratch", {"inputs": ["confident", "relabelled"]}),
    ("stages", "scratch", {"kind": "classifier", "input": "relabelled"}),
    ("stages", "evaluation", {"compare": []}),
    ("teachers", "fake", {"noise": 0.1}),
    ("teachers", "other", {"batch": 4}),
]


@st.composite
def declared(draw):
    """Draw arms over the toy recipe: settings of some stages and teachers, and seeds."""
    arms = {}
    for number in range(draw(st.integers(1, 4))):
        table: dict = {}
        for place in draw(st.sets(st.integers(0, len(MENU) - 1), max_size=3)):
            kind, name, keys = MENU[place]
            target = table if kind == "stages" else table.setdefault(kind, {})
            target[name] = copy.deepcopy(keys)
        arms[f"arm{number}"] = table
    seeds = draw(st.lists(st.integers(0, 9), max_size=3, unique=True))
    if seeds:
        arms["seeds"] = seeds
        arms["seeded"] = draw(st.sampled_from([["scratch"], ["first"], ["first", "scratch"]]))
    return arms


def drawn(toy, arms):
    """Return the recipe with these arms; None where they are refused as alike, or draw nothing."""
    try:
        return loaded(toy, arms)
    except RecipeError as error:
        if not re.search("ask for the same|draws nothing", str(error)):
            raise
        return None


def _same(recipe, cell):
    return next(one for one in recipe.arms.cells if (one.arm, one.seed) == (cell.arm, cell.seed))


LAWS = law(12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LAWS
@given(arms=declared())
def test_written_out_by_hand_it_has_the_same_literals(toy, arms):
    recipe = drawn(toy, arms)
    if recipe is None:
        return
    data = tables_of(toy.with_name("tried.toml"))
    assert "arms" not in data
    by_hand = load_recipe(written(toy, data, "hand.toml"))
    assert literals(by_hand) == literals(recipe)
    assert by_hand.result == recipe.result
    for name in recipe.stages:
        assert Job.of(by_hand, name).seed == Job.of(recipe, name).seed


@LAWS
@given(arms=declared())
def test_each_cell_is_the_recipe_as_that_arm_alone_would_have_it(toy, arms):
    recipe = drawn(toy, arms)
    if recipe is None:
        return
    base = tables(toy)
    for cell in recipe.arms.cells:
        alone = copy.deepcopy(base)
        for key, keys in arms.get(cell.arm, {}).items():
            inner = keys.items() if key == "teachers" else [(key, keys)]
            for name, value in inner:
                table = alone["teachers" if key == "teachers" else "stages"]
                table[name] = as_set(table[name], value)
        for name in arms.get("seeded", ()) if cell.seed is not None else ():
            alone["stages"][name]["seed"] = cell.seed
        plain = load_recipe(written(toy, alone, "alone.toml"))
        back = {made: name for name, made in cell.stages.items()}
        for name, made in cell.stages.items():
            theirs, ours = Job.of(plain, name).literals, Job.of(recipe, made).literals
            assert ours["seed"] == theirs["seed"]
            assert ours["files"] == theirs["files"]
            assert list(ours["teachers"].values()) == list(theirs["teachers"].values())
            asked = recipe.uses(made)
            assert [back.get(use.name, use.name) for use in asked if not use.is_teacher] == [
                use.name for use in plain.uses(name) if not use.is_teacher
            ]
            spec, other = recipe.stages[made], plain.stages[name]
            for key in type(spec).model_fields.keys() - {*type(spec).references, "seed"}:
                assert getattr(spec, key) == getattr(other, key), (made, key)


@LAWS
@given(arms=declared())
def test_one_more_arm_or_seed_changes_nothing_of_those_before(toy, arms):
    recipe = drawn(toy, arms)
    if recipe is None:
        return
    more = {**arms, "zz": {"labelled": {"calibrate_on": 8}, "rest": {"range": [0.4, 0.5]}}}
    if "seeds" in arms:
        more["seeds"] = [*arms["seeds"], 77]
    longer = loaded(toy, more)
    before = literals(recipe)
    assert {name: literals(longer).get(name) for name in before} == before
    for cell in recipe.arms.cells:
        assert _same(longer, cell).stages == cell.stages


@LAWS
@given(arms=declared())
def test_what_is_shared_is_what_all_cells_have_under_one_name(toy, arms):
    recipe = drawn(toy, arms)
    if recipe is None:
        return
    told = recipe.arms
    for cell in told.cells:
        for name, made in cell.stages.items():
            everywhere = {one.stages.get(name) for one in told.cells}
            assert told.shared(made) == (everywhere == {name})
    assert told.stages.keys() <= told.apart <= recipe.stages.keys()


@LAWS
@given(arms=declared())
def test_a_stage_of_all_arms_is_each_arms_own_and_taken_once(toy, arms):
    if drawn(toy, arms) is None:
        return
    data = {**tables(toy), "arms": arms}
    data["stages"]["together"] = {
        "kind": "evaluate", "input": "heldout", "systems": {"it": "heldout-scratch.*"},
    }  # fmt: skip
    data["stages"]["first-arm"] = {
        "kind": "evaluate", "input": "heldout", "systems": {"it": "heldout-scratch.arm0.*"},
    }  # fmt: skip
    recipe = load_recipe(written(toy, data))
    own = {}
    for cell in recipe.arms.cells:
        own.setdefault(cell.arm, {})[cell.stages["heldout-scratch"]] = None
    each = {arm: tuple(names) for arm, names in own.items()}
    told = {arm: names if len(names) > 1 else names[0] for arm, names in each.items()}
    assert [name for name in recipe.stages if name.startswith(("together", "first-arm"))] == [
        "together", "first-arm",
    ]  # fmt: skip
    assert recipe.stages["first-arm"].systems == {"it": told["arm0"]}
    expected = {f"it.{arm}": names for arm, names in told.items()}
    if len(set(told.values())) == 1:
        expected = {"it": told["arm0"]}
    assert recipe.stages["together"].systems == expected
    assert recipe.arms.shared("together")


@LAWS
@given(arms=declared())
def test_nothing_is_made_twice(toy, arms):
    recipe = drawn(toy, arms)
    if recipe is None:
        return
    asked = [
        (recipe.arms.stages.get(name, name), spec.model_dump_json(exclude={"version"}))
        for name, spec in recipe.stages.items()
    ]
    assert len({(name, body, recipe.seed_of(made)) for (name, body), made
                in zip(asked, recipe.stages, strict=True)}) == len(asked)  # fmt: skip


# ---- strangers ----

NAMES = st.sampled_from([
    "seeds", "seeded", "a", "stages", "teachers", "models", "verifiers", "recipe", "scratch",
    "confident", "fake", "kind", "inputs", "input", "systems", "labels", "heldout-scratch.*", "",
    "s1", "x.y", "version", "seed", "teacher", "é", "evaluation", "labelled", "by",
])  # fmt: skip
LEAVES = st.one_of(st.booleans(), st.integers(-3, 9), st.floats(0, 2), NAMES)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


@law(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arms=st.one_of(
        VALUES,
        st.dictionaries(NAMES, VALUES, max_size=3),
        st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), max_size=3),
    ),
    broken=st.none() | st.tuples(st.sampled_from(["stages", "teachers", "models"]), NAMES, VALUES),
)
def test_whatever_is_written_is_read_or_refused_in_words(toy, arms, broken):
    data = {**tables(toy), "arms": arms}
    if broken is not None:
        table, name, value = broken
        data[table] = {**data.get(table, {}), name: value}
    path = written(toy, data, "fuzz.toml")
    with contextlib.suppress(RecipeError):
        load_recipe(path)


@pytest.mark.parametrize("table", ["stages", "teachers", "models"])
@pytest.mark.parametrize("value", [3, "text", [1], [{"kind": "x"}], {}, {"kind": 3}, {"x": {}}])
def test_a_table_that_is_none_is_told(toy, table, value):
    data = tables(toy)
    name = {"stages": "scratch", "teachers": "fake", "models": "base"}[table]
    data[table] = {**data.get(table, {}), name: value}
    for arms in (
        {"a": {"scratch": {"steps": 3}}},
        {"a": {name: {"steps": 3}} if table == "stages" else {table: {name: {"noise": 1.0}}}},
        {"seeds": [1]},
    ):
        with pytest.raises(RecipeError, match=rf"{table}\.{name}|no stage|arms\.a"):
            load_recipe(written(toy, {**data, "arms": arms}, "fuzz.toml"))
    if not isinstance(value, dict):
        data[table] = value
        with pytest.raises(RecipeError, match="must be a table"):
            load_recipe(written(toy, {**data, "arms": {"seeds": [1]}}, "fuzz.toml"))


# ---- what cannot be ----

WRONG = [
    ({}, "[arms] has neither arms nor seeds"),
    ({"seeds": []}, "arms.seeds = [] must be a list such as [1, 2, 3]"),
    ({"seeds": 5}, "arms.seeds = 5 must be a list"),
    ({"seeds": 0}, "arms.seeds = 0 must be a list"),
    ({"seeds": {"first": {"range": [0, 1]}}}, "an arm cannot be called so"),
    ({"seeds": [1, -1]}, "arms.seeds[1] = -1 must be a whole number from 0 on"),
    ({"seeds": [True]}, "arms.seeds[0] = True must be a whole number"),
    ({"seeds": [1.5]}, "arms.seeds[0] = 1.5 must be a whole number"),
    ({"seeds": ["1"]}, "arms.seeds[0] = '1' must be a whole number"),
    ({"seeds": [1, 2, 1]}, "arms.seeds names 1 twice"),
    ({"seeds": list(range(1001))}, "more than 1,000 runs of the recipe"),
    ({"seeded": ["scratch"]}, "there are no seeds: add seeds"),
    ({"seeds": [1], "seeded": []}, "arms.seeded = [] must be a list of stages"),
    ({"seeds": [1], "seeded": ["scrach"]}, "no stage; did you mean 'scratch'?"),
    ({"seeds": [1], "seeded": ["classifier"]}, "draws nothing"),
    ({"a": 3}, "arms.a = 3 must be a table"),
    ({"seed": [1, 2]}, "did you mean 'seeds'?"),
    ({"A": {}}, "an arm's name has lower-case letters"),
    ({"a.b": {}}, "an arm's name has lower-case letters"),
    ({"é": {}}, "an arm's name has lower-case letters"),
    ({"s1": {}}, "would look like a seed"),
    ({"a": {"scrach": {"steps": 2}}}, "no stage of this recipe; did you mean 'scratch'?"),
    ({"a": {"scratch": {"stepps": 2}}}, "arms.a.scratch.stepps = 2 is an unknown key; did"),
    ({"a": {"scratch": {"steps": "two"}}}, "arms.a.scratch.steps = 'two'; write a whole number"),
    ({"a": {"scratch": {"steps": 0}}}, "arms.a.scratch.steps = 0: Input should be greater than 0"),
    ({"a": {"scratch": {"inputs": ["nowhere"]}}}, "no stage above it"),
    ({"a": {"scratch": {"inputs": ["nowhere"]}}}, "(scratch.a is stages.scratch for a)"),
    ({"a": {"scratch": {}}}, "arms.a.scratch = {} must be a table of keys"),
    ({"a": {"scratch": True}}, "or false to go without the stage"),
    ({"a": {"scratch": False}}, "goes without stages.scratch, and stages.heldout-scratch rests"),
    ({"a": {"teachers": {"fak": {"noise": 0}}}}, "no [teachers.fak]; did you mean 'fake'?"),
    ({"a": {"teachers": {"fake": False}}}, "arms.a.teachers.fake = False must be a table of keys"),
    ({"a": {"teachers": {"fake": {"nois": 1}}}}, "arms.a.teachers.fake.nois = 1 is an unknown key"),
    ({"a": {"recipe": {"seed": 3}}}, "[recipe] holds for all arms"),
    ({"a": {}, "b": {}}, "arms.a and arms.b ask for the same"),
    ({"a": {"scratch": {"steps": 12}}, "b": {}}, "arms.a and arms.b ask for the same"),
    ({"seeds": [1], "a": {"scratch": {"seed": 3}}}, "stages.scratch sets seed, and gets those"),
    ({"a": {"scratch": {"kind": "pretrian", "steps": 2}}}, "did you mean 'pretrain'?"),
]  # fmt: skip


@table("arms, said", WRONG)
def test_what_is_wrong_with_arms_is_told(toy, arms, said):
    with pytest.raises(RecipeError) as told:
        loaded(toy, arms)
    assert said in str(told.value), str(told.value)
    assert "tried.toml" in str(told.value)


def test_arms_as_no_table(toy):
    path = toy.with_name("tried.toml")
    path.write_text("arms = 3\n" + toy.read_text())
    with pytest.raises(RecipeError, match="arms = 3 must be a table"):
        load_recipe(path)


def test_a_name_that_is_taken(toy):
    data = tables(toy)
    data["stages"]["scratch.a"] = dict(data["stages"]["scratch"])
    data["arms"] = {"a": {"scratch": {"steps": 4}}}
    with pytest.raises(RecipeError, match=r"'scratch\.a' is written in the recipe, and a would"):
        load_recipe(written(toy, data))


def test_all_of_a_stage_that_is_none(toy):
    data = tables(toy)
    data["stages"]["evaluation"]["systems"] = {"scratch": "heldout-scrach.*"}
    data["stages"]["evaluation"]["compare"] = []
    data["arms"] = {"a": {"scratch": {"steps": 4}}}
    with pytest.raises(RecipeError, match=r"'heldout-scrach.\*', which is no stage above"):
        load_recipe(written(toy, data))
    data["stages"]["evaluation"]["systems"] = {"scratch": "heldout-scratch.b.*"}
    with pytest.raises(RecipeError, match=r"scratch.b.\*', and 'b' is no arm; arms: a"):
        load_recipe(written(toy, data))


def test_a_stage_and_a_teacher_of_one_name_that_come_apart(toy):
    data = tables(toy)
    data["teachers"]["first"] = dict(data["teachers"]["fake"])
    data["stages"]["labelled"]["teacher"] = "first"
    data["arms"] = {"a": {"first": {"range": [0.0, 0.1]}}}
    with pytest.raises(RecipeError, match=r"names stages.first and teachers.first, which are not"):
        load_recipe(written(toy, data))


def test_a_stage_has_a_seed_of_its_own_without_arms(toy):
    data = tables(toy)
    before = literals(load_recipe(written(toy, data)))
    data["stages"]["scratch"]["seed"] = 3
    recipe = load_recipe(written(toy, data))
    after = literals(recipe)
    assert {n for n in before if before[n] != after[n]} == {"scratch"}
    assert after["scratch"] == {**before["scratch"], "seed": 3}
    data["stages"]["scratch"]["seed"] = 7  # as the recipe's
    assert literals(load_recipe(written(toy, data))) == before
