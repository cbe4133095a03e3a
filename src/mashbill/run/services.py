"""The client of a run: who asks, at what price, under which terms, within which caps."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mashbill.calls.access import entry_facts
from mashbill.client.accounts import Accounts, user_agent
from mashbill.client.batch_lane import Endpoint
from mashbill.client.budget import Budget, Caps
from mashbill.client.client import Client
from mashbill.client.route import Route
from mashbill.client.transport import TWIN
from mashbill.core.errors import BudgetError, InputError
from mashbill.core.extras import needs
from mashbill.core.teacher import Question
from mashbill.policy.documents import Registry, load_registry
from mashbill.policy.restrictions import reached_by
from mashbill.teachers.projection import price_for
from mashbill.teachers.services import SERVICES, batches_of, wire_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from mashbill.calls.journal import Journal
    from mashbill.client.accounts import Account
    from mashbill.client.prices import Price
    from mashbill.core.recipe import Recipe
    from mashbill.core.source import Source
    from mashbill.teachers.projection import Projection
    from mashbill.teachers.remote import RemoteSession


_NOTHING = Question("", "")


def new_run_id(now: datetime | None = None) -> str:
    """Return a run's id: its day and time, and what tells it from another of that second."""
    return f"{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"


@dataclass
class Asking:
    """What a run needs to ask services; made once, used by every stage.

    Args:
        recipe: the recipe.
        journal: the store's journal.
        caps: hard caps over all runs of the recipe in this store.
        run: the run's id.
        registry: terms; the shipped ones if None.
        earlier_terms: whether answers bought under other versions of the terms count.
        overrides: findings of the prompt linter that somebody answers for, for the journal.
    """

    recipe: Recipe
    journal: Journal
    caps: Caps = field(default_factory=Caps)
    run: str = field(default_factory=new_run_id)
    registry: Registry | None = None
    earlier_terms: bool = False
    overrides: list[dict[str, Any]] = field(default_factory=list)
    tell: Callable[[str], None] = lambda _: None
    """told in a line what is waited for"""
    _hosts: dict[str, str] = field(default_factory=dict)
    is_interrupted: bool = False
    """whether a stage failed among its requests: this run asks services no more"""
    keys: set[str] = field(default_factory=set)
    """keys of services, which no other process is told"""
    _client: Client | None = None
    _accounts: Accounts | None = None

    @property
    def job(self) -> str:
        """What caps count over: the recipe's name and version."""
        return f"{self.recipe.recipe.name}@{self.recipe.recipe.version}"

    @property
    def has_client(self) -> bool:
        """Whether anything was prepared to be asked."""
        return self._client is not None

    @property
    def client(self) -> Client:
        """The run's client; nothing is opened before its first request."""
        if self._client is None:
            spent = spent_by(self.journal, self.job)
            self._client = Client(
                journal=self.journal,
                run=self.run,
                caps=self.caps,
                spent=spent,
                facts={
                    "job": self.job,
                    "caps": vars(self.caps),
                    "spent_before": {
                        "usd": spent.usd,
                        "tokens": spent.tokens,
                        "calls": spent.calls,
                    },
                    "overrides": self.overrides,
                },
                earlier_terms=self.earlier_terms,
                tell=self.tell,
            )
        return self._client

    @property
    def spent_before(self) -> dict[str, Any]:
        """What earlier runs of the recipe spent: calls, tokens and US dollars."""
        return dict(self.client.facts["spent_before"]) if self.has_client else {}

    def session(self, name: str, on_answer: Callable[[int, int, float], None]) -> RemoteSession:
        """Return a teacher of the recipe, ready to be asked.

        Raises:
            TeacherError: if it has no key, nobody is named as contact, or a cap in money is set
                and no price is known.
        """
        with needs("asking a service", "api"):
            from mashbill.teachers.format import Format
            from mashbill.teachers.remote import RemoteSession, teacher_json
            from mashbill.teachers.token_scoring import Reads

        spec: Any = self.recipe.teachers[name]
        service = spec.service
        if service.base_url.startswith(TWIN) and spec.twin not in self.client.twins:
            self.client.twins[spec.twin] = spec.transport()
        if self._accounts is None:
            self._accounts = Accounts.load(self.recipe.folder)
        account = self._accounts.account(
            spec.service_name,
            spec.base_url or service.base_url,
            service.key_env,
            own_url=SERVICES[spec.service_name].base_url if spec.service_name in SERVICES else "",
            teacher=name,
        )
        self._check_host(account)
        self.keys |= {key for key in account.keys if key}
        now = datetime.now(UTC)
        # Who wants max_completion_tokens refuses max_tokens beside it.
        strict = service.strict_max_tokens or "max_completion_tokens" in spec.extra
        wire = wire_of(spec.wire or service.wire, strict_max_tokens=strict)
        batch_wire = batches_of(wire) if spec.batch else None
        price = price_for(spec, now)
        self._check_price(name, price)
        form = Format(
            wire=wire, model=spec.model, account=f"{account.alias}@{account.host}", price=price,
            max_tokens=spec.max_tokens, settings=spec.settings, reasoning=spec.reasoning,
            logprobs=spec.weighed, stream=spec.stream and not spec.batch,
            native_schema=spec.structured == "native", extra=spec.extra,
            system=spec.system, name=name, host=account.host,
        )  # fmt: skip
        agent = user_agent(version("mashbill"), self._accounts.contact, self.run)
        ask = form.ask(_NOTHING)
        base = account.base_url.rstrip("/")
        batches = None
        if spec.batch:
            batches = Endpoint(batch_wire, base, lambda order: form.ask(order.question), spec.poll)
        common = {
            "User-Agent": agent,
            "Content-Type": "application/json",
            "Accept": "text/event-stream" if form.stream else "application/json",
        }
        route = Route(
            account=account,
            url=base + wire.path(ask),
            wire=wire.name,
            model=spec.model,
            headers={key: {**wire.headers(key), **common} for key in account.keys},
            agent=agent,
            teacher=teacher_json(spec.identity),
            terms=terms_in_force(self.registry or load_registry(), spec.source, now.date()),
            timeout=spec.timeout,
            most=spec.concurrency,
            patience=spec.patience,
            first_patience=spec.first_patience,
            batches=batches,
        )
        file = getattr(spec, "tokenizer", "")
        return RemoteSession(
            spec.source, spec.identity, form, route, self.client, on_answer,
            overridden={str(item["rule"]) for item in self.overrides},
            reads=Reads(
                self.recipe.folder / file if file else None, getattr(spec, "same_tokenizer_as", "")
            ),
        )  # fmt: skip

    def _check_host(self, account: Account) -> None:
        """Refuse a second account at one host: a limit is the host's, whatever a service's name."""
        first = self._hosts.setdefault(account.host, account.alias)
        if first != account.alias:
            msg = (
                f"{account.host} would be asked by two accounts, {first} and {account.alias}; one "
                "provider is asked by one account: let both teachers name one service"
            )
            raise InputError(msg)

    def conduct(self, told: set[str]) -> Iterator[dict[str, Any]]:
        """Yield what the ledger is to say of the conduct of runs that it does not speak of yet.

        These are this run, and those that were killed before they could.
        """
        for run in self.journal.runs():
            if run.run not in told:
                events = self.journal.events(run.run)
                yield entry_facts(run, self.journal.rows_of(run.run), events)

    def _check_price(self, name: str, price: Price) -> None:
        if self.caps.usd is not None and not price.known:
            msg = (
                f"--max-usd cannot be kept: {price.table} has no price of teacher {name!r}; say "
                f"usd_per_million_read and usd_per_million_written in [teachers.{name}], or cap "
                "tokens or calls instead (--max-tokens, --max-calls)"
            )
            raise BudgetError(msg)

    def projected(self, stage: str, projection: Projection) -> None:
        """Keep what a stage is to cost, to be held against what it did cost."""
        self.client.facts.setdefault("projected", {})[stage] = projection.as_json()

    def interrupt(self) -> None:
        """Let nothing more be asked; what is in flight is waited for."""
        if self._client is not None and self._client.has_asked:
            self.is_interrupted = True
            self._client.interrupt()

    def close(self) -> None:
        """Wait for what is in flight and end."""
        if self._client is not None:
            self._client.close()


def spent_by(journal: Journal, job: str) -> Budget:
    """Return what all runs of a recipe spent in a store, as its journal has it."""
    runs = [run.run for run in journal.runs() if run.facts.get("job") == job]
    calls, tokens, usd = journal.spent(runs)
    return Budget(usd=usd, tokens=tokens, calls=calls)


def terms_in_force(registry: Registry, source: Source, day: date) -> str:
    """Return the texts that bind whoever calls, by id and first day in force."""
    found = []
    for provider, route in reached_by(source):
        if route == "weights":
            continue
        for document in registry.governing(provider, source.name, route, day):
            version = document.on(day)
            if version is not None:
                since = version.begins.isoformat() if version.begins else "undated"
                found.append(f"{document.id}@{since}")
    return " ".join(sorted(set(found)))


def remote_teachers(recipe: Recipe, stages: set[str]) -> list[str]:
    """Return the teachers that these stages ask over HTTP."""
    names = {use.name for stage in stages for use in recipe.stages[stage].uses() if use.is_teacher}
    return sorted(name for name in names if recipe.teachers[name].is_remote)
