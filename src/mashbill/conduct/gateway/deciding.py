"""What is done with a request: by configuration, and by what an engine holds of its account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.conduct.gateway.refusals import RefusedError
from mashbill.conduct.gateway.settings import Action
from mashbill.conduct.scan.engine import Advice

if TYPE_CHECKING:
    from mashbill.conduct.gateway.metrics import Metrics
    from mashbill.conduct.gateway.observer import Observer
    from mashbill.conduct.gateway.settings import Settings
    from mashbill.conduct.scan.engine import Engine

NOTHING = Action()
_WORDS = {
    "J": "jailbreak",
    "X": "extraction of what was not offered",
    "I": "accounts that act as one",
    "L": "evasion of limits",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done, and what is held of the account."""

    advice: Advice
    action: Action


class Decider:
    """Decides; from memory, so that no request waits."""

    def __init__(
        self, settings: Settings, engine: Engine | None, observer: Observer, metrics: Metrics
    ) -> None:
        self._settings, self._engine = settings, engine
        self._observer, self._metrics = observer, metrics
        actions = settings.actions
        self._by_tier = {"review": actions.review, "act": actions.act}

    def decide(self, account: bytes) -> Decision:
        """Return what is done with a request of an account.

        Raises:
            RefusedError: with 503, where the gateway is set to fail closed and cannot observe.
        """
        observe = self._settings.observe
        if observe.on_overload == "closed" and self._observer.is_full:
            raise RefusedError(
                503,
                "overloaded",
                "The gateway cannot observe as much as comes, and is set to refuse what it cannot. "
                "Ask again in a moment.",
                retry_after=1,
            )
        advice = self._advice(account)
        return Decision(advice, self._by_tier.get(advice.tier, NOTHING))

    def _advice(self, account: bytes) -> Advice:
        if self._engine is None:
            return Advice()
        failing = self._observer.failing
        try:
            advice = self._engine.advice(account)
        except Exception as error:  # noqa: BLE001 - an engine that fails ends no gateway
            self._metrics.count("engine_failures_total", call="advice")
            failing, advice = type(error).__name__, Advice()
        if failing and self._settings.observe.on_engine_failure == "closed":
            raise RefusedError(
                503,
                "engine_failed",
                "The gateway cannot tell what is held of accounts, and is set to refuse while that "
                "is so. Ask again in a moment.",
                retry_after=5,
            )
        return advice


def refusal(advice: Advice, contact: str) -> RefusedError:
    """Return the refusal of an account's requests: which cases, and how to object."""
    cases = ", ".join(advice.cases) or "none named"
    why = " and ".join(_WORDS[kind] for kind in advice.kinds) or "a finding"
    return RefusedError(
        403,
        "account_refused",
        f"Requests of this account are refused, because of {why} (case: {cases}). This rests on "
        f"the account's conduct as a whole, not on this request. To ask why, or to object: "
        f"{contact}",
        extra={"cases": list(advice.cases), "objection": contact},
    )
