"""Teachers behind a provider's API, on a server of one's own, or on a hub.

The last can only be planned with: its weights are not loaded here by name.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.errors import TeacherError
from mashbill.core.source import Source
from mashbill.core.teacher import TeacherSpec
from mashbill.policy.claims import load_catalogue
from mashbill.policy.documents import load_registry
from mashbill.teachers.services import SERVICES, Service, WireName

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.policy.claims import Entity

_FIRST_PATIENCE = 60.0
_TOP_LOGPROBS = 20  # where a service is said to give log-probabilities, and not of how many tokens
_SETTINGS = ("temperature", "top_p", "top_k", "seed", "stop")


class RemoteTeacherSpec(TeacherSpec):
    """What teachers behind HTTP have in common: settings that are identity, and where and how."""

    can_write: ClassVar[bool] = True
    is_remote: ClassVar[bool] = True
    context: ClassVar[frozenset[str]] = frozenset(
        {
            "base_url", "concurrency", "timeout", "stream", "batch", "poll", "patience",
            "usd_per_million_read", "usd_per_million_written",
        }
    )  # fmt: skip

    added: ClassVar[frozenset[str]] = frozenset({"system", "top_logprobs"})

    model: str
    """model as the service names it"""
    wire: WireName | None = None
    """format of requests; the service's usual one if absent"""
    max_tokens: int = Field(default=1024, gt=0)
    """tokens of an answer, reasoning included, at most"""
    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """the service's default if absent, as with the next four"""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """share of the probability from which tokens are sampled; sent where it is set"""
    top_k: int | None = Field(default=None, gt=0)
    """likeliest tokens from which is sampled; sent where it is set"""
    seed: int | None = None
    """sent where it is set; the n-th sample of a prompt adds n"""
    stop: tuple[str, ...] = ()
    """texts at which an answer ends; sent where there are any"""
    reasoning: str | int | None = None
    """documented reasoning control: an effort, or a budget in tokens; nothing is sent if absent"""
    structured: Literal["native", "prompt"] = "native"
    """how a JSON Schema is asked for: by the service's own way, or in words"""
    logprobs: bool | None = None
    """whether choices are weighed by log-probabilities; if absent, where the service gives them"""
    top_logprobs: int | None = Field(default=None, ge=1, le=20)
    """of how many likeliest tokens they are asked for, where a service gives fewer than it says"""
    system: Literal["turn", "user"] = "turn"
    """where system text goes: into a turn of its own, or before the first user's text, for models
    whose chat template takes no system turn"""
    extra: dict[str, Any] = Field(default_factory=dict)
    """keys of the service's own, sent as they are"""
    base_url: str = ""
    """address, where it is not the service's own; where a teacher runs is no part of identity"""
    concurrency: int = Field(default=64, gt=0)
    """requests in flight at most; how many there are adapts"""
    timeout: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    """seconds for one request"""
    patience: float = Field(default=900.0, gt=0, allow_inf_nan=False)
    """seconds without any answer before a run stops"""
    batch: bool = False
    """ask through the batch endpoint: answered within a day, at a discount"""
    poll: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    """seconds between looks at a batch, at first"""
    stream: bool = False
    """ask for server-sent events: for proxies that cut what is silent for long"""

    usd_per_million_read: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    """US dollars for a million tokens read, where no table has the price, or yours is another"""
    usd_per_million_written: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    """the same for tokens written; the two belong together"""

    @property
    def service(self) -> Service:
        """How it is reached."""
        raise NotImplementedError

    @property
    def service_name(self) -> str:
        """Under which name accounts are looked up."""
        raise NotImplementedError

    @property
    def first_patience(self) -> float:
        """Seconds without a connection after which a run stops that was never answered.

        A server that nobody reached is more likely at another address than about to start; who
        sets ``patience`` says how long it may take.
        """
        if "patience" in self.model_fields_set:
            return self.patience
        return min(_FIRST_PATIENCE, self.patience)

    @property
    def settings(self) -> dict[str, Any]:
        """What is sent beside the question."""
        given = {name: getattr(self, name) for name in _SETTINGS}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value not in (None, ())
        }

    @property
    def extras(self) -> tuple[str, ...]:
        """What asks a service."""
        return ("api",)

    @property
    def weighed(self) -> int:
        """Of how many likeliest tokens log-probabilities are asked for; 0 for none."""
        if self.logprobs is False:
            return 0
        if self.top_logprobs is not None:
            return self.top_logprobs
        return self.service.logprobs or (_TOP_LOGPROBS if self.logprobs else 0)

    def _asked(self) -> dict[str, Any]:
        """Return what of the identity is how it is asked, as far as it was set."""
        optional = ("wire", "reasoning", "logprobs", "structured")
        set_ = {name: getattr(self, name) for name in optional if name in self.model_fields_set}
        return {
            "max_tokens": self.max_tokens,
            **self.settings,
            **set_,
            **({"system": self.system} if self.system != "turn" else {}),
            **({"top_logprobs": self.top_logprobs} if self.top_logprobs is not None else {}),
            **({"extra": self.extra} if self.extra else {}),
        }

    @model_validator(mode="after")
    def _prices_are_two(self) -> RemoteTeacherSpec:
        if (self.usd_per_million_read is None) != (self.usd_per_million_written is None):
            msg = "usd_per_million_read and usd_per_million_written belong together; set both"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _weighing_is_one(self) -> RemoteTeacherSpec:
        if self.logprobs is False and self.top_logprobs is not None:
            msg = "top_logprobs says how many log-probabilities, and logprobs = false none; set one"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _stream_fits(self) -> RemoteTeacherSpec:
        for key in ("stream", "model", "messages", "input", "contents", "prompt", "tools"):
            if key in self.extra:
                what = f"{key} of the teacher itself" if key in {"stream", "model"} else "a stage"
                msg = f"extra.{key}: what is asked, and of which model, is set by {what}"
                raise ValueError(msg)
        return self

    def load(self, folder: Path, cache: Path, threads: int) -> Any:
        """Refuse: it is asked through the run's client.

        Raises:
            TeacherError: always.
        """
        del folder, cache, threads
        msg = f"teacher {self.model} is not loaded; it is asked through the run's client"
        raise TeacherError(msg)


