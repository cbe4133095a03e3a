"""Cards from the Hugging Face hub, so that importers, which read no network, have them as files.

``HF_ENDPOINT`` names another hub, and ``HF_TOKEN`` whoever asks, as huggingface_hub has it.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError, MissingExtraError
from mashbill.core.extras import needs
from mashbill.core.store import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAME = re.compile(r"(?:hf:)?(datasets/)?([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)", re.ASCII)
_PUBLIC = "https://huggingface.co"


def fetch_cards(
    names: Iterable[str], into: Path, failed: dict[str, str] | None = None
) -> list[Path]:
    """Fetch the card (README.md) of each repository, as it is now.

    What was fetched before one that fails stays; a card that is there already is replaced.

    Args:
        names: ``hf:OWNER/NAME`` for a model, ``hf:datasets/OWNER/NAME`` for a dataset; ``hf:`` may
            be left off.
        into: folder for ``OWNER/NAME/README.md`` and ``datasets/OWNER/NAME/README.md``, as the
            importer of cards reads them.
        failed: gets what was wrong with those that could not be had, by name; if None, the first is
            raised, and a name that is none before anything is fetched.

    Returns:
        the files, in the order of the names.

    Raises:
        InputError: naming the repository and the hub's address, if a name is none, the hub cannot
            be reached, or it has no such repository or card for us.
        MissingExtraError: if huggingface_hub is not installed.
    """
    wanted = []
    paths = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None:
            msg = f"{name!r}: write hf:OWNER/NAME for a model or hf:datasets/OWNER/NAME for data"
            if failed is None:
                raise InputError(msg)
            failed[name] = msg
        else:
            wanted.append((name, match[1] or "", f"{match[2]}/{match[3]}"))
    for name, folder, repository in wanted:
        path = into / f"{folder}{repository}" / "README.md"
        try:
            text = _card(repository, "dataset" if folder else "model")
        except InputError as flaw:
            if failed is None:
                raise
            failed[name] = str(flaw)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
        paths.append(path)
    return paths


def _card(repository: str, kind: str) -> bytes:
    """Return the bytes of a card."""
    name = f"hf:{'datasets/' if kind == 'dataset' else ''}{repository}"
    with told(name, "README.md") as endpoint:
        with needs(name, "hub"):
            from huggingface_hub import hf_hub_download

        # A cache of its own for the time being: what is kept is the card, and only as it is now.
        with tempfile.TemporaryDirectory() as cache:
            path = hf_hub_download(
                repository, "README.md", repo_type=kind, cache_dir=cache, endpoint=endpoint
            )
            return Path(path).read_bytes()


@contextmanager
def told(name: str, inside: str) -> Iterator[str]:
    """Yield the hub's address, and tell what goes wrong there with name, address and remedy.

    Args:
        name: how errors name the repository.
        inside: the file or folder of it that is asked for.

    Raises:
        InputError: for whatever the hub, or the way to it, says no to.
        MissingExtraError: if huggingface_hub is not installed.
    """
    with needs(name, "hub"):
        from huggingface_hub import errors
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _PUBLIC
    try:
        yield endpoint
    except (InputError, MissingExtraError):
        raise
    except errors.RepositoryNotFoundError as error:
        msg = (
            f"{name}: {endpoint} has no such repository, or does not show it to us "
            f"({_status(error)}); check the name, or set HF_TOKEN if it is private or gated"
        )
        raise InputError(msg) from error
    except errors.LocalEntryNotFoundError as error:
        cause = error.__cause__ or error
        msg = (
            f"{name}: {endpoint} could not be reached or is no hub: {cause!s:.300}; check the "
            "connection, HF_ENDPOINT and HF_HUB_OFFLINE"
        )
        raise InputError(msg) from error
    except errors.EntryNotFoundError as error:
        msg = f"{name}: the repository at {endpoint} has no {inside} ({_status(error)})"
        raise InputError(msg) from error
    except errors.HfHubHTTPError as error:
        remedy = "try again later"
        if _status(error) in ("HTTP 401", "HTTP 403"):
            remedy = "set HF_TOKEN to a token that may do this"
        msg = f"{name}: {endpoint} answered {_status(error)}: {error!s:.300}; {remedy}"
        raise InputError(msg) from error
    except Exception as error:
        msg = (
            f"{name}: could not be fetched from {endpoint}: {error!s:.300}; check name and network"
        )
        raise InputError(msg) from error


def _status(error: Exception) -> str:
    response = getattr(error, "response", None)
    return f"HTTP {response.status_code}" if response is not None else "not found"
