"""The two kinds of artifact, datasets and models, and the manifest each carries.

An artifact is immutable and named ``name@version``. Three identities are never mixed: the
address (people), the digest (content), the fingerprint (what was asked for).

A manifest holds nothing about when or where, so that two runs write the same one; times and costs
are in the ledger. It is called ``.manifest.json`` until its entry is there. The number of threads
may change the last bits of a sum, so one digest means one machine with one thread count.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mashbill.core.canonical import canonical, digest
from mashbill.core.errors import RecipeError
from mashbill.core.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 2
"""Version of the layout on disk. A change that an older reader would misread raises it.

2: manifests have all that lineage is composed from (the teachers' sources, how often a trainer saw
each row), so that an audit composes it again."""

TOKEN_UNIT = "words"  # noqa: S105 - a unit, not a secret
"""what sizes are counted in, by every release so far"""

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]*"
_LEFT_OUT = frozenset({"learned", "tolerance", "source", "asks"})
_REF = re.compile(rf"({NAME_PATTERN})@({NAME_PATTERN})")

ArtifactKind = Literal["dataset", "model"]


class ArtifactRef(NamedTuple):
    """The address of an artifact. ``ArtifactRef.parse(str(ref)) == ref``."""

    name: str
    version: str

    def __str__(self) -> str:
        """Write the address the way people type it."""
        return f"{self.name}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> ArtifactRef:
        """Read ``name@version``.

        Raises:
            RecipeError: if the text is not an address.
        """
        match = _REF.fullmatch(text)
        if match is None:
            msg = (
                f"{text!r} is not an artifact address; write NAME@VERSION with lower-case "
                "letters, digits, '.', '_' and '-'"
            )
            raise RecipeError(msg)
        return cls(match[1], match[2])


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _is_plain(name: str) -> str:
    if name in ("", ".", "..") or set(name) & set("/\\\0"):
        msg = f"{name[:80]!r} is no name of a file beside the manifest"
        raise ValueError(msg)
    return name


PlainName = Annotated[str, AfterValidator(_is_plain)]
"""a file of an artifact's own folder: whoever wrote the manifest names no other"""


class Shard(_Frozen):
    """One Parquet file of a dataset, committed whole."""

    file: PlainName
    rows: int
    sha256: str
    merkle_root: str


class FileDigest(_Frozen):
    """One file of a model, or a dataset's node table."""

    file: PlainName
    sha256: str


class LearnedFrom(_Frozen):
    """What a dataset is in a model that learned from it: see :mod:`mashbill.core.learning`."""

    name: str
    """address of the dataset"""
    rows: int
    """that count: seen, with a loss that was"""
    tokens: int
    """of those rows in one pass, in the manifest's ``token_unit``"""
    seen: int
    """tokens, each as often as it was learned from"""
    loss_weights: tuple[float, float]
    """the least and the largest of those rows"""
    weight: int
    """in the model's bill, to be compared with that of its other datasets alone"""

    @property
    def epochs(self) -> float:
        """How often a token was seen, in the mean."""
        return self.seen / self.tokens if self.tokens else 0.0


class InputRef(_Frozen):
    """What a stage took in, under which role and channel, and exactly which bytes."""

    name: str
    role: str
    channel: str
    digest: str
    source: Source | None = None
    """of a teacher, a verifier, or a base from outside: the source of lineage that it is"""
    asks: dict[str, Any] | None = None
    """of a teacher, and of a model that was asked as one: what its calls in the journal name it by
    (:func:`named_by`)"""

    @property
    def is_teacher(self) -> bool:
        """Whether it is no artifact but a teacher."""
        return self.role == "teacher"

    @property
    def was_asked(self) -> bool:
        """Whether rows rest on its answers: a teacher's, or those of a model of the recipe's."""
        return self.is_teacher or self.asks is not None

    @property
    def is_verifier(self) -> bool:
        """Whether it is no artifact but a verifier."""
        return self.role == "verifier"

    @property
    def is_base(self) -> bool:
        """Whether it is no artifact but weights from outside that a model started from."""
        return self.role == "base" and self.source is not None

    @property
    def is_artifact(self) -> bool:
        """Whether it is an artifact, whose name is an address."""
        return not (self.is_teacher or self.is_verifier or self.is_base)


def fingerprint(literals: dict[str, Any], inputs: dict[str, str]) -> str:
    """Return the identity of what is asked for: literals and the digests of inputs, by stage."""
    return digest({"literals": literals, "inputs": inputs})


_NAMED_BY = ("kind", "provider", "model", "name", "file", "sha256", "revision")


def named_by(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a teacher is named by, of all that makes its answers what they are.

    Versions of engines and the like may change from one call to the next.
    """
    return {key: identity[key] for key in _NAMED_BY if key in identity}


class Manifest(_Frozen):
    """What an artifact is: its asking, its inputs, its parts and its content digest.

    Nothing here depends on when or where it was made, so that two runs of one recipe write the
    same manifest; times go into the ledger.
    """

    format: int = FORMAT
    kind: ArtifactKind
    name: str = Field(pattern=rf"^{NAME_PATTERN}$")
    version: str = Field(pattern=rf"^{NAME_PATTERN}$")
    stage: dict[str, Any]
    """literals of the stage that made it"""
    fingerprint: str
    """digest of those literals and of the inputs' digests"""
    inputs: tuple[InputRef, ...] = ()
    shards: tuple[Shard, ...] = ()
    rejected: tuple[Shard, ...] = ()
    files: tuple[FileDigest, ...] = ()
    """model files"""
    learned: FileDigest | None = None
    """of a model: how often each row was learned from (:data:`mashbill.core.store.LEARNED`)"""
    learned_from: tuple[LearnedFrom, ...] = ()
    """of a model: what each dataset is in it, added up; empty in those of releases before 0.3"""
    tolerance: float | None = None
    """how far scores may lie from these where they are computed again; None where they may not"""
    nodes: FileDigest
    """the lineage of this artifact: nodes.parquet"""
    nodes_digest: str
    """digest over the node digests in order"""
    bill: str
    """digest of the node that stands for the whole artifact"""
    rows: int = 0
    rejected_rows: int = 0
    tokens: int = 0
    token_unit: str = TOKEN_UNIT
    measures: dict[str, Any] = {}
    """what the stage measured: metrics, calibration, sizes; never times"""

    @property
    def ref(self) -> ArtifactRef:
        """The address."""
        return ArtifactRef(self.name, self.version)

    def to_bytes(self) -> bytes:
        """Return it as the canonical JSON of ``manifest.json``; what is not there is left out."""
        data = self.model_dump(mode="json")
        for item in (data, *data["inputs"]):
            for key in _LEFT_OUT & item.keys():
                if item[key] is None:
                    del item[key]
        if not self.learned_from:
            del data["learned_from"]
        return canonical(data)

    @property
    def digest(self) -> str:
        """Identity of the content: record digests, node digests and model files."""
        return digest(
            {
                "kind": self.kind,
                "records": [shard.merkle_root for shard in self.shards],
                "rejected": [shard.merkle_root for shard in self.rejected],
                "files": [[item.file, item.sha256] for item in self.files],
                "nodes": self.nodes_digest,
                "measures": self.measures,
            }
        )
