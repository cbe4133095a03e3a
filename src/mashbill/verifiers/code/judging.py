"""One program and its tests: started, asked, compared, and ended."""

from __future__ import annotations

import json
import time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value
from mashbill.core.sandbox import EndedError, Guest, Limits, Sandbox
from mashbill.core.verifier import Case, Score
from mashbill.verifiers.code.finding import program_in
from mashbill.verifiers.code.suites import Call, Run, Suite, read
from mashbill.verifiers.code.values import Same, told

if TYPE_CHECKING:
    from mashbill.verifiers.code.spec import CodeSpec

LONGEST = 1 << 18
"""characters of a program"""
_TOLD = 2
"""tests that failed of which a reason tells"""


class Judge:
    """Scores programs."""

    def __init__(self, spec: CodeSpec, sandbox: Sandbox, limits: Limits) -> None:
        """Prepare to judge as the keys say."""
        self._spec = spec
        self._sandbox = sandbox
        self._limits = limits
        self._same = Same(spec.relative, spec.absolute)

    def score(self, case: Case) -> Score:
        """Return what the program in an output is worth."""
        try:
            suite = read(case.row.get(self._spec.tests))
        except (InputError, RecursionError) as error:
            return Score.failed(f"the tests cannot be read: {error}"[:300])
        if suite is None:
            return Score.undecided("the row has no tests")
        if suite.kind == "program" and not self._spec.forgeable:
            return Score.failed(
                "the tests are a program, which what it tests can make say anything; write calls "
                "with what they should give, or set forgeable = true"
            )
        program = program_in(case.output, suite.about)
        if not program:
            return Score(0.0, "there is no program in it", {"passed": 0.0})
        if len(program) > LONGEST:
            return Score(0.0, f"the program has more than {LONGEST:,} characters", {"passed": 0.0})
        for again in (False, True):
            try:
                return self._tried(program, suite)
            except EndedError as error:
                if again:
                    return Score.failed(error.reason, self._sandbox.isolation)
        raise AssertionError

    def _tried(self, program: str, suite: Suite) -> Score:
        """Return the score.

        Raises:
            EndedError: if it cannot be told, for a fault of the place.
        """
        tests = _Tests(self._sandbox, self._limits, self._spec.seconds, self._spec.total_seconds)
        if suite.kind == "calls":
            wrong, number = self._calls(tests, program, suite), len(suite.tests)
        elif suite.kind == "runs":
            wrong, number = self._runs(tests, program, suite), len(suite.tests)
        else:
            wrong, number = self._suite(tests, program, suite), 1
        share = (number - len(wrong)) / number
        value = share if self._spec.score == "share" else float(not wrong)
        return Score(value, _reason(wrong, number), {"passed": share}, isolation=tests.isolation)

    def _calls(self, tests: _Tests, program: str, suite: Suite) -> list[str]:
        calls = [test for test in suite.tests if isinstance(test, Call)]
        with tests:
            said = tests.ask({"do": "load", "source": program})
            if "value" not in said:
                return [f"it does not load: {_why(said)}"] * len(calls)
            wrong = []
            for place, call in enumerate(calls):
                said = tests.ask(
                    {
                        "do": "call", "function": call.function, "args": list(call.args),
                        "kwargs": call.kwargs,
                    }
                )  # fmt: skip
                if found := self._of_call(call, said):
                    wrong.append(f"test {place + 1}: {found}")
                if tests.over:
                    wrong += ["not reached"] * (len(calls) - place - 1)
                    break
            return wrong

    def _of_call(self, call: Call, said: dict[str, Any]) -> str:
        """Return what is wrong with what a call gave; empty if nothing is."""
        if call.raises:
            kinds = said.get("kinds")
            if "value" not in said and isinstance(kinds, list) and call.raises in kinds:
                return ""
            given = told(said["value"]) if "value" in said else _why(said)
            return f"{given}, and {call.raises} should be raised"
        if "value" not in said:
            return _why(said)
        if any(self._same(said["value"], known) for known in call.known):
            return ""
        return f"{told(said['value'])}, and {told(call.expected)} is expected"

    def _runs(self, tests: _Tests, program: str, suite: Suite) -> list[str]:
        wrong = []
        for place, run in enumerate(suite.tests):
            if not isinstance(run, Run):
                continue
            if tests.late:
                wrong.append("not reached")
                continue
            with tests:
                said = tests.ask({"do": "main", "source": program, "stdin": run.stdin})
            printed = said.get("value")
            if not isinstance(printed, str):
                wrong.append(f"test {place + 1}: {_why(said)}")
            elif not self._printed(printed, run.stdout):
                wrong.append(
                    f"test {place + 1}: it printed {told(printed)}, and {told(run.stdout)} is "
                    "expected"
                )
        return wrong

    def _printed(self, said: str, known: str) -> bool:
        """Return whether a program printed what is expected: space around lines aside."""
        one, two = ([line.strip() for line in text.strip().splitlines()] for text in (said, known))
        if one == two:
            return True
        if len(one) != len(two):
            return False
        return all(self._line(a.split(), b.split()) for a, b in zip(one, two, strict=True))

    def _line(self, one: list[str], two: list[str]) -> bool:
        return len(one) == len(two) and all(
            a == b or self._numbers(a, b) for a, b in zip(one, two, strict=True)
        )

    def _numbers(self, one: str, two: str) -> bool:
        """Return whether two words are numbers with a point, and near each other.

        Where a whole number is expected, one with a point has to be that number.
        """
        words = one + two
        if "." not in words or len(words) > 80 or not words.isascii() or "_" in words:
            return False
        try:
            if "." not in two:
                return Decimal(one) == Decimal(two)
            return self._same(float(one), float(two))
        except (ValueError, InvalidOperation):
            return False

    def _suite(self, tests: _Tests, program: str, suite: Suite) -> list[str]:
        with tests:
            said = tests.ask({"do": "load", "source": program})
            if "value" in said:
                said = tests.ask(
                    {"do": "suite", "source": suite.source, "function": suite.function}
                )
            return [] if said.get("value") == "passed" else [_why(said)]


