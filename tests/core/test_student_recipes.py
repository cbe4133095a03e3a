"""A plan refuses, before anything runs, whoever is asked for what its model does not do."""

import pytest
from tests_students import FILES, STAGES, TEACHERS

from mashbill import RecipeError, load_recipe
from mashbill.core.students import made_by
from mashbill.plan import build, with_teacher
from mashbill.teachers.fake import FakeTeacherSpec
from mashbill.train.classifier import ClassifierSpec
from mashbill.train.pretrain import PretrainSpec


def recipe_of(tmp_path, stages=STAGES, teachers=TEACHERS):
    for name, data in FILES.items():
        (tmp_path / name).write_text(data if isinstance(data, str) else '{"text": "a day"}\n')
    path = tmp_path / "some.toml"
    path.write_text(f'[recipe]\nname = "some"\nversion = "1"\nseed = 5\n{teachers}\n{stages}')
    return path


REPLAYED = """
[teachers.again]
kind = "replay"
journal = "calls.sqlite"
teacher = { kind = "student", model = "scratch" }
"""


def test_a_student_is_not_replayed_as_a_source_of_its_own(tmp_path):
    told = "kind 'student' cannot be replayed: it is a model of a recipe; train it in this one"
    with pytest.raises(RecipeError, match=told):
        load_recipe(recipe_of(tmp_path, teachers=TEACHERS + REPLAYED))


def test_a_student_of_no_stage_is_none(tmp_path):
    with pytest.raises(RecipeError, match=r"teachers\.student\.model = ''"):
        load_recipe(recipe_of(tmp_path, teachers=TEACHERS.replace('"scratch"', '""')))


APPLY = '\n[stages.applied]\nkind = "apply"\ninput = "corpus"\nmodel = "scratch"\n'
REFUSED = {
    "a name that is nearly right": (
        ('model = "scratch"', 'model = "scrath"'),
        r"teachers\.student\.model names 'scrath', which is no stage; did you mean 'scratch'",
    ),
    "a name that is far off": (
        ('model = "scratch"', 'model = "olmo"'),
        (r"teachers\.student\.model names 'olmo', which is no stage; stages that make a model that "
        r"writes: scratch"),
    ),
    "a dataset": (
        ('model = "scratch"', 'model = "labelled"'),
        (r"teachers\.student\.model names 'labelled', and a model that writes is needed; "
        r"stages\.labelled \(kind 'label'\) makes a dataset; .*writes: scratch$"),
    ),
    "a classifier": (
        ('model = "scratch"', 'model = "second"'),
        (r"names 'second', and a model that writes is needed; stages\.second \(kind 'classifier'\) "
        r"makes a model that labels and does not write; stages that make a model that writes: "
        r"scratch; a stage of kind 'apply' has it label"),
    ),
    "a stage where a teacher is wanted": (
        ('teacher = "student"', 'teacher = "scratch"'),
        (r"stages\.written\.teacher names 'scratch', which is no \[teachers\.\*\] table; it is a "
        r"stage whose model writes: add \[teachers\.NAME\] with kind = 'student' and model = "
        r"'scratch', and name that"),
    ),
    "a classifier where a teacher is wanted": (
        ('teacher = "student"', 'teacher = "second"'),
        (r"stages\.written\.teacher names 'second', .* it is a stage, and makes a model that "
        r"labels and does not write; stages that make a model that writes: scratch"),
    ),
    "a student that comes later": (
        ('[stages.first]\nkind = "generate"\ninput = "corpus"\nteacher = "closed"',
         '[stages.first]\nkind = "generate"\ninput = "corpus"\nteacher = "student"'),
        (r"stages\.first uses 'scratch', which is no stage above it; it stands below: move "
        r"\[stages\.scratch\] up"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_student_is_refused_with_what_to_do(tmp_path, what):
    (old, new), told = REFUSED[what]
    stages, teachers = (text.replace(old, new) for text in (STAGES, TEACHERS))
    with pytest.raises(RecipeError, match=told):
        load_recipe(recipe_of(tmp_path, stages, teachers))


def test_a_writer_is_not_asked_to_label(tmp_path, monkeypatch):
    monkeypatch.setattr(PretrainSpec, "can_label", False)
    with pytest.raises(
        RecipeError,
        match=r"stages\.applied\.model names 'scratch', and a model that labels is needed; "
        r"stages\.scratch \(kind 'pretrain'\) makes a model that writes and does not label; "
        r"stages that make one that labels: second",
    ):
        load_recipe(recipe_of(tmp_path, STAGES + APPLY))


def test_a_model_that_does_both_may_be_asked_for_both(tmp_path):
    recipe = load_recipe(recipe_of(tmp_path, STAGES + APPLY))
    (_, by) = recipe.uses("applied")
    (_, writes) = recipe.uses("written")
    assert (by.name, by.teacher, by.is_artifact) == ("scratch", "", True)
    assert (writes.name, writes.teacher, writes.is_artifact) == ("scratch", "student", True)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (PretrainSpec, "a model that labels and writes"),
        (ClassifierSpec, "a model that labels and does not write"),
    ],
)
def test_what_a_trainer_makes_is_said(spec, told):
    assert made_by(spec) == told


def test_a_supposed_teacher_stands_in_for_those_from_elsewhere_alone(tmp_path):
    recipe = load_recipe(recipe_of(tmp_path))
    other = with_teacher(recipe, FakeTeacherSpec(words={"good": ("kind",), "bad": ("dull",)}))
    assert other.teachers["closed"].kind == "fake"
    assert other.teachers["student"].made_by == "scratch"
    assert build(other).stages[-1].name == "second"
