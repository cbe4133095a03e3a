"""The catalogue of public models: entities, and claims about what each was made from.

Everything is a claim by a source, never a fact of ours: it has a status, a date and a mark where it
was read second-hand, and sources that disagree stay side by side. On disk it is two CSV files,
``entities.csv`` and ``claims.csv``; files of one's own have the same columns.

Whoever adds one writes its source so that somebody else can open it
(:mod:`mashbill.policy.source_reference`): repository, commit, path and line; paper and section;
card and revision. What was read in a third party's text is ``second_hand``. A dataset has a licence
or says in ``license_looked`` where none was found, a model a day of release or ``released_looked``;
of what no claim tells, ``making_looked`` says where its making was looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mashbill.core.errors import InputError
from mashbill.core.source import SourceKind, via
from mashbill.policy.claim_rows import read_rows
from mashbill.policy.near_names import closest
from mashbill.policy.relations import RELATIONS, Role
from mashbill.policy.statuses import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path


class _Row(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_absent(cls, value: Any, info: Any) -> Any:
        if value == "":
            return cls.model_fields[info.field_name].get_default(call_default_factory=True)
        return value


ENTIRE = "entire record"
"""phase of claims that together tell all that went into a thing, as a bill of ours does: nothing
else was learned, and their tokens are those of the bill"""

Medium = Literal["text", "image", "audio", "video"]
"""what a model takes in"""
MEDIA: tuple[Medium, ...] = ("text", "image", "audio", "video")


class Entity(_Row):
    """A public model or dataset."""

    id: str
    """OWNER/NAME as on the hub; for a model that only an API serves, PROVIDER/NAME"""
    what: Literal["model", "dataset"]
    """a model or a dataset"""
    provider: str = "unknown"
    """who makes it, as the terms registry writes it"""
    country: str = "unknown"
    """where the provider sits, ISO 3166 alpha-2"""
    kind: SourceKind = "unknown"
    """who can have it, and how"""
    license: str | None = None
    """SPDX identifier or LicenseRef-..., as its maker states it"""
    license_looked: str = ""
    """of what has no licence: where one was looked for and not found"""
    released: str = ""
    """date of release, ISO 8601, as exactly as it is known: 2025, 2025-04 or 2025-04-28"""
    released_looked: str = ""
    """of what has no date of release, or none to the day: where it was looked for"""
    making_looked: str = ""
    """of what no claim says what it was made from: where that was looked for and not found"""
    parameters: str = ""
    """size as its maker writes it, such as 671B, 30B-A3B or 0.6B; :mod:`policy.sizes` reads it"""
    context: int | None = Field(default=None, gt=0)
    """tokens that it takes in at most, as its maker states it"""
    takes: tuple[Medium, ...] = ()
    """what it takes in; in CSV divided by ``;``; empty if that is not recorded"""
    measures_source: str = ""
    """where context and ``takes`` are stated, if not where its other facts are"""
    downloads: int | None = Field(default=None, ge=0)
    """downloads in the 30 days up to ``downloads_on``, as its host counted them"""
    downloads_on: str = ""
    """day on which they were read, ISO 8601"""
    downloads_source: str = ""
    """where they were read"""
    aliases: tuple[str, ...] = ()
    """other names; in CSV divided by ``;``"""
    is_step: bool = False
    """a step on the way that one record tells of, such as rows that were made alike, and no thing
    that anybody can have; one that no claim tells of is of unknown origin"""
    second_hand: bool = False
    """read in a third party's text only"""
    source: str = ""
    """where its facts are stated, as :mod:`mashbill.policy.source_reference` reads it"""

    @property
    def is_bare(self) -> bool:
        """Whether nothing is known beyond its name and whether it is a model or data."""
        return self == Entity.model_validate({"id": self.id, "what": self.what})

    @model_validator(mode="after")
    def _is_not_both(self) -> Entity:
        if self.license and self.license_looked:
            msg = "license_looked says where none was found, and license has one; leave one empty"
            raise ValueError(msg)
        return self

    @field_validator("aliases", "takes", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(";") if part.strip())

    @field_validator("released", "downloads_on")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        if value:
            date.fromisoformat((value + "-01-01")[:10] if len(value) < 10 else value)
        return value

    @model_validator(mode="after")
    def _says_who_counted(self) -> Entity:
        if self.downloads is not None and not (self.downloads_on and self.downloads_source):
            msg = "downloads needs downloads_on and downloads_source: the day, and where they stood"
            raise ValueError(msg)
        return self


