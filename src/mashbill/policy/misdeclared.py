"""What a declaration says of a model against what the catalogue knows of one of that name.

A recipe may say of gpt-4o that it is open weights under MIT, or that rows which name it were
written by another model. Nobody can be kept from it, but nothing may rest on it: where the two
differ it is said, and no rule reads what was declared as known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mashbill.policy.model_names import Resolved, resolve

if TYPE_CHECKING:
    from mashbill.core.source import Source
    from mashbill.policy.documents import Registry

STAND_IN = " (stand-in)"
"""what the name of a test double ends in that is declared to be a model"""
_WORD = 4  # letters of a word that makes two makers' names one


def differs_from_known(registry: Registry, source: Source) -> str:
    """Return how a model differs from what the catalogue knows of its name; empty if it does not.

    What is not declared differs from nothing; nor does a test double, which is no model.
    """
    if source.what != "model" or source.kind == "test-double":
        return ""
    known = _known(source.name.removesuffix(STAND_IN))
    told = _different(registry, known, source.kind, source.provider)
    if not told:
        return ""
    return (
        f"declared as {' and '.join(one for one, _ in told)}, but the catalogue knows "
        f"{known.id or known.asked} as {' and '.join(other for _, other in told)}"
    )


def is_another(registry: Registry, name: str, source: Source) -> bool:
    """Return whether the model that a name stands for is another one than a source.

    Args:
        registry: in which makers are looked up.
        name: as rows have it.
        source: what a recipe says that the name stands for.
    """
    known = _known(name)
    if not known.is_known:
        return False
    if source.what != "model" or _different(registry, known, source.kind, source.provider):
        return True
    if known.kind == "unknown" and known.made_of:
        return False  # whoever made it may have called it anything
    given = _known(source.name)
    if given.is_known:
        is_same = _undated(given.id) == _undated(known.id)
        same = is_same if given.id or known.id else _same_name(name, source.name)
        return not (same or _same_name(source.name, known.id or name))
    return not any(_same_name(source.name, each) for each in (name, known.id) if each)


def _known(name: str) -> Resolved:
    """Return what is known of a name; a fine-tune or a repack of a closed model is closed, too."""
    found = resolve(name)
    if found.made_of and (base := resolve(found.made_of)).kind == "closed-api":
        return base
    return found


def _different(
    registry: Registry, known: Resolved, kind: str, provider: str
) -> list[tuple[str, str]]:
    """Return pairs of what was declared and what is known, where they differ."""
    found = []
    if "unknown" not in (kind, known.kind) and kind != known.kind:
        found.append((f"kind {kind}", f"kind {known.kind}"))
    if not _same_maker(registry, provider, known.provider):
        found.append((f"of {provider}", f"of {known.provider}"))
    return found


def _same_maker(registry: Registry, one: str, known: str) -> bool:
    """Return whether two names may be those of one maker.

    One that the registry does not have, for a maker that it has, would have no terms: so a name
    that is only like the maker's counts as another.
    """
    if "unknown" in (one.strip().lower(), known.lower()) or not one.strip():
        return True
    ours, theirs = registry.provider(one), registry.provider(known)
    if ours is not None and theirs is not None and ours.name == theirs.name:
        return True
    if theirs is not None and ours is None:
        return False
    return _squeezed(one) == _squeezed(known) or bool(_words(one) & _words(known))


def _same_name(one: str, other: str) -> bool:
    """Return whether two names are one in other letters, perhaps with its maker in front."""
    short, long = sorted((_squeezed(one), _squeezed(other)), key=len)
    return bool(short) and long.endswith(short)


def _undated(name: str) -> str:
    """Return an id without the day at its end: a release of a model is that model."""
    return re.sub(r"-?20\d{2}-?\d{2}-?\d{2}$", "", name)


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]", "", text.lower())


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[^\W_]+", text.lower()) if len(word) >= _WORD}
