"""Classifiers that learn from letters, and from a column of any name."""

from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from mashbill.core.errors import InputError
from mashbill.models.letter_features import learned_letters
from mashbill.models.linear import LETTERS, LinearPredictor, linear_model, vectorizer, write_linear
from mashbill.train.classifier import ClassifierSpec


def test_what_an_older_recipe_says_has_the_fingerprint_it_had():
    spec = ClassifierSpec(kind="classifier", input="rows")
    assert not {"features", "target", "otherwise"} & set(spec.model_dump())


def test_letters_take_no_base():
    with pytest.raises(ValidationError, match="letters"):
        ClassifierSpec(input="rows", base="other", features="letters")


def test_soft_labels_stand_in_their_own_columns():
    with pytest.raises(ValidationError, match="target"):
        ClassifierSpec(input="rows", soft=True, target="gold")


def test_a_model_of_letters_reads_as_it_was_written(tmp_path):
    letters = learned_letters(["some text", "другой текст"])
    draw = np.random.default_rng(3)
    tensors = {
        "weights": draw.normal(size=(1, 1024)).astype(np.float32),
        "bias": np.zeros(1, np.float32),
        "idf": np.ones(1024, np.float32),
        "letters": letters,
    }
    written = write_linear(tmp_path, tensors, ["no", "yes"], 1.0, LETTERS)
    texts = ["some words", "другие слова", "字"]
    read = LinearPredictor.load(tmp_path)
    assert np.array_equal(read.probabilities(texts), written.probabilities(texts))


def test_rule_three_needs_its_letters():
    with pytest.raises(ValueError, match="letters"):
        vectorizer(1024, LETTERS)


def test_weights_of_letters_are_not_taken_over(tmp_path):
    tensors = {
        "weights": np.zeros((1, 1024), np.float32),
        "bias": np.zeros(1, np.float32),
        "idf": np.ones(1024, np.float32),
        "letters": learned_letters(["some text"]),
    }
    model = write_linear(tmp_path, tensors, ["no", "yes"], 1.0, LETTERS)
    ctx = SimpleNamespace(name="smaller", predictor={"base": model}.get)
    with pytest.raises(InputError, match="not taken"):
        linear_model(ctx, "base")
