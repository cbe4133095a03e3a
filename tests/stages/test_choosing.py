"""``verify`` with groups: the best of each, exactly so many, pass@k, and what was truncated."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import RIGHT, execute, rows_of, run_stages, run_toy

from mashbill import RecipeError, Store, load_recipe
from mashbill.core.errors import InputError
from mashbill.core.ledger import Signer
from mashbill.core.record import ID, identify, one_batch
from mashbill.core.verifier import Score
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build
from mashbill.run.display import Quiet
from mashbill.run.execution import Execution
from mashbill.run.rederiving import Rederiver
from mashbill.stages.choosing import Choice, Groups, Told, measured, remarks
from mashbill.stages.verify import VerifySpec
from mashbill.verifiers import exact
from mashbill.verifiers.scoring import Scored

STAGES = (
    RIGHT
    + """
reference = "known"
KEYS
"""
)


def says(monkeypatch):
    """Let the verifier give the score that an output begins with, or say what it says."""

    def one(_self, case):
        word = case.output.split()[0] if case.output.split() else "0"
        if word in {"undecided", "failed"}:
            return getattr(Score, word)("so it is")
        if case.reference is not None and case.output == case.reference:
            return Score(1.0)
        try:
            return Score(float(word))
        except ValueError:
            return Score(0.0)

    monkeypatch.setattr(exact.Exact, "_one", one)


def rows_with(*texts, prompt="p"):
    return [{"prompt": prompt, "text": text, "known": "x", "by": "toy"} for text in texts]


def made(folder, keys, rows):
    return run_stages(folder, STAGES.replace("KEYS", keys), {"answers.jsonl": rows}, teachers="")


def texts(store, prefix="part"):
    return [row["text"] for row in rows_of(store, "right", prefix)]


def test_the_best_of_each_group_stay_and_all_others_go_with_why(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = [*rows_with("0.9 a", "0.6 b", "0.7 c", "0.2 d", "undecided e", prompt="one"),
            *rows_with("0.6 f", "failed g", prompt="two"), *rows_with("0.1 h", prompt="three"),
            *rows_with("1.0 i", prompt=None)]  # fmt: skip
    store = made(tmp_path, 'group = ["prompt"]\nbest = 2', rows)
    assert texts(store) == ["0.9 a", "0.7 c", "0.6 f"]
    why = {row["text"]: row["_reason"] for row in rows_of(store, "right", "rejected")}
    assert why == {
        "0.6 b": "score 0.6000, and 2 of its group scored more",
        "0.2 d": "score 0.2000, below 0.5",
        "undecided e": "undecided: so it is",
        "failed g": "failed: so it is",
        "0.1 h": "score 0.1000, below 0.5",
        "1.0 i": "its column prompt is empty",
    }
    kept = {row["text"]: row for row in rows_of(store, "right")}
    assert {text: row["rank"] for text, row in kept.items()} == {"0.9 a": 1, "0.7 c": 2, "0.6 f": 1}
    assert len({row["group"] for row in kept.values()}) == 2
    assert {row["verifier"] for row in kept.values()} == {"same (exact 1)"}
    gone = {row["text"]: row["rank"] for row in rows_of(store, "right", "rejected")}
    assert gone == {"0.6 b": 3, "0.2 d": 4, "undecided e": None, "failed g": None, "0.1 h": 1,
                    "1.0 i": None}  # fmt: skip
    measures = store.find("right").measures
    assert measures["best"] == {"of_each": 2, "full": 1, "fewer": 1, "none": 1, "lots": 0}
    assert any("2 of 3 groups have fewer than 2 rows" in text for text in measures["warnings"])


def test_equal_scores_are_told_and_settled_by_the_rows_themselves(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = rows_with("0.8 a", "0.8 b", "0.8 c", "0.9 d")
    kept = []
    for number in range(4):
        random.Random(number).shuffle(rows)
        store = made(tmp_path / str(number), 'group = ["prompt"]\nbest = 2', rows)
        kept.append(sorted(texts(store)))
        why = {row["_reason"] for row in rows_of(store, "right", "rejected")}
        said = "score 0.8000, as another of its group has that stays: of equal scores the lower"
        assert why == {f"{said} _id comes first, and 2 of a group stay"}
        assert store.find("right").measures["best"]["lots"] == 1
    assert len(set(map(tuple, kept))) == 1


def test_what_is_chosen_is_a_selection_on_the_bill_and_an_audit_chooses_again(tmp_path):
    rows = [{**row, "known": "4"} for row in rows_with("4", "4 ", "5")]
    store = made(tmp_path, 'group = ["prompt"]\nbest = 1', rows)
    manifest = store.find("right")
    assert [(i.role, i.channel) for i in manifest.inputs] == [
        ("rows", "content"),
        ("verifier", "judgement/verifying"),
        ("verifier", "selection/verifying"),
    ]
    channels = {line.channels for line in bill(Circuit.of_artifact(store, manifest))
                if line.source.what == "program"}  # fmt: skip
    assert channels == {("judgement",), ("selection",)}
    told = Auditor(store.root, rederive=Rederiver(store)).run()
    assert told.findings == []
    assert not [item for item in told.not_derived if "right" in item.file]


def test_an_audit_finds_a_choice_that_no_score_made(tmp_path):
    rows = [{**row, "known": "4"} for row in rows_with("4", "4 ", "5")]
    with pytest.MonkeyPatch.context() as lying:
        true = Groups.turned_down

        def turned(self, start, stop):  # whoever was beaten stays, and the best goes
            why = true(self, start, stop)
            return [why[1], why[0], *why[2:]]

        lying.setattr(Groups, "turned_down", turned)
        store = made(tmp_path, 'group = ["prompt"]\nbest = 1', rows)
    told = Auditor(store.root, rederive=Rederiver(store)).run()
    assert any("datasets/right@1" in finding.file for finding in told.findings)


@pytest.mark.parametrize("group", ["", 'group = ["prompt"]'])
def test_another_score_leaves_no_rank_of_the_first_one_standing(tmp_path, monkeypatch, group):
    says(monkeypatch)
    again = f"""
