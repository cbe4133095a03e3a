"""Logs of LiteLLM's proxy: a ``StandardLoggingPayload`` a line.

Read as litellm 1.110.2 writes it (``StandardLoggingPayload``, ``StandardLoggingMetadata`` and
``StandardLoggingPayloadErrorInformation`` in ``litellm/types/utils.py``). Earlier releases lack
some of its keys. What is taken:

=================  ==============================================================================
``id``             ``id``
``time``           ``startTime``
``account``        by ``account_by``, see :data:`ACCOUNTS`
``key``            ``metadata.user_api_key_hash``
``organisation``   ``metadata.user_api_key_org_id``, or the team where that is not the account
``model``          ``model_group``, the name that was asked for; ``model`` where there is none
``endpoint``       ``call_type``
``status``         200, or ``error_information.error_code``, or the status of ``error_class``
``retry_after``    ``hidden_params.additional_headers``, ``…retry-after``
``tokens_in``      ``prompt_tokens``; ``tokens_out`` ``completion_tokens``
``address``        ``requester_ip_address``; ``agent`` ``user_agent`` (there or in ``metadata``)
``system``, text   ``messages``; a text that is ``redacted-by-litellm`` is none
``blobs_in``       ``messages``; ``blobs_out`` ``response``; null where messages are redacted
``reasoning``      ``model_parameters``
``declared``       ``metadata.requester_custom_headers``, ``x-mashbill-statement``
=================  ==============================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mashbill.conduct.logs import blobs, fields, turns
from mashbill.conduct.logs.lines import NoRowError
from mashbill.conduct.logs.native import written_messages
from mashbill.conduct.logs.rows import Notes, Seen

if TYPE_CHECKING:
    from collections.abc import Mapping

AccountBy = Literal["auto", "user", "team", "key", "end_user", "organisation"]
ACCOUNTS: Mapping[str, tuple[str, ...]] = {
    "auto": ("user_api_key_user_id", "user_api_key_team_id", "user_api_key_hash"),
    "user": ("user_api_key_user_id",),
    "team": ("user_api_key_team_id",),
    "key": ("user_api_key_hash",),
    "end_user": ("user_api_key_end_user_id",),
    "organisation": ("user_api_key_org_id",),
}
"""account_by -> keys of ``metadata``, the first of which that is there is the account

``auto``, the default, is the user that the key belongs to, since budgets, limits and blocks of the
proxy are a user's; a key of a team alone is the team's, and a key of neither stands for itself.
``end_user`` is for a proxy that one application asks for many people; it reads ``end_user``, too.
"""
STATEMENT = "x-mashbill-statement"
"""header with the digest of a signed statement of a run"""
_NOBODY = frozenset({"default_user_id", "None"})  # the proxy's own, where there are no users
_ENDPOINTS = {
    "completion": "chat",
    "text_completion": "completions",
    "responses": "responses",
    "anthropic_messages": "messages",
    "embedding": "embeddings",
}
_OK = 200
_FAILED = 0


def read(row: dict[str, Any], account_by: str, notes: Notes) -> Seen:
    """Return what a payload says.

    Args:
        row: the object of a line.
        account_by: one of :data:`ACCOUNTS`.
        notes: where it is counted what cannot be read.

    Raises:
        NoRowError: with the reason, if it is none.
    """
    metadata = _object(row, "metadata", notes)
    at = fields.moment(row.get("startTime"))
    account, taken = _account(row, metadata, account_by)
    optional = fields.optional
    team = optional(metadata, "user_api_key_team_id", notes)
    organisation = optional(metadata, "user_api_key_org_id", notes)
    messages = row.get("messages")
    if isinstance(messages, str):
        messages = written_messages(messages)
    given = [messages] if isinstance(messages, dict) else messages
    asked = {"messages": given}
    system, text = turns.asked(asked)
    is_told = not turns.is_redacted(given)  # else what the answer brought is left out, too
    parameters, answer = row.get("model_parameters"), row.get("response")
    return Seen(
        id=fields.name(row, "id"),
        time=at,
        account=account,
        key=optional(metadata, "user_api_key_hash", notes),
        organisation=organisation or (team if taken != "user_api_key_team_id" else None),
        model=optional(row, "model_group", notes) or optional(row, "model", notes),
        endpoint=_endpoint(row.get("call_type")),
        status=_status(row, notes),
        retry_after=_retry_after(row, at, notes),
        tokens_in=fields.count(row.get("prompt_tokens"), "prompt_tokens", notes),
        tokens_out=fields.count(row.get("completion_tokens"), "completion_tokens", notes),
        address=optional(row, "requester_ip_address", notes)
        or optional(metadata, "requester_ip_address", notes),
        agent=optional(row, "user_agent", notes) or optional(metadata, "user_agent", notes),
        system=system,
        text=text,
        blobs_in=blobs.presented(asked) if is_told and isinstance(given, list) else None,
        blobs_out=blobs.brought(answer) if is_told and isinstance(answer, dict) else None,
        reasoning=turns.asks_reasoning(parameters) if isinstance(parameters, dict) else None,
        declared=_declared(metadata, notes),
    )


def _object(row: dict[str, Any], key: str, notes: Notes) -> dict[str, Any]:
    found = row.get(key)
    if isinstance(found, dict):
        return found
    if found is not None:
        notes.left_out[key] += 1
    return {}


def _account(row: dict[str, Any], metadata: dict[str, Any], by: str) -> tuple[str, str]:
    """Return the account, and the key of the metadata that said it."""
    for key in ACCOUNTS[by]:
        value = metadata.get(key)
        if value and not (isinstance(value, str) and value in _NOBODY):
            return fields.name(metadata, key), key
    if by == "end_user" and row.get("end_user"):
        return fields.name(row, "end_user"), "end_user"
    named = ", ".join(ACCOUNTS[by])
    msg = f"metadata names no account ({named}); choose another account_by than {by}"
    raise NoRowError(msg)


def _endpoint(call_type: Any) -> str | None:
    if not isinstance(call_type, str) or not call_type:
        return None
    bare = (
        call_type.removeprefix("_").removeprefix("a") if call_type not in _ENDPOINTS else call_type
    )
    return _ENDPOINTS.get(bare, "other")


def _status(row: dict[str, Any], notes: Notes) -> int | None:
    status = row.get("status")
    if status == "success":
        return _OK
    about = row.get("error_information")
    if isinstance(about, dict):
        for key in ("error_code", "error_class"):
            if fields.is_error_name(about.get(key)):
                return fields.status(about[key], notes)
    if status == "failure":
        return _FAILED
    if status is not None:
        notes.left_out["status"] += 1
    return None


def _retry_after(row: dict[str, Any], at: int, notes: Notes) -> float | None:
    hidden = row.get("hidden_params")
    headers = hidden.get("additional_headers") if isinstance(hidden, dict) else None
    if not isinstance(headers, dict):
        return None
    for name, value in list(headers.items())[:200]:
        if name.casefold().replace("_", "-").endswith("retry-after"):
            return fields.wait(value, at, notes)
    return None


def _declared(metadata: dict[str, Any], notes: Notes) -> bytes | None:
    headers = metadata.get("requester_custom_headers")
    if not isinstance(headers, dict):
        return None
    value = next((headers[each] for each in headers if each.casefold() == STATEMENT), None)
    return None if value is None else fields.digest(value, "declared", notes)
