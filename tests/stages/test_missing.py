"""What is missing (null, NaN) decides nothing, equals nothing, and spoils no other row."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_given import KINDS, NAN, given_rows, imported
from tests_laws import law
from tests_support import GOOD, rows_of, run_stages
from tests_ways import FILES as WAY_FILES
from tests_ways import WAYS

from mashbill.core import registry
from mashbill.core.record import BILL, FROM
from mashbill.core.stage import WARNINGS

COMPLETE = 8
FILES = {
    **WAY_FILES,
    "set.jsonl": [{"text": "a"}],
    "label.txt": "Text: {{ text }}\nAnswer:",
    "judge.txt": "Ask: {{ prompt }}\nA: {{ first }}\nB: {{ second }}\nBetter:",
    "score.jinja": "{{ text }} at {{ score }}",
}


def complete(i):
    words = f"{GOOD[i % 5]} river number {i} of the green train that was seen"
    return {
        "text": words, "prompt": f"ask {i}", "key": float(i % 5), "score": i / 8,
        "written": f"{i / 8}", "gold": "good" if i % 2 else "bad", "sample": 0,
    }  # fmt: skip


WRITES = {
    kind: (f'input = "got"\nteacher = "t"\n{keys}\n', ["text"]) for kind, keys in WAYS.items()
}
LABEL = (
    'input = "got"\nteacher = "t"\nprompt = "label.txt"\nsoft = true\n'
    'labels = { good = " good", bad = " bad" }\ncalibrate_on = 5\n'
)
STAGES = {
    # kind -> its keys, and the columns that a row needs to be judged at all
    **WRITES,
    "apply": ('input = "got"\nmodel = "model"\n', ["text"]),
    "chunk": ('input = "got"\nwords = 4\noverlap = 1\n', ["text"]),
    "decontaminate": ('input = "got"\nagainst.other = { question = "text" }\n', []),
    "dedup": ('input = "got"\ncolumn = "key"\n', ["key"]),
    "filter": ('input = "got"\ncolumn = "score"\nby = "rule"\nkeep_top = 0.4\n', ["score"]),
    "join": ('left = "got"\nright = "other"\non = ["key"]\nsuffix = "_2"\n', ["key"]),
    "label": (
        LABEL,
        ["text"],
    ),
    "mix": ("inputs = { got = 1.5, other = 0.5 }\n", []),
    "pii": ('input = "got"\n', []),
    "prefer": (
        'one = "got"\nother = "other"\nteacher = "t"\nprompt = "judge.txt"\n',
        ["prompt", "sample", "text"],
    ),
    "split": ('input = "got"\nrange = [0.2, 0.9]\n', ["text"]),
    "verify": ('input = "got"\nteacher = "t"\nprompt = "label.txt"\nright = " good"\n', ["text"]),
    "without": ('input = "got"\nwithout = { source = "nobody" }\n', []),
}
READS = {"corpus", "import", "evaluate", "harness", "logits", "reasoning-gym"}
"""kinds that read files, make rows, ask weights, or refuse rows without a human label: each has own
tests"""
TWO = {"decontaminate", "join", "prefer", "mix"}
PASSES = {"decontaminate", "dedup", "mix", "pii", "without"}
"""kinds that need no value: a row without one goes on"""
MODEL = imported("clean") + (
    '[stages.labelled]\nkind = "label"\ninput = "clean"\nteacher = "t"\nprompt = "label.txt"\n'
    'labels = { good = " good", bad = " bad" }\n'
    '[stages.model]\nkind = "classifier"\ninput = "labelled"\nbuckets = 64\n'
)


def test_every_kind_is_under_the_law():
    own = {kind for kind in registry.kinds(registry.STAGES) if not registry.is_plugin(kind)}
    assert own == {*STAGES, *READS}


def run_kind(folder, monkeypatch, kind, rows, keys=None):
    others = [{**complete(i), "text": f"other {i}", "score": 0.5} for i in range(6)]
    others[4]["key"], others[5]["key"] = NAN, None
    clean = [{"text": f"{'lovely bright' if i % 2 else 'awful dull'} day {i}"} for i in range(24)]
    given_rows(monkeypatch, {"got": rows, "other": others, "clean": clean})
    stages = imported("got") + (imported("other") if kind in TWO else "")
    stages += MODEL if kind == "apply" else ""
    stages += f'[stages.out]\nkind = "{kind}"\n{keys or STAGES[kind][0]}'
    return run_stages(folder, stages, FILES)


def outcome(store, places):
    """Return what became of rows, with their place among those that were compared.

    Args:
        store: where it was run.
        places: position of a row in the inputs -> what to call it; others are not compared.
    """
    found = []
    for prefix in ("part", "rejected"):
        for row in rows_of(store, "out", prefix):
            made_of = row["_from"] if isinstance(row["_from"], list) else [row["_from"]]
            if all(position in places for position in made_of):
                kept = {k: v for k, v in row.items() if k not in (FROM, BILL)}
                found.append((prefix, [places[p] for p in made_of], repr(kept)))
    return sorted(found, key=str)


def no_nan(store):
    def refused(text):
        raise AssertionError(text)

    for path in store.root.rglob("*.json*"):
        for line in (
            path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        ):
            json.loads(line, parse_constant=refused)
    for manifest in store.manifests():
        assert "which is no number" not in str(manifest.measures.get(WARNINGS, ""))


holes = st.lists(
    st.tuples(st.sets(st.sampled_from(list(KINDS)), min_size=1), st.booleans(), st.integers(0, 9)),
    min_size=1,
    max_size=4,
)


def with_holes(drawn):
    """Return complete rows with others among them, which lack some cells."""
    rows = [complete(i) for i in range(COMPLETE)]
    for number, (names, is_nan, at) in enumerate(drawn):
        row = complete(COMPLETE + number)
        for name in names:
            row[name] = NAN if is_nan and KINDS[name] == pa.float64() else None
        rows.insert(at, row)
    return rows


@pytest.mark.parametrize("kind", sorted(STAGES))
@given(drawn=holes)
@law(5)
def test_rows_come_out_as_they_would_without_those_that_lack_a_value(tmp_path_factory, kind, drawn):
    needs = STAGES[kind][1]
    rows = with_holes(drawn)
    lacks = [
        next((name for name in needs if row[name] is None or row[name] != row[name]), None)
        for row in rows
    ]
    whole = [i for i, name in enumerate(lacks) if name is None]
    with pytest.MonkeyPatch.context() as patch:
        store = run_kind(tmp_path_factory.mktemp("all"), patch, kind, rows)
        alone = run_kind(tmp_path_factory.mktemp("own"), patch, kind, [rows[i] for i in whole])
    beside = range(6)
    first = {position: number for number, position in enumerate(whole)}
    first |= {len(rows) + i: f"other {i}" for i in beside}
    second = {number: number for number in range(len(whole))}
    second |= {len(whole) + i: f"other {i}" for i in beside}
    assert outcome(store, first) == outcome(alone, second)
    no_nan(store)
    reasons = {
        position: row["_reason"]
        for row in rows_of(store, "out", "rejected")
        for position in (row["_from"] if isinstance(row["_from"], list) else [row["_from"]])
    }
    for position, name in enumerate(lacks):
        if name is not None and kind not in PASSES and not (kind == "prefer" and name == "prompt"):
            if kind == "prefer" and position not in reasons:
                continue  # it found no other completion, and made no pair
            assert name in reasons[position], (name, reasons.get(position))