class ApiTeacherSpec(RemoteTeacherSpec):
    """``kind = "api"``."""

    kind: Literal["api"] = "api"
    provider: Literal[
        "openai", "anthropic", "gemini", "meta", "xai", "mistral", "deepseek", "model-studio",
        "kimi", "zai", "minimax", "openrouter", "together",
    ]  # fmt: skip
    """whose API, router or host"""
    maker: str = ""
    """who made the model, where a router or host serves it"""
    open_weights: bool = False
    """whether its weights are public too; terms of the API hold all the same"""

    @property
    def service(self) -> Service:
        """How it is reached."""
        return SERVICES[self.provider]

    @property
    def service_name(self) -> str:
        """Under which name accounts are looked up."""
        return self.provider

    @property
    def source(self) -> Source:
        """A model reached by a service."""
        provider, route = self.service.provider, self.service.kind
        known = load_registry().provider(self.maker or provider)
        behind = known.name if known else (self.maker or provider)
        return Source(
            name=self.model,
            what="model",
            kind="open-weights" if self.open_weights else "closed-api",
            route=f"{route}:{self.provider}",
            provider="unknown" if route != "api" and not self.maker else behind,
            country=known.country if known and (route == "api" or self.maker) else "unknown",
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What changes its answers, as far as a caller can know."""
        return {"kind": "api", "provider": self.provider, "model": self.model, **self._asked()}

    @property
    def named(self) -> str:
        """How ``--teacher`` would name it."""
        return f"{self.provider}:{self.model}"


class ServerTeacherSpec(RemoteTeacherSpec):
    """``kind = "server"``: weights that one serves oneself: vLLM, SGLang, llama.cpp, Ollama, TGI.

    Its source is the weights, reached as weights; ``base_url`` says where, and is no identity.
    """

    added: ClassVar[frozenset[str]] = RemoteTeacherSpec.added | {"tokenizer", "same_tokenizer_as"}

    kind: Literal["server"] = "server"
    name: str = ""
    """model as its maker writes it; ``model`` if empty"""
    provider: str = "unknown"
    """who made it"""
    license: str | None = None
    """SPDX identifier of the weights' licence"""
    revision: str = ""
    """release or commit of the weights, and their quantisation: it changes answers"""
    base_url: str = Field(default="http://127.0.0.1:8000/v1", pattern=r"^https?://")
    """address up to what comes before /chat/completions"""
    key_env: str = ""
    """environment variable of its key, if it wants one"""
    tokenizer: str = ""
    """file tokenizer.json that it reads with, for a student that learns from how likely it finds
    tokens; no identity"""
    same_tokenizer_as: str = ""
    """which of [models.*] has the same tokenizer, on your word, where its file is not at hand"""
    context: ClassVar[frozenset[str]] = RemoteTeacherSpec.context | {
        "key_env", "tokenizer", "same_tokenizer_as",
    }  # fmt: skip

    def addresses(self) -> tuple[str, ...]:
        """The file of its tokenizer, if it is named."""
        return (self.tokenizer,) if self.tokenizer else ()

    @property
    def service(self) -> Service:
        """How it is reached."""
        return Service(
            self.provider, "host", self.wire or "openai-chat", self.base_url, self.key_env, "",
            logprobs=20,
        )  # fmt: skip

    @property
    def service_name(self) -> str:
        """Under which name accounts are looked up."""
        return "server"

    @property
    def source(self) -> Source:
        """The weights."""
        known = load_registry().provider(self.provider)
        return Source(
            name=self.name or self.model,
            what="model",
            kind="open-weights",
            route="weights",
            provider=known.name if known else self.provider,
            country=known.country if known else "unknown",
            version=self.revision,
            license=self.license,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """The weights and how they are asked."""
        return {
            "kind": "server",
            "model": self.model,
            "provider": self.provider,
            "revision": self.revision,
            **self._asked(),
        }


class HubTeacherSpec(TeacherSpec):
    """``kind = "hub"``: weights from a hub, to plan with."""

    can_be_asked: ClassVar[bool] = False
    can_write: ClassVar[bool] = True

    kind: Literal["hub"] = "hub"
    model: str
    """OWNER/NAME on the hub"""
    provider: str
    """who made it"""
    country: str = "unknown"
    """where its maker sits, ISO 3166 alpha-2"""
    license: str | None = None
    """SPDX identifier of the weights' licence, if there is one"""

    @property
    def source(self) -> Source:
        """An open model, reached by its weights."""
        return Source(
            name=self.model,
            what="model",
            kind="open-weights",
            route="weights",
            provider=self.provider,
            country=self.country,
            license=self.license,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What changes its answers, as far as a caller can know."""
        return {"kind": "hub", "model": self.model}

    @property
    def named(self) -> str:
        """How ``--teacher`` would name it."""
        return f"hf:{self.model}"

    def load(self, folder: Path, cache: Path, threads: int) -> Any:
        """Refuse.

        Raises:
            TeacherError: always.
        """
        del folder, cache, threads
        msg = (
            f"{self.named} can be planned with and not asked by name: serve it and use kind = "
            "'server', or name its file with kind = 'embedded'"
        )
        raise TeacherError(msg)


def parse_teacher(text: str) -> TeacherSpec:
    """Read ``SERVICE:MODEL`` or ``hf:OWNER/NAME``, as ``mashbill plan --teacher`` takes it.

    What the catalogue knows of the model (open weights, maker, licence) is filled in.

    Raises:
        TeacherError: naming the services there are.
    """
    service, colon, model = text.partition(":")
    if colon and service == "hf" and "/" in model:
        return _on_the_hub(model)
    if not colon or service not in SERVICES or not model:
        msg = (
            f"--teacher {text!r}: write SERVICE:MODEL with a service of {', '.join(SERVICES)}, "
            f"or hf:OWNER/NAME for weights{_meant(text)}"
        )
        raise TeacherError(msg)
    entity = _known(model)
    found: dict[str, Any] = {"provider": service, "model": model}
    if entity is not None:
        found["open_weights"] = entity.kind == "open-weights"
        if SERVICES[service].kind != "api":
            found["maker"] = entity.provider
    return ApiTeacherSpec.model_validate(found)


def _meant(text: str) -> str:
    """Return what was perhaps meant by a teacher that is none, as a question."""
    service, mark, model = text.replace("/", ":", 1).partition(":")
    meant = difflib.get_close_matches(service.lower(), SERVICES, n=1)
    return f"; did you mean {f'{meant[0]}:{model}'!r}?" if mark and model and meant else ""


def _on_the_hub(model: str) -> HubTeacherSpec:
    entity = _known(model)
    owner = load_registry().provider(model.split("/", 1)[0])
    provider = entity.provider if entity else owner.name if owner else model.split("/", 1)[0]
    country = entity.country if entity else owner.country if owner else "unknown"
    return HubTeacherSpec(
        model=model,
        provider=provider,
        country=country,
        license=entity.license if entity else None,
    )


def _known(model: str) -> Entity | None:
    return load_catalogue().get(model)
