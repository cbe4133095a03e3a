"""The two engines of the embedded teacher agree, on the file that the shipped recipe names."""

import numpy as np
import pytest

from mashbill import load_recipe
from mashbill.core.cache import default_cache
from mashbill.core.teacher import Question
from mashbill.workspace.recipes import recipe_path

TEXTS = [
    "An instant classic, warm and very funny.",
    "I want those two hours of my life back.",
    "It arrived late, broken, and smelled of glue.",
    "Best phone I have owned, the battery lasts for days!",
    "The committee will meet again on Tuesday.",
    "so tired of this rain, everything is ruined :(",
    "A film of rare beauty, and a performance to match its long and patient ambition.",
    "meh",
]


@pytest.fixture(scope="module")
def teachers():
    recipe = load_recipe(recipe_path("grey_area"))
    spec = recipe.teachers["smollm2"]
    kept = default_cache() / "registry" / spec.sha256
    if not kept.exists():
        pytest.skip("the teacher's file is fetched by `make test`, which was not used")
    other = spec.model_copy(update={"engine": "torch"})
    label = recipe.stages["labelled"]
    questions = label.questions(recipe.folder, TEXTS)
    return [t.load(recipe.folder, default_cache(), 2) for t in (spec, other)], questions


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
def test_openvino_and_torch_give_the_same_log_probabilities(teachers):
    (one, other), questions = teachers
    first = np.array([answer.logprobs for answer in one.answer(questions)])
    second = np.array([answer.logprobs for answer in other.answer(questions)])
    assert np.abs(first - second).max() < 0.05
    margins = first[:, 0] - first[:, 1], second[:, 0] - second[:, 1]
    assert np.corrcoef(*margins)[0, 1] > 0.9999
    assert margins[0][0] > margins[0][1]


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
def test_a_batch_answers_as_single_questions_do(teachers):
    (one, _), questions = teachers
    batch = np.array([answer.logprobs for answer in one.answer(questions)])
    alone = np.array([one.answer([question])[0].logprobs for question in questions])
    assert np.abs(batch - alone).max() < 1e-3


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_another_prefix_in_between_changes_nothing(teachers, engine):
    engines, questions = teachers
    strange = Question("Once upon a time", " there was", (" a", " no"))
    before = engines[engine].answer(questions[:2])
    mixed = engines[engine].answer([questions[0], strange, questions[1]])
    assert (
        np.abs(
            np.array([mixed[0].logprobs, mixed[2].logprobs])
            - np.array([answer.logprobs for answer in before])
        ).max()
        < 1e-3
    )


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
def test_label_words_with_one_first_token_are_refused(teachers):
    from mashbill import TeacherError

    (one, _), questions = teachers
    bad = Question(questions[0].prefix, questions[0].body, (" positive", " positive"))
    with pytest.raises(TeacherError, match="share a first token"):
        one.answer([bad])
