"""Terms documents: which text binds whom, by route, model and date.

The registry is TOML, one file a provider. A document has versions; a version is in force from its
effective date (or, if that is not recorded, from the day it was first seen) until the next one.
Before the first of them nothing is known, which is never the same as nothing being barred.

Whoever adds one: ``says`` of a clause is in one's own words, ``fragment`` quotes at most eight, and
the pointer is one that somebody else can follow. What was read in a third party's text is
``second_hand``. A new version goes behind the older ones with ``effective_from`` (or
``first_seen``, where the text names no day), and the older one ends there; ``unchanged = true``
stands for the clauses of the one before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mashbill.core.canonical import digest
from mashbill.core.errors import InputError
from mashbill.core.toml_file import read_toml
from mashbill.policy.clauses import Clause

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable
    from pathlib import Path

Route = Literal["api", "consumer", "weights", "router", "host", "data"]
"""how a model is reached, as far as terms tell ways apart"""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Pointer(_Frozen):
    """Where the text can be read again."""

    archive: str = ""
    """repository that keeps it, such as OpenTermsArchive/genai-contrib-versions"""
    commit: str = ""
    """commit of that repository"""
    path: str = ""
    """path in it"""
    sha256: str = ""
    """digest of a licence file"""
    seen_in: str = ""
    """for a text that was read in somebody else's: where, in a few words"""


class Version(_Frozen):
    """One version of a document."""

    effective_from: date | None = None
    """first day in force; absent if it is not recorded"""
    first_seen: date | None = None
    """where the text names no first day: the first day on which it was seen"""
    observed_on: date | None = None
    """last day on which this text was seen"""
    certain_from: date | None = None
    """where only the month or year of the first day is recorded: the first day on which it is sure
    to have been in force"""
    superseded_by: date | None = None
    """first day on which it was no longer in force"""
    second_hand: bool = False
    """read in a third party's text only: wants re-checking against the primary source"""
    pointer: Pointer
    """where the text is"""
    note: str = ""
    """what else is to be known, in our own words"""
    unchanged: bool = False
    """whether its clauses, as far as they are recorded, are those of the version before"""
    clauses: tuple[Clause, ...] = Field(alias="clause", default=())
    """what it says, as far as it concerns distillation; filled in where it is unchanged"""

    @property
    def begins(self) -> date | None:
        """Day from which it can be shown to hold; None if no date is recorded."""
        return self.effective_from or self.certain_from or self.first_seen or self.observed_on

    @model_validator(mode="after")
    def _dates_in_order(self) -> Version:
        if self.effective_from and self.superseded_by and self.superseded_by < self.effective_from:
            msg = "superseded_by lies before effective_from"
            raise ValueError(msg)
        if self.first_seen and self.observed_on and self.observed_on < self.first_seen:
            msg = "observed_on, the last day it was seen, lies before first_seen"
            raise ValueError(msg)
        if not self.clauses and not self.unchanged:
            msg = "a version needs at least one [[document.version.clause]] (no-clause-found if so)"
            raise ValueError(msg)
        return self


