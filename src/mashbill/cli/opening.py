"""A workspace as commands open it: what of it is not read is told on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.cli.options import DEFAULT_STORE, err
from mashbill.workspace.space import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.workspace.opened import Notice


def workspace(
    store: Path = DEFAULT_STORE,
    *,
    catalogue: Sequence[Path] | None = None,
    cache: Path | None = None,
) -> Workspace:
    """Return the workspace that options name.

    Args:
        store: what --store names.
        catalogue: what --catalogue names.
        cache: what --cache names.
    """
    return Workspace(store, catalogue=catalogue or (), cache=cache, on_notice=_tell)


def _tell(notice: Notice) -> None:
    err.say((notice.what, "yellow"), notice.why)
