"""What a card says of how its artifact is used: code that can be run over the folder as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.lineage.bills.text import markdown
from mashbill.lineage.described.model_files import ADAPTER

if TYPE_CHECKING:
    from mashbill.lineage.exports.account import Account


def usage(account: Account) -> list[str]:
    """Return the section, a line an item."""
    if not account.described.usages:
        return ["Nothing of it is in the store to be used: see its limits below."]
    lines: list[str] = []
    for one in account.described.usages:
        needs = f" (`pip install {one.needs}`)" if one.language == "python" and one.needs else ""
        fence = "```"
        while any(fence in line for line in one.code):  # a label may be anything
            fence += "`"
        lines += [
            *([""] if lines else []),
            f"{one.title}{needs}:",
            "",
            f"{fence}{one.language}",
            *one.code,
            fence,
        ]
    built = account.described.built
    if built is not None and any(item.file == ADAPTER for item in account.manifest.files):
        beside = "which the folder holds too" if built.config else f"`{markdown(built.base)}`"
        lines += ["", f"It is an adapter beside its base, {beside}: install `peft`."]
    if built is None:
        lines += [
            "",
            (
                "The columns `_id`, `_bill` and `_from`, where they are kept, are receipts: which "
                "row it is, what it was made from, and of which rows."
            ),
        ]
    return lines
