"""Passing requests on: what goes out is what came in, and what comes back is what was answered.

Bodies are never parsed to be written again. A request's body is read whole before it is sent, so
that its bound holds and a refusal costs the service nothing; an answer is passed on as it comes, a
part at a time, and a copy is kept beside it up to a bound. Source: RFC 9110, sections 7.6 and 9.3,
and RFC 9112.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from mashbill.conduct.gateway.accounts import Networks
from mashbill.conduct.gateway.deciding import refusal
from mashbill.conduct.gateway.headers import KEYS, is_text, onward, statement_of, wait_of
from mashbill.conduct.gateway.passing import FAULTS, Passing
from mashbill.conduct.gateway.paths import OTHER, Family, Place, is_plain, place_of
from mashbill.conduct.gateway.refusals import RefusedError, told
from mashbill.conduct.gateway.seen import Seen, next_id
from mashbill.conduct.gateway.taking import body_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mashbill.conduct.gateway.accounts import Account, Directory
    from mashbill.conduct.gateway.deciding import Decider
    from mashbill.conduct.gateway.limits import Limits
    from mashbill.conduct.gateway.metrics import Metrics
    from mashbill.conduct.gateway.observer import Observer
    from mashbill.conduct.gateway.settings import Action, Settings

_PIECE = 1 << 16
_WHOLE = 1 << 20
"""bytes of a body that aiohttp is given as one; of a larger one it warns"""
_LEFT_TO_US = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Proxy:
    """Answers requests by asking the service."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        limits: Limits,
        decider: Decider,
        observer: Observer,
        metrics: Metrics,
        session: aiohttp.ClientSession,
        proxies: dict[str, str | None],
    ) -> None:
        """Pass requests on.

        Args:
            settings: addresses, bounds, times.
            directory: says whose a request is.
            limits: what is going on.
            decider: says what is done.
            observer: takes what was seen.
            metrics: takes counts.
            session: asks the service.
            proxies: by which each address is reached, if by any.
        """
        self._settings, self._directory, self._limits = settings, directory, limits
        self._decider, self._observer, self._metrics = decider, observer, metrics
        self._session, self._proxies = session, proxies
        self._networks = Networks(settings.who.trusted)
        self._narrow = settings.observe.encodings == "readable"
        self.passing = Passing(settings, metrics)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        began = time.perf_counter()
        headers = request.headers
        target = request.raw_path
        is_anthropic = "anthropic-version" in headers
        place = place_of(request.method, target, anthropic=is_anthropic)
        family: Family = "anthropic" if is_anthropic else "openai"
        if place is not None:
            family = place.family
        seen: Seen | None = None
        try:
            place = self._checked(request, target, place)
            peer = _peer(request)
            address = self._networks.client(peer, headers.get("X-Forwarded-For", ""))
            account = self._directory.who(headers, peer, address)
            declared, is_odd = statement_of(headers)
            if is_odd:
                self._metrics.count("unobserved_total", reason="statement_ill_formed")
            seen = Seen(
                id=next_id(),
                time=time.time(),
                place=place,
                method=request.method,
                account=account,
                address=address,
                agent=headers.get("User-Agent", "")[:1000],
                declared=declared,
            )
            response = await self._exchange(request, target, seen, began)
        except RefusedError as refused:
            response = self._refused(refused, family, seen)
        except asyncio.CancelledError:
            self._metrics.count("cancelled_total")
            if seen is not None:
                seen.whole = False
            raise
        finally:
            if seen is not None:
                seen.seconds = time.perf_counter() - began
                endpoint = seen.place.endpoint
                self._metrics.count("requests_total", endpoint=endpoint, status=str(seen.status))
                self._observer.put(seen)
        return response

    def _checked(self, request: web.BaseRequest, target: str, place: Place | None) -> Place:
        """Return the place of a request that may be passed on.

        Raises:
            RefusedError: if it may not.
        """
        if place is None:
            if self._settings.other_paths != "pass":
                path = target.partition("?")[0]
                raise RefusedError(
                    404,
                    "path_not_served",
                    f"This gateway does not pass on {request.method} {path[:200]}: it serves "
                    "/v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings, "
                    "/v1/models and /v1/messages. Whoever runs it can have it pass on all paths "
                    '(other_paths = "pass").',
                )
            if not is_plain(target) or request.method in {"CONNECT", "TRACE"}:
                raise RefusedError(400, "bad_path", "The path is none that can be passed on.")
            place = OTHER
        via = self._settings.via
        if via and any(f"1.1 {via}" == each.strip() for each in _all(request, "Via")):
            raise RefusedError(
                508,
                "loop",
                "The request has been here before: the gateway's upstream leads to itself. Correct "
                "upstream, or give each of several gateways a name of its own (via).",
            )
        if not all(map(is_text, request.headers.values())):
            raise RefusedError(400, "bad_header", "A header of the request is no text in UTF-8.")
        return place

    async def _exchange(
        self, request: web.BaseRequest, target: str, seen: Seen, began: float
    ) -> web.StreamResponse:
        """Take a request's body, do what is to be done with its account, and ask."""
        body = await body_of(request, self._settings, self._limits)
        try:
            seen.body_bytes = len(body)
            seen.body_encoding = request.headers.get("Content-Encoding", "")
            if len(body) <= self._settings.observe.request_bytes:
                seen.body = body
            with self._limits.running_for(seen.account.account, time.monotonic()):
                decision = self._decider.decide(seen.account.account)
                advice, action = decision.advice, decision.action
                seen.tier, seen.cases = advice.tier, advice.cases
                if action.refuse:
                    self._acted(seen, "refuse")
                    raise refusal(advice, self._settings.contact)
                self._metrics.time("own_seconds", time.perf_counter() - began)
                if action.slow:
                    self._acted(seen, "slow")
                    await asyncio.sleep(action.slow)
                return await self._asked(request, target, seen, body, action)
        finally:
            self._limits.let_go(len(body))

    def _acted(self, seen: Seen, action: str) -> None:
        seen.action = f"{seen.action},{action}" if seen.action else action
        self._metrics.count("actions_total", tier=seen.tier, action=action)

    async def _asked(
        self, request: web.BaseRequest, target: str, seen: Seen, body: bytes, action: Action
    ) -> web.StreamResponse:
        """Ask the service, and pass its answer on."""
        settings, response = self._settings, None
        sent = time.perf_counter()
        base = settings.upstream
        if seen.place.family == "anthropic" and settings.anthropic_upstream:
            base = settings.anthropic_upstream
        try:
            async with asyncio.timeout(settings.times.first_byte):
                response = await self._session.request(
                    request.method,
                    URL(base + target, encoded=True),
                    data=body if len(body) <= _WHOLE else _pieces(body),
                    headers=self._headers(request, seen.account, body, action),
                    skip_auto_headers=_LEFT_TO_US,
                    allow_redirects=False,
                    proxy=self._proxies.get(base),
                )
            seen.first_byte = time.perf_counter() - sent
            self._metrics.time("first_byte_seconds", seen.first_byte)
            seen.status = response.status
            if response.status in {429, 503, 529}:
                seen.retry_after = wait_of(response.headers, seen.time)
            seen.streams = response.content_type == "text/event-stream"
            seen.answer_encoding = response.headers.get("Content-Encoding", "")
            if action.strip_reasoning and seen.place.asks and response.status == 200:
                self._acted(seen, "strip_reasoning")
                return await self.passing.without_reasoning(request, response, seen)
            return await self.passing.whole(request, response, seen)
        except FAULTS as error:
            raise self.passing.failure(error, seen) from error
        finally:
            if response is not None:
                response.release() if response.content.at_eof() else response.close()

    def _headers(
        self, request: web.BaseRequest, account: Account, body: bytes, action: Action
    ) -> CIMultiDict[str]:
        found = CIMultiDict(
            onward(
                request.headers.items(),
                ",".join(_all(request, "Connection")),
                narrow=self._narrow,
            )
        )
        if account.upstream:
            for name in KEYS:
                found.popall(name, None)
            bearer = account.key_header in {"", "authorization"}
            found[account.key_header or "Authorization"] = (
                f"Bearer {account.upstream}" if bearer else account.upstream
            )
        if body:
            found["Content-Length"] = str(len(body))
        if action.strip_reasoning:
            found["Accept-Encoding"] = "identity"
        if self._settings.via:
            found.add("Via", f"1.1 {self._settings.via}")
        return found

    def _refused(
        self, refused: RefusedError, family: Family, seen: Seen | None
    ) -> web.StreamResponse:
        """Answer in the service's stead."""
        self._metrics.count("refused_total", reason=refused.code)
        if seen is not None:
            seen.status, seen.refused = refused.status, refused.code
            seen.retry_after = refused.retry_after
        else:
            self._metrics.count("requests_total", endpoint="none", status=str(refused.status))
        headers = {"Server": "mashbill"}
        if refused.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(refused.retry_after)))
        if refused.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        response = web.Response(
            status=refused.status,
            body=told(refused, family),
            content_type="application/json",
            headers=headers,
        )
        if refused.closes or self.passing.draining:
            response.force_close()
        return response


def _peer(request: web.BaseRequest) -> str:
    return request.remote or ""


def _all(request: web.BaseRequest, name: str) -> list[str]:
    return [part for each in request.headers.getall(name, ()) for part in each.split(",")]


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), _PIECE):
        yield body[at : at + _PIECE]
