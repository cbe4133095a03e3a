"""``code``: a program in an output is run with tests; 1 if it passes all of them.

It runs in a sandbox, one process a program, and answers one call after the other; what is expected
stays outside and is compared there (:mod:`.values`), so that the program cannot write its verdict.
Tests that are a program themselves (asserts) run beside what they test, which can make them say
anything: they need ``forgeable = true``, and the bill says so.
"""

from __future__ import annotations

import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core import registry
from mashbill.core.errors import InputError
from mashbill.core.sandbox import Limits, Sandbox, SandboxKind
from mashbill.core.verifier import Case, Control, Score, VerifierSpec
from mashbill.verifiers.code.controls import controls
from mashbill.verifiers.code.judging import Judge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ACCEPTED = "I accept that foreign programs run as me"
"""what a recipe must say where there is no isolation"""


_MESSAGE = 4 << 20
"""bytes of a message: the longest that tests can expect fits, as texts or tuples are written"""


class CodeSpec(VerifierSpec):
    """``kind = "code"``."""

    components: ClassVar[tuple[str, ...]] = ("passed",)
    isolates: ClassVar[bool] = True
    reference_is_right: ClassVar[bool] = True

    kind: Literal["code"] = "code"
    tests: str = Field(default="tests", min_length=1)
    """column with the tests of a row"""
    seconds: float = Field(default=4.0, gt=0, le=600, allow_inf_nan=False)
    """that one test may take; what takes longer is wrong, unless it had no core to run on"""
    total_seconds: float = Field(default=30.0, gt=0, le=3600, allow_inf_nan=False)
    """that all tests of a program may take"""
    memory_mb: int = Field(default=512, ge=128, le=1 << 20)
    """that a program may have"""
    disk_mb: int = Field(default=16, ge=1, le=4096)
    """that its files may have"""
    relative: float = Field(default=1e-9, ge=0, lt=1, allow_inf_nan=False)
    """tolerance of numbers that are no whole ones, as a share of the larger"""
    absolute: float = Field(default=1e-12, ge=0, allow_inf_nan=False)
    """tolerance of numbers that are no whole ones, as a difference"""
    score: Literal["all", "share"] = "all"
    """1 if all tests pass and else 0, or the share of those that pass"""
    forgeable: bool = False
    """whether tests may be programs, which what they test can make say anything"""
    sandbox: str = Field(default="bubblewrap", min_length=1)
    """which isolation: "bubblewrap", "none", or one that a plugin brings"""
    without_isolation: str = ""
    """the words that accept ``sandbox = "none"``"""

    @model_validator(mode="after")
    def _isolated(self) -> CodeSpec:
        if self.sandbox == "none" and self.without_isolation != ACCEPTED:
            msg = (
                'sandbox = "none" runs programs that a model wrote with your rights, on your '
                f'files; if that is meant, set without_isolation = "{ACCEPTED}"'
            )
            raise ValueError(msg)
        if self.sandbox != "none" and self.without_isolation:
            msg = 'without_isolation is for sandbox = "none": leave it out'
            raise ValueError(msg)
        return self

    @property
    def extras(self) -> tuple[str, ...]:
        """What the sandbox needs on this machine."""
        return self._sandbox().extras()

    def caveats(self) -> dict[str, str]:
        """Tests that can be forged, and no isolation."""
        found = {}
        if self.forgeable:
            found["tests forgeable"] = (
                "Tests that are programs run beside what they test, which can make them say "
                "anything: such a reward can be forged."
            )
        if self.sandbox == "none":
            found["without isolation"] = "Programs ran without isolation, with the user's rights."
        return found

    def reads(self) -> tuple[str, ...]:
        """The column with tests."""
        return (self.tests,)

    def controls(self) -> tuple[Control, ...]:
        """Programs that are right and wrong, and such that try to be paid for nothing."""
        return controls(self.tests, forgeable=self.forgeable)

    def load(self, folder: Path, cache: Path, threads: int) -> Code:
        """Open the sandbox.

        Raises:
            InputError: if this machine cannot isolate.
        """
        del folder, cache
        try:
            opened = self._sandbox().open()
        except InputError as error:
            msg = (
                f"{error}; use another sandbox (a plugin's, such as a container), or say in the "
                f'recipe that none is wanted: sandbox = "none" and without_isolation = '
                f'"{ACCEPTED}"'
            )
            raise InputError(msg) from error
        return Code(self, opened, max(1, threads))

    def _sandbox(self) -> SandboxKind:
        found: SandboxKind = registry.find(self.sandbox, registry.SANDBOXES)
        return found


class Code:
    """Runs programs with their tests, several at a time."""

    def __init__(self, spec: CodeSpec, sandbox: Sandbox, threads: int) -> None:
        """Prepare.

        Args:
            spec: the keys.
            sandbox: where programs run; it is closed with this.
            threads: programs that run at once.
        """
        limits = Limits(
            memory=spec.memory_mb << 20,
            disk=spec.disk_mb << 20,
            seconds=int(spec.total_seconds) + 1,
            message=_MESSAGE,
        )
        self._judge = Judge(spec, sandbox, limits)
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._lock = threading.Lock()
        weakref.finalize(self, sandbox.close)

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return for each output what its program is worth."""
        with self._lock:
            if self._pool is None or self._process != os.getpid():  # threads are not forked
                self._pool = ThreadPoolExecutor(self._threads, "sandbox")
                self._process = os.getpid()
            pool = self._pool
        return list(pool.map(self._judge.score, cases))
