"""Commands about whose entries of a ledger count: signers list, add, remove."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import DEFAULT_STORE, JsonOption, StoreOption, app, out, print_json
from mashbill.cli.printing import table
from mashbill.core import checkpoint as checkpoints
from mashbill.core.errors import InputError
from mashbill.core.ledger import Signer
from mashbill.core.signers import SIGNERS, is_keyid
from mashbill.core.store import Store

signers_app = typer.Typer(help="Whose entries of a store's ledger count.", no_args_is_help=True)
app.add_typer(signers_app, name="signers")

KeyArgument = Annotated[str, typer.Argument(help="Key id: 64 hexadecimal digits.")]


@signers_app.command("list")
def list_command(store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """List the keys whose entries count, and those whose entries do not."""
    ledger = workspace(store).store().ledger
    own = Signer.default().keyid
    by_key: dict[str, int] = {}
    for entry in ledger.accepted:
        by_key[entry.keyid] = by_key.get(entry.keyid, 0) + 1
    keys = list(dict.fromkeys([ledger.signers.root, *by_key, *sorted(ledger.signers.active)]))
    rows: list[dict[str, Any]] = [
        {
            "keyid": key,
            "name": ledger.signers.names.get(key, ""),
            "counts": key in ledger.signers.active,
            "entries": by_key.get(key, 0),
            "not_read": len(ledger.strangers.get(key, ())),
        }
        for key in dict.fromkeys([*keys, *ledger.strangers])
    ]
    if as_json:
        print_json(rows)
        return
    listing = table("key id", "whose", "may sign", "entries", "not read")
    for row in rows:
        notes = [
            row["name"],
            "the store's first" if row["keyid"] == ledger.signers.root else "",
            "your key" if row["keyid"] == own else "",
        ]
        listing.add_row(
            row["keyid"],
            ", ".join(filter(None, notes)),
            "yes" if row["counts"] else "no",
            str(row["entries"]),
            str(row["not_read"] or ""),
        )
    out.print(listing)


@signers_app.command("mine")
def mine_command() -> None:
    """Print the id of your own key, for who is to declare it or to demand it of a store."""
    out.emit(f"{Signer.default().keyid}\n")


@signers_app.command("add")
def add_command(
    key: KeyArgument,
    store: StoreOption = DEFAULT_STORE,
    name: Annotated[str, typer.Option(help="Whose key it is, in your words.")] = "",
    since: Annotated[
        int | None, typer.Option(help="First entry of that key that counts; from now on if absent.")
    ] = None,
) -> None:
    """Let entries by another key count; only who signs for the store already can."""
    _check_key(key)
    opened = Store(store, Signer.default())
    item = {
        "keyid": key,
        **({"name": name} if name else {}),
        **({"since": since} if since is not None else {}),
    }
    entry = opened.ledger.append(SIGNERS, add=[item])
    checkpoints.keep(opened.root, Signer.default())
    out.say(
        f"entry {entry.index}: entries by {key[:16]} count"
        f"{f' from entry {since} on' if since is not None else ' from now on'}"
    )


@signers_app.command("remove")
def remove_command(key: KeyArgument, store: StoreOption = DEFAULT_STORE) -> None:
    """Let entries by a key count no longer; what it signed so far still does."""
    _check_key(key)
    opened = Store(store, Signer.default())
    active = opened.ledger.signers.active
    if key not in active or len(active) == 1:
        why = "is no signer of this store" if key not in active else "is its only signer"
        msg = f"{key[:16]} {why}; it has {', '.join(sorted(active))}"
        raise InputError(msg)
    entry = opened.ledger.append(SIGNERS, remove=[key])
    if key != Signer.default().keyid:
        checkpoints.keep(opened.root, Signer.default())
    out.say(f"entry {entry.index}: entries by {key[:16]} count no longer, from now on")


def _check_key(key: str) -> None:
    if not is_keyid(key):
        msg = f"{key!r:.80} is no key id: 64 hexadecimal digits, as `mashbill signers list` shows"
        raise InputError(msg)