class _Tests:
    """Asks guests, for as long as a program may take in all."""

    def __init__(self, sandbox: Sandbox, limits: Limits, seconds: float, total: float) -> None:
        self._sandbox, self._limits = sandbox, limits
        self._seconds, self._total = seconds, total
        self._used = 0.0
        self._guest: Guest | None = None
        self.isolation = sandbox.isolation
        self.over = False
        """whether the program has ended, and answers nothing more"""

    @property
    def late(self) -> bool:
        """Whether all its time is used."""
        return self._used >= self._total

    def __enter__(self) -> None:
        self.over = False
        self._guest = self._sandbox.start(self._limits)

    def __exit__(self, *_: object) -> None:
        if self._guest is not None:
            self._guest.end()
            self._guest = None

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return what the program says; ``error`` holds why where it says nothing.

        Raises:
            EndedError: for a fault of the place.
        """
        if self._guest is None or self.late:
            self.over = True
            return {"error": f"it took longer than {self._total:g} seconds in all"}
        begun = time.monotonic()
        seconds = min(self._seconds, self._total - self._used)
        try:
            text = self._guest.ask(json.dumps(message).encode(), seconds)
            said = json_value(text, "what it answered")
        except EndedError as error:
            self.over = True
            if error.fault == "place":
                raise
            return {"error": error.reason}
        except InputError as error:
            return {"error": f"{error}"}
        finally:
            # no longer than it was given: what it took beyond that, it waited for a core
            self._used += min(time.monotonic() - begun, seconds)
        return said if isinstance(said, dict) else {"error": "it wrote no answer"}


def _why(said: dict[str, Any]) -> str:
    return " ".join(str(said.get("error", "it wrote no answer")).split())[:160]


def _reason(wrong: list[str], number: int) -> str:
    if not wrong:
        return f"it passes {number} test{'s' * (number > 1)}"
    kinds = list(dict.fromkeys(text for text in wrong if text != "not reached"))
    said = "; ".join(kinds[:_TOLD])
    return f"it fails {len(wrong)} of {number} test{'s' * (number > 1)}: {said}"
