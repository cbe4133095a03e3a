"""LiteLLM's Generic Guardrail API: a LiteLLM proxy asks this engine before it passes a request on.

LiteLLM posts to ``/beta/litellm_basic_guardrail_api`` beneath its ``api_base`` and goes on unless
the answer's ``action`` is ``BLOCKED``; ``blocked_reason`` is shown to the client. Source:
``litellm/types/proxy/guardrails/guardrail_hooks/generic_guardrail_api.py`` and
``litellm/proxy/guardrails/guardrail_hooks/generic_guardrail_api`` of litellm 1.108.7 (MIT).

The answer rests on what is held of the account, and never on the texts of the one request; texts
are sketched and scored for the engine as the gateway's own are.

LiteLLM tells no network address and no reasoning blob here, and the User-Agent among the headers
that it lets through.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from mashbill.conduct.gateway.accounts import Account
from mashbill.conduct.gateway.deciding import refusal
from mashbill.conduct.gateway.headers import key_in
from mashbill.conduct.gateway.paths import Place
from mashbill.conduct.gateway.reading import json_of
from mashbill.conduct.gateway.refusals import RefusedError, told
from mashbill.conduct.gateway.seen import Seen, next_id
from mashbill.conduct.gateway.taking import body_of
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from mashbill.conduct.events import Hashes
    from mashbill.conduct.gateway.deciding import Decider
    from mashbill.conduct.gateway.limits import Limits
    from mashbill.conduct.gateway.metrics import Metrics
    from mashbill.conduct.gateway.observer import Observer
    from mashbill.conduct.gateway.settings import Settings

PATH = "/beta/litellm_basic_guardrail_api"
_ASKS = Place("chat", "openai", asks=True)
_FIELDS = {
    "key": "user_api_key_hash",
    "user": "user_api_key_user_id",
    "team": "user_api_key_team_id",
    "end_user": "user_api_key_end_user_id",
}


class Guardrail:
    """Answers a LiteLLM proxy."""

    def __init__(
        self,
        settings: Settings,
        decider: Decider,
        observer: Observer,
        hashes: Hashes,
        metrics: Metrics,
        limits: Limits,
    ) -> None:
        """Answer.

        Raises:
            InputError: if the token's variable is named and not set.
        """
        self._settings, self._decider, self._observer = settings, decider, observer
        self._hashes, self._metrics, self._limits = hashes, metrics, limits
        name = settings.guardrail.token_env
        self._token = os.environ.get(name, "") if name else ""
        if name and not self._token:
            msg = f"guardrail.token_env: the environment has no {name}; set it to a long secret"
            raise InputError(msg)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one question."""
        try:
            self._check(request)
            body = await body_of(request, self._settings, self._limits)
            try:
                found = self._told(json_of(body))
            finally:
                self._limits.let_go(len(body))
        except RefusedError as refused:
            self._metrics.count("refused_total", reason=refused.code)
            response = web.Response(
                status=refused.status,
                body=told(refused, "openai"),
                content_type="application/json",
            )
            if refused.closes:
                response.force_close()
            return response
        self._metrics.count("guardrail_total", action=str(found["action"]))
        return web.json_response(found)

    def _check(self, request: web.BaseRequest) -> None:
        _, key = key_in(request.headers)
        if self._token and not hmac.compare_digest(
            hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest(),
            hashlib.sha256(self._token.encode()).digest(),
        ):
            raise RefusedError(401, "invalid_api_key", "The guardrail's token is another.")
        if request.method != "POST":
            raise RefusedError(405, "bad_method", "The guardrail is asked by POST.")

    def _told(self, value: Any) -> dict[str, object]:
        """Return NONE or BLOCKED, and have the request observed."""
        data = value.get("request_data") if isinstance(value, dict) else None
        if not isinstance(data, dict):
            raise RefusedError(
                400, "bad_body", "The body is no request of LiteLLM's Generic Guardrail API."
            )
        name = data.get(_FIELDS[self._settings.guardrail.account_by])
        if not isinstance(name, str) or not name:
            self._metrics.count("unobserved_total", reason="guardrail_nameless")
            return {"action": "NONE"}
        account = Account(
            self._hashes.account(name),
            self._hash(data, "user_api_key_hash", "key"),
            self._hash(data, "user_api_key_org_id", "organisation"),
        )
        decision = self._decider.decide(account.account)
        blocks = decision.advice.tier in self._settings.guardrail.block
        if value.get("input_type") == "request":
            self._observe(value, account, decision.advice.tier, blocks=blocks)
        if not blocks:
            return {"action": "NONE"}
        refused = refusal(decision.advice, self._settings.contact)
        return {"action": "BLOCKED", "blocked_reason": refused.message}

    def _observe(self, value: dict[str, Any], account: Account, tier: str, *, blocks: bool) -> None:
        """Have an event made; status 200 stands for "passed on", since no answer is seen."""
        messages = value.get("structured_messages")
        if not isinstance(messages, list):
            texts = value.get("texts")
            messages = [
                {"role": "user", "content": each}
                for each in (texts if isinstance(texts, list) else ())
            ]
        name = value.get("litellm_call_id")
        headers = value.get("request_headers")
        agent = ""
        for key, text in headers.items() if isinstance(headers, dict) else ():
            if key.lower() == "user-agent" and isinstance(text, str):
                agent = text
        self._observer.put(
            Seen(
                id=name[:200] if isinstance(name, str) and name else next_id(),
                time=time.time(),
                place=_ASKS,
                method="POST",
                account=account,
                address="",
                agent=agent[:1000],
                body=json.dumps({"model": value.get("model"), "messages": messages}).encode(),
                status=403 if blocks else 200,
                tier=tier,
                action="refuse" if blocks else "",
            )
        )

    def _hash(self, data: dict[str, Any], field: str, domain: str) -> bytes | None:
        text = data.get(field)
        return self._hashes.of(domain, text, 16) if isinstance(text, str) and text else None
