"""What a gateway is told: a TOML file, or values of the same names.

Everything has a default but the address of the service. The defaults observe and change nothing::

    upstream = "https://api.example.com"

    [listen]
    port = 8080

    [actions.act]
    refuse = true

An action is for what is held of an account (:class:`mashbill.conduct.scan.engine.Advice`), by its
tier, and never for one prompt.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mashbill.core.errors import InputError
from mashbill.core.plain_toml import read_toml
from mashbill.core.toml_file import read_table

_MIB = 1 << 20
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Bytes = Annotated[int, Field(ge=1024, le=4 << 30)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Open = Literal["open", "closed"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Listen(_Part):
    """Where it listens."""

    host: str = "127.0.0.1"
    port: Port = 8080
    backlog: Annotated[int, Field(ge=1, le=65_535)] = 1024
    certificate: Path | None = None
    """of TLS, PEM; the least version is 1.2"""
    key: Path | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            msg = "certificate and key are given together, or neither"
            raise ValueError(msg)
        return self


class Admin(_Part):
    """Where metrics and health are served, for whoever runs the gateway and nobody else."""

    host: str = "127.0.0.1"
    port: Port | None = 9464
    """None: nowhere; /healthz and /readyz are also where the gateway listens"""


class Who(_Part):
    """How it is known who asks."""

    keys: Path | None = None
    """a file of keys (:mod:`mashbill.conduct.gateway.accounts`); the service's own key then comes
    from the environment"""
    header: str = ""
    """a header in which a trusted front names the account"""
    organisation_header: str = ""
    trusted: tuple[str, ...] = ()
    """networks of fronts that are believed: the header above, and X-Forwarded-For"""
    nameless: Literal["address", "refuse"] = "address"
    """whose a request without a key is, where keys are passed through"""

    @field_validator("trusted")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ipaddress.ip_network(each)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.keys and self.header:
            msg = "keys and header are two ways to know who asks; give one"
            raise ValueError(msg)
        if self.header and not self.trusted:
            msg = "a header is believed only from somebody: give trusted, the networks of the front"
            raise ValueError(msg)
        return self


class Limits(_Part):
    """What is taken at most."""

    request_bytes: Bytes = 32 * _MIB
    """of a request's body"""
    held_bytes: Bytes = 512 * _MIB
    """of the bodies of all requests at a time"""
    field_bytes: Annotated[int, Field(ge=256, le=65_536)] = 16_384
    """of a request's line, and of a header"""
    fields: Annotated[int, Field(ge=8, le=1024)] = 128
    """headers of a request"""
    answer_field_bytes: Annotated[int, Field(ge=256, le=262_144)] = 32_768
    """of a header of the service"""
    connections: Count = 2000
    requests: Count = 1000
    """that are answered at a time"""
    account_requests: Count | None = None
    """of one account, at a time"""
    account_per_minute: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """requests of one account a minute"""
    account_burst: Count = 10
    """requests that an account may make at once before its rate counts"""


class Times(_Part):
    """Seconds that something may take."""

    connect: Seconds = 10
    first_byte: Seconds = 600
    """until the service begins to answer"""
    idle: Seconds = 300
    """between two parts of an answer"""
    body: Seconds = 60
    """until a request's body is here"""
    write: Seconds = 120
    """until a client takes what waits for it"""
    keep_alive: Seconds = 60
    """that a connection may stand idle, or take for the headers of a request"""
    hand_over: Seconds = 0.25
    """that an ending gateway still accepts, for handshakes that had begun before"""
    drain: Seconds = 30
    """until an ending gateway cuts what it still answers"""


class Observe(_Part):
    """What is kept of an exchange beside passing it on, in memory until an event is made of it."""

    request_bytes: Bytes = 4 * _MIB
    """of a body that is read for its sketch; of a longer one the event has none"""
    answer_bytes: Bytes = 4 * _MIB
    """of an answer that is read for tokens and blobs; the same"""
    queue: Count = 10_000
    """exchanges that wait to become events"""
    queue_bytes: Bytes = 256 * _MIB
    on_overload: Open = "open"
    """what comes while the queue is full: passed unobserved and counted, or refused with 503"""
    on_engine_failure: Open = "open"
    """what comes while the engine fails: passed on, or refused with 503"""
    encodings: Literal["readable", "any"] = "readable"
    """whether Accept-Encoding is narrowed to what can be observed (gzip, deflate)"""


class Sink(_Part):
    """Where events are appended."""

    folder: Path | None = None
    rotate_bytes: Bytes = 256 * _MIB
    sync_seconds: Seconds = 1
    """between two fsyncs: what a crash of the machine loses at most"""
    keep: Annotated[int, Field(ge=0, le=100_000)] = 0
    """files that are kept, beside the one that is written; 0: all"""


