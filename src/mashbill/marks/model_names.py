"""Whether a text names a model, or a data set that models wrote, as far as the catalogue knows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from mashbill.core.source import Source
from mashbill.policy.claims import load_catalogue

_SIZE = re.compile(r"(?<![a-z0-9])\d+(\.\d+)?[bm](?![a-z0-9])")
"""a size as names have it: 7b, 1.5b, 135m"""
_HUB = re.compile(r"[a-z0-9][\w.-]*/[a-z0-9][\w.-]*")
_APART = re.compile(r"[-_ ./:]+")
_LONGEST = 120
_LEAST = 5
"""letters of a bare name that counts by itself"""
_FAMILY = 2
"""models of the catalogue that make a word the name of a family"""


@dataclass(frozen=True)
class Known:
    """What the catalogue has of a name."""

    name: str
    """id in the catalogue, or the text itself"""
    is_model: bool
    kind: str = "unknown"
    provider: str = "unknown"
    country: str = "unknown"

    def source(self, route: str) -> Source:
        """Return the source that it is, reached by a route."""
        return Source.model_validate(
            {"name": self.name, "what": "model", "kind": self.kind, "route": route,
             "provider": self.provider, "country": self.country}
        )  # fmt: skip


def known_name(text: str) -> Known | None:
    """Return what a text names, if the whole of it is the name of a model or a public data set.

    Counted are ids and aliases of the catalogue, names without their owner where they have a digit,
    and what begins as several of its models do and goes on with a version (``gpt-4.1-nano``): a
    word alone that other things are called by, too, is none.
    """
    plain = text.strip().lower()
    if not 2 < len(plain) <= _LONGEST:
        return None
    for prefix in ("https://huggingface.co/", "hf:", "datasets/"):
        plain = plain.removeprefix(prefix)
    names, bare, families = _tables()
    found = names.get(plain) if "/" in plain else None
    if found is None and len(plain) >= _LEAST and any(c.isdigit() for c in plain):
        found = bare.get(plain.rsplit("/", 1)[-1]) or names.get(plain)
    if found is not None:
        return found
    words = [word for word in _APART.split(plain.rsplit("/", 1)[-1]) if word]
    head = re.match(r"[a-z]*", words[0])[0] if words else ""  # type: ignore[index]
    tail = [words[0][len(head) :], *words[1:]] if words else []
    has_version = any(c.isdigit() for word in tail for c in word)
    if head in families and has_version and len(words) <= 12:
        return Known(text.strip(), is_model=True)
    return None


def looks_like_a_model(text: str) -> bool:
    """Return whether a text may be a model's name: known, an id of the hub, or with a size."""
    plain = text.strip().lower()
    return (
        known_name(text) is not None
        or _HUB.fullmatch(plain) is not None
        or _SIZE.search(plain) is not None
    )


@cache
def _tables() -> tuple[dict[str, Known], dict[str, Known], frozenset[str]]:
    """Return entities by name, by name without owner, and words that families begin with."""
    catalogue = load_catalogue()
    made = {claim.child for claim in catalogue.claims}
    names: dict[str, Known] = {}
    bare: dict[str, Known] = {}
    heads: Counter[str] = Counter()
    for name, entity_id in catalogue.names.items():
        entity = catalogue.entities[entity_id]
        is_model = entity.what == "model"
        if not is_model and entity_id not in made:
            continue
        known = Known(entity.id, is_model, entity.kind, entity.provider, entity.country)
        names[name] = known
        own = name.rsplit("/", 1)[-1]
        if is_model and any(c.isdigit() for c in own):
            bare.setdefault(own, known)
            heads[re.match(r"[a-z]*", own)[0]] += 1  # type: ignore[index]
    families = {word for word, count in heads.items() if count >= _FAMILY and len(word) > 2}
    return names, bare, frozenset(families)
