"""A model's name as strangers write it, led back to the catalogue by rules that are said.

Rows, cards and logs name models as an API, a cloud, a router or a program does:
``claude-sonnet-4-20250514``, ``anthropic.claude-sonnet-4-20250514-v1:0`` (Bedrock),
``claude-sonnet-4@20250514`` (Vertex), ``accounts/fireworks/models/llama-v3p1-8b-instruct``,
``openai/gpt-4o:free``. Each rule takes off what says who serves a model, or of which day it is, and
is told. What is left is an id or an alias of the catalogue, or a name that only its maker gives; or
the name is not resolved. A part of a name is never enough: a fine-tune that has gpt-4 in its name
is not GPT-4, and a repack of weights is another thing than the weights.

People write a maker beside a name (``GPT-4o (OpenAI)``, ``OpenAI: GPT-4o``, ``Claude Sonnet 4 by
Anthropic``): it is taken off if what is left is a whole name of that maker, and told.

What an import found is in the source, and how in the measures of its manifest: no digest of an
older artifact moves when rules are added.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

from mashbill.core.errors import InputError
from mashbill.core.nothing import is_nothing
from mashbill.policy.claims import load_catalogue, plain_name
from mashbill.policy.model_spellings import (
    BEDROCK,
    DATES,
    FAMILIES,
    FLOATED,
    FLOATING,
    OWNERS,
    REPACK,
    ROUTED,
    SERVED,
    SPELT,
    TOGETHER,
    TUNED,
    spellings,
)

if TYPE_CHECKING:
    from mashbill.core.source import SourceKind
    from mashbill.policy.claims import Entity

_LONGEST = 300  # characters of a name; a longer one is a text
_LONGEST_MAKER = 40


_BESIDE = (
    re.compile(r"(?P<name>[^()\[\]]+?)\s*[(\[](?P<who>[^()\[\]]+)[)\]]"),
    re.compile(r"[(\[](?P<who>[^()\[\]]+)[)\]]\s*(?P<name>[^()\[\]]+)"),
    re.compile(r"(?P<who>[^:]+):\s+(?P<name>[^:]+)"),
    re.compile(r"(?P<name>.+?),?\s+(?:by|from|via)\s+(?P<who>.+)"),
    re.compile(r"(?P<who>\w+(?:\.ai| ai)?)\s+(?P<name>.+)"),
)
"""ways to write a maker beside a name; in the last nothing but the maker tells that it is one"""
_SERVERS = frozenset(
    ["azure", "azureopenai", "bedrock", "awsbedrock", "amazonbedrock", "vertexai", "openrouter",
     "together", "togetherai", "groq", "fireworks", "fireworksai", "deepinfra", "huggingface"]
)  # fmt: skip


class Names(Protocol):
    """What names are looked up in: a catalogue, or its index."""

    def find(self, text: str) -> Entity:
        """Return the entity of an id, alias or bare name, or raise InputError with near ones."""

    def get(self, text: str) -> Entity | None:
        """Return the same, or None where there is none."""


@dataclass(frozen=True)
class Resolved:
    """What a name was led back to, and how."""

    asked: str
    id: str = ""
    """id in the catalogue; empty if it has none"""
    how: tuple[str, ...] = ()
    """each rule that was used, in order; empty if the name was not resolved"""
    version: str = ""
    """date or release that the name says and the id does not"""
    made_of: str = ""
    """id of what it is a repack or a fine-tune of; then ``id`` is empty: it is another thing"""
    provider: str = "unknown"
    country: str = "unknown"
    kind: SourceKind = "unknown"
    among: Names | None = field(default=None, repr=False, compare=False)
    """where a name that was not resolved was looked for"""

    @cached_property
    def near(self) -> tuple[str, ...]:
        """Ids that may have been meant, for a name that was not resolved: looked for when asked."""
        return () if self.among is None else tuple(_near(self.asked, self.among))

    @property
    def is_known(self) -> bool:
        """Whether it was led to something: an entity, what it was made of, or its maker."""
        return bool(self.how)

    def __str__(self) -> str:
        """Say it in a line."""
        how = ", ".join(self.how)
        if self.made_of:
            return f"{self.asked} is made of {self.made_of} ({how}), and not the same thing"
        if self.id:
            return f"{self.asked} is {self.id} ({how})"
        if self.how:
            return f"{self.asked} is of {self.provider} ({how}); the catalogue has no such model"
        hint = f": did you mean {', '.join(self.near)}?" if self.near else ""
        return f"{self.asked} is not resolved{hint}"


def resolve(text: str, catalogue: Names | None = None) -> Resolved:
    """Return what a model's name stands for; of the shipped catalogue if None."""
    if catalogue is None:
        return _of_shipped(text)
    return _resolved(text, catalogue)


_BETWEEN = re.compile(r"\s*[,;+&|]\s*|\s+and\s+|\s*/\s*")
"""what stands between names in one cell"""
_LISTED = re.compile(r"\s*[,;+&|]\s*|\s+and\s+")
_MOST = 20  # names that a cell is taken apart into
_WORDS = 5  # of a name of one's own


