# ruff: noqa: RUF001
"""What is told of data: right for any dataset, whatever its pieces, in memory that is bounded."""

import json
import math
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_given import given_rows, imported
from tests_laws import law
from tests_support import BROWSER, dom_of, run_stages
from typer.testing import CliRunner

from mashbill import ArtifactRef, InputError, Store
from mashbill.cli import app
from mashbill.report import write_report
from mashbill.report.data import languages
from mashbill.report.data.languages import SHORT, UNSURE, languages_of
from mashbill.report.data.page import page_of
from mashbill.report.data.pictures import draw_counts, draw_histogram, draw_yields, short_number
from mashbill.report.data.profile import profile
from mashbill.report.data.sketches import Distinct, Lengths, Sample, Values, hashes_of
from mashbill.report.gather import gather
from mashbill.report.headline import headline
from mashbill.workspace.space import open_workspace

# -- sketches ----------------------------------------------------------------------------------


@law(100)
@given(st.lists(st.sampled_from("abcdefgh"), max_size=60), st.integers(1, 20))
def test_few_values_are_counted_exactly_whatever_the_pieces(values, size):
    found = Distinct(room=16)
    for at in range(0, len(values), size):
        found.add(hashes_of(values[at : at + size]))
    counts = Counter(values)
    assert found.as_json() == {
        "distinct": len(counts), "repeated": len(values) - len(counts),
        "most": max(counts.values(), default=0), "is_exact": True,
    }  # fmt: skip


def test_many_values_are_estimated_within_a_few_percent_in_the_room_that_there_is():
    draw = np.random.default_rng(3)
    hashes = draw.integers(0, 2**64, 200_000, np.uint64)
    found, other, apart = (Distinct(room=4096) for _ in range(3))
    apart.add(hashes)
    assert (apart.repeated, apart.is_exact) == (0, False)
    both = np.concatenate([hashes, hashes[:50_000]])
    for at in range(0, len(both), 7000):
        found.add(both[at : at + 7000])
    other.add(both)
    assert not found.is_exact
    assert found.count == pytest.approx(200_000, rel=0.06)
    assert found.repeated == pytest.approx(50_000, rel=0.1)
    assert found.count == other.count  # pieces decide nothing
    assert len(found._values) <= 4096