[verifiers.again]
kind = "exact"
[stages.twice]
kind = "verify"
input = "right"
by = "again"
reference = "known"
{group}"""
    keys = 'group = ["prompt"]\nthreshold = 0'
    store = made(tmp_path, keys + "\n" + again, rows_with("1 a", "0.5 b"))
    row = rows_of(store, "twice")[0]
    assert row["original_verifier"] == "same (exact 1)"
    assert row["original_rank"] == 1
    assert (row.get("verifier"), row.get("rank")) == (
        ("again (exact 1)", 1) if group else (None, None)
    )
    assert Auditor(store.root, rederive=Rederiver(store)).run().findings == []
    own = [{**row, "rank": 7} for row in rows_with("1 a")]  # a column of one's own stays
    assert rows_of(made(tmp_path / "own", "", own), "right")[0]["rank"] == 7


def test_without_best_it_only_judges(tmp_path):
    spec = VerifySpec(input="a", by="v", group=("prompt",))
    assert [use.channel.value for use in spec.uses()] == ["content", "judgement"]
    assert not spec.streams
    assert VerifySpec(input="a", by="v").streams


def test_a_group_with_fewer_is_rejected_whole_where_the_recipe_says_so(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = rows_with("0.9 a", "0.8 b", prompt="one") + rows_with("0.7 c", "0.1 d", prompt="two")
    store = made(tmp_path, 'group = ["prompt"]\nbest = 2\nfewer = "reject"', rows)
    assert texts(store) == ["0.9 a", "0.8 b"]
    why = {row["text"]: row["_reason"] for row in rows_of(store, "right", "rejected")}
    assert why["0.7 c"] == "fewer than 2 of its group are good enough"


def test_all_rows_are_one_group_where_no_column_tells_them(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = [row for at in range(30) for row in rows_with(f"0.{60 + at} t", prompt=f"p{at}")]
    store = made(tmp_path, "group = []\nbest = 3\nshard_rows = 7", rows)
    assert texts(store) == ["0.87 t", "0.88 t", "0.89 t"]


def test_pass_at_k_is_measured_and_what_was_not_scored_is_only_in_the_bounds(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = [*rows_with("1 a", "0 b", "0 c", "0 d", prompt="one"),
            *rows_with("1 a", "1 b", "undecided c", "0 d", prompt="two"),
            *rows_with("failed a", "failed b", "failed c", "failed d", prompt="three"),
            *rows_with("1 a", prompt="four")]  # fmt: skip
    store = made(tmp_path, 'group = ["prompt"]\nthreshold = 0\npass_at = [1, 4]\n'
                           'undecided = "keep"\nfailed = "keep"', rows)  # fmt: skip
    assert len(texts(store)) == len(rows)
    measures = store.find("right").measures
    assert measures["scores"] == {"scored": 8, "passed": 4, "undecided": 1, "failed": 4}
    told = measures["attempts"]
    assert (told["groups"], told["smallest"], told["largest"]) == (4, 1, 4)
    one, four = told["pass_at"]["1"], told["pass_at"]["4"]
    assert one["estimate"] == pytest.approx((1 / 4 + 2 / 3 + 1) / 3)
    assert one["at_least"] == pytest.approx((1 / 4 + 2 / 4 + 0 + 1) / 4)
    assert one["at_most"] == pytest.approx((1 / 4 + 3 / 4 + 1 + 1) / 4)
    assert one["low"] < one["estimate"] < one["high"]
    assert (four["groups"], four["unscored"], four["short"]) == (1, 2, 1)
    assert any("1 of 4 groups has other than 4 attempts" in text for text in measures["warnings"])


def test_pass_rates_are_told_apart_by_a_column(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = [{**row, "hard": hard} for hard, score in (("no", 1), ("yes", 0), (None, 1))
            for row in rows_with(f"{score} a", f"{score} b", prompt=f"{hard}")]  # fmt: skip
    store = made(tmp_path, 'group = ["prompt"]\nlevel = "hard"', rows)
    levels = store.find("right").measures["levels"]
    assert levels["column"] == "hard"
    estimates = {name: own["pass_at"]["1"]["estimate"] for name, own in levels["attempts"].items()}
    assert estimates == {"no": 1, "yes": 0, "not given": 1}
    many = [{**rows[0], "hard": str(number)} for number in range(60)]
    with pytest.raises(InputError, match="'hard' has more than 50 values"):
        made(tmp_path / "many", 'group = ["prompt"]\nlevel = "hard"', many)


WORDS = ["length", "max_tokens", "MAX_TOKENS", "FinishReason.MAX_TOKENS", True,
         "model_context_window_exceeded"]  # fmt: skip


def with_output(*outputs):
    """Return rows whose output is in a column of its own: an import takes no row without text."""
    return [{**rows_with(f"row {at}")[0], "out": text} for at, text in enumerate(outputs)]


@pytest.mark.parametrize("value", WORDS)
@pytest.mark.parametrize("group", ["", '\ngroup = ["prompt"]'])
def test_what_was_cut_off_is_truncated_and_never_wrong(tmp_path, monkeypatch, value, group):
    says(monkeypatch)
    whole = False if value is True else "stop"
    rows = with_output("1 a", "0 b", "0 c", None)
    for row, end in zip(rows, [whole, value, whole, value], strict=True):
        row["end"] = end
    keys = f'column = "out"\nfinish = "end"{group}'
    store = made(tmp_path, keys, rows)
    assert [row["out"] for row in rows_of(store, "right")] == ["1 a"]
    gone = {row["out"]: row for row in rows_of(store, "right", "rejected")}
    reason = "truncated: it was cut off at the teacher's max_tokens"
    for cut in ("0 b", None):
        found = (gone[cut]["_reason"], gone[cut]["reason"], gone[cut]["score"])
        assert found == (reason, reason, None)
    assert gone["0 c"]["_reason"] == "score 0.0000, below 0.5"
    measures = store.find("right").measures
    counts = {"scored": 2, "passed": 1, "undecided": 0, "failed": 0, "truncated": 2}
    assert measures["scores"] == counts
    if group:
        one = measures["attempts"]["pass_at"]["1"]
        assert (one["estimate"], one["at_least"], one["at_most"]) == (0.5, 0.25, 0.75)
    kept = made(tmp_path / "kept", f'truncated = "keep"\n{keys}', rows)
    assert [row["out"] for row in rows_of(kept, "right")] == ["1 a", "0 b", None]


def test_a_row_without_an_output_is_counted_apart(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = with_output("1 a", None, "")
    store = made(tmp_path, 'column = "out"\ngroup = ["prompt"]', rows)
    why = {row["out"]: row["_reason"] for row in rows_of(store, "right", "rejected")}
    assert why == {None: "its column out is empty", "": "score 0.0000, below 0.5"}
    measures = store.find("right").measures
    assert measures["scores"]["missing"] == 1
    assert measures["attempts"]["kinds"] == {"2 1 1": 1}


@pytest.mark.parametrize("group", ["", "\ngroup = []"])
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_exactly_so_many_stay_the_first_that_are_good(tmp_path, monkeypatch, rows, group):
    says(monkeypatch)
    given_rows = [rows_with(f"{at % 2} {at}")[0] for at in range(20)]
    store = made(tmp_path, f"accept = 4\nshard_rows = {rows}{group}", given_rows)
    assert texts(store) == ["1 1", "1 3", "1 5", "1 7"]
    told = Auditor(store.root, rederive=Rederiver(store)).run()
    assert told.findings == []
    assert not [item for item in told.not_derived if "right" in item.file]
    measures = store.find("right").measures
    if rows == 1000 or group:
        assert "not_looked_at" not in measures
    else:
        assert measures["not_looked_at"] == {1: 12, 3: 11}[rows]
        assert "were not looked at: 4 were accepted before them" in measures["warnings"][0]
    beyond = {row["text"]: row["_reason"] for row in rows_of(store, "right", "rejected")}
    if rows == 1000 or group:
        assert beyond["1 9"] == "beyond the 4 rows that are wanted"
    else:
        assert "1 11" not in beyond


@pytest.mark.parametrize("group", ["", '\ngroup = ["prompt"]\nbest = 2'])
def test_fewer_than_are_wanted_is_told_with_counts_and_never_taken(tmp_path, monkeypatch, group):
    says(monkeypatch)
    with pytest.raises(InputError) as told:
        made(tmp_path, f"accept = 9{group}", rows_with("1 a", "1 b", "1 c", "0 d", "undecided e"))
    assert ("2 rows of 5 may stay" if group else "3 rows were accepted") in str(told.value)
    assert "9" in str(told.value)


def test_a_run_that_was_killed_scores_no_row_twice(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = [rows_with(f"0.{at:02} t", prompt=f"p{at % 5}")[0] for at in range(50, 90)]
    keys = 'group = ["prompt"]\nbest = 1\nshard_rows = 8\nthreshold = 0'
    whole = made(tmp_path / "whole", keys, rows)
    scored, true = [], exact.Exact._one

    def dies(self, case):
        if sum(text.endswith(" t") for text in scored) == 20:
            raise KeyboardInterrupt
        scored.append(case.output)
        return true(self, case)

    monkeypatch.setattr(exact.Exact, "_one", dies)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "cut", keys, rows)
    monkeypatch.setattr(exact.Exact, "_one", lambda self, case: (scored.append(case.output),
                                                                true(self, case))[1])  # fmt: skip
    laid = sorted((tmp_path / "cut" / "store").glob(".work/*/scored/*.arrow"))
    assert len(laid) == 2
    laid[0].write_bytes(laid[0].read_bytes()[:-30])
    cut, _ = run_toy(tmp_path / "cut" / "some.toml", tmp_path / "cut" / "store")
    outputs = [text for text in scored if text.endswith(" t")]
    # Those of the block that it died in, and of one that was torn.
    assert len(outputs) - len(set(outputs)) == 4 + 8
    assert rows_of(cut, "right") == rows_of(whole, "right")
    assert cut.find("right").bill == whole.find("right").bill


@pytest.mark.parametrize("keys", ["accept = 9", 'group = ["prompt"]\nbest = 1\naccept = 5'])
def test_workers_change_nothing(tmp_path, keys):
    rows = [{**rows_with(f"{at % 3}", prompt=f"p{at % 7}")[0], "known": "1", "end": "stop"}
            for at in range(40)]  # fmt: skip
    keys = f'{keys}\nfinish = "end"\nshard_rows = 4'
    alone = made(tmp_path / "alone", keys, rows)
    path = tmp_path / "alone" / "some.toml"
    store = Store(tmp_path / "many", Signer.default())
    execution = Execution(tmp_path / "cache", threads=1, display=Quiet(), workers=2)
    execute(build(load_recipe(path), store), store, execution)
    assert rows_of(store, "right") == rows_of(alone, "right")
    assert rows_of(store, "right", "rejected") == rows_of(alone, "right", "rejected")
    assert store.find("right").measures == alone.find("right").measures
    assert store.find("right").bill == alone.find("right").bill


GROUP = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([None, 0.0, 0.25, 0.5, 0.75, 1.0])),
    min_size=1, max_size=30,
)  # fmt: skip


def settled(rows, choice, folder, size):
    """Settle rows in blocks of a size; return why each goes by group, their ranks, and counts."""
    data = one_batch(identify(pa.table({
        "prompt": [prompt for prompt, _ in rows], "at": list(range(len(rows)))})))  # fmt: skip
    return settle(data, [score for _, score in rows], choice, folder, size)


def settle(data, scores, choice, folder, size):
    came = tuple("undecided" if score is None else "scored" for score in scores)
    with Groups(folder, choice, len(scores), "rows") as groups:
        for start in range(0, len(scores), size):
            piece = pa.array(scores[start : start + size], pa.float64())
            found = Scored({"score": piece}, came[start : start + size])
            groups.add(data.slice(start, size), found, ())
        told = groups.settle()
        return groups.turned_down(0, len(scores)), groups.ranks(0, len(scores)).to_pylist(), told


@law(60)
@given(GROUP, st.integers(1, 4), st.sampled_from([0.0, 0.5]), st.sampled_from(["keep", "reject"]),
       st.integers(1, 9))  # fmt: skip
def test_what_stays_is_what_sorting_each_group_gives(tmp_path_factory, rows, best, least, fewer,
                                                     size):  # fmt: skip
    choice = Choice(("prompt",), least, least or 0.5, best, fewer)
    folder = tmp_path_factory.mktemp("groups") / "g"
    reasons, ranks, told = settled(rows, choice, folder, size)
    ids = identify(pa.table({"prompt": [p for p, _ in rows], "at": list(range(len(rows)))}))
    name = [value.as_py() for value in ids.column(ID)]
    groups = defaultdict(list)
    for at, (prompt, score) in enumerate(rows):
        groups[prompt].append((at, score))
    for members in groups.values():
        good = sorted((m for m in members if m[1] is not None and m[1] >= least),
                      key=lambda member: (-member[1], name[member[0]]))  # fmt: skip
        stay = {at for at, _ in good[:best]} if fewer == "keep" or len(good) >= best else set()
        for at, _ in good:
            assert (reasons[at] is None) == (at in stay)
        for at, score in members:
            higher = sum(other is not None and score is not None and other > score
                         for _, other in members)  # fmt: skip
            assert ranks[at] == (None if score is None else 1 + higher)
    assert told.stay == sum(reasons[at] is None and score is not None and score >= least
                            for at, (_, score) in enumerate(rows))  # fmt: skip
    assert told.full + told.fewer + told.none == len(groups)
    assert sum(told.sizes.values()) == len(groups)
    counts = measured(told, choice)["attempts"]["kinds"]
    assert sum(counts.values()) == len(groups)


@law(40)
@given(GROUP, st.integers(1, 3), st.randoms(use_true_random=False), st.integers(1, 9))
def test_no_order_of_rows_changes_who_stays(tmp_path_factory, rows, best, chance, size):
    choice = Choice(("prompt",), 0.0, 0.5, best)
    folder = tmp_path_factory.mktemp("groups")
    data = one_batch(identify(pa.table({
        "prompt": [prompt for prompt, _ in rows], "at": list(range(len(rows)))})))  # fmt: skip
    scores = [score for _, score in rows]
    first, _, one = settle(data, scores, choice, folder / "a", size)
    order = list(range(len(rows)))
    chance.shuffle(order)
    moved = data.take(pa.array(order))
    second, _, two = settle(moved, [scores[at] for at in order], choice, folder / "b", 30)
    assert [first[at] for at in order] == second
    assert measured(one, choice) == measured(two, choice)


CELL = st.sampled_from(["1 a", "0.75 b", "0.5 中", "0.25 d", "0 e", "undecided f", "failed g", "",
                        "0.75 \u0301", None])  # fmt: skip
ROWS = st.lists(
    st.tuples(st.sampled_from(["p", "q", "é", "", None]), CELL,
              st.sampled_from(["stop", "length", None])), min_size=1, max_size=14,
)  # fmt: skip


@law(25)
@given(ROWS, st.sampled_from(["", "best = 1", "best = 2\nfewer = 'reject'", "best = 3"]),
       st.sampled_from([0, 0.5]), st.integers(1, 5))  # fmt: skip
def test_no_row_is_lost_and_each_is_where_its_score_puts_it(tmp_path_factory, rows, best, least,
                                                            size):  # fmt: skip
    folder = tmp_path_factory.mktemp("law")
    given_rows = [{"text": f"row {at}", "prompt": prompt, "out": out, "end": end, "known": "x",
                   "by": "toy"} for at, (prompt, out, end) in enumerate(rows)]  # fmt: skip
    keys = f"""column = "out"\nfinish = "end"\ngroup = ["prompt"]\nthreshold = {least}
