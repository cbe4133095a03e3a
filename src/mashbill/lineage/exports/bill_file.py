"""``bill.json``: the found bill of an artifact, which its card points to by name and digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.canonical import digest_bytes
from mashbill.core.shown import json_text
from mashbill.lineage.bills.summary import summary
from mashbill.lineage.exports.making import making

if TYPE_CHECKING:
    from mashbill.lineage.exports.account import Account

BILL_FILE = "bill.json"
_LARGEST = 1 << 20
"""letters of a file that tells the making, too: who looks whether weights or rows are ours reads no
large files for it (:mod:`mashbill.stages.marks.beside`), and lines alone tell that"""


def bill_text(account: Account) -> str:
    """Return the file's text: bill, coverage and verdicts, as ``mashbill bill --json`` has them.

    And the making, which they were derived from, so that they can be derived without the store;
    null where that would be too long.
    """
    manifest = account.manifest
    found = summary(
        str(manifest.ref), manifest.digest, account.lines, account.verdicts, account.covered,
        account.contradicted, account.prompted, manifest.learned_from,
    )  # fmt: skip
    whole = json_text({**found, "making": making(account.table, account.prompted.nodes)}) + "\n"
    if len(whole) <= _LARGEST:
        return whole
    return json_text({**found, "making": None}) + "\n"


def reference(account: Account) -> dict[str, object]:
    """Return what a card says of it: format 2 of the block ``x-mashbill``."""
    return {
        "format": 2,
        "artifact": account.id,
        "bill": BILL_FILE,
        "sha256": digest_bytes(bill_text(account).encode()),
    }
