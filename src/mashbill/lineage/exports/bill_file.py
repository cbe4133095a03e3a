"""``bill.json``: the found bill of an artifact, which its card points to by name and digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.canonical import digest_bytes
from mashbill.core.shown import json_text
from mashbill.lineage.bills.summary import summary

if TYPE_CHECKING:
    from mashbill.lineage.exports.account import Account

BILL_FILE = "bill.json"


def bill_text(account: Account) -> str:
    """Return the file's text: bill, coverage and verdicts, as ``mashbill bill --json`` has them."""
    manifest = account.manifest
    found = summary(
        str(manifest.ref), manifest.digest, account.lines, account.verdicts, account.covered,
        account.contradicted, account.prompted, manifest.learned_from,
    )  # fmt: skip
    return json_text(found) + "\n"


def reference(account: Account) -> dict[str, object]:
    """Return what a card says of it: format 2 of the block ``x-mashbill``."""
    return {
        "format": 2,
        "artifact": account.id,
        "bill": BILL_FILE,
        "sha256": digest_bytes(bill_text(account).encode()),
    }
