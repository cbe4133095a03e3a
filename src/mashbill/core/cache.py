"""Where files are kept that can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache() -> Path:
    """Return where fetched and converted files are kept: ``$XDG_CACHE_HOME/mashbill``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mashbill"


def chosen_cache() -> Path:
    """Return ``$MASHBILL_CACHE``, or the default."""
    return Path(os.environ.get("MASHBILL_CACHE") or default_cache())
