"""What a release wants to have on record: licences, of its own data too, and who wrote prompts.

Terms and duties speak of what other people wrote. Under which licence others get the artifact, and
the texts of one's own that it learned from, no text of theirs says: it is a fact that only the
maker has, and while it is missing nobody can take the artifact up. So is who wrote the prompts that
teachers were asked by: a file that nobody speaks for may hold another model's text. The licence of
a base is asked for by :mod:`mashbill.lineage.duties.obligations`, which follows its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.source import Channel
from mashbill.lineage.bills.bill import bill
from mashbill.policy.decision import Decision
from mashbill.policy.licence_words import is_no_licence, read_licence

if TYPE_CHECKING:
    from datetime import date

    from mashbill.core.source import Source
    from mashbill.core.use import Use
    from mashbill.lineage.bills.prompted import PromptCoverage
    from mashbill.lineage.circuit.arrays import Circuit
    from mashbill.lineage.duties.obligations import Obligation, OutputLicence

PASSES_ON = frozenset({"licence-passes-on", "share-alike"})
"""duties to give the artifact on under the licence that they stand in"""


def decide_release(
    circuit: Circuit,
    licence: OutputLicence,
    use: Use,
    as_of: date,
    *,
    is_public: bool = False,
    prompted: PromptCoverage | None = None,
) -> list[Decision]:
    """Return what a release lacks: nothing is asked of what nobody else gets a copy of.

    Whether others get it may not be declared; then a licence that is missing wants review too, so
    that leaving out the declaration is never the way to leave.

    Args:
        circuit: the artifact's.
        licence: its own as stated, and those that reached it.
        use: what is declared.
        as_of: the day asked about.
        is_public: the artifact is somebody else's, and out already.
        prompted: whose words teachers were asked by.
    """
    name = circuit.title(circuit.root)
    if is_public:
        return _of_a_public_one(circuit, licence, name, as_of)
    if use.distribution not in ("public", None):
        return []
    found = [*_of_the_artifact(licence, use, name, as_of)]
    sources = {circuit.source(node): None for node in circuit.sources().tolist()}
    lacking = [source for source in sources if _lacks(source)]
    if any(source.kind == "human" for source in lacking):
        asked = _only_asked(circuit)
        lacking = [source for source in lacking if source not in asked]
    for source in lacking:
        found.append(_of_data(source, _declared(use, found), name, as_of))
    if prompted is not None and prompted.undeclared:
        found.append(_of_prompts(prompted, _declared(use, found), name, as_of))
    return found


def _declared(use: Use, before: list[Decision]) -> bool | None:
    """Return whether others get it; None if that is not declared, and no decision says so yet."""
    if use.distribution == "public":
        return True
    return False if any(decision.outcome == "review" for decision in before) else None


def _only_asked(circuit: Circuit) -> set[Source]:
    """Return people whose words only asked a teacher: nobody gets them, so they want no licence."""
    lines = [line for line in bill(circuit) if line.source.kind == "human"]
    elsewhere = {line.source for line in lines if Channel.PROMPT not in line.channels}
    return {line.source for line in lines} - elsewhere


def _made(outcome: Any, rule: str, about: str, because: str, as_of: date, **more: Any) -> Decision:
    return Decision(outcome, "derivative", rule, about, because, as_of, **more)


def _of_a_public_one(
    circuit: Circuit, licence: OutputLicence, name: str, as_of: date
) -> list[Decision]:
    if licence.stated or circuit.source(circuit.root).kind == "closed-api":
        return []
    return [
        _made("review", "licence-not-stated", name,
              "no licence is recorded that its maker gives it out under; add what its card states "
              "with `mashbill catalogue import`", as_of, lacking=(f"license of {name}",)),
    ]  # fmt: skip


def _of_the_artifact(licence: OutputLicence, use: Use, name: str, as_of: date) -> list[Decision]:
    if not licence.stated:
        return [
            _made("review", "licence-not-stated", name,
                  f"{_gets(name, _declared(use, []))} under which licence is not recorded"
                  f'{_said(use.license)}; write license = "..." under [use] of the recipe, or '
                  "give --license", as_of,
                  lacking=(*_undeclared(_declared(use, [])), "use.license")),
        ]  # fmt: skip
    kept = [item for item in licence.obligations if _differs(item, licence.stated)]
    found = [
        _made("review", "licence-differs", name,
              f"it is stated to be under {licence.stated}, and {item.document.title} goes on with "
              f"it: {item.clause.says}", as_of, path=item.path,
              used={"use.license": licence.stated, "license": item.document.license},
              lacking=("whether the two go together",), document=item.document.id,
              title=item.document.title, section=item.clause.section)
        for item in kept
    ]  # fmt: skip
    because = f"others get it under {licence.stated}"
    return found or [
        _made("allow", "licence-stated", name, because, as_of, used={"license": licence.stated})
    ]


def _differs(item: Obligation, stated: str) -> bool:
    """Return whether a duty to pass a licence on is owed, and another one is stated."""
    if item.state != "owed" or item.clause.code not in PASSES_ON or not item.document.license:
        return False
    parts = {part.text.lower() for part in read_licence(stated).parts} | {stated.lower()}
    return item.document.license.lower() not in parts


def _lacks(source: Source) -> bool:
    """Return whether a source is data of one's own without a licence; others' are asked before."""
    if source.what != "dataset" or source.route.startswith("dataset:"):
        return False
    own = source.kind in ("own-dataset", "human")
    return own and is_no_licence(source.license)


def _of_data(source: Source, public: bool | None, name: str, as_of: date) -> Decision:
    return _made(
        "review",
        "data-licence-not-recorded",
        f"{source.title} ({source.route})",
        f"{_gets(name, public)} it was made from these data, whose licence is not recorded"
        f'{_said(source.license)}; write license = "..." in the stage that reads them',
        as_of,
        lacking=(*_undeclared(public), f"license of {source.title}"),
    )


def _of_prompts(prompted: PromptCoverage, public: bool | None, name: str, as_of: date) -> Decision:
    return _made(
        "review", "prompt-origin-not-recorded", name,
        f"{_gets(name, public)} who wrote {prompted.named}, by which teachers were asked, is not "
        "recorded; declare it under [origins] of the recipe", as_of,
        lacking=(*_undeclared(public), *dict.fromkeys(f"origin of {f}"
                                                   for _, f in prompted.undeclared[:5])),
    )  # fmt: skip


def _said(text: str | None) -> str:
    """Return what is to be told of a text that was written in a licence's place."""
    return f" ({text!r} names none)" if text else ""


def _gets(what: str, public: bool | None) -> str:
    """Return the beginning of a sentence about who gets it.

    Args:
        what: the artifact.
        public: as of :func:`_declared`.
    """
    if public:
        return f"others get {what}, and"
    if public is None:
        return f"whether others get {what} is not declared (use.distribution), and if they do,"
    return f"if others get {what}:"


def _undeclared(public: bool | None) -> tuple[str, ...]:
    return ("use.distribution",) if public is None else ()
