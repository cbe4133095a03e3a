"""What a guest may write where answers go, whatever it is: the host says 0, at once, and goes on."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill.core.errors import InputError
from mashbill.core.sandbox import EndedError, Limits
from mashbill.core.verifier import Case, Score
from mashbill.verifiers.code import answering, bare, warm
from mashbill.verifiers.code.bare import Bare
from mashbill.verifiers.code.bubblewrap import Bubblewrap
from mashbill.verifiers.code.finding import program_in
from mashbill.verifiers.code.judging import Judge
from mashbill.verifiers.code.spec import ACCEPTED, Code, CodeSpec
from mashbill.verifiers.code.suites import read
from mashbill.verifiers.code.values import Same, flaw, told
from mashbill.verifiers.code.warm import Warm, WarmGuest

pytestmark = pytest.mark.enable_socket
_SAME = Same(1e-9, 1e-12)
_LIMITS = Limits(256 << 20, 1 << 20)


@pytest.fixture(scope="module")
def code() -> Code:
    return CodeSpec(kind="code", seconds=1, total_seconds=3).load(Path(), Path(), 4)


def _case(program: str, expected: Any = 1) -> Case:
    tests = {"function": "f", "calls": [{"expected": expected}]}
    return Case(program, None, {"tests": json.dumps(tests)})


_WRITES = """
import os, struct
def f():
    text = {!r}
    data = struct.pack('!I', len(text)) + text
    while data: data = data[os.write(3, data):]
    while True: pass
