"""Which facts an expression asks for that are not recorded, told by name and by whose they are.

The engine says only that something failed, in words of its own. What failed is found here: every
name, member and list element that the expression mentions is looked up among the facts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.core.cells import is_missing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_TEXT = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_CHAIN = rf"[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*(?!\w|\s*\()|\s*\[\s*(?:{_TEXT}|\d+)\s*\])*"
_MACRO = re.compile(
    rf"({_CHAIN})\s*\.\s*(?:exists|exists_one|existsOne|all|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,"
)
_FOUND = re.compile(
    rf"//[^\n]*|{_TEXT}|has\s*\(\s*{_CHAIN}\s*\)|(?P<chain>{_CHAIN})(?P<call>\s*\()?"
)
_PART = re.compile(rf"[A-Za-z_]\w*|{_TEXT}|\d+")
_MOST = 5  # facts that are told; a stranger's rule may ask for thousands
_ITEMS = 1000  # elements of a list that are looked at for each chain
_DEEP = 8  # lists within lists that are gone into


def lacking_facts(
    text: str, names: Collection[str], facts: Mapping[str, Any], about: str
) -> tuple[str, ...]:
    """Return the facts that an expression asks for and that are not there, each told once.

    Args:
        text: the expression, in CEL.
        names: names of facts that it uses.
        facts: by name; None and NaN are not recorded.
        about: the source or artifact that it is put to, for people.

    Returns:
        for instance ``license of Otter (weights)``, ``use.commercial``,
        ``license of Qwen3-8B among sources``; empty if all that it names is there.
    """
    bound = {var: _parts(chain) for chain, var in _MACRO.findall(text) if var not in names}
    found: dict[str, None] = {}
    for match in _FOUND.finditer(text):
        chain = match["chain"]
        if chain is None or match["call"]:
            continue
        parts = _parts(chain)
        if parts[0] not in names and parts[0] not in bound:
            continue
        for told in _absent(parts, bound, facts, about):
            found.setdefault(told)
            if len(found) > _MOST:
                return (*list(found)[:_MOST], "and more")
    return tuple(found)


def members(text: str, name: str) -> frozenset[str]:
    """Return the members of a fact that an expression asks for: of ``use.license``, license."""
    chains = (_parts(match["chain"]) for match in _FOUND.finditer(text) if match["chain"])
    return frozenset(str(parts[1]) for parts in chains if parts[0] == name and len(parts) > 1)


def _parts(chain: str) -> list[str | int]:
    """Return the steps of ``a.b["c"][0]``."""
    return [
        int(part) if part.isdigit() else part[1:-1] if part[0] in "\"'" else part
        for part in _PART.findall(chain)
    ]


def _absent(
    parts: list[str | int],
    bound: Mapping[str, list[str | int]],
    facts: Mapping[str, Any],
    about: str,
) -> Iterator[str]:
    """Yield what is not there on the way of a chain, over each element of a list it goes over."""
    waiting: list[tuple[Any, list[str | int], str, str, int]] = []
    ways = _unfolded(parts, bound)
    waiting.append((facts, ways, "", about, 0))
    while waiting:
        value, left, path, whose, depth = waiting.pop()
        for number, part in enumerate(left):
            if part == "*":
                items = value if isinstance(value, list | tuple) else ()
                rest, list_name = left[number + 1 :], path
                if depth < _DEEP:
                    waiting += [
                        (item, rest, "", f"{_called(item)} among {list_name}", depth + 1)
                        for item in reversed(items[:_ITEMS])
                    ]
                break
            path = (
                f"{path}.{part}"
                if path and isinstance(part, str)
                else (f"{path}[{part}]" if path else str(part))
            )
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                value = None
            if is_missing(value):
                yield path if path.startswith("use.") else f"{path} of {whose}"
                break


def _unfolded(parts: list[str | int], bound: Mapping[str, list[str | int]]) -> list[str | int]:
    """Return a chain from the facts on, with ``*`` where it goes over a list."""
    for _ in range(_DEEP):
        head = parts[0]
        if not isinstance(head, str) or head not in bound:
            break
        parts = [*bound[head], "*", *parts[1:]]
    return parts


def _called(item: Any) -> str:
    """Return what an element of a list is called."""
    if isinstance(item, dict):
        for key in ("name", "code", "id"):
            if isinstance(item.get(key), str):
                return str(item[key])[:80]
    return "an element"