shard_rows = {size}\n{best}"""
    with pytest.MonkeyPatch.context() as patch:
        says(patch)
        try:
            store = made(folder, keys, given_rows)
        except InputError as error:
            assert "none of its rows is left" in str(error)  # noqa: PT017 - else there are rows
            return
    kept, gone = rows_of(store, "right"), rows_of(store, "right", "rejected")
    assert sorted(row["_from"] for row in kept + gone) == list(range(len(rows)))
    assert all(row["score"] >= least for row in kept)
    assert all(row["_reason"] for row in gone)
    for row in kept + gone:
        assert (row["group"] is None) == (not row["prompt"])
        scored = row["out"] is not None and row["end"] != "length" and row["score"] is not None
        assert (row["rank"] is not None) == (scored and bool(row["prompt"]))
        assert row["end"] != "length" or row["reason"].startswith("truncated: ")
    names = {row["group"] for row in kept + gone} - {None}
    assert len(names) == len({row["prompt"] for row in given_rows if row["prompt"]})
    told = store.find("right").measures
    counts = {name: count for name, count in told["scores"].items() if name != "passed"}
    assert sum(counts.values()) == len(rows)
    assert sum(count * sum(map(int, (kind.split()[0], kind.split()[2])))
               for kind, count in told["attempts"]["kinds"].items()) == sum(
        bool(row["prompt"]) for row in given_rows
    )  # fmt: skip
    if best:
        most = int(best.split()[2])
        assert all(sum(row["group"] == name for row in kept) <= most for name in names)


def test_groups_are_told_by_values_of_any_type(tmp_path):
    messages = ['[{"role": "user", "content": "é"}]', '[{"role": "user", "content": "e"}]']
    data = one_batch(identify(pa.table({
        "m": [messages[0], messages[1], messages[0], None], "n": [[1, 2]] * 4,
        "t": ["中", "中", "中", "中"]})))  # fmt: skip
    choice = Choice(("m", "n", "t"), 0.0, 0.5, 1)
    reasons, ranks, told = settle(data, [0.5, 0.1, 0.9, 1.0], choice, tmp_path / "g", 2)
    assert [reason is None for reason in reasons] == [False, True, True, True]
    assert ranks == [2, 1, 1, None]
    assert sum(told.sizes.values()) == 2


def test_no_rows_and_one_row(tmp_path):
    data = one_batch(identify(pa.table({"prompt": pa.array([], pa.string())})))
    _, _, told = settle(data, [], Choice(("prompt",), 0.5, 0.5, 1), tmp_path / "g", 5)
    assert measured(told, Choice(("prompt",), 0.5, 0.5, 1))["attempts"]["groups"] == 0
    one = one_batch(identify(pa.table({"prompt": ["a"]})))
    reasons, ranks, told = settle(
        one, [np.nan], Choice(("prompt",), 0.5, 0.5, 1), tmp_path / "h", 5
    )
    assert (reasons, ranks, told.none) == ([None], [None], 1)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("best = 2", "best is about groups of attempts: set group"),
        ("pass_at = [1]", "pass_at is about groups of attempts"),
        ('level = "by"', "level is about groups of attempts"),
        ("best = 0\ngroup = []", "greater than 0"),
        ("accept = 0", "greater than 0"),
        ('fewer = "reject"\ngroup = []', "fewer says what becomes of groups"),
        ('fewer = "drop"\nbest = 1\ngroup = []', "'keep' or 'reject'"),
        ('best = 1\ngroup = []\nundecided = "keep"', "a row that is undecided has none"),
        ('best = 1\ngroup = []\ntruncated = "keep"\nfinish = "by"', "that is truncated has none"),
        ('group = ["prompt", "prompt"]', "'prompt' is none or twice"),
        ('group = ["_id"]', "'_id' is none or twice"),
        ('group = [""]', "'' is none or twice"),
        ('group = "prompt"', "group"),
        ("group = []\npass_at = [0]", "pass_at lists"),
        ("group = []\npass_at = [2, 2]", "pass_at lists"),
        ("passes = 0", "passes"),
        ("passes = 1.5", "passes"),
    ],
)
def test_keys_that_do_not_go_together_are_told(tmp_path, keys, said):
    (tmp_path / "answers.jsonl").write_text(json.dumps(rows_with("a")[0]) + "\n")
    path = tmp_path / "r.toml"
    path.write_text('[recipe]\nname = "r"\nversion = "1"\n' + STAGES.replace("KEYS", keys))
    with pytest.raises(RecipeError, match=r"stages\.right") as told:
        load_recipe(path)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('group = ["promt"]', "group = 'promt' is no column of answers; did you mean 'prompt'"),
        ('group = []\nlevel = "hard"', "level = 'hard' is no column of answers"),
        ('finish = "end"', "finish = 'end' is no column of answers"),
    ],
)
def test_columns_that_are_not_there_are_told_before_anything_runs(tmp_path, keys, said):
    (tmp_path / "answers.jsonl").write_text(json.dumps(rows_with("a")[0]) + "\n")
    path = tmp_path / "r.toml"
    path.write_text('[recipe]\nname = "r"\nversion = "1"\n' + STAGES.replace("KEYS", keys))
    with pytest.raises(RecipeError) as told:
        build(load_recipe(path))
    assert said in str(told.value)


@pytest.mark.few(8)
@pytest.mark.parametrize("group", ["", '\ngroup = ["prompt"]'])
@pytest.mark.parametrize(("word", "warns"), [("length", True), ("stop", False), (None, False)])
@pytest.mark.parametrize("column", ["finish", "finish_reason", "stop_reason", "finish_reasons"])
def test_a_column_that_says_what_was_cut_off_is_not_passed_over_unsaid(
    tmp_path, monkeypatch, group, word, warns, column
):
    says(monkeypatch)
    if column == "finish_reasons":
        word = [word]
    rows = [{**row, column: word} for row in rows_with("1 a", "0 b", "1 c")]
    store = made(tmp_path, f"shard_rows = 1{group}", rows)
    told = [text for text in store.find("right").measures.get("warnings", ()) if "cut off" in text]
    assert len(told) == warns
    assert all(f'set finish = "{column}"' in text for text in told)
    heeded = made(tmp_path / "heeded", f'finish = "{column}"\ntruncated = "keep"{group}', rows)
    assert not any("cut off" in text for text in heeded.find("right").measures.get("warnings", ()))
    assert heeded.find("right").measures["scores"]["truncated"] == 3 * warns


def test_a_finish_that_is_a_number_is_told(tmp_path):
    rows = [{**row, "end": 3} for row in rows_with("x", "y")]
    with pytest.raises(InputError, match="column 'end' holds int64; finish names a column with"):
        made(tmp_path, 'finish = "end"', rows)


def test_older_recipes_have_the_literals_that_they_had():
    spec = VerifySpec(input="a", by="v", reference="known")
    assert set(spec.model_dump()) <= {
        "kind", "version", "input", "by", "reference", "teacher", "prompt", "columns", "right",
        "wrong", "threshold", "max_chars", "shard_rows",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("few", "none", "groups", "keys", "said"),
    [
        (1, 0, 4, (3, "keep"), "1 of 4 groups has fewer than 3 rows that are good enough: what it"),
        (4, 0, 4, (3, "keep"), "4 of 4 groups have fewer than 3 rows that are good enough: what"),
        (2, 1, 4, (3, "keep"), "what they have stays, and 1 of them has none"),
        (3, 2, 5, (3, "keep"), "what they have stays, and 2 of them have none"),
        (2, 2, 5, (1, "keep"), "2 of 5 groups have no row that is good enough: nothing of them"),
        (1, 1, 1, (1, "keep"), "1 of 1 group has no row that is good enough: nothing of it stays"),
        (1, 0, 2, (2, "reject"), "1 of 2 groups has fewer than 2 rows that are good enough: it is"),
        (2, 1, 2, (2, "reject"), "they are rejected whole"),
    ],
)  # fmt: skip
def test_groups_with_too_few_rows_are_told_plainly(few, none, groups, keys, said):
    best, fewer = keys
    told = Told(sizes=Counter({4: groups}), fewer=few - none, none=none)
    choice = Choice(("prompt",), 0.5, 0.5, best, fewer)
    assert said in next(iter(remarks(told, choice, "answers")))


def test_too_few_rows_that_were_read_are_told_as_what_they_are(tmp_path, monkeypatch):
    says(monkeypatch)
    with pytest.raises(InputError) as told:
        made(tmp_path, "accept = 5", rows_with("1 a", "0 b"))
    said = "stages.right: 1 row was accepted and 5 are wanted, and all its rows were looked at; "
    assert str(told.value).splitlines()[0] == said + "give it more rows, or loosen its conditions"
