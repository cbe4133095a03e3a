"""Rejects: files and rows that an import cannot read. Each is told, and nothing else is lost by it.

What is left out is read and says nothing that a claim could hold. A reject is not read, so that
what it would have said is not known: an import that has any ends with exit code 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WHERE = re.compile(
    r"(line \d+(?:, byte \d+)?|key '[^']*'|[\w-]+\[\d+\](?: [^:]*)?)(?:: |, |$)", re.ASCII
)
_DO = re.compile(r"; (?=(?:correct|save|give|name|write|put|leave|divide|move|check|set|try)\b)")


@dataclass(frozen=True)
class Rejected:
    """One file or row that could not be read."""

    file: str
    """the file, or the name on the hub"""
    where: str
    """line, key or place in it; empty for the whole of it"""
    found: str
    """what is wrong with it"""
    do: str
    """what to do about it"""
    flaw: str = ""
    """the error's own text, as what is left out has it"""

    def __str__(self) -> str:
        """Say it in one line."""
        where = f"{self.where}: " if self.where else ""
        return f"{self.file}: {where}{self.found}; {self.do}"

    def as_json(self) -> dict[str, str]:
        """Return it for a program."""
        return {"file": self.file, "where": self.where, "found": self.found, "do": self.do}


def rejected(file: object, flaw: str) -> Rejected:
    """Return the reject that an error of ours tells of.

    Args:
        file: the file, which the error names first.
        flaw: the error's text: ``FILE: WHERE: FOUND; DO``, of which all but FOUND may be missing.
    """
    name = str(file)
    rest = flaw.removeprefix(f"{name}: ").strip()
    found = _WHERE.match(rest)
    where = found[1] if found else ""
    rest = rest[found.end() :] if found else rest
    parts = _DO.split(rest, maxsplit=1)
    do = parts[1] if len(parts) > 1 else "correct it and import again, or leave it out"
    return Rejected(name, where, parts[0] or "cannot be read", do, flaw)
