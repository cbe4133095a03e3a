"""Loading what a stage asks, once: teachers, verifiers and trained models, in whichever process.

The run and its workers load the same things in the same way; they differ in where a teacher is
described, and in who asks it. What no later stage asks is let go of: arms and seeds have a student
each, and all of them would not fit.
"""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core import registry
from mashbill.core.errors import RecipeError
from mashbill.core.verifier import VerifierSession

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.model import Predictor
    from mashbill.core.stage import Uses
    from mashbill.core.teacher import Teacher, TeacherSpec
    from mashbill.core.verifier import VerifierSpec


@dataclass
class Loaded:
    """What is loaded, by name; several threads may ask for it."""

    folder: Path
    """of the recipe"""
    cache: Path
    threads: int
    _teachers: dict[str, Teacher] = field(default_factory=dict)
    _verifiers: dict[str, VerifierSession] = field(default_factory=dict)
    _models: dict[str, Predictor] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def teacher(self, name: str, spec: TeacherSpec) -> Teacher:
        """Return a teacher.

        Raises:
            TeacherError: if it cannot be loaded here.
        """
        with self._lock:
            if name not in self._teachers:
                self._teachers[name] = spec.load(self.folder, self.cache, self.threads)
            return self._teachers[name]

    def forget_others(self, names: Collection[str]) -> None:
        """Let go of all that is loaded but some.

        Args:
            names: of teachers, verifiers and stages that are asked from now on.
        """
        with self._lock:
            every: tuple[dict[str, Any], ...] = (self._teachers, self._verifiers, self._models)
            gone = [(kept, name) for kept in every for name in kept if name not in names]
            for kept, name in gone:
                del kept[name]
        if gone:
            gc.collect()  # a run collects seldom, and these are large

    def verifier(self, name: str, spec: VerifierSpec) -> VerifierSession:
        """Return a verifier, which is loaded with its first case."""
        with self._lock:
            if name not in self._verifiers:
                self._verifiers[name] = VerifierSession(
                    name, spec, lambda: spec.load(self.folder, self.cache, self.threads)
                )
            return self._verifiers[name]

    def model(self, name: str, manifest: Manifest, folder: Path) -> Predictor:
        """Return a model that a stage trained.

        Args:
            name: of the stage.
            manifest: of what it made.
            folder: where that lies.
        """
        with self._lock:
            if name not in self._models:
                trainer = registry.find(manifest.stage["kind"], registry.TRAINERS)
                self._models[name] = trainer.load(folder, self.threads)
            return self._models[name]


def declared_by(stage: str, uses: Sequence[Uses]) -> Callable[[str, str], None]:
    """Return what refuses all that a stage does not declare.

    It is told a name and what it is: teacher, verifier or artifact. What a stage does not declare
    would be missing from every bill.
    """
    declared = {(use.name, _what(use)) for use in uses}

    def check(name: str, what: str) -> None:
        if (name, what) not in declared:
            msg = f"stage {stage!r} asks for {name!r}, which its uses() does not declare"
            raise RecipeError(msg)

    return check


def _what(use: Uses) -> str:
    """Return what a stage uses: a teacher, a verifier, or the artifact of a stage."""
    return "teacher" if use.is_teacher else "verifier" if use.is_verifier else "artifact"
