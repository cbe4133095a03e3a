"""What section 2.5 of the EU template asks, derived once; the text is written from this alone.

The question is about data that an AI model made, and that the provider, or somebody for it, had
made to train the model on directly. A model that only cleaned, enriched, picked or asked does not
count. What is asked of each model that does: can others get it, is it a general-purpose one, and
on whose behalf did it write. Where the store has no answer, that is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mashbill.core.errors import InputError
from mashbill.lineage.bills.telling import listed
from mashbill.lineage.exports.readings import Use, own_models, readings_of, uses
from mashbill.policy.claims import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.lineage.bills.definitions import Definition
    from mashbill.lineage.exports.account import Account

Behalf = Literal["the provider", "others", "not recorded"]
"""who had a model write: the provider or somebody for it, others on their own account, or nobody
said"""

ON_THE_MARKET = {
    "open-weights": "yes, as weights",
    "closed-api": "yes, behind an API",
    "test-double": "no, it stands in for a model",
}


@dataclass(frozen=True)
class Generator:
    """One model by one route, whose outputs are learned from."""

    use: Use
    is_own: bool
    """trained here: the provider's own"""
    behalf: Behalf
    on_the_market: str
    """whether others can get it, as far as it is recorded"""
    general_purpose: str
    """whether it is a general-purpose model, as far as it is recorded"""

    @property
    def name(self) -> str:
        """What it is called."""
        return called(self.use)

    @property
    def counts_always(self) -> bool:
        """Whether it counts even if verifiers do not."""
        return self.use.strict is not None


@dataclass(frozen=True)
class Section:
    """Section 2.5 about one artifact."""

    direct: tuple[Generator, ...]
    """models whose outputs it is trained on with no model between"""
    behind: tuple[Generator, ...]
    """models that stand behind those of the provider's own"""
    left_out: tuple[Use, ...]
    """models of which some work does not count"""
    covered: tuple[float, float]
    """part of the tokens that have a named origin, lowest and highest"""

    def named(self, *, verifiers: bool, own: bool | None = None) -> list[str]:
        """Return the models whose outputs it is trained on directly, by name.

        Args:
            verifiers: whether one that only checked counts.
            own: only the provider's own, or only others; both if None.
        """
        found = {
            item.name
            for item in self.direct
            if (verifiers or item.counts_always) and own in (None, item.is_own)
        }
        return sorted(found)

    @property
    def answer(self) -> str:
        """The answer to the section's question, in a sentence or two."""
        ours = self._by("the provider")
        always = sorted({item.name for item in self.direct if item.name in ours and
                         item.behalf == "the provider" and item.counts_always})  # fmt: skip
        open_ones = self._by("not recorded")
        if ours or not open_ones:
            said = [_answer(ours, always, self._by("others"), whole=self.covered[0] >= 1)]
            if open_ones:
                said.append(f"On whose behalf {_every(open_ones)} wrote is not recorded.")
        else:
            said = [
                f"Not to be answered: on whose behalf {_every(open_ones)} wrote is not recorded."
            ]
        if names := self._by("others"):
            said.append(
                f"{_every(names)} wrote on account of others, whose datasets belong to sections "
                "2.1 and 2.2."
            )
        return " ".join(said)

    def _by(self, behalf: Behalf) -> list[str]:
        return sorted({item.name for item in self.direct if item.behalf == behalf})


def _answer(ours: list[str], always: list[str], of_others: list[str], *, whole: bool) -> str:
    if always:
        return f"Yes: {_every(always)} made data that it was trained on."
    if ours:
        return (
            f"Yes, if models that only check outputs count, which the template leaves open: "
            f"{_every(ours)} did."
        )
    if not whole:
        return "Not to be answered: the origin of a part of the tokens is not recorded."
    if of_others:
        return (
            "No: every token has a recorded origin, and no model made any of them for the provider."
        )
    return (
        "No: every token has a recorded origin, and none was made by a model in the way that the "
        "template asks about."
    )


def _every(names: list[str]) -> str:
    return listed(names, len(names))


def section_of(account: Account, definition: Definition) -> Section:
    """Return section 2.5 of an artifact: every figure and every name that its text has."""
    readings = readings_of(definition)
    market = uses(account.table, readings)
    own = own_models(account.table, readings)
    found = [
        *(_generator(use, is_own=False) for use in market if use.wide),
        *(_generator(use, is_own=True) for use in own if use.wide),
    ]
    return Section(
        direct=tuple(item for item in found if _is_direct(item.use, definition)),
        behind=tuple(item for item in found if not _is_direct(item.use, definition)),
        left_out=tuple(use for use in (*market, *own) if _is_left_out(use)),
        covered=account.named,
    )


def called(use: Use) -> str:
    """Return what a model is called, with a mark if it is none."""
    double = " (a test double, no model)" if use.source.kind == "test-double" else ""
    return f"{use.source.title}{double}"


def _is_direct(use: Use, definition: Definition) -> bool:
    return definition.max_hops is None or use.depth <= definition.max_hops


def _is_left_out(use: Use) -> bool:
    """Return whether some of what it did does not count."""
    return not use.wide or (use.recorded is not None and use.wide[1] < use.recorded[1])


def _generator(use: Use, *, is_own: bool) -> Generator:
    source = use.source
    if is_own:
        nothing = "not recorded"
        return Generator(
            use, is_own=True, behalf="the provider", on_the_market=nothing, general_purpose=nothing
        )
    behalf: Behalf = "the provider"
    if source.route.startswith("dataset:"):
        by: dict[str, Behalf] = {"us": "the provider", "others": "others"}
        behalf = by.get(source.called_by, "not recorded")
    market = ON_THE_MARKET.get(source.kind, "not recorded")
    return Generator(
        use,
        is_own=False,
        behalf=behalf,
        on_the_market=market,
        general_purpose=_general_purpose(use),
    )


def _general_purpose(use: Use) -> str:
    """Return what is recorded of a model's being a general-purpose one: its size, at most.

    Whether it is one turns on what it can do, and on the compute that trained it, which no store
    records and few cards state.
    """
    if use.source.kind == "test-double":
        return "no"
    try:
        entity = load_catalogue().find(use.source.name)
    except InputError:
        return "not recorded"
    size = f" ({entity.parameters} parameters)" if entity.parameters else ""
    return f"not recorded{size}"


def others(found: Iterable[Generator]) -> list[Generator]:
    """Return those that are not the provider's own."""
    return [item for item in found if not item.is_own]
