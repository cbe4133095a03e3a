"""What a brief is composed of: gathered once, for an artifact of a store or a public one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from mashbill.lineage.bills.bill import Coverage, Line
    from mashbill.lineage.bills.definitions import Verdict
    from mashbill.lineage.catalogue.unsettled import Unsettled
    from mashbill.lineage.duties.decisions import Decided
    from mashbill.lineage.exports import Account
    from mashbill.policy.claims import Claim, Entity
    from mashbill.report.brief.calls import Called


@dataclass(frozen=True)
class Kept:
    """An artifact of a store: its account, its calls, and the ledger it stands in."""

    store: str
    """the store, as it was named on the command line"""
    account: Account
    called: Called
    signers: tuple[str, ...]
    """keys that signed the entries that count, whole"""
    entries: int
    """all that the ledger has"""
    head: str
    """digest of the ledger's last entry"""
    runs: tuple[dict[str, Any], ...]
    """what was decided before each run that the ledger has, and who accepted it"""
    unread: int = 0
    """entries by keys that no signer of the store declared: nothing of them is told"""


@dataclass(frozen=True)
class Public:
    """A model or dataset of the catalogue: what is claimed of it."""

    entity: Entity
    claims: tuple[Claim, ...]
    """about what it was made from"""
    statuses: tuple[str, ...]
    """who stands behind the claims that counted"""
    unsettled: tuple[Unsettled, ...]
    """verdicts that would differ with other claims"""
    looked: Mapping[str, str] = field(default_factory=dict)
    """thing -> where its licence was looked for and not found"""


@dataclass(frozen=True)
class Facts:
    """Everything that a brief says."""

    name: str
    as_of: date
    decided: Decided
    lines: Sequence[Line]
    verdicts: Sequence[tuple[Verdict, Verdict]]
    covered: Coverage
    of: Kept | Public
    version: str
    """version of mashbill"""
    contradicted: tuple[str, ...] = ()
    """what speaks against an origin that was declared, a sentence each"""
    terms: str = ""
    """digest of the terms and licences that were put to it"""
    given: tuple[str, ...] = ()
    """options that say which rules, terms and claims of one's own were used beside"""

    @property
    def unknown(self) -> tuple[str, ...]:
        """What is not recorded and could change an answer, each once.

        Facts that a definition asks for and no lineage holds are told with its verdict alone.
        """
        found = {
            item
            for closed, _ in self.verdicts
            for item in closed.unknown
            if not item.startswith(closed.definition.needs or ("\n",))
        }
        if isinstance(self.of, Kept):
            found |= {*self.of.account.unknown}
        return tuple(sorted(found))

    @property
    def unit(self) -> str:
        """What shares are counted in."""
        return self.of.account.manifest.token_unit if isinstance(self.of, Kept) else "tokens"