"""
_HUGE = b'"0x' + b"f" * 3000 + b'"'
RAW = {
    "no JSON": b"nope",
    "nothing": b"",
    "no UTF-8": b'{"value": "\xff"}',
    "a list": b"[1]",
    "a verdict": b'"passed"',
    "neither value nor error": b"{}",
    "an error that is a list": b'{"error": [[1]], "kinds": 5}',
    "a key twice": b'{"value": 0, "value": 1}',
    "what is no number": b'{"value": NaN}',
    "half of a character": b'{"value": "\\ud83d"}',
    "lists in one another": b'{"value": ' + b"[" * 100000 + b"]" * 100000 + b"}",
    "as many lists as are read": b'{"value": ' + b"[" * 126 + b"]" * 126 + b"}",
    "sets in one another": b'{"value": ' + b'{"$set": [' * 60 + b"]}" * 60 + b"}",
    "a complex number without end": b'{"value": {"$complex": [{"$int": ' + _HUGE + b"}, 0]}}",
    "a complex number of texts": b'{"value": {"$complex": ["a", "b"]}}',
    "a complex number of one": b'{"value": {"$complex": 1}}',
    "a whole number that is none": b'{"value": {"$int": [1]}}',
    "a whole number of a megabyte": b'{"value": {"$int": "0x' + b"f" * (1 << 20) + b'"}}',
    "a whole number of many digits": b'{"value": {"$int": "' + b"9" * 100000 + b'"}}',
    "a float that is an object": b'{"value": {"$float": {}}}',
    "a set that is a number": b'{"value": {"$set": 1}}',
    "a map of a text": b'{"value": {"$map": "ab"}}',
    "a map of lists that are no pairs": b'{"value": {"$map": [[], [1], [1, 2, 3], {}]}}',
    "a map with a key that is a map": b'{"value": {"$map": [[{"$map": []}, 1]]}}',
    "a type of no name": b'{"value": {"$other": {"$set": [1]}}}',
    "many commas": b'{"value": [' + b"0," * 2000000 + b"0]}",
}
EXPECTED = {
    "one": 1,
    "a complex number": {"$complex": [0, 1]},
    "a set": {"$set": [1, 2.5]},
    "a map": {"$map": [[1, 0.5]]},
    "an object": {"a": 0.5},
}


def test_whatever_is_written_where_answers_go_is_0(code: Code) -> None:
    cases = [
        _case(_WRITES.format(text), expected)
        for text in RAW.values()
        for expected in EXPECTED.values()
    ]
    begun = time.monotonic()
    for score in code.score(cases):
        assert score.value == 0.0, score
        assert len(score.reason) < 500
    assert time.monotonic() - begun < 60


_said = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
        | st.tuples(
            st.sampled_from(
                ["$tuple", "$set", "$frozenset", "$map", "$bytes", "$int", "$float", "$complex", "$other"]
            ),
            inner,
        ).map(lambda pair: {pair[0]: pair[1]})
    ),
    max_leaves=8,
)  # fmt: skip


@given(_said, st.sampled_from(list(EXPECTED.values())))
def test_comparing_whatever_is_said_raises_nothing(said: Any, known: Any) -> None:
    assert _SAME(said, known) in (True, False)
    assert len(told(said)) < 200


@given(_said)
def test_what_has_no_flaw_can_be_given_and_equals_itself(value: Any) -> None:
    if not flaw(value):
        assert _SAME(value, value)
        given = answering._value(json.loads(json.dumps(value)))
        assert _SAME(json.loads(json.dumps(answering._written(given))), value)


_cells = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(
            st.sampled_from(
                ["calls", "runs", "suite", "function", "args", "kwargs", "expected", "raises", "stdin",
                 "stdout", "inputs", "outputs", "fn_name", "input", "output", "testtype", "type",
                 "test_cases", "language", "test", "entry_point", "test_list", "test_imports", "$set", "$map"]
            ) | st.integers(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


_cases = st.fixed_dictionaries(
    {"input": _cells, "output": _cells},
    optional={"type": _cells, "testtype": st.just("stdin") | _cells, "fn_name": _cells},
)
_published = (
    st.lists(_cases, min_size=1, max_size=3)
    | st.fixed_dictionaries(
        {"inputs": st.lists(_cells, max_size=3), "outputs": st.lists(_cells, max_size=3)},
        optional={"fn_name": st.just("f") | _cells},
    )
    | st.fixed_dictionaries({"test": _cells}, optional={"entry_point": _cells})
    | st.fixed_dictionaries(
        {"test_list": _cells}, optional={"test_imports": _cells, "test_setup_code": _cells}
    )
)
_tests = (
    _published
    | st.fixed_dictionaries({"test_cases": _published}, optional={"language": _cells})
    | st.fixed_dictionaries(
        {"function": st.just("f") | _cells},
        optional={"calls": st.lists(_cells, max_size=3), "runs": st.lists(_cells, max_size=3)},
    )
)


@given(_cells | _tests)
def test_reading_whatever_stands_in_a_cell_gives_tests_or_an_error_of_ours(cell: Any) -> None:
    try:
        found = read(cell)
    except InputError:
        return
    if found is not None:
        json.dumps([vars(test) for test in found.tests])


LONG = {
    "a fence that is not one": "```" + "a" * 300000 + "`",
    "a fence of space that is not one": "```" + " " * 300000 + "`",
    "a fence of fences": "`" * 300000 + "a`",
    "space": "```python\n" + "\n" * 300000 + "```",
    "space in a line": "```python\n" + " " * 300000 + "x\n```",
    "async": "```python\n" + "async " * 50000 + "\n```",
    "fences": "```\n" * 100000,
}


@pytest.mark.parametrize("name", LONG)
def test_an_output_costs_its_length(name: str) -> None:
    begun = time.process_time()
    program_in(LONG[name], "f")
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "text", ["[" * 300000, " " * 300000 + "(", "x" * 300000, "assert " * 50000, "from " * 60000]
)
def test_a_suite_costs_its_length(text: str) -> None:
    begun = time.process_time()
    for source in (text, "def test" + text, "assert" + text):
        try:
            read(source)
        except InputError:
            continue
    assert time.process_time() - begun < 3


def test_sets_of_sets_are_compared_in_time() -> None:
    def sets(shift: float) -> Any:
        return {
            "$set": [{"$frozenset": [i * 1000 + j + shift for j in range(200)]} for i in range(200)]
        }

    begun = time.process_time()
    assert _SAME(sets(0), sets(0))
    assert not _SAME(sets(0.25), sets(0))
    floats = [i / 7 for i in range(200)]
    near = {"$set": [x * (1 + 1e-12) for x in reversed(floats)]}
    assert _SAME(near, {"$set": floats})
    assert time.process_time() - begun < 5


# ---- without isolation


def test_without_isolation_what_closes_its_channel_is_ended() -> None:
    guest = Bare().start(_LIMITS)
    begun = time.monotonic()
    with pytest.raises(EndedError, match="closed what answers go through") as raised:
        guest.ask(
            json.dumps(
                {"do": "load", "source": "import os,time\nos.close(3)\ntime.sleep(99)"}
            ).encode(),
            9,
        )
    guest.end()
    assert raised.value.fault == "program"
    assert time.monotonic() - begun < 9


def test_without_isolation_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    program = (
        f"import os, time\nif os.fork() == 0:\n    open({str(left)!r}, 'w').write(str(os.getpid()))\n"
        "    os.close(3); time.sleep(60)\ntime.sleep(0.5)\nos._exit(0)"
    )
    spec = CodeSpec(kind="code", sandbox="none", without_isolation=ACCEPTED)
    [score] = spec.load(Path(), Path(), 1).score([_case(program)])
    assert score.value == 0.0
    end = time.monotonic() + 5
    while _runs(int(left.read_text())) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(int(left.read_text()))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_without_isolation_a_program_that_kills_itself_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = CodeSpec(kind="code", sandbox="none", without_isolation=ACCEPTED)
    case = _case("import os\nos.kill(os.getpid(), 9)")
    verifier = spec.load(Path(), Path(), 1)
    assert verifier.score([case])[0].value == 0.0
    monkeypatch.setattr(bare, "_memory_ran_out", object)  # the machine ended something meanwhile
    assert verifier.score([case])[0].outcome == "failed"


# ---- several at once


def _number(n: int) -> Case:
    return Case(
        f"def f(x): return x + {n}",
        None,
        {
            "tests": json.dumps(
                {"function": "f", "calls": [{"args": [1], "expected": n + n % 2 + 1}]}
            )
        },
    )


def test_scores_go_to_their_own_rows_from_several_threads(code: Code) -> None:
    cases = [_number(n) for n in range(40)]
    with ThreadPoolExecutor(4) as pool:
        all_scores = list(pool.map(code.score, [cases] * 4))
    for scores in all_scores:
        assert [score.value for score in scores] == [float(n % 2 == 0) for n in range(40)]


def test_many_programs_leave_nothing(code: Code) -> None:
    def counted() -> tuple[int, int, int]:
        kids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), len(kids)

    code.score([_number(n) for n in range(8)])
    before = counted()
    bad = [_case("import os; os._exit(0)"), _case("import os; os.close(3)"), _case("x"), _number(1)]
    code.score(bad * 50)
    assert all(one <= two for one, two in zip(counted(), before, strict=True))


def test_a_verifier_that_is_dropped_ends_its_processes() -> None:
    verifier = CodeSpec(kind="code").load(Path(), Path(), 2)
    verifier.score([_number(0)] * 4)
    processes = [warm._process for warm in verifier._judge._sandbox._all]  # type: ignore[attr-defined]
    assert all(process.poll() is None for process in processes)
    del verifier
    end = time.monotonic() + 5
    while time.monotonic() < end and any(process.poll() is None for process in processes):
        time.sleep(0.05)
    assert all(process.poll() is not None for process in processes)


def test_after_a_fork_both_score(code: Code) -> None:
    assert code.score([_number(0)])[0].value == 1.0
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - in another process
        found: list[Score] = []
        try:
            found = code.score([_number(0), _number(1)])
        finally:
            os.write(writes, repr([score.value for score in found]).encode())
            os._exit(0)
    try:
        os.close(writes)
        with os.fdopen(reads) as pipe:
            assert pipe.read() == "[1.0, 0.0]"
    finally:
        os.waitpid(child, 0)
    assert code.score([_number(0)])[0].value == 1.0


def test_after_a_fork_the_sandbox_starts_processes_of_its_own() -> None:
    sandbox = Bubblewrap.open()
    ours = sandbox._own.warm
    child = os.fork()
    if child == 0:  # pragma: no cover - in another process
        code = 1
        try:
            guest = sandbox.start(_LIMITS)
            said = guest.ask(b'{"do": "load", "source": "x = 1"}', 9)
            code = int(sandbox._own.warm is ours or said != b'{"value": null}')
            sandbox._own.warm.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sandbox.start(_LIMITS).ask(b'{"do": "load", "source": "x = 1"}', 9)
    sandbox.close()


# ---- a busy machine


class _Clock(Warm):
    """Tells the same time whenever it is asked."""

    def __init__(self, ran: float, waited: float) -> None:
        super().__init__(lambda _: None, b"")  # type: ignore[arg-type, return-value]
        self._clock = {"ran": ran, "waited": waited}

    def ask(self, what: str) -> dict[str, Any] | None:
        return self._clock if what == "clock" else {"status": 9, "seconds": 0}


def _silent(clock: Warm) -> tuple[WarmGuest, socket.socket]:
    ours, theirs = socket.socketpair()
    guest = WarmGuest(clock, ours, _LIMITS)
    guest._is_closed_in = True
    return guest, theirs


def test_having_waited_before_buys_no_time_later() -> None:
    guest, other = _silent(_Clock(ran=0.1, waited=60))
    guest._asked = 60.0
    with other, pytest.raises(EndedError, match=r"longer than 0\.2 seconds") as raised:
        guest.ask(b"{}", 0.2)
    assert raised.value.fault == "program"


def test_who_gets_no_core_is_not_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_PATIENCE", 1)

    class Starved(_Clock):
        def ask(self, what: str) -> dict[str, Any] | None:
            del what
            return {"ran": 0.0, "waited": time.monotonic() - begun}

    begun = time.monotonic()
    guest, other = _silent(Starved(0, 0))
    with other, pytest.raises(EndedError, match="too busy") as raised:
        guest.ask(b"{}", 0.1)
    assert raised.value.fault == "place"


def test_a_clock_that_stopped_is_the_places_fault() -> None:
    class Gone(_Clock):
        def ask(self, what: str) -> None:
            del what

    guest, other = _silent(Gone(0, 0))
    with other, pytest.raises(EndedError) as raised:
        guest.ask(b"{}", 0.1)
    assert raised.value.fault == "place"


def test_what_waited_for_a_core_has_not_used_its_time() -> None:
    class Slow:
        isolation = "none"

        def start(self, limits: Limits) -> Slow:
            del limits
            return self

        def ask(self, message: bytes, seconds: float) -> bytes:
            del message
            time.sleep(seconds * 3)
            return b'{"value": 1}'

        def end(self) -> None: ...

        def close(self) -> None: ...

    spec = CodeSpec(kind="code", seconds=0.1, total_seconds=1)
    case = Case("x", None, {"tests": {"function": "f", "calls": [{"expected": 1}] * 6}})
    assert Judge(spec, Slow(), _LIMITS).score(case).value == 1.0
