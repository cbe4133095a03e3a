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
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from mashbill.core.errors import InputError, TeacherError
from mashbill.policy.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)


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

    @property
    def host(self) -> str:
        """Host and port of its address: what may be written down of it."""
        return _host(self.base_url)

    @property
    def is_local(self) -> bool:
        """Whether its address is this machine."""
        name = urlsplit(self.base_url).hostname or ""
        return self.base_url.startswith("twin:") or name in {"localhost", "127.0.0.1", "::1"}

    def key_for(self, call: str) -> str:
        """Return the key that a call is sent with, every time."""
        return self.keys[int(call[:8], 16) % len(self.keys)]


@dataclass(frozen=True)
class Accounts:
    """The accounts of a run."""

    contact: str
    tables: Mapping[str, Any]
    where: str

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
        return cls(contact, dict(read.accounts), str(path))

    def account(
        self,
        service: str,
        base_url: str,
        key_env: str,
        environ: Mapping[str, str] = os.environ,
        *,
        own_url: str = "",
    ) -> Account:
        """Return the account at a service.

        Args:
            service: as recipes name it.
            base_url: the teacher's own address, or the service's.
            key_env: where its key is if no accounts file says so; empty if it needs none.
            environ: the environment.
            own_url: the service's own address; a recipe alone sends a key nowhere else.

        Raises:
            TeacherError: if no key is there, or nobody is named to be written to.
        """
        found = next(
            ((a, t) for a, t in self.tables.items() if t.service == service and _fits(t, base_url)),
            None,
        )
        alias, table = found or (service, None)
        names = table.keys_env if table is not None and table.keys_env else (key_env,)
        keys = tuple(environ.get(name, "").strip() if name else "" for name in names)
        account = Account(
            alias=alias,
            service=service,
            base_url=(table.base_url if table is not None else "") or base_url,
            keys=keys,
            organisation=table.organisation if table is not None else "",
            requests_per_minute=table.requests_per_minute if table is not None else None,
            tokens_per_minute=table.tokens_per_minute if table is not None else None,
        )
        trusted = {_host(own_url)} | ({_host(table.base_url)} if table is not None else set())
        if any(keys) and not account.is_local and account.host not in trusted:
            msg = (
                f"the key in {', '.join(name for name in names if name)} would be sent to "
                f"{account.host}, because the recipe says so; a key goes to its service's own "
                f"address, or to the one that base_url of an account in {FILE} names"
            )
            raise TeacherError(msg)
        lacking = [name for name, key in zip(names, keys, strict=True) if name and not key]
        if lacking and not account.is_local:
            msg = (
                f"{service} needs a key, and {', '.join(lacking)} is not set in the environment; "
                f"set it, or name another variable as keys_env of an account in {FILE}"
            )
            raise TeacherError(msg)
        if not self.contact and not account.is_local:
            msg = (
                f"{service} would be asked by nobody: set contact in {FILE} or {CONTACT} to an "
                "address at which whoever serves the model can reach you; it goes into User-Agent"
            )
            raise TeacherError(msg)
        return account


def _host(base_url: str) -> str:
    return urlsplit(base_url).netloc.rpartition("@")[2]


def _fits(table: _Table, base_url: str) -> bool:
    """Return whether a table is about an address: a server's key goes to the host it is for."""
    return table.service != SERVER or not table.base_url or _host(table.base_url) == _host(base_url)


def _check(path: Path, read: _File) -> None:
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