class Claim(_Row):
    """One statement, by one source, about what one thing was made from."""

    child: str
    """entity that was made"""
    parent: str
    """entity that it was made from"""
    relation: str
    """one of :data:`mashbill.policy.relations.RELATIONS`"""
    route: Literal["weights", "api", "unknown"] = "unknown"
    """how the parent was reached, if the source says so"""
    dataset: str = ""
    """name of the data through which it came, if the source gives one"""
    share: float | None = Field(default=None, ge=0, le=1)
    """part of ``of``, by tokens; None if not stated"""
    tokens: float | None = Field(default=None, ge=0)
    """tokens that came this way"""
    rows: float | None = Field(default=None, ge=0)
    """records that came this way"""
    of: str = ""
    """the phase of training that ``share`` and ``tokens`` are a part of, such as midtraining"""
    of_tokens: float | None = Field(default=None, gt=0)
    """tokens of that phase in all"""
    status: Status = "stated"
    """who stands behind it"""
    second_hand: bool = False
    """read in a third party's text only: wants re-checking against the primary source"""
    dispute: str = ""
    """name shared by claims that cannot all be true"""
    date: str = ""
    """when it was made or read, ISO 8601, if that is known"""
    source: str
    """where it stands, as :mod:`mashbill.policy.source_reference` reads it"""
    note: str = ""
    """what else is to be known, in our own words"""

    @field_validator("relation")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in RELATIONS:
            msg = f"not one of {', '.join(sorted(RELATIONS))}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _is_about_two(self) -> Claim:
        if self.child == self.parent:
            msg = f"{self.child} cannot be made from itself"
            raise ValueError(msg)
        return self

    @property
    def via(self) -> str:
        """Channel and purpose, as the circuit labels its edges."""
        channel, purpose, _ = RELATIONS[self.relation]
        return via(channel, purpose)

    @property
    def role(self) -> Role:
        """What the parent served as."""
        return RELATIONS[self.relation][2]


ENTITY_COLUMNS = tuple(Entity.model_fields)
CLAIM_COLUMNS = tuple(Claim.model_fields)


class Whole(Protocol):
    """What a part of a catalogue asks the whole about."""

    def find(self, text: str) -> Entity:
        """Return an entity by its name."""

    def get(self, text: str) -> Entity | None:
        """Return an entity by its name; None if there is none."""

    def serves_as(self, entity: str) -> frozenset[str]:
        """Return the relations in which an entity is a parent of something."""


@dataclass(frozen=True)
class Catalogue:
    """Entities and claims, in the order in which they were read."""

    entities: dict[str, Entity]
    claims: tuple[Claim, ...]
    names: Mapping[str, str]
    """lower-case id or alias -> id; of the whole, where this is a part"""
    whole: Whole | None = field(default=None, repr=False, compare=False)
    """what this is a part of: some entities, and all that they rest on"""

    def find(self, text: str) -> Entity:
        """Return the entity of an id, alias or bare name; ``hf:`` in front is allowed.

        Raises:
            InputError: if there is none, or a bare name fits several; near ones are listed.
        """
        if self.whole is not None:
            return self.whole.find(text)
        found = self.get(text)
        if found is not None:
            return found
        name = plain_name(text)
        near = self._bare.get(name) or closest(
            name, lambda part: (i for key, i in self.names.items() if part in key)
        )
        raise not_found(text, near)

    def get(self, text: str) -> Entity | None:
        """Return the same, or None: for many texts, of which most are no names."""
        if self.whole is not None:
            return self.whole.get(text)
        name = plain_name(text)
        if name in self.names:
            return self.entities[self.names[name]]
        fits = self._bare.get(name, ())
        return self.entities[fits[0]] if len(fits) == 1 else None

    @cached_property
    def _bare(self) -> dict[str, list[str]]:
        """Name without its owner -> ids that it may stand for, in order."""
        found: dict[str, set[str]] = {}
        for key, known in self.names.items():
            found.setdefault(key.rsplit("/", 1)[-1], set()).add(known)
        return {name: sorted(ids) for name, ids in found.items()}

    def serves_as(self, entity: str) -> frozenset[str]:
        """Return the relations in which an entity is a parent of something."""
        if self.whole is not None:
            return self.whole.serves_as(entity)
        return frozenset(claim.relation for claim in self.claims if claim.parent == entity)

    def about(self, entity: str) -> list[Claim]:
        """Return the claims about what an entity was made from."""
        return [claim for claim in self.claims if claim.child == entity]

    def disputes(self) -> dict[str, list[Claim]]:
        """Return claims that contradict each other, by the name of their dispute."""
        found: dict[str, list[Claim]] = {}
        for claim in self.claims:
            if claim.dispute:
                found.setdefault(claim.dispute, []).append(claim)
        return found


