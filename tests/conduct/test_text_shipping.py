"""From classifiers to what ships: packing, calibration, thresholds, and the recipe itself."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.text.features import Summed
from mashbill.conduct.text.scoring import packed_weights, unpacked
from mashbill.conduct.text.shipping import Row, calibrated, ship, threshold
from mashbill.core.errors import InputError
from mashbill.models.letter_features import SHAPE, Letters, learned_letters
from mashbill.models.linear import LETTERS, WORDS, write_linear

DATA = Path(__file__).parents[2] / "recipes" / "data"
BUCKETS = 4096


def rows():
    return [
        json.loads(line)
        for name in ("written", "made")
        for line in (DATA / f"conduct_{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def weights_of(seed):
    return np.random.default_rng(seed).normal(size=(1, BUCKETS)).astype(np.float32)


def classifier(folder, seed, rule=LETTERS, texts=("one two", "three")):
    tensors = {
        "weights": weights_of(seed),
        "bias": np.zeros(1, np.float32),
        "idf": np.ones(BUCKETS, np.float32),
    }
    if rule == LETTERS:
        tensors["letters"] = learned_letters(texts)
    folder.mkdir()
    return write_linear(folder, tensors, ["no", "yes"], 1.0, rule)


@law(40)
@given(st.lists(st.text(max_size=120), min_size=1, max_size=6))
def test_sums_over_words_are_what_the_trainers_matrix_gives(texts):
    letters = learned_letters(["a plain text to learn from", "еще один"])
    weights = np.concatenate([weights_of(1), weights_of(2)])
    matrix = Letters(BUCKETS, letters).transform(texts)
    bias = np.array([0.5, -0.5])
    expected = np.asarray(matrix @ weights.T.astype(np.float64)) + bias
    found = Summed(weights.T, bias, letters).scores(texts)
    assert np.allclose(found, expected, atol=1e-9)


@law(40)
@given(st.text(max_size=300))
def test_measures_of_a_text_are_bounded(text):
    found = Letters(BUCKETS, learned_letters(["some words"])).shape([text])
    assert found.shape == (1, SHAPE)
    assert (found >= 0).all()
    assert (found <= 4).all()


def test_gibberish_surprises_more_than_words():
    letters = Letters(BUCKETS, learned_letters([row["text"] for row in rows()]))
    words, noise = "explain the rules of the game to a child", "xq}]zv{kj\\wq==pzk|]vj qxz(/jkw"
    plain, odd = letters.shape([words, noise])
    assert odd[16] > plain[16]
    assert odd[6] > plain[6]


@law(30)
@given(st.integers(0, 1000))
def test_packed_weights_lose_little(seed):
    weights = np.concatenate([weights_of(seed), 3 * weights_of(seed + 1)])
    small, largest = packed_weights(weights)
    assert small.dtype == np.int8
    # A step of the root is 1/127 of it, so that what is lost shrinks with the weight.
    lost = np.abs(unpacked(small, largest) - weights)
    root = np.sqrt(np.abs(weights) / largest[:, None])
    assert (lost <= largest[:, None] * (root / 127 + 1 / 127**2)).all()


def test_calibration_finds_the_odds_that_made_the_labels():
    draw = np.random.default_rng(5)
    known = draw.random(20_000) < 0.5
    scores = draw.normal(np.where(known, 1.0, -1.0), 1.0)  # true log odds: 2 * score
    slope, shift = calibrated(scores, known)
    assert slope * np.log(10) == pytest.approx(2.0, abs=0.1)
    assert shift == pytest.approx(0.0, abs=0.05)


@law(40)
@given(st.floats(-30, 30), st.floats(0.1, 10), st.floats(2, 6), st.integers(0, 99))
def test_calibration_does_not_run_away_where_classes_lie_far_apart(middle, spread, apart, seed):
    draw = np.random.default_rng(seed)
    known = np.arange(300) % 20 == 0
    scores = middle + spread * draw.normal(np.where(known, apart, 0.0), 1.0)
    slope, shift = calibrated(scores, known)
    odds = scores * slope + shift
    assert slope > 0
    assert np.abs(odds).max() < 60
    assert odds[known].mean() > 0 > odds[~known].mean()


def test_calibration_needs_both_classes():
    with pytest.raises(InputError, match="both classes"):
        calibrated(np.arange(4.0), np.zeros(4, bool))


def test_a_threshold_holds_for_the_worst_kind():
    odds = np.array([*range(100), *range(50, 150), 999], np.float32)
    kinds = ["mild"] * 100 + ["worse"] * 100 + [""]
    assert threshold(odds, kinds, 0.01) == 148
    assert threshold(odds, kinds, 0.001) == 149  # of both kinds together


def test_kinds_of_few_prompts_are_judged_together():
    odds = np.array([*range(60), *range(100, 160), *range(10)], np.float32)
    kinds = ["one"] * 60 + ["other"] * 60 + ["third"] * 10
    assert threshold(odds, kinds, 0.01) == 158


def test_classifiers_of_different_texts_are_not_shipped_together(tmp_path):
    one = classifier(tmp_path / "one", 1)
    other = classifier(tmp_path / "other", 2, texts=("four five six",))
    with pytest.raises(InputError, match="other texts"):
        ship({"jailbreak": one, "extraction": other}, [], "", {}, tmp_path / "out")


def test_a_classifier_of_words_is_not_shipped(tmp_path):
    one = classifier(tmp_path / "one", 1)
    other = classifier(tmp_path / "other", 2, rule=WORDS)
    with pytest.raises(InputError, match="letters"):
        ship({"jailbreak": one, "extraction": other}, [], "", {}, tmp_path / "out")


def test_what_is_shipped_scores_as_the_classifiers_do(tmp_path):
    from mashbill.conduct.text.scoring import Scorer

    models = {
        "jailbreak": classifier(tmp_path / "j", 1),
        "extraction": classifier(tmp_path / "x", 2),
    }
    texts = [f"prompt {number} about {'rules' if number % 2 else 'bread'}" for number in range(40)]
    full = {name: models[name].probabilities(texts)[:, 1] for name in models}
    given = [
        Row(text, "kind", {name: full[name][at] > np.median(full[name]) for name in models})
        for at, text in enumerate(texts)
    ]
    given.append(Row("an honest one", "kind", dict.fromkeys(models, False)))
    ship(models, given, "a bill", {"recipe_sha256": "0"}, tmp_path / "out")
    shipped = Scorer.load(tmp_path / "out").score(texts)
    for odds, name in zip(shipped, ("jailbreak", "extraction"), strict=True):
        logits = np.log10(full[name] / (1 - full[name]))
        assert np.corrcoef(odds, logits)[0, 1] > 0.99


# ---- the prompts ----


def test_families_are_on_one_side_only():
    sides = {}
    for row in rows():
        if row["kind"] in ("extraction", "jailbreak"):
            sides.setdefault((row["kind"], row["family"]), set()).add(row["split"])
    assert all(len(found) == 1 for found in sides.values())


def test_there_are_as_many_prompts_as_were_promised():
    written = [row for row in rows() if not row["family"].startswith(("joined", "asked"))]
    hidden = [row for row in written if row["kind"] == "extraction"]
    languages = {row["language"] for row in hidden}
    many = [
        one for one in languages - {"en"} if sum(row["language"] == one for row in hidden) >= 60
    ]
    assert len(hidden) >= 500
    assert len({row["family"] for row in hidden}) >= 24
    assert len(languages) >= 8
    assert len(many) >= 5
    assert sum(row["kind"] == "near-extraction" for row in written) >= 350
    assert sum(row["kind"] == "jailbreak" for row in written) >= 200
    assert sum(row["kind"] == "near-jailbreak" for row in written) >= 200
    plain = [row for row in rows() if row["kind"] == "plain"]
    assert len({row["language"] for row in plain}) == 10


def test_frames_of_what_is_honest_are_on_one_side_only():
    import tomllib

    slots = tomllib.loads((DATA / "conduct_slots.toml").read_text(encoding="utf-8"))
    for one in (*slots["plain"].values(), *slots["near"].values()):
        assert len(set(one["frames"])) == len(one["frames"])
    for one in slots["plain"].values():
        assert len(one["frames"]) >= 25
    sides = {row["split"] for row in rows() if row["kind"] in ("plain", "near-debugging")}
    assert sides == {"train", "development", "test"}


def test_the_program_writes_the_same_prompts_again(tmp_path):
    import importlib.util
    import tomllib

    spec = importlib.util.spec_from_file_location("conduct_prompts", DATA / "conduct.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    slots = tomllib.loads((DATA / "conduct_slots.toml").read_text(encoding="utf-8"))
    made = [json.dumps(row, ensure_ascii=False) for row in program.rows(slots)]
    assert "\n".join(made) + "\n" == (DATA / "conduct_made.jsonl").read_text(encoding="utf-8")