class Action(_Part):
    """What is done where something is held of an account."""

    refuse: bool = False
    slow: Annotated[float, Field(ge=0, le=60)] = 0
    """seconds that a request waits"""
    strip_reasoning: bool = False
    """whether parts of an answer that are reasoning are left out; its words are never changed"""

    @property
    def is_none(self) -> bool:
        """Whether nothing is done."""
        return not (self.refuse or self.slow or self.strip_reasoning)


class Actions(_Part):
    """Actions by tier; what is merely noted, or not held at all, has none."""

    review: Action = Action()
    act: Action = Action()


class Guardrail(_Part):
    """LiteLLM's Generic Guardrail API, for a LiteLLM proxy that asks this engine."""

    enabled: bool = False
    token_env: str = ""
    """environment variable with the bearer token that callers must have"""
    block: tuple[Literal["review", "act"], ...] = ("act",)
    """tiers for which the answer is BLOCKED"""
    account_by: Literal["key", "user", "team", "end_user"] = "key"
    """which field of the request names the account"""


class Settings(_Part):
    """All of it."""

    upstream: str
    """address of the service; a path that ends in /v1 is taken as without it"""
    anthropic_upstream: str = ""
    """of the service for paths of Anthropic's API, if it is another"""
    contact: str = ""
    """where a refused account can ask why, and object"""
    via: str = "mashbill"
    """name in the Via header of requests (RFC 9110, section 7.6.3); empty: none is sent"""
    other_paths: Literal["refuse", "pass"] = "refuse"
    log: Path | None = None
    """JSON lines, one a request, without prompts and keys"""
    listen: Listen = Listen()
    admin: Admin = Admin()
    who: Who = Who()
    limits: Limits = Limits()
    times: Times = Times()
    observe: Observe = Observe()
    sink: Sink = Sink()
    actions: Actions = Actions()
    guardrail: Guardrail = Guardrail()

    @field_validator("upstream", "anthropic_upstream")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            msg = f"{value[:200]!r} is no http or https address of a service"
            raise ValueError(msg)
        if parts.username or parts.password:
            msg = "the address has a user or a password in it; keys belong into headers"
            raise ValueError(msg)
        return value.rstrip("/").removesuffix("/v1")

    @field_validator("via")
    @classmethod
    def _token(cls, value: str) -> str:
        if value and not (value.isascii() and value.replace("-", "").isalnum()):
            msg = "a name in Via has letters, digits and hyphens"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _can_object(self) -> Self:
        if not self.upstream:
            msg = "upstream is empty; give the address of the service"
            raise ValueError(msg)
        refuses = self.actions.review.refuse or self.actions.act.refuse
        if (refuses or self.guardrail.enabled) and not self.contact.strip():
            msg = (
                "who is refused must be told where to ask why: give contact, "
                "an address for mail or a page"
            )
            raise ValueError(msg)
        return self


def told_settings(upstream: str, host: str | None, port: int | None, path: Path | None) -> Settings:
    """Return the settings of a file, of which what is told beside it counts first.

    Args:
        upstream: address of the service; the file's own if empty.
        host: where to listen; the file's own, or the default, if None.
        port: the same.
        path: a TOML file, or None.

    Raises:
        InputError: naming each key that is wrong, or that no service is named.
    """
    if path is None and not upstream:
        msg = "say which service requests are passed on to: --upstream https://..., or --settings"
        raise InputError(msg)
    table = read_toml(path)[1] if path else {}
    listen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    if listen:
        own = table.get("listen", {})
        table["listen"] = {**own, **listen} if isinstance(own, dict) else own
    if upstream:
        table["upstream"] = upstream
    found = read_table(table, Settings, path or "options")
    return found if path is None else _beside(found, path.parent)


def read_settings(path: Path) -> Settings:
    """Return the settings of a TOML file; paths in it are relative to its folder.

    Raises:
        InputError: naming the file, and each key that is wrong.
    """
    return told_settings("", None, None, path)


def _beside(found: Settings, here: Path) -> Settings:
    def beside(value: Path | None) -> Path | None:
        return None if value is None else here / value

    return found.model_copy(
        update={
            "log": beside(found.log),
            "listen": found.listen.model_copy(
                update={
                    "certificate": beside(found.listen.certificate),
                    "key": beside(found.listen.key),
                }
            ),
            "who": found.who.model_copy(update={"keys": beside(found.who.keys)}),
            "sink": found.sink.model_copy(update={"folder": beside(found.sink.folder)}),
        }
    )
