"""Preferences in the shapes of TRL, DPO and UltraFeedback, read by readers of such files."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stages.test_preferring import preferred, rows
from tests_support import rows_of

import mashbill as mb
from mashbill import Signer
from mashbill.core.weights import weighed, words_of
from mashbill.lineage.evidence.proof import prove
from mashbill.lineage.evidence.proven import check_proof
from mashbill.publish.publish import Wish, publish
from mashbill.stages.preference_shapes import (
    Pair,
    columns_of_pairs,
    columns_of_prompts,
    joined,
    ranked_by,
    ranks,
)

SETS = {
    "one": rows([["Es ist blau.", "It is blue 🙂"], ["4", "5"]], [0.5, 1.0, 0.75, 0.75]),
    "other": rows(["它是绿色的。", "לא"], [0.25, 0.0]),
}
ALL = 'inputs = ["one", "other"]\nhow = "reward"\npairs = "all"\nshape = "{}"'


def loaded(store, tmp_path, shape):
    """Publish as Parquet and read as the package ``datasets`` does."""
    datasets = pytest.importorskip("datasets")
    to = tmp_path / f"{shape}-out"
    publish(store, store.find("pairs"), str(to), Wish(format="parquet"))
    files = sorted(str(path) for path in to.rglob("part-*.parquet"))
    return datasets.Dataset.from_parquet(files, cache_dir=str(tmp_path / "cache"))


def test_trl_takes_texts_and_messages_with_and_without_the_prompt(tmp_path):
    told = {}
    for shape in ("text", "messages", "implicit", "implicit-messages"):
        store = preferred(tmp_path / shape, ALL.format(shape), **SETS)
        told[shape] = loaded(store, tmp_path, shape)
        assert len(told[shape]) == len(rows_of(store, "pairs")) == 5
    for plain, chat, whole, both in zip(*told.values(), strict=True):
        asked = [{"role": "user", "content": plain["prompt"]}]
        assert chat["prompt"] == asked
        for side in ("chosen", "rejected"):
            assert chat[side] == [{"role": "assistant", "content": plain[side]}]
            assert both[side] == asked + chat[side]
            assert whole[side] == joined(plain["prompt"], plain[side])
        assert "prompt" not in both.keys() | whole.keys()
        assert with_prompt_taken_out(both) == {k: chat[k] for k in ("prompt", "chosen", "rejected")}


def with_prompt_taken_out(row):
    """Take what both sides begin with for the prompt, as TRL documents ``extract_prompt``."""
    pairs = zip(row["chosen"], row["rejected"], strict=True)
    same = next(at for at, (one, two) in enumerate(pairs) if one != two)
    return {
        "prompt": row["chosen"][:same],
        "chosen": row["chosen"][same:],
        "rejected": row["rejected"][same:],
    }


def test_ultrafeedback_binarized_has_its_columns_and_scores(tmp_path):
    store = preferred(tmp_path, ALL.format("ultrafeedback"), **SETS)
    data = loaded(store, tmp_path, "ultrafeedback")
    wanted = ["prompt", "prompt_id", "chosen", "rejected", "messages", "score_chosen",
              "score_rejected"]  # fmt: skip
    assert [name for name in data.column_names if name in wanted] == wanted
    for row in data:
        assert [turn["role"] for turn in row["chosen"]] == ["user", "assistant"]
        assert row["messages"] == row["chosen"]
        assert row["chosen"][0] == row["rejected"][0]
        assert row["score_chosen"] > row["score_rejected"]
    assert len({row["prompt_id"] for row in data}) == 2


def test_a_prompt_with_its_completions(tmp_path):
    keys = 'inputs = ["one", "other"]\nhow = "reward"\nshape = "completions"'
    store = preferred(tmp_path, keys, **SETS)
    first, second = loaded(store, tmp_path, "completions")
    assert first["instruction"] == "p0"
    assert first["models"] == ["one", "one", "other"]
    said = [(one["response"], one["overall_score"]) for one in first["completions"]]
    assert said == [("It is blue 🙂", 1.0), ("Es ist blau.", 0.5), ("它是绿色的。", 0.25)]
    assert first["correct_answers"] == ["None"]
    assert {one["response"] for one in second["completions"]} == {"4", "5", "לא"}
    kept = rows_of(store, "pairs")
    assert [sorted(row["_from"]) for row in kept] == [[0, 1, 4], [2, 3, 5]]


def test_a_ranking_shares_a_rank_where_scores_are_equal(tmp_path):
    keys = 'inputs = ["one", "other"]\nhow = "reward"\nshape = "ranking"'
    first, second = loaded(preferred(tmp_path, keys, **SETS), tmp_path, "ranking")
    assert (first["scores"], first["ranks"]) == ([1.0, 0.5, 0.25], [1, 2, 3])
    assert (second["scores"], second["ranks"]) == ([0.75, 0.75, 0.0], [1, 1, 3])


def test_dpo_has_pairs_of_places_the_better_first_and_no_tie(tmp_path):
    keys = 'inputs = ["one", "other"]\nhow = "reward"\nshape = "dpo"'
    sets = {**SETS, "one": [*SETS["one"], *rows([[], [], ["x", "y"]], [0.5, 0.5])]}
    store = preferred(tmp_path, keys, **sets)
    first, second = loaded(store, tmp_path, "dpo")
    assert first["responses"][0] == first["sft_target"] == "It is blue 🙂"
    assert first["pairs"] == [[0, 1], [0, 2], [1, 2]]
    assert second["pairs"] == [[0, 2], [1, 2]]
    (gone,) = rows_of(store, "pairs", "rejected")
    assert (gone["prompt"], gone["_reason"]) == ("p2", "a tie: the scores are 0.5 and 0.5")


def test_judges_give_a_ranking_by_their_votes(tmp_path):
    texts = ["a dull day", "a lovely day", "a lovely kind bright superb day"]
    sets = {f"s{n}": rows([text]) for n, text in enumerate(texts)}
    keys = 'inputs = ["s0", "s1", "s2"]\njudges = ["u"]\nprompt = "better.txt"\nshape = "ranking"'
    (row,) = rows_of(preferred(tmp_path, keys, **sets), "pairs")
    assert row["completions"] == texts[::-1]
    assert (row["scores"], row["models"]) == ([1.0, 0.5, 0.0], ["s2", "s1", "s0"])
    assert row["_from"] == [2, 1, 0]


@pytest.mark.parametrize("shape", ["text", "messages", "ultrafeedback"])
def test_any_shape_of_pairs_is_published_for_trl(tmp_path, shape):
    store = preferred(tmp_path, ALL.format(shape), **SETS)
    wish = Wish(format="jsonl", form="trl-dpo")
    publish(store, store.find("pairs"), str(tmp_path / "p"), wish)
    made = [json.loads(line) for line in (tmp_path / "p" / "data" / "part-00000.jsonl").open()]
    assert len(made) == 5
    for row in made:
        assert [turn["role"] for turn in row["prompt"]] == ["user"]
        assert [turn["role"] for turn in row["chosen"] + row["rejected"]] == ["assistant"] * 2


SAID = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.lists(st.tuples(SAID, SAID, SAID, st.booleans()), max_size=6))
def test_every_text_comes_through_every_shape_and_ties_prefer_nothing(made):
    pairs = [Pair(p, *((None, None) if tie else (a, b))) for p, a, b, tie in made]
    plain = columns_of_pairs("text", pairs)
    chats = columns_of_pairs("messages", pairs)
    for side in ("chosen", "rejected"):
        said = [None if c is None else c[-1]["content"] for c in chats[side].to_pylist()]
        assert said == plain[side].to_pylist() == [getattr(pair, side) for pair in pairs]
    for shape in ("implicit", "implicit-messages", "ultrafeedback"):
        columns = columns_of_pairs(shape, pairs)
        for side in ("chosen", "rejected"):
            nothing = [cell is None for cell in columns[side].to_pylist()]
            assert nothing == [pair.chosen is None for pair in pairs]
    for (prompt, a, _, tie), whole in zip(
        made, columns_of_pairs("implicit", pairs)["chosen"].to_pylist(), strict=True
    ):
        assert tie or (whole.startswith(prompt) and whole.endswith(a))


@given(st.dictionaries(st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0]), min_size=1))
def test_a_ranking_goes_down_and_does_not_hang_on_the_order_of_its_rows(scores):
    found = [
        ranked_by("p", rows, lambda row: f"t{row}", str, scores, [])
        for rows in (list(scores), list(scores)[::-1])
    ]
    assert found[0] == found[1]
    assert found[0].scores == sorted(scores.values(), reverse=True)
    places = ranks(found[0].scores)
    assert places == sorted(places)
    assert columns_of_prompts("ranking", found)["ranks"].to_pylist() == [places] * 2


def test_words_of_messages_weigh_as_those_of_texts(tmp_path):
    weights = {}
    for shape in ("text", "messages"):
        store = preferred(tmp_path / shape, ALL.format(shape), **SETS)
        table = pq.read_table(next(store.folder("dataset", store.find("pairs").ref).glob("part*")))
        assert weighed(table.schema) == ["prompt", "chosen", "rejected"]
        weights[shape] = words_of(table).tolist()
    assert weights["text"] == weights["messages"]
    keys = 'inputs = ["one", "other"]\nhow = "reward"\nshape = "{}"'
    for shape, names in (("ranking", ["prompt", "completions"]), ("dpo", ["prompt", "responses"]),
                         ("completions", ["instruction", "completions"])):  # fmt: skip
        store = preferred(tmp_path / shape, keys.format(shape), **SETS)
        table = pq.read_table(next(store.folder("dataset", store.find("pairs").ref).glob("part*")))
        assert weighed(table.schema) == names
        assert words_of(table).tolist()[0] == 1 + 3 + 4 + 1


@pytest.mark.parametrize("shape", ["messages", "completions", "ranking"])
def test_what_was_preferred_by_reward_is_made_again_by_an_audit_and_can_be_proven(tmp_path, shape):
    keys = f'inputs = ["one", "other"]\nhow = "reward"\nshape = "{shape}"'
    store = preferred(tmp_path, keys, **SETS)
    told = mb.open(store.root).audit(deep=True)
    assert told.holds, told.findings
    assert not [text for text in map(str, told.result.not_derived) if "pairs@1" in text]
    proof = json.loads(json.dumps(prove(store, "pairs", 0, Signer.default())))
    assert check_proof(proof).artifact == "pairs@1"
