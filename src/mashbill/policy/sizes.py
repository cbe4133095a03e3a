"""How large a model is, from the size as its maker writes it, or from its name."""

from __future__ import annotations

import re

_UNITS = {"M": 1e6, "B": 1e9, "T": 1e12}
_LEAST = 10e6
"""millions below this are no size of a model: ``1M`` in a name is its context"""
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d{1,6}(?:\.\d{1,4})?)([MBTmbt])(?![A-Za-z0-9])")
"""671B, 1.5B, 27b; not A22B, which is what works at a time, nor 8x7B, whose total is another"""
_ACTIVE = re.compile(r",?\s*\d{1,6}(?:\.\d{1,4})?[MBT] active")
_EXPERTS = re.compile(
    r"(?<![A-Za-z0-9.])(?:\d{1,4}[Ee]|\d{1,3}x\d{1,4}(?:\.\d{1,4})?[MBmb])(?![A-Za-z0-9])"
)


def total_parameters(stated: str) -> float | None:
    """Return all parameters of a model as its maker states them; None if that is not one number.

    Of a mixture of experts, all count: ``30B-A3B``, ``30B/3B`` and ``671B MoE, 37B active`` are 30
    and 671 billion. A family of sizes (``4B/12B/31B``, ``0.35B-30B``) has none.
    """
    stated = _ACTIVE.sub("", stated)
    found = [float(number) * _UNITS[unit.upper()] for number, unit in _SIZE.findall(stated)]
    if len(found) == 2 and stated.count("/") == 1 and found[0] >= 4 * found[1]:
        return found[0]  # all of them, and those that work at a time
    return found[0] if len(found) == 1 else None


def parameters_by_name(name: str) -> float | None:
    """Return the parameters that a model's own name says, ``OWNER/Name-8B-Instruct``, or None.

    A name with two sizes (a draft of one for another) says neither, and neither does one that
    counts its experts (``17B-16E``): the size there is that of one, or of what works at a time.
    Millions beside billions are no size (``7B-Instruct-1M`` takes in a million tokens).
    """
    own = re.sub(r"[-_ ()]", " ", name.rsplit("/", 1)[-1])
    every = {(float(n) * _UNITS[unit.upper()], unit.upper()) for n, unit in _SIZE.findall(own)}
    found = {size for size, unit in every if unit != "M"}
    found = found or {size for size, _ in every if size >= _LEAST}
    if len(found) != 1 or _EXPERTS.search(own):
        return None
    return found.pop()