def apart(text: str) -> list[str]:
    """Return the models that a text names one beside the other; itself if it is one name, or not.

    A text is taken apart only where the whole of it is no known name and each part is one; or, at
    what is no part of names, where one is and the others may be names, too (gpt-4o, in-house-7).
    """
    if len(text) > _LONGEST or resolve(text).is_known:
        return [text]
    parts = [part for part in _BETWEEN.split(text.strip()) if part]
    if not 1 < len(parts) <= _MOST:
        return [text]
    if not all(resolve(part).is_known for part in parts):
        parts = [part for part in _LISTED.split(text.strip()) if part]
        may_be = all(len(part) <= _LONGEST_MAKER and part.count(" ") < _WORDS for part in parts)
        if not may_be or len(parts) < 2 or not any(resolve(part).is_known for part in parts):
            return [text]
    return list(dict.fromkeys(parts))


def find_named(text: str, catalogue: Names) -> tuple[Entity, str]:
    """Return an entity by its name, or by a name that strangers give it; and how, if so.

    Raises:
        InputError: if it is not resolved; near ones are listed, or what it was made of.
    """
    try:
        return catalogue.find(text), ""
    except InputError as error:
        found = resolve(text.removeprefix("hf:"), catalogue)
        if found.id:
            return catalogue.find(found.id), str(found)
        if found.is_known:
            msg = f"the catalogue has no {text!r}: {found}"
            raise InputError(msg) from error
        raise


@lru_cache(maxsize=10_000)
def _of_shipped(text: str) -> Resolved:
    return _resolved(text, _shipped_names())


@cache
def _shipped_names() -> Names:
    return load_catalogue()


def _resolved(text: str, catalogue: Names) -> Resolved:
    name = " ".join(text.split())
    if is_nothing(name) or len(name) > _LONGEST:
        return Resolved(text)
    found = _exactly(name, catalogue)
    if found is None:
        name, how = _bare(name.lower())
        found = _by_rules(name, how, catalogue) or _beside_its_maker(name, catalogue)
    if found is None:
        found = _displayed(name, how, catalogue)
    if found is None:
        return Resolved(text, among=catalogue)
    return replace(found, asked=text)


_DISPLAYED = re.compile(
    r"(?:(?:azure )?(?P<maker>openai|anthropic|google|xai|meta|mistral|deepseek|alibaba)[ :]+)?"
    r"(?P<name>[a-z][\w. -]*?)(?: \((?P<last>openai|anthropic|google|xai|meta|mistral|deepseek)\))?"
)


def _displayed(name: str, how: tuple[str, ...], catalogue: Names) -> Resolved | None:
    """Return what a name stands for as people show it, its maker's name before or behind it."""
    match = _DISPLAYED.fullmatch(name)
    if match is None:
        return None
    found = _by_rules(re.sub(r"\s+", "-", match["name"]), how, catalogue)
    makers = {maker for maker in (match["maker"], match["last"]) if maker}
    if found is None or any(maker not in found.provider.lower() for maker in makers):
        return None
    return replace(found, how=(*found.how, "as it is shown to people"))


def _bare(name: str) -> tuple[str, tuple[str, ...]]:
    """Return a name in small letters without what says who serves it, and the rules used."""
    how: list[str] = []
    for pattern, why in SERVED:
        if match := pattern.match(name):
            owner = f"{match[1]}/" if match.groups() else ""
            name = owner + name[match.end() :]
            how.append(why)
            if "fireworks" in match[0]:
                # A dot is written p there, and Llama's releases have a v in front.
                name = re.sub(r"(?<=\d)p(?=\d)", ".", re.sub(r"(?<=llama-)v(?=\d)", "", name))
    if (rest := FLOATED.sub("", name)) != name:
        how.append(f"by {name[len(rest) :]}, which says no release")
        name = rest
    for pattern, instead, why in SPELT:
        if (rest := pattern.sub(instead, name)) != name:
            name = rest
            how.append(why)
    if match := ROUTED.search(name):
        name = name[: match.start()]
        how.append(f"by a router's mark {match[0]}")
    if match := BEDROCK.fullmatch(name):
        release = re.search(r"-v(\d):(\d)(?::\w+)?$", name)
        name = f"{match['owner']}/{match['name']}"
        if release and (release[1] == "0" or name.endswith("/claude")):  # v0:2 is release v0.2
            name += f"-{'v' * (release[1] == '0')}{release[1]}.{release[2]}"
        name = re.sub(r"(?<=llama)(?=\d)", "-", name)
        how.append("by Bedrock's way of writing it")
    return name.removesuffix("-maas"), tuple(how)