class Document(_Frozen):
    """Terms or a licence, over time."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """short name, unique in the registry"""
    title: str
    """what it is called"""
    kind: Literal["terms", "usage-policy", "licence"]
    """whom it binds: terms and usage policies bind whoever calls; a licence, whoever has a copy"""
    routes: tuple[Route, ...] = Field(min_length=1)
    """ways of reaching a model that it governs"""
    models: tuple[str, ...] = ("*",)
    """models that it governs: patterns on the name without its owner; case is ignored"""
    except_models: tuple[str, ...] = ()
    """patterns of models that it does not govern, though ``models`` would"""
    models_from: date | None = None
    """first day on which these models were under it, where they changed their licence"""
    models_until: date | None = None
    """first day on which they no longer were"""
    license: str | None = None
    """SPDX identifier, or LicenseRef-..."""
    versions: tuple[Version, ...] = Field(alias="version", min_length=1)
    """oldest first"""
    provider: str = ""
    """filled from the file"""

    @field_validator("versions")
    @classmethod
    def _oldest_first(cls, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        days = [version.begins for version in versions if version.begins]
        if days != sorted(set(days)):
            msg = (
                "versions are not oldest first, or two begin on one day; "
                "put them in the order of their dates"
            )
            raise ValueError(msg)
        return versions

    @field_validator("versions")
    @classmethod
    def _follow_each_other(cls, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        for before, after in pairwise(versions):
            if before.superseded_by and before.superseded_by != after.begins:
                msg = (
                    f"the version of {before.begins} ends on {before.superseded_by} and the next "
                    f"one begins on {after.begins}: leave superseded_by away, or correct it"
                )
                raise ValueError(msg)
        return versions

    @field_validator("versions")
    @classmethod
    def _fill_in_unchanged(cls, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        filled: list[Version] = []
        for version in versions:
            if version.unchanged and (version.clauses or not filled):
                msg = "unchanged is for a version that repeats the one before, and has no clauses"
                raise ValueError(msg)
            clauses = filled[-1].clauses if version.unchanged else version.clauses
            filled.append(version.model_copy(update={"clauses": clauses}))
        return tuple(filled)

    def governs(self, model: str, route: Route, at: date | None = None) -> bool:
        """Return whether a model reached by a route was under this document on a day, or ever."""
        name = own_name(model)
        return (
            route in self.routes
            and (at is None or self._covers(at))
            and any(fnmatchcase(name, pattern.lower()) for pattern in self.models)
            and not any(fnmatchcase(name, pattern.lower()) for pattern in self.except_models)
        )

    def _covers(self, at: date) -> bool:
        """Return whether its models were under it on a day, as far as they came and went."""
        return (self.models_from is None or at >= self.models_from) and (
            self.models_until is None or at < self.models_until
        )

    def starts(self, version: Version) -> date | None:
        """Return the first day on which a version bound its models; None if it is not known."""
        days = [day for day in (version.begins, self.models_from) if day]
        return max(days, default=None)

    def ends(self, version: Version) -> date | None:
        """Return the first day on which a version no longer bound; None if it still does."""
        place = self.versions.index(version)
        later = [item.begins for item in self.versions[place + 1 :]][:1]
        days = [day for day in (*later, version.superseded_by, self.models_until) if day]
        return min(days, default=None)

    def on(self, at: date) -> Version | None:
        """Return the version in force on a day; None if none is recorded for it."""
        if not self._covers(at):
            return None
        for version in reversed(self.versions):
            if version.begins is None and len(self.versions) == 1:
                return version  # a licence of unknown date is the only one there is
            if version.begins is not None and version.begins <= at:
                return None if version.superseded_by and at >= version.superseded_by else version
        return None


class _File(_Frozen):
    provider: str
    country: str
    aliases: tuple[str, ...] = ()
    document: tuple[Document, ...]


@dataclass(frozen=True)
class Provider:
    """Who makes or serves models."""

    name: str
    country: str
    aliases: tuple[str, ...]


_COMPANY = re.compile(
    r"[\s,.]+(?:inc|llc|l\.l\.c|ltd|limited|gmbh|ag|se|sas|bv|b\.v|plc|pbc|corp|corporation|company"
    r"|co|ireland|opco|lp)\.?$"
)


def squeezed_provider(name: str) -> str:
    """Return a provider's name without case, spaces, signs and the form of its company."""
    plain = name.lower().strip()
    while (rest := _COMPANY.sub("", plain)) != plain:
        plain = rest
    return re.sub(r"[^\w]|_", "", plain)


