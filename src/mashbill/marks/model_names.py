"""Whether a text names a model, or a data set that models wrote, as far as the catalogue knows.

A name that strangers write is led back to the catalogue by :mod:`mashbill.policy.model_names`. A
word that makers call all their models by (Claude, Gemini) names one only where something says so:
a maker or a tier beside it, or a column of models.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache

from mashbill.core.errors import InputError
from mashbill.core.source import Source
from mashbill.policy.claims import Entity, load_catalogue, plain_name
from mashbill.policy.model_names import resolve

_SIZE = re.compile(r"(?<![a-z0-9])\d+(\.\d+)?[bm](?![a-z0-9])")
"""a size as names have it: 7b, 1.5b, 135m"""
_HUB = re.compile(r"[a-z0-9][\w.-]*/[a-z0-9][\w.-]*")
_APART = re.compile(r"[-_ ./:]+")
_LONGEST = 120
_LEAST = 5
"""letters of a bare name that counts by itself"""
_FAMILY = 2
"""models of the catalogue that make a word the name of a family"""
_WORDS = {
    "chatgpt": "openai/chatgpt", "gpt": "openai/gpt-4", "claude": "anthropic/claude (unspecified)",
    "gemini": "google/gemini-2.5-pro", "bard": "google/bard", "grok": "xai/Grok (unspecified)",
    "deepseek": "deepseek-ai/DeepSeek (unspecified)", "qwen": "Qwen/Qwen (unspecified)",
    "kimi": "moonshotai/Kimi (unspecified)", "llama": "meta-llama/Llama-3.1-8B-Instruct",
    "mistral": "mistralai/Mistral-7B-v0.1", "copilot": "",
}  # fmt: skip
"""word that a maker calls its models by -> a thing of the catalogue that has the same maker"""
_MORE = frozenset(["magistral", "ministral", "codestral", "pixtral", "qwq"])
"""words that others of their names begin with"""
_SHARED = frozenset(["claude", "gemini", "bard", "grok", "kimi", "llama", "mistral", "copilot"])
"""those of them that people, cars, beasts and winds are called by, too"""
_BESIDE = frozenset(
    ["openai", "google", "anthropic", "meta", "microsoft", "github", "xai", "alibaba", "moonshot",
     "bing", "ai", "pro", "flash", "ultra", "plus", "advanced", "opus", "sonnet", "haiku", "chat",
     "large", "medium", "small", "mini", "turbo", "instruct", "coder", "api", "model", "latest"]
)  # fmt: skip
"""makers and tiers: with one of them a word of several meanings is a model's"""


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
    what strangers write for one of them, and what begins as several of its models do and goes on
    with a version (``gpt-4.1-nano``): a word alone that other things are called by, too, is none.
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
    if found is None and _is_full(plain):
        found = _led(text.strip())
    if found is not None:
        return found
    words = [word for word in _APART.split(plain.rsplit("/", 1)[-1]) if word]
    head = re.match(r"[a-z]*", words[0])[0] if words else ""  # type: ignore[index]
    tail = [words[0][len(head) :], *words[1:]] if words else []
    has_version = any(c.isdigit() for word in tail for c in word)
    if head in families and has_version and len(words) <= 12:
        return Known(text.strip(), is_model=True)
    return None


def is_in_full(text: str) -> bool:
    """Return whether a text is a model's whole name, and not a sentence that begins like one."""
    name = text.strip()
    return known_name(text) is not None and (" " not in name or _led(name) is not None)


def family_name(text: str) -> tuple[Known, bool] | None:
    """Return what a maker's word for its models names, and whether other things are called so."""
    if len(text) > _LONGEST:
        return None
    words = [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
    if words[:2] == ["chat", "gpt"]:
        words[:2] = ["chatgpt"]
    met = [word for word in words if word in _WORDS]
    if len(met) != 1 or not set(words) - set(met) <= _BESIDE:
        return None
    entity = load_catalogue().entities.get(_WORDS[met[0]])
    is_shared = met[0] in _SHARED and len(words) == 1
    if entity is None:
        return Known(text.strip(), is_model=True), is_shared
    whole = entity.id.lower().rpartition("/")[2].removesuffix(" (unspecified)") == met[0]
    name = entity.id if whole else text.strip()
    kind = entity.kind if whole or entity.kind == "closed-api" else "unknown"
    return Known(name, is_model=True, kind=kind, provider=entity.provider,
                 country=entity.country), is_shared  # fmt: skip


def looks_like_a_model(text: str) -> bool:
    """Return whether a text may be a model's name: known, an id of the hub, or with a size."""
    plain = text.strip().lower()
    return (
        known_name(text) is not None
        or _HUB.fullmatch(plain) is not None
        or _SIZE.search(plain) is not None
        or (any(c.isdigit() for c in plain) and _led(text.strip()) is not None)  # o3
    )


def _is_full(plain: str) -> bool:
    """Return whether a name is more than a word: it has an owner, a digit or a second word."""
    last = plain.rsplit("/", 1)[-1]
    return "/" in plain or (len(last) >= _LEAST and bool(re.search(r"\d|[a-z][- ][a-z(\[]", last)))


@lru_cache(maxsize=20_000)
def _led(text: str) -> Known | None:
    """Return what the resolver of strangers' names leads a name to."""
    letters = re.findall(r"[a-z]{2,}", text.lower())
    if _heads().isdisjoint(letters) and not re.match(r"o\d", text.lower().rpartition("/")[2]):
        return None
    found = resolve(text, _quick())
    if not found.is_known:
        return None
    return Known(found.id or text, is_model=True, kind=found.kind, provider=found.provider,
                 country=found.country)  # fmt: skip


class _Quick:
    """The shipped catalogue, which looks for no near names: most texts of a column are none."""

    def __init__(self) -> None:
        self._catalogue = load_catalogue()
        bare: dict[str, set[str]] = {}
        for key, entity_id in self._catalogue.names.items():
            bare.setdefault(key.rsplit("/", 1)[-1], set()).add(entity_id)
        self._bare = {key: ids for key, ids in bare.items() if len(ids) == 1}

    def find(self, text: str) -> Entity:
        """Return the entity of an id, alias or bare name, or raise InputError."""
        name = plain_name(text)
        found = self._catalogue.names.get(name) or next(iter(self._bare.get(name, ())), None)
        if found is None:
            msg = "the catalogue has no such name"
            raise InputError(msg)
        return self._catalogue.entities[found]


@cache
def _heads() -> frozenset[str]:
    """Return the letters that names of models begin with: most texts have none of them."""
    catalogue = load_catalogue()
    names = [
        name.rpartition("/")[2] for name, entity_id in catalogue.names.items()
        if catalogue.entities[entity_id].what == "model"
    ]  # fmt: skip
    found = {match[0] for name in names if (match := re.match(r"[a-z]{2,}", name))}
    return frozenset(found | _WORDS.keys() | _MORE)


@cache
def _quick() -> _Quick:
    return _Quick()


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
