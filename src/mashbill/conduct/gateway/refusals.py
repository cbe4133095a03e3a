"""What the gateway itself answers, in the form of the API that was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mashbill.conduct.gateway.paths import Family

_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_OPENAI = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


@dataclass(slots=True)
class RefusedError(Exception):
    """A request that is answered here, and not by the service."""

    status: int
    code: str
    """a word for programs, and for metrics"""
    message: str
    """for people: what is the matter, and what to do"""
    retry_after: float | None = None
    """seconds"""
    closes: bool = False
    """whether the connection cannot be used any more"""
    extra: dict[str, object] = field(default_factory=dict)
    """stands in the error beside the message"""


def told(refused: RefusedError, family: Family) -> bytes:
    """Return the error as JSON.

    OpenAI's is ``{"error": {message, type, param, code}}``, Anthropic's ``{"type": "error",
    "error": {type, message}}``, as their API references say.
    """
    if family == "anthropic":
        kind = _ANTHROPIC.get(refused.status, "api_error")
        error = {"type": kind, "message": refused.message, "code": refused.code, **refused.extra}
        return json.dumps({"type": "error", "error": error}).encode()
    kind = _OPENAI.get(refused.status, "server_error")
    error = {
        "message": refused.message,
        "type": kind,
        "param": None,
        "code": refused.code,
        **refused.extra,
    }
    return json.dumps({"error": error}).encode()