@dataclass(frozen=True)
class Registry:
    """All terms that are known."""

    providers: dict[str, Provider]
    """by lower-case name and alias"""
    documents: tuple[Document, ...]

    @cached_property
    def digest(self) -> str:
        """Identity of all that it says: providers, documents, versions, clauses."""
        providers = {
            key: [item.name, item.country, list(item.aliases)]
            for key, item in self.providers.items()
        }
        documents = [item.model_dump(mode="json", by_alias=True) for item in self.documents]
        return digest({"providers": providers, "documents": documents})

    def provider(self, name: str) -> Provider | None:
        """Return a provider by name or alias; case does not matter."""
        return self.providers.get(name.lower()) or self._squeezed.get(squeezed_provider(name))

    @cached_property
    def _squeezed(self) -> dict[str, Provider]:
        """By name and alias without spaces, signs and forms of companies, where that is one."""
        found: dict[str, dict[str, Provider]] = {}
        for key, item in self.providers.items():
            found.setdefault(squeezed_provider(key), {})[item.name] = item
        return {key: next(iter(each.values())) for key, each in found.items() if len(each) == 1}

    def governing(
        self, provider: str, model: str, route: Route, at: date | None = None
    ) -> list[Document]:
        """Return the documents that govern a model by a route on a day, or on any."""
        known = self.provider(provider)
        name = known.name if known else provider
        return [
            document
            for document in self.documents
            if document.provider == name and document.governs(model, route, at)
        ]

    def document(self, name: str) -> Document | None:
        """Return the document of this id."""
        return next((item for item in self.documents if item.id == name), None)

    def changes(self, one: date, two: date) -> list[Change]:
        """Return what began or ended after one day and up to another, in the order of days.

        Each version that begins is there once, however many others of its document do; a text
        that ended with none recorded after it is there with nothing after.
        """
        found: list[Change] = []
        for document in self.documents:
            for place, version in enumerate(document.versions):
                before = document.versions[place - 1] if place else None
                day, end = document.starts(version), document.ends(version)
                if end and day and end <= day:
                    continue  # its models came to the document when this text had ended
                if day and one < day <= two:
                    found.append(Change(day, document, before, version))
                follows = place + 1 < len(document.versions)
                if end and one < end <= two and (not follows or end == document.models_until):
                    found.append(Change(end, document, version, None))
        return sorted(found, key=lambda change: (change.day, change.document.id))


@dataclass(frozen=True)
class Change:
    """A text that began on a day, or ended with none after it."""

    day: date
    document: Document
    before: Version | None
    after: Version | None

    def as_json(self) -> dict[str, str | None]:
        """Return the change for a program: versions by their first day."""
        begins = [
            None if version is None else str(version.begins or "unknown")
            for version in (self.before, self.after)
        ]
        return {
            "day": self.day.isoformat(),
            "document": self.document.id,
            "before": begins[0],
            "after": begins[1],
        }


def own_name(model: str) -> str:
    """Return a model's name without owner, route or case: the part that licences speak of."""
    bare = re.sub(r"\s*\(.*?\)", "", model)
    return bare.rsplit("/", 1)[-1].strip().lower()


def load_registry(more: Iterable[Path] = ()) -> Registry:
    """Read the shipped registry, and files of one's own.

    A document of one's own with the id of a shipped one is refused: bump its id instead, so that
    both stay readable.

    Args:
        more: TOML files, or folders of them.

    Raises:
        InputError: naming the file and the key.
    """
    own: list[Path] = []
    for path in more:
        own += sorted(path.glob("*.toml")) if path.is_dir() else [path]
    return _registry(tuple((file, read_toml(file, _File)[1]) for file in own)) if own else _alone()


@cache
def _alone() -> Registry:
    """Return the shipped registry, one for all: each run asks for its digest twice."""
    return _registry(())


def _registry(own: tuple[tuple[Path, _File], ...]) -> Registry:
    providers: dict[str, Provider] = {}
    documents: dict[str, Document] = {}
    for file, read in (*_shipped(), *own):
        provider = Provider(read.provider, read.country, read.aliases)
        for name in (read.provider, *read.aliases):
            providers.setdefault(name.lower(), provider)
        for document in read.document:
            if document.id in documents:
                msg = f"{file}: document {document.id!r} is there already; give this one another id"
                raise InputError(msg)
            known = providers[read.provider.lower()].name
            documents[document.id] = document.model_copy(update={"provider": known})
    return Registry(providers, tuple(documents.values()))


@cache
def _shipped() -> tuple[tuple[Traversable, _File], ...]:
    home = resources.files(__package__) / "terms"
    files = sorted(
        (item for item in home.iterdir() if item.name.endswith(".toml")), key=lambda i: i.name
    )
    return tuple((file, read_toml(file, _File)[1]) for file in files)
