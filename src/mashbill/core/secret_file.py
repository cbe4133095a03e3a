"""A secret of this user's in a file, made on first use by whichever process comes first."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_once(path: Path, data: bytes) -> bool:
    """Write a file that its owner alone may read, if there is none; return whether it was made.

    It is there whole or not at all: another process may have made one meanwhile, which stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(data)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)  # noqa: PTH108 - a name, as it was given
    return True