@law(60)
@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=80), st.integers(1, 30))
def test_lengths_are_those_of_all_rows_whatever_the_pieces(lengths, size):
    found = Lengths()
    for at in range(0, len(lengths), size):
        piece = np.array(lengths[at : at + size], np.int64)
        found.add(piece, np.arange(at, at + len(piece)))
    told = found.as_json()
    assert (told["least"], told["greatest"]) == (min(lengths), max(lengths))
    assert told["mean"] == pytest.approx(sum(lengths) / len(lengths))
    assert told["median"] == sorted(lengths)[len(lengths) // 2]
    assert sum(rows for _, _, rows in found.bins) == len(lengths)
    for low, high, rows in found.bins:
        assert rows == sum(low <= length <= high for length in lengths)


def test_a_sample_is_even_and_bounded():
    found = Sample(room=1000)
    for at in range(0, 1_000_000, 50_000):
        places = np.arange(at, at + 50_000)
        found.add(places.astype(float), places)
    assert len(found.values) <= 1000
    assert found.quantile(0.5) == pytest.approx(500_000, rel=0.15)
    values = Values(most=3)
    values.add([("a", 1), ("b", 2)])
    values.add([("a", 1)])
    assert values.counts == {"a": 2, "b": 2}
    values.add([("c", 1), ("d", 1)])
    assert values.counts is None


# -- datasets ----------------------------------------------------------------------------------

TWO = [{"text": "one"}, {"text": None}]


def looked(folder, monkeypatch, rows, kinds=(), stages=""):
    given_rows(monkeypatch, {"got": rows}, kinds)
    store = run_stages(folder, imported("got") + stages, {"set.jsonl": [{"text": "a"}]})
    return store, profile(store, store.find("out" if stages else "got"))


@pytest.mark.parametrize(
    ("rows", "kinds", "main"),
    [
        (TWO, {}, "text"),
        ([{"n": 1}, {"n": 2}], {"n": pa.int64()}, None),
        ([{"n": None}, {"n": None}], {"n": pa.null()}, None),
        ([{"n": math.nan}, {"n": math.inf}, {"n": 1.5}], {"n": pa.float64()}, None),
        ([{"n": 1e308}] * 20, {"n": pa.float64()}, None),
        ([{"n": 1e308}, {"n": -1e308}], {"n": pa.float64()}, None),
        ([{"n": 2**62}, {"n": -(2**62)}], {"n": pa.int64()}, None),
        ([{"n": True}, {"n": None}], {"n": pa.bool_()}, None),
        ([{"l": ["a", None]}, {"l": None}], {"l": pa.list_(pa.string())}, None),
        ([{"b": b"\x00"}, {"b": None}], {"b": pa.binary()}, None),
        ([{"x": "中文。"}, {"x": "🎉"}, {"x": "e\u0301"}, {"x": ""}], {"x": pa.string()}, "x"),
        ([{"x": "short", "y": "a much longer text"}], {"x": pa.string(), "y": pa.string()}, "y"),
        ([{"d": None}, {"d": None}], {"d": pa.decimal128(5, 2)}, None),
    ],
)  # fmt: skip
def test_any_dataset_can_be_looked_at(tmp_path, monkeypatch, rows, kinds, main):
    store, found = looked(tmp_path, monkeypatch, rows, kinds)
    told = found.as_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["rows"] == len(rows)
    assert found.main == main
    page = write_report(store, store.find("got"), tmp_path / "page.html")
    assert "<h3>The data</h3>" in page.read_text()
    assert CliRunner().invoke(app, ["report", "got", "--data", "--store", str(store.root)])


def test_figures_are_those_of_the_rows(tmp_path, monkeypatch):
    rows = [
        {"text": text, "label": label, "score": score}
        for text, label, score in [
            ("A dog.", "good", 0.5), ("a DOG", "good", 0.25), ("A dog.", "bad", None),
            ("", "bad", 1.0), (None, "good", 0.75), ("Some other text", None, 0.0),
        ]
    ]  # fmt: skip
    _, found = looked(tmp_path, monkeypatch, rows, {"label": pa.string()})
    text, label, score = (
        next(each.as_json() for each in found.columns if each.name == name)
        for name in ("text", "label", "score")
    )
    assert (text["missing"], text["empty"]) == (1, 1)
    assert text["chars"] | {"bins": 0} == {
        "least": 0, "p5": 0, "median": 6, "p95": 15, "greatest": 15, "mean": 6.4, "total": 32,
        "is_exact": True, "bins": 0,
    }  # fmt: skip
    assert text["words"]["total"] == 9
    assert text["equal"]["repeated"] == 1
    assert text["says_the_same"]["repeated"] == 2
    assert label["labels"] == [["good", 3], ["bad", 2]]
    assert "labels" not in text
    assert score["numbers"]["mean"] == pytest.approx(0.5)
    assert score["numbers"]["median"] == 0.5
    assert found.rows.repeated == 0


def test_turns_of_conversations_are_counted(tmp_path):
    def chat(count):
        return [{"role": "user" if n % 2 else "assistant", "content": f"says {n}"}
                for n in range(count)]  # fmt: skip

    rows = [{"text": "a", "chat": chat(2)}, {"text": "b", "chat": chat(4)}, {"text": "c"}]
    store = run_stages(tmp_path, imported("got"), {"set.jsonl": rows})
    (told,) = open_workspace(store.root).data("got")
    column = next(each.as_json() for each in told.columns if each.name == "chat")
    assert column["turns"] | {"bins": 0} == {
        "conversations": 2, "least": 2, "p5": 2, "median": 4, "p95": 4, "greatest": 4, "mean": 3,
        "total": 6, "is_exact": True, "bins": 0,
    }  # fmt: skip
    assert column["missing"] == 1
    assert column["chars"]["greatest"] == len("says 0\n\n" * 4) - 2
    page = write_report(store, store.find("got"), tmp_path / "page.html").read_text()
    assert "Turns of chat" in page


@pytest.mark.parametrize("rows", [3, 4096])
def test_what_became_of_rows_is_told_by_stage_and_source(tmp_path, rows):
    sets = {
        name: [{"text": f"{name} {n}", "n": n} for n in range(size)]
        for name, size in (("a", 10), ("b", 4))
    }
    stages = "".join(
        f'[stages.{name}]\nkind = "import"\ntitle = "set {name}"\nsource = "{name}.jsonl"\n'
        'generator = "none"\n'
        for name in sets
    )
    stages += '[stages.mixed]\nkind = "mix"\ninputs = { a = 1, b = 1 }\n'
    stages += f'[stages.out]\nkind = "filter"\ninput = "mixed"\nby = "rule"\nshard_rows = {rows}\n'
    stages += 'where = [{ column = "n", at_least = 3 }]\n'
    store = run_stages(tmp_path, stages, {f"{name}.jsonl": each for name, each in sets.items()})
    (told,) = open_workspace(store.root).data("out")
    yields = {each.artifact: each for each in told.yields}
    assert list(yields) == ["a@1", "b@1", "mixed@1", "out@1"]
    assert [(each.taken, each.kept, each.rejected) for each in told.yields] == [
        (None, 10, 0), (None, 4, 0), (14, 14, 0), (14, 8, 6),
    ]  # fmt: skip
    out = yields["out@1"]
    assert [str(each) for each in out.sources] == [
        "set a: origin not recorded: 7 kept, 3 rejected (3 n … below 3)",
        "set b: origin not recorded: 1 kept, 3 rejected (3 n … below 3)",
    ]
    assert out.as_json()["sources"][0]["reasons"] == [{"rows": 3, "reason": "n … below 3"}]
    assert sum(each.rows for each in out.reasons) == 6
    assert out.share == 8 / 14


def test_a_model_is_looked_at_by_what_it_learned_from(finished):
    told = open_workspace(finished[0]).data("scratch")
    assert [str(each.manifest.ref) for each in told] == ["confident@1"]
    asked = ["report", "scratch", "--store", str(finished[0])]
    printed = CliRunner().invoke(app, [*asked, "--json"])
    (data,) = json.loads(printed.output)["data"]
    assert data["artifact"] == "confident@1"
    assert dict(map(tuple, next(c for c in data["columns"] if c["column"] == "label")["labels"]))
    assert "what became" not in printed.output
    shown = CliRunner().invoke(app, [*asked, "--data"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for part in ("confident@1", "equal texts in text", "not measured", "label: ", "relabelled@1"):
        assert part in shown.output


def test_a_page_at_the_end_of_a_run_looks_at_so_many_rows_at_most(finished, tmp_path):
    store = Store(finished[0])
    manifest = store.get(ArtifactRef("scratch", "1"))
    page = write_report(store, manifest, tmp_path / "page.html", most_rows=3).read_text()
    assert "which were not looked at for this page" in page
    assert "Characters of text" not in page


def test_a_model_has_no_profile_of_its_own(finished):
    store = Store(finished[0])
    with pytest.raises(InputError, match="is a model, and has no rows"):
        profile(store, store.get(ArtifactRef("scratch", "1")))


@pytest.mark.skipif(BROWSER is None, reason="needs Debian's chromium; .ci/run installs it")
def test_a_browser_draws_the_pictures(finished, tmp_path):
    store = Store(finished[0])
    page = write_report(store, store.get(ArtifactRef("confident", "1")), tmp_path / "page.html")
    dom = dom_of(page, tmp_path / "profile")
    assert dom.count('<svg class="bars"') >= 5
    wide, room = (int(part) for part in _measured(dom))
    assert wide <= room


def _measured(dom):
    return re.search(r'data-wide="(\d+)" data-room="(\d+)"', dom).groups()


# -- languages and pictures --------------------------------------------------------------------


def test_languages_are_told_where_they_can_be():
    pytest.importorskip("py3langid")
    found = languages_of(
        ["This is a text about a dog that barks.", "Das ist ein Text über einen Hund, der bellt.",
         "Это длинный русский текст о собаке, которая вчера весь вечер громко лаяла во дворе.",
         "これは犬についての文章です。", "no",
         "123 456"]
    )  # fmt: skip
    told = dict(found.languages)
    assert {"en", "de", "ru", "ja"} <= set(told)
    assert told[SHORT] == 2
    assert found.by == "py3langid"
    assert UNSURE not in told
    assert {"Latin", "Cyrillic", "Hiragana", "Cjk"} <= {name for name, _ in found.scripts}
    assert sum(share for _, share in found.scripts) == pytest.approx(1)


def test_without_the_extra_scripts_are_told_as_such(monkeypatch):
    monkeypatch.setattr(languages, "_identifier", lambda: None)
    found = languages_of(["ab", "где"])
    assert found.by == ""
    assert found.languages == ()
    assert dict(found.scripts) == {"Latin": 0.4, "Cyrillic": 0.6}


def test_pictures_hold_what_they_are_given_and_no_markup_of_it():
    assert draw_histogram([], "x") == ""
    assert draw_counts([], "x") == ""
    drawing = draw_counts([("<b>&", 3), ("\u202ex", 1), *((str(n), 1) for n in range(40))], "rows")
    assert "<b>" not in drawing
    assert "\u202e" not in drawing
    assert "22 others" in drawing
    assert "gone" in draw_yields([("a", 1, 2), ("b", 0, 0)], "rows")
    assert draw_histogram([(0, 0, 0)], "x").count("<rect") == 1
    assert [short_number(n) for n in (0, 999, 12_345, 2.5e6, 0.12345, 1e13, -5)] == [
        "0", "999", "12.3k", "2.5M", "0.123", "10T", "-5",
    ]  # fmt: skip


def test_objects_are_told_as_their_json_and_not_as_blank(tmp_path):
    rows = [{"text": f"t{n}", "facts": {"n": n, "deep": [{"a": n}]}, "few": [1, n]}
            for n in range(12)]  # fmt: skip
    rows += [{"text": "none", "facts": {}, "few": []}]
    store = run_stages(tmp_path, imported("got"), {"set.jsonl": rows})
    found = profile(store, store.find("got"))
    for name in ("facts", "few"):
        column = next(each.as_json() for each in found.columns if each.name == name)
        assert column["empty"] <= 1
        assert column["chars"]["greatest"] >= len(json.dumps(rows[11][name], separators=(",", ":")))


def test_a_column_of_one_value_has_no_picture(tmp_path, monkeypatch):
    rows = [{"text": "same", "n": 1, "x": 0.5, "m": n, "label": "a"} for n in range(30)]
    kinds = {"n": pa.int64(), "x": pa.float64(), "m": pa.int64(), "label": pa.string()}
    _, found = looked(tmp_path, monkeypatch, rows, kinds)
    titles = [one.title for one in page_of(found).pictures]
    general = ("Rows", "Languages", "Scripts")
    assert [one for one in titles if not one.startswith(general)] == ["Numbers in m"]


def test_conversations_that_are_all_one_have_no_picture(tmp_path):
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows = [{"text": f"t {n}", "chat": chat} for n in range(9)]
    store = run_stages(tmp_path, imported("got"), {"set.jsonl": rows})
    titles = [one.title for one in page_of(profile(store, store.find("got"))).pictures]
    assert "Turns of chat" not in titles


TEXTS_OF = {
    "all differ": (lambda n: f"text {n}", "No text repeats an earlier one.", "unknown"),
    "few repeat": (lambda n: f"text {n % 100}", "20 texts repeat an earlier one", "unknown"),
    "half repeat": (lambda n: f"text {n % 60}", "60 texts repeat an earlier one", "unknown"),
    "most repeat": (lambda n: f"text {n % 3}", "117 texts repeat an earlier one (97.5%)", "poor"),
    "but for case": (
        lambda n: ("A text", "a TEXT", "a text!")[n % 3],
        "119 texts repeat an earlier one",
        "poor",
    ),
}


@pytest.mark.parametrize("texts", TEXTS_OF)
def test_the_head_of_a_page_of_data_tells_texts_that_repeat_though_rows_differ(
    tmp_path, monkeypatch, texts
):
    make, said, level = TEXTS_OF[texts]
    rows = [{"text": make(n), "n": n} for n in range(120)]
    store, found = looked(tmp_path, monkeypatch, rows, {"n": pa.int64()})
    head = headline(gather(store, store.find("got")), [found])
    assert any(said in line for line in head.lines)
    assert head.level == level
    assert any(tile.name == "repeat an earlier text" for tile in head.tiles)


def test_a_dataset_without_texts_is_told_by_its_rows(tmp_path, monkeypatch):
    rows = [{"n": n % 2} for n in range(120)]
    store, found = looked(tmp_path, monkeypatch, rows, {"n": pa.int64()})
    head = headline(gather(store, store.find("got")), [found])
    assert any("an earlier row" in tile.name for tile in head.tiles)
