"""Who we are to a service: one account each, with its credential, contact and limits.

An account is one organisation's at one service. It may have several keys only if it says which
organisation they all belong to, and then they share one limiter: a second key is never a way
around a limit. A request keeps the key it was first sent with.

``accounts.toml`` lies beside the recipe, in ``$XDG_CONFIG_HOME/mashbill`` or where
``$MASHBILL_ACCOUNTS`` says; it names environment variables, never keys::

    contact = "data@example.org"

    [accounts.main]
    service = "openai"
    keys_env = ["OPENAI_API_KEY"]
    requests_per_minute = 500
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from mashbill.client.origins import Origin, address
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.folder import is_the_users
from mashbill.core.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE = "accounts.toml"
CONTACT = "MASHBILL_CONTACT"
SERVER = "server"
"""the service that is any address: what is said of it is said of one host"""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    service: str
    """service as recipes name it"""
    keys_env: tuple[str, ...] = Field(default=(), max_length=16)
    """environment variables that hold its keys; several need ``organisation``"""
    organisation: str = ""
    """to which all of its keys belong"""
    base_url: str = ""
    """address, where it is not the service's own; for ``server`` the address that the key is for"""
    requests_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    tokens_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    contact: str = ""
    accounts: dict[str, _Table] = Field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """One organisation's account at one service."""

    alias: str
    service: str
    base_url: str
    keys: tuple[str, ...] = field(repr=False)
    """credentials; one, unless declared as one organisation's; an empty one sends no key"""
    organisation: str = ""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    notice: str = ""
    """what is told before its first request: which key goes where, if not to its service itself"""

    @property
    def origin(self) -> Origin:
        """Scheme, host and port of its address."""
        return address(self.base_url).origin

    @property
    def host(self) -> str:
        """Host and port of its address: what may be written down of it."""
        return self.origin.place

    @property
    def is_local(self) -> bool:
        """Whether its address is this machine."""
        return self.origin.is_local

    def key_for(self, call: str) -> str:
        """Return the key that a call is sent with, every time."""
        return self.keys[int(call[:8], 16) % len(self.keys)]


@dataclass(frozen=True)
class Accounts:
    """The accounts of a run."""

    contact: str
    tables: Mapping[str, Any]
    where: str
    is_own: bool = True
    """whether it is the user's own word, and not that of whoever wrote the recipe"""

    @classmethod
    def load(cls, folder: Path, environ: Mapping[str, str] = os.environ) -> Accounts:
        """Read the accounts file: the one that is named, the recipe's, or the user's own.

        Raises:
            InputError: naming file and key, if it is no accounts file, if two accounts are at one
                service, or if an account has several keys and no organisation.
        """
        config = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mashbill"
        named = environ.get("MASHBILL_ACCOUNTS")
        places = [Path(named)] if named else [folder / FILE, config / FILE]
        path = next((place for place in places if place.exists()), None)
        if path is None:
            if named:
                msg = f"{named}: MASHBILL_ACCOUNTS names this accounts file, and it is not there"
                raise InputError(msg)
            return cls(environ.get(CONTACT, ""), {}, "environment")
        _, read = read_toml(path, _File)
        _check(path, read)
        contact = read.contact or environ.get(CONTACT, "")
        is_own = bool(named) or path.parent == config or is_the_users(folder, path)
        return cls(contact, dict(read.accounts), str(path), is_own)

    def account(
        self,
        service: str,
        base_url: str,
        key_env: str,
        environ: Mapping[str, str] = os.environ,
        *,
        own_url: str = "",
        teacher: str = "",
    ) -> Account:
        """Return the account at a service.

        Args:
            service: as recipes name it.
            base_url: the teacher's own address, or the service's.
            key_env: where its key is if no accounts file says so; empty if it needs none.
            environ: the environment.
            own_url: the service's own address; a recipe alone sends a key nowhere else.
            teacher: its name in the recipe, for errors.

        Raises:
            TeacherError: if no key is there or it cannot be one, if it would go to an address that
                it is not for or go there in clear text, or if nobody is named to be written to.
        """
        who = f"teacher {teacher!r} ({service})" if teacher else service
        address(base_url)
        found = next(
            ((a, t) for a, t in self.tables.items() if t.service == service and _fits(t, base_url)),
            None,
        )
        alias, table = found or (service, None)
        names = table.keys_env if table is not None and table.keys_env else (key_env,)
        keys = tuple(_key(environ, name, who) for name in names)
        base = (table.base_url if table is not None else "") or base_url
        account = Account(
            alias=alias,
            service=service,
            base_url=str(address(base)),
            keys=keys,
            organisation=table.organisation if table is not None else "",
            requests_per_minute=table.requests_per_minute if table is not None else None,
            tokens_per_minute=table.tokens_per_minute if table is not None else None,
            notice=self._notice(
                address(base).origin,
                own_url,
                [n for n, k in zip(names, keys, strict=True) if k],
                is_said_here=table is not None and bool(table.keys_env or table.base_url),
            ),
        )
        own = [own_url, table.base_url if table is not None else ""]
        if table is not None and (table.base_url or table.keys_env):
            self._check_own(account)
        _check_trust(account, [name for name in names if name], own)
        lacking = [name for name, key in zip(names, keys, strict=True) if name and not key]
        # A stand-in on this machine for a provider may want none; a variable that somebody named
        # himself is wanted anywhere.
        if lacking and (not account.is_local or not own_url or (table and table.keys_env)):
            said = ["is empty" if name in environ else "is not set" for name in lacking]
            told = ", ".join(f"{n} {how}" for n, how in zip(lacking, said, strict=True))
            msg = (
                f"{who} needs a key, and {told} in the environment; set it, or name another "
                f"variable (key_env of a server, or keys_env of an account in {FILE})"
            )
            raise TeacherError(msg)
        if not self.contact and not account.is_local:
            msg = (
                f"{who} would be asked by nobody: set contact in {FILE} or {CONTACT} to an "
                "address at which whoever serves the model can reach you; it goes into User-Agent"
            )
            raise TeacherError(msg)
        return account

    def _notice(
        self, origin: Origin, own_url: str, names: Sequence[str], *, is_said_here: bool
    ) -> str:
        """Return which variables' keys go to an address that is not their service's own, or ""."""
        if not names or (own_url and address(own_url).origin == origin):
            return ""
        who = self.where if is_said_here else "the recipe"
        what = (
            f"what {', '.join(names)} holds"
            if len(names) == 1
            else (f"one of what {', '.join(names)} hold")
        )
        return f"{origin}: {what} is sent there as a key with each request, as {who} says"

    def _check_own(self, account: Account) -> None:
        """Refuse to send a key where, or out of which variable, only a recipe's neighbour says.

        Raises:
            TeacherError: naming the file and how to allow it.
        """
        if self.is_own or account.is_local or not any(account.keys):
            return
        msg = (
            f"{self.where} lies beside the recipe, so it may be its author's, and it says which "
            f"key is sent to {account.host}. Read it, and if you trust it add --allow "
            f"{self.where}, or move it into your own configuration folder"
        )
        raise TeacherError(msg)