def plain_name(text: str) -> str:
    """Return a name as names are looked up: ``hf:`` and the case of letters are no part of it."""
    return text.removeprefix("hf:").removeprefix("datasets/").lower()


def not_found(text: str, near: Sequence[str]) -> InputError:
    """Return what is said of a name that is none, or that fits several."""
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return InputError(f"the catalogue has no {text!r}{hint}")


def load_catalogue(more: Iterable[Path] = (), *, shipped: bool = True) -> Catalogue:
    """Read the shipped catalogue, and folders or claim files of one's own behind it.

    Of an entity that is described twice the first description that says more than a name stands;
    claims are all kept, equal ones once. What only claims name is known by its name alone.

    Args:
        more: folders with ``entities*.csv`` and ``claims*.csv``, or single files named so.
        shipped: whether to read what the package ships.

    Raises:
        InputError: naming file, line, column and value.
    """
    own = catalogue_files(more, shipped=False)
    return _read(own, shipped=shipped) if own or not shipped else _alone()


@cache
def _alone() -> Catalogue:
    """Return the shipped catalogue, one for all: it is asked for at each teacher of a recipe."""
    return _read((), shipped=True)


def _read(own: Iterable[tuple[Path | Traversable, str]], *, shipped: bool) -> Catalogue:
    entities: dict[str, Entity] = {}
    claims: dict[Claim, None] = {}
    if shipped:
        known, stated = _shipped()
        entities |= {entity.id: entity for entity in known}
        claims |= dict.fromkeys(stated)
    for file, begins in own:
        if begins == "entities":
            for entity in read_rows(file, Entity):
                if entity.id not in entities or entities[entity.id].is_bare:
                    entities[entity.id] = entity
        else:
            claims |= dict.fromkeys(read_rows(file, Claim))
    names: dict[str, str] = {}
    for entity in entities.values():
        for name in (entity.id, *entity.aliases):
            names.setdefault(name.lower(), entity.id)
    resolved = dict.fromkeys(_resolved(claim, names) for claim in claims)
    for claim in resolved:
        for name in (claim.child, claim.parent):
            if name not in entities:
                what = "dataset" if claim.relation == "composed-from" else "model"
                if name == claim.parent and claim.relation == "trained-on":
                    what = "dataset"
                entities[name] = Entity.model_validate({"id": name, "what": what})
                names.setdefault(name.lower(), name)
    return Catalogue(entities, tuple(resolved), names)


def catalogue_files(
    more: Iterable[Path] = (), *, shipped: bool = True
) -> list[tuple[Path | Traversable, Literal["entities", "claims"]]]:
    """Return the files of a catalogue in the order in which they are read, and what is in each.

    Raises:
        InputError: if a path is not there, or a name does not say what is in the file.
    """
    files: list[Path | Traversable] = []
    if shipped:
        home = resources.files(__package__) / "catalogue"
        files += [home / "entities.csv", home / "claims.csv"]
    for path in more:
        if not path.exists():
            msg = f"{path}: there is no such catalogue"
            raise InputError(msg)
        files += sorted(path.glob("*.csv")) if path.is_dir() else [path]
    found: list[tuple[Path | Traversable, Literal["entities", "claims"]]] = []
    for file in files:
        if file.name.startswith("entities"):
            found.append((file, "entities"))
        elif file.name.startswith("claims"):
            found.append((file, "claims"))
        else:
            msg = f"{file}: its name must begin with entities or claims, which says what is in it"
            raise InputError(msg)
    return found


@cache
def _shipped() -> tuple[tuple[Entity, ...], tuple[Claim, ...]]:
    entities: list[Entity] = []
    claims: list[Claim] = []
    for file, begins in catalogue_files():
        if begins == "entities":
            entities += read_rows(file, Entity)
        else:
            claims += read_rows(file, Claim)
    return tuple(entities), tuple(claims)


def _resolved(claim: Claim, names: dict[str, str]) -> Claim:
    """Return the claim with aliases replaced by the ids that they stand for."""
    child = names.get(claim.child.lower(), claim.child)
    parent = names.get(claim.parent.lower(), claim.parent)
    if (child, parent) == (claim.child, claim.parent):
        return claim
    return claim.model_copy(update={"child": child, "parent": parent})
