"""Teachers behind a provider's API, or on a hub: what a plan needs to know of them.

This version plans with them (source, route, role, terms) and has no client to ask them with; a run
that would have to ask one stops before its first stage. The client comes with generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mashbill.core.errors import InputError, TeacherError
from mashbill.core.recipe import TeacherSpec
from mashbill.core.source import Source
from mashbill.policy.claims import load_catalogue
from mashbill.policy.documents import load_registry

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.policy.claims import Entity

SERVICES: dict[str, tuple[str, Literal["api", "router", "host"]]] = {
    "openai": ("OpenAI", "api"),
    "anthropic": ("Anthropic", "api"),
    "gemini": ("Google", "api"),
    "meta": ("Meta", "api"),
    "xai": ("xAI", "api"),
    "mistral": ("Mistral AI", "api"),
    "deepseek": ("DeepSeek", "api"),
    "model-studio": ("Alibaba", "api"),
    "kimi": ("Moonshot AI", "api"),
    "zai": ("Z.ai", "api"),
    "minimax": ("MiniMax", "api"),
    "openrouter": ("OpenRouter", "router"),
    "together": ("Together AI", "host"),
}
"""services by the name that recipes use, their provider, and what kind they are"""


class _PlanOnly(TeacherSpec):
    can_be_asked: ClassVar[bool] = False
    can_write: ClassVar[bool] = True

    @property
    def named(self) -> str:
        """How ``--teacher`` would name it."""
        raise NotImplementedError

    def load(self, folder: Path, cache: Path, threads: int) -> Any:
        """Refuse.

        Raises:
            TeacherError: always.
        """
        del folder, cache, threads
        msg = (
            f"{self.named} can be planned with and not yet asked: this version has no API client; "
            "use `mashbill plan --teacher` for it, and an embedded teacher to run"
        )
        raise TeacherError(msg)


class ApiTeacherSpec(_PlanOnly):
    """``kind = "api"``."""

    kind: Literal["api"] = "api"
    provider: Literal[
        "openai", "anthropic", "gemini", "meta", "xai", "mistral", "deepseek", "model-studio",
        "kimi", "zai", "minimax", "openrouter", "together",
    ]  # fmt: skip
    """whose API, router or host"""
    model: str
    """model as the service names it"""
    maker: str = ""
    """who made the model, where a router or host serves it"""
    open_weights: bool = False
    """whether its weights are public too; terms of the API hold all the same"""

    @property
    def source(self) -> Source:
        """A model reached by a service."""
        provider, route = SERVICES[self.provider]
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
        return {"kind": "api", "provider": self.provider, "model": self.model}

    @property
    def named(self) -> str:
        """How ``--teacher`` would name it."""
        return f"{self.provider}:{self.model}"


class HubTeacherSpec(_PlanOnly):
    """``kind = "hub"``: weights from a hub, to plan with."""

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
            "or hf:OWNER/NAME for weights"
        )
        raise TeacherError(msg)
    entity = _known(model)
    found: dict[str, Any] = {"provider": service, "model": model}
    if entity is not None:
        found["open_weights"] = entity.kind == "open-weights"
        if SERVICES[service][1] != "api":
            found["maker"] = entity.provider
    return ApiTeacherSpec.model_validate(found)


def _on_the_hub(model: str) -> HubTeacherSpec:
    entity = _known(model)
    owner = load_registry().provider(model.split("/", 1)[0])
    provider = entity.provider if entity else owner.name if owner else model.split("/", 1)[0]
    country = entity.country if entity else owner.country if owner else "unknown"
    return HubTeacherSpec(
        model=model, provider=provider, country=country,
        license=entity.license if entity else None,
    )  # fmt: skip


def _known(model: str) -> Entity | None:
    try:
        return load_catalogue().find(model)
    except InputError:
        return None