def _by_rules(name: str, how: tuple[str, ...], catalogue: Names) -> Resolved | None:
    """Return what is left of a name stands for, as it is, then without its date or its packing."""
    if found := _exactly(name, catalogue):
        return replace(found, how=(*how, *found.how))
    if match := TUNED.fullmatch(name):
        base = _by_rules(match["base"], (), catalogue)
        if base is not None and (base.id or base.how):
            return _made_of(base, (*how, "by OpenAI's way of naming a fine-tune"))
        return None
    for pattern in DATES:
        if match := pattern.search(name):
            rest = re.sub(r"-v\d$", "", name[: match.start()])
            found = _exactly(rest, catalogue) or _of_family(rest)
            if found is not None:
                return replace(
                    found, how=(*how, "by the date at its end", *found.how), version=match["day"]
                )
    if name.endswith("-latest") and (found := _exactly(name.removesuffix("-latest"), catalogue)):
        return replace(found, how=(*how, "by -latest, which says no release", *found.how))
    if match := TOGETHER.search(name):
        found = _exactly(name[: match.start()], catalogue)
        if found is not None and found.kind == "open-weights":
            return replace(found, how=(*how, f"by Together's mark {match[0]}", *found.how))
    if match := REPACK.search(name):
        # Whoever packed it is its owner; the name in front is that of what was packed.
        own = name[: match.start()]
        last = own.rpartition("/")[2]
        base = _exactly(own, catalogue) or _exactly(last, catalogue)
        return _made_of(base, (*how, f"by the packing {match['how']}")) if base else None
    family = _of_family(name)
    return replace(family, how=(*how, *family.how)) if family else None


def _beside_its_maker(name: str, catalogue: Names) -> Resolved | None:
    """Return what a name stands for that has its maker, or who serves it, beside it.

    What is left must be a whole name, and of that maker: GPT-4o (Acme) is not OpenAI's GPT-4o.
    """
    for pattern in _BESIDE:
        match = pattern.fullmatch(name)
        if match is None or len(match["who"]) > _LONGEST_MAKER:
            continue
        rest, how = _bare(match["name"].strip())
        found = _by_rules(re.sub(r"\s+", "-", rest), how, catalogue)
        who = _squeezed(match["who"])
        if found is None or found.made_of:
            continue
        if who in _makers(found):
            return replace(found, how=("by its maker beside it", *found.how))
        if who in _SERVERS and pattern is not _BESIDE[-1]:
            return replace(found, how=("by who serves it, beside it", *found.how))
    return None


def _makers(found: Resolved) -> set[str]:
    """Return how the maker of what a name was led to is written, squeezed."""
    owner = found.id.partition("/")[0].lower()
    owners = {owner, *(short for short, long in OWNERS.items() if long == owner)} - {""}
    parts = [*re.split(r"[()/]", found.provider), *owners]
    whole = {_squeezed(part) for part in parts}
    whole |= {_squeezed(part.removesuffix(" AI")) for part in parts}
    whole |= {f"{each}ai" for each in whole if each and not each.endswith("ai")}
    return whole - {"", "unknown", "unknownai"}


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _made_of(base: Resolved, how: tuple[str, ...]) -> Resolved:
    """Return a thing that was made of another one, of which nothing else is known."""
    return Resolved(base.asked, how=(*how, *base.how), made_of=base.id or base.asked)


def _exactly(name: str, catalogue: Names) -> Resolved | None:
    """Return the model whose id, alias or bare name this is, whatever its case and its dashes."""
    owner, slash, last = name.lower().rpartition("/")
    owner = OWNERS.get(owner, owner)
    if last in FLOATING and owner in ("", "deepseek-ai"):
        found = _entity(FLOATING[last], catalogue)
        return replace(found, how=("a name for whichever model is current",)) if found else None
    for form in dict.fromkeys((name, f"{owner}{slash}{last}", *spellings(f"{owner}{slash}{last}"))):
        if found := _entity(form, catalogue):
            same = form in (name, name.lower())
            return found if same else replace(found, how=("in another spelling", *found.how))
    return None


def _entity(name: str, catalogue: Names) -> Resolved | None:
    entity = catalogue.get(name)
    if entity is None or entity.what != "model":
        return None
    plain = plain_name(name)
    own = entity.id.lower()
    how = (
        "by its id"
        if plain == own
        else "by alias"
        if plain in {alias.lower() for alias in entity.aliases}
        else "by its name without its owner"
        if plain == own.rpartition("/")[2]
        else "by alias"
    )
    return Resolved(
        name, entity.id, (how,), provider=entity.provider, country=entity.country, kind=entity.kind
    )


def _of_family(name: str) -> Resolved | None:
    """Return the maker of a name that nobody else gives; an owner in front must be that maker."""
    owner, slash, last = name.rpartition("/")
    owner = OWNERS.get(owner, owner)
    for family in FAMILIES:
        if family.names.fullmatch(last) and (not slash or owner == family.owner):
            return Resolved(name, how=("by its maker's way of naming",), provider=family.provider,
                            country=family.country, kind=family.kind)  # fmt: skip
    return None


def _near(text: str, catalogue: Names) -> list[str]:
    try:
        catalogue.find(text)
    except InputError as error:
        told = str(error).partition("did you mean ")[2].rstrip("?")
        return [part.strip() for part in told.split(",") if part.strip()][:6]
    return []
