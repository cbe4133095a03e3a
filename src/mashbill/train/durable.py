"""Files of a trainer's scratch that are whole or not there, whenever process or machine ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pathlib import Path


def keep(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and numbers under a name, in place of what was there; it outlasts a crash."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def kept(path: Path) -> dict[str, Any] | None:
    """Return what was kept under a name; None if nothing was, or if it cannot be read."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception:  # noqa: BLE001 - torn, by whatever: begin again
        return None
    return state


def _sync_folder(folder: Path) -> None:
    """See to it that the names in a folder outlast a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