def _key(environ: Mapping[str, str], name: str, who: str) -> str:
    """Return the key in a variable, without white space around it; empty if there is none.

    Raises:
        TeacherError: naming the variable, never what is in it, if no header can carry it.
    """
    key = environ.get(name, "").strip() if name else ""
    wrong = next((char for char in key if not "!" <= char <= "~"), "")
    if wrong:
        what = "a line break" if wrong in "\r\n" else "white space" if wrong.isspace() else (
            "a character that is not ASCII" if ord(wrong) > 127 else "a control character"
        )  # fmt: skip
        msg = (
            f"{who}: the key in {name} holds {what}, at character {key.index(wrong) + 1} of "
            f"{len(key)}, and no key does; set {name} to the key alone, without quotes, a name or "
            '"Bearer" before it'
        )
        raise TeacherError(msg)
    return key


def _check_trust(account: Account, names: Sequence[str], own: Sequence[str]) -> None:
    """See to it that a key goes nowhere but where it is for, and not in clear text.

    Raises:
        TeacherError: if it would.
    """
    origin = account.origin
    if not any(account.keys) or origin.is_local:
        return
    told = f"the key in {', '.join(names)} would be sent to"
    if origin.scheme != "https":
        msg = (
            f"{told} {origin} in clear text, where everybody on the way can read it; a key goes "
            "over https, or to this machine (127.0.0.1, ::1, localhost): set base_url to https, "
            "or open a tunnel to the server (ssh -L) and name its end on this machine"
        )
        raise TeacherError(msg)
    if origin not in {address(url).origin for url in own if url}:
        msg = (
            f"{told} {origin.place}, because the recipe says so ({origin}); a key goes to its "
            "service's own address (scheme, host and port together), or to the one that "
            f"base_url of an account in {FILE} names"
        )
        raise TeacherError(msg)


def _fits(table: _Table, base_url: str) -> bool:
    """Return whether a table is about an address: a server's key goes to the origin it is for."""
    if table.service != SERVER or not table.base_url:
        return True
    return address(table.base_url).origin == address(base_url).origin


def _host(base_url: str) -> str:
    return address(base_url).origin.place if base_url else ""


def _check(path: Path, read: _File) -> None:
    for alias, table in read.accounts.items():
        if table.base_url:
            try:
                address(table.base_url, f"accounts.{alias}.base_url")
            except TeacherError as error:
                msg = f"{path}: {error}"
                raise InputError(msg) from error
    services = Counter(_place(table) for table in read.accounts.values())
    for alias, table in read.accounts.items():
        if services[_place(table)] > 1:
            msg = (
                f"{path}: accounts.{alias}: there are {services[_place(table)]} accounts at "
                f"{_place(table)}; one provider is asked by one account. Put the keys into one, "
                "under keys_env, with the organisation that they all belong to"
            )
            raise InputError(msg)
        if table.service == SERVER and table.keys_env and not table.base_url:
            msg = (
                f"{path}: accounts.{alias} has keys and no base_url; every server of every recipe "
                "would be sent them. Set base_url to the address that they are for"
            )
            raise InputError(msg)
        if len(set(table.keys_env)) > 1 and not table.organisation:
            msg = (
                f"{path}: accounts.{alias}.keys_env names {len(table.keys_env)} keys; several "
                "are only for one declared organisation, under one limiter: set organisation, or "
                "keep one"
            )
            raise InputError(msg)


def _place(table: _Table) -> str:
    return f"{table.service} {_host(table.base_url)}".strip()


def user_agent(version: str, contact: str, run: str) -> str:
    """Return what every request of a run says of itself."""
    about = f"{contact}; " if contact else ""
    return f"mashbill/{version} ({about}run={run})"
