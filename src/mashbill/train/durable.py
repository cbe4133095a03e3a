"""Files of a trainer's scratch that are whole or not there, whenever process or machine ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mashbill.core.store import publish

if TYPE_CHECKING:
    from pathlib import Path


def keep(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and numbers under a name, in place of what was there; it outlasts a crash."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        torch.save(state, file)
    publish(temporary, path)


def kept(path: Path) -> dict[str, Any] | None:
    """Return what was kept under a name; None if nothing was, or if it cannot be read."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception:  # noqa: BLE001 - torn, by whatever: begin again
        return None
    return state
