"""Looking at what a first stage reads, for what speaks against the origin that is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Looks(Protocol):
    """Is shown all that a first stage reads, before anything of it is left out."""

    def see(self, columns: Mapping[str, Any], rows: int) -> None:
        """Look at some rows, as they are in the files: cells by column."""
        ...

    def see_files(self, paths: Sequence[Path], top: Path) -> None:
        """Look at what lies beside files: in their folders, and between those and ``top``."""
        ...

    def see_members(self, archive: Path, insides: Sequence[str]) -> None:
        """Look at what lies in an archive beside members of it."""
        ...

    def see_names(self, names: Sequence[str], address: str) -> None:
        """Look at the names of files at an address on another machine."""
        ...


class Unlooked:
    """Looks at nothing."""

    def see(self, columns: Mapping[str, Any], rows: int) -> None:
        """Look away."""

    def see_files(self, paths: Sequence[Path], top: Path) -> None:
        """Look away."""

    def see_members(self, archive: Path, insides: Sequence[str]) -> None:
        """Look away."""

    def see_names(self, names: Sequence[str], address: str) -> None:
        """Look away."""
