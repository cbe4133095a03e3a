"""Which requests are passed on: the paths of the OpenAI and Anthropic APIs that are served.

A path is looked at as it stands in the request, and is passed on as it stands. What a service might
read as another path (dots, backslashes, empty parts, also where they are written in per cent) is
never of those that are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

Family = Literal["openai", "anthropic"]


@dataclass(frozen=True, slots=True)
class Place:
    """A path that is known."""

    endpoint: str
    """of :data:`mashbill.conduct.events.ENDPOINTS`"""
    family: Family
    asks: bool
    """whether a request there is an exchange with a model"""


_POSTS = {
    "/v1/chat/completions": Place("chat", "openai", asks=True),
    "/v1/completions": Place("completions", "openai", asks=True),
    "/v1/responses": Place("responses", "openai", asks=True),
    "/v1/embeddings": Place("embeddings", "openai", asks=True),
    "/v1/messages": Place("messages", "anthropic", asks=True),
    "/v1/messages/count_tokens": Place("messages", "anthropic", asks=False),
}
_MODELS = Place("other", "openai", asks=False)
_MODELS_ANTHROPIC = Place("other", "anthropic", asks=False)
_RESPONSE = Place("responses", "openai", asks=False)
OTHER = Place("other", "openai", asks=False)
"""any path beside them"""


def place_of(method: str, target: str, *, anthropic: bool = False) -> Place | None:
    """Return which of the known paths a request's target is, or None.

    Args:
        method: of the request.
        target: path and query, as they stand in the request.
        anthropic: whether its headers are those of Anthropic's API, which has /v1/models, too.
    """
    path = target.partition("?")[0]
    if method == "POST":
        return _POSTS.get(path) or (_RESPONSE if _is_response(path, ("cancel",)) else None)
    if method in {"GET", "HEAD"}:
        if path == "/v1/models" or _is_below(path, "/v1/models/"):
            return _MODELS_ANTHROPIC if anthropic else _MODELS
        return _RESPONSE if _is_response(path, ("input_items",)) else None
    if method == "DELETE":
        return _RESPONSE if _is_response(path, ()) else None
    return None


def _is_response(path: str, verbs: tuple[str, ...]) -> bool:
    """Return whether a path names a stored response, or one of these things of it."""
    begin = "/v1/responses/"
    if not _is_below(path, begin):
        return False
    name, _, verb = path.removeprefix(begin).partition("/")
    return "/" not in unquote(name) and (not verb or verb in verbs)


def _is_below(path: str, begin: str) -> bool:
    """Return whether a path is a name below another; names of models have slashes in them."""
    if not path.startswith(begin):
        return False
    name = path.removeprefix(begin)
    for _ in range(3):  # written in per cent once, twice or thrice
        parts = name.split("/")
        if "\\" in name or any(part in {"", ".", ".."} for part in parts) or not name.isprintable():
            return False
        name = unquote(name)
    return True


def is_plain(target: str) -> bool:
    """Return whether a target is a path that means what it says, where any path is passed on."""
    path = target.partition("?")[0]
    return path.startswith("/") and (path == "/" or _is_below(path.rstrip("/"), "/"))
