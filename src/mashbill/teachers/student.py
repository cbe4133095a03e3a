"""A teacher that is a model which a stage trained: of the same recipe, or NAME@VERSION of a store.

It is asked through the journal as any teacher in this process is. What its answers depend on is the
content of the model artifact, its lineage with it, and the literals of how it writes; its route is
no file and no service but a stage, so it is no source (:mod:`mashbill.core.students`).
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core import registry
from mashbill.core.base_model import BaseWeights
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.extras import needs
from mashbill.core.given import is_address
from mashbill.core.source import Source
from mashbill.core.students import STUDENT
from mashbill.models.engine_choice import is_causal, obstacle
from mashbill.teachers.local import WritesHere

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.model import Decoding, Writer
    from mashbill.core.teacher import Answer, Question


_LOG = logging.getLogger("mashbill")


class StudentSpec(WritesHere):
    """``kind = "student"``."""

    context: ClassVar[frozenset[str]] = frozenset({"store"})
    added: ClassVar[frozenset[str]] = frozenset({"store", "sha256", "engine"})

    kind: Literal["student"] = "student"
    model: str = Field(min_length=1)
    """stage that trains the model, further up in the recipe; or NAME@VERSION of a store"""
    batch: int = Field(default=16, gt=0)
    """questions computed together"""
    engine: Literal["auto", "transformers", "openvino"] = "auto"
    """what computes: the model's own trainer loads it for transformers; openvino computes in
    float16 what it can read; auto takes openvino where it can, and says where it cannot"""
    store: str = ""
    """folder of the store that made NAME@VERSION, where that is another one than the run's"""
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    """digest of the content of NAME@VERSION; whatever it has if empty"""

    @model_validator(mode="after")
    def _lies_elsewhere_by_address_only(self) -> StudentSpec:
        if (self.store or self.sha256) and not is_address(self.model):
            key = "store" if self.store else "sha256"
            msg = f"{key} is of a model that is named NAME@VERSION, and {self.model!r} is a stage"
            raise ValueError(msg)
        return self

    def addresses(self) -> tuple[str, ...]:
        """The other store."""
        return (self.store,) if self.store else ()

    @property
    def made_by(self) -> str:
        """The stage, or the address."""
        return self.model

    @property
    def made_in(self) -> tuple[str, str]:
        """The store and the digest."""
        return self.store, self.sha256

    @property
    def source(self) -> Source:
        """What messages call it: the model itself, and no source, stands on the bill."""
        return Source(name=self.model, what="model", kind="unknown", route="in-process")

    @property
    def identity(self) -> dict[str, Any]:
        """Its model's content decides, and that is not known before it is made.

        Raises:
            TeacherError: always.
        """
        msg = f"teacher of kind 'student': its model {self.model!r} is not made yet"
        raise TeacherError(msg)

    def as_made(self, manifest: Manifest, folder: Path) -> MadeStudent:
        """Return it with the model that was made."""
        return MadeStudent(
            **dict(self),
            artifact=str(manifest.ref),
            digest=manifest.digest,
            trainer=str(manifest.stage["kind"]),
            folder=folder,
        )


class MadeStudent(StudentSpec):
    """A student whose model is made; no recipe says its further keys, they follow from the run."""

    context: ClassVar[frozenset[str]] = frozenset(
        {"store", "artifact", "digest", "trainer", "folder"}
    )

    artifact: str
    """address of the model"""
    digest: str
    """of its content"""
    trainer: str
    """kind of the stage that trained it"""
    folder: Path
    """where its files lie"""

    @property
    def identity(self) -> dict[str, Any]:
        """The model's content, how it writes, the engine, and how many questions go together."""
        engine = self._computes[0] if is_causal(self.folder) else ""
        return {
            "kind": STUDENT,
            "model": self.artifact,
            "sha256": self.digest,
            "batch": self.batch,
            **asdict(self.decoding),
            # What labels under control tokens has its own loader, and no engine to choose.
            **({"engine": engine} if engine else {}),
            **({"engine_version": _version("openvino-genai")} if engine == "openvino" else {}),
        }

    @cached_property
    def _computes(self) -> tuple[str, str]:
        """The engine, and why it is not OpenVINO where that is not what was asked for."""
        if self.engine == "transformers":
            return "transformers", ""
        why = obstacle(self.folder)
        return ("transformers", why) if why else ("openvino", "")

    def weights_here(self, folder: Path, cache: Path) -> BaseWeights:
        """The model's files."""
        del folder, cache
        return BaseWeights(self.folder, self.digest, self.artifact)

    def load(self, folder: Path, cache: Path, threads: int) -> Student:
        """Load the model: by the trainer that wrote it, or through the embedded engine.

        Raises:
            TeacherError: if OpenVINO is asked for and does not compute it.
            MissingExtraError: if what it needs is not installed.
        """
        del folder
        engine, why = self._computes
        if engine == "openvino":
            return Student(self._embedded(cache, threads), self.identity, self.batch, self.decoding)
        if self.engine == "openvino":
            msg = (
                f"a teacher of kind 'student' has engine = 'openvino', which does not compute "
                f"{self.artifact}: {why}; set engine = 'transformers', or leave it out"
            )
            raise TeacherError(msg)
        if why and is_causal(self.folder):
            _LOG.warning(
                "%s is asked through transformers, and not through OpenVINO, which is faster: %s",
                self.artifact, why,
            )  # fmt: skip
        doing = f"loading the model {self.artifact} of"
        with registry.telling(doing, self.trainer, registry.TRAINERS):
            trainer: Any = registry.find(self.trainer, registry.TRAINERS)
            model = trainer.load(self.folder, threads)
        return Student(model, self.identity, self.batch, self.decoding)

    def _embedded(self, cache: Path, threads: int) -> Writer:
        with needs("a student by engine 'openvino'", "local"):
            from mashbill.models.openvino_student import OpenVinoStudent
        try:
            return OpenVinoStudent(self.folder, self.digest, cache, threads, self.batch)
        except InputError as error:
            msg = f"{error}; set engine = 'transformers' in the table of the teacher"
            raise TeacherError(msg) from error


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


class Student:
    """A trained model that is asked; see :class:`mashbill.core.teacher.Teacher`."""

    can_write = True

    def __init__(
        self, model: Writer, identity: Mapping[str, Any], batch: int, decoding: Decoding
    ) -> None:
        self.identity = identity
        self.batch = batch
        self._model = model
        self._decoding = decoding

    def sizes(self, questions: Sequence[Question]) -> list[int]:
        """Return the characters of all that each is asked."""
        return [sum(len(turn.content) for turn in q.conversation) for q in questions]

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Ask the model."""
        return list(self._model.answer(questions, self._decoding))
