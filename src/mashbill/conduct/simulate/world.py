"""The clock of one kind of traffic: processes that sleep and act, and the rows that they leave.

A process is a generator of the times, in seconds, at which it goes on; what it does between is
done at the time it asked for. All processes of a kind stand in one heap, so that rows come in
order and are never held. Each kind has randomness of its own: what it writes does not depend on
which other kinds there are.
"""

from __future__ import annotations

import heapq
import json
import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from mashbill.conduct.simulate.ground import DAY, Ground, pick
from mashbill.conduct.simulate.texts import Frame, Mixer, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.conduct.simulate.parameters import Parameters, Section

Process = "Iterator[float]"
BANNED = -1.0
"""what :meth:`World.ask` returns to an account that is banned"""
_QUOTED = json.JSONEncoder(ensure_ascii=False).encode
_DAY_WEIGHT = 15 / 24  # hours of the day that are no night


class Account:
    """An account: what it is known by, and what is left of its limit."""

    __slots__ = (
        "adopts", "agent", "banned", "key", "limit", "model", "name", "organisation", "payment",
        "signed_up", "stamp", "tail", "tokens", "truth",
    )  # fmt: skip

    def __init__(self, name: str, key: str, signed_up: float, limit: float) -> None:
        """Open an account; what else is known of it is set by who opens it."""
        self.name = name
        self.key = key
        self.signed_up = signed_up
        self.limit = self.tokens = limit
        self.stamp = 0.0
        self.organisation: str | None = None
        self.payment: str | None = None
        self.agent: str | None = None
        self.model = ""
        self.adopts = math.inf
        self.banned = math.inf
        self.tail = ""
        self.truth = ""


class World:
    """One kind of traffic, from its first row to its last."""

    def __init__(self, name: str, given: Parameters, ground: Ground) -> None:
        """Make a world of one kind, with nobody in it."""
        self.name = name
        self.given = given
        self.ground = ground
        self.end = ground.end
        self.words = words()
        self.rng = random.Random(f"{name} {ground.seed}")  # noqa: S311 - repeatable, not secret
        self.random = self.rng.random
        # Texts are drawn apart, so that a log without them is else the same.
        self._texts = random.Random(f"{name} {ground.seed} texts")  # noqa: S311
        self.talk = self._texts.random
        self.now = 0.0
        self.limits = given["limits"]
        self._waits = (
            self.limits.number("retry_after_least"),
            self.limits.number("retry_after_most"),
        )
        self.failing = given["world"].share("failing")
        self._heap: list[tuple[float, int, Iterator[float]]] = []
        self._count = 0
        self._last = -1
        self._day = -1
        self._date = ""
        self._out: list[tuple[int, str, str]] = []
        self.truths: list[str] = []
        self.accounts = 0
        self.campaign = False
        self.answered = False
        """whether the last request was answered"""

    @property
    def section(self) -> Section:
        """The parameters of this kind."""
        return self.given[self.name]

    def spawn(self, process: Iterator[float], at: float) -> None:
        """Let a process begin at a time."""
        self._count += 1
        heapq.heappush(self._heap, (max(at, self.now), self._count, process))

    def run(self) -> Iterator[tuple[int, str, str]]:
        """Yield all rows: microseconds from the start, the id, the line."""
        heap = self._heap
        while heap:
            self.now, number, process = heap[0]
            if self.now >= self.end:
                return
            at = next(process, math.inf)
            if at >= self.end:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (max(at, self.now), number, process))
            if self._out:
                yield from self._out
                self._out.clear()

    # What is drawn.

    def lognormal(self, median: float, spread: float) -> float:
        """Return a number of a lognormal distribution."""
        return median * math.exp(spread * self.rng.gauss(0.0, 1.0))

    def drawn(self, part: Section, name: str) -> float:
        """Return a number of the lognormal distribution that two parameters name."""
        return self.lognormal(part.number(f"{name}_median"), part.number(f"{name}_spread"))

    def after(self, mean: float) -> float:
        """Return the time at which something comes that comes after so many seconds on average."""
        return self.now - mean * math.log(1.0 - self.random())

    def choose(self, options: Sequence[str]) -> str:
        """Return one of some texts."""
        return options[int(self.random() * len(options))]

    def word(self, bits: int = 64) -> str:
        """Return a random hexadecimal text."""
        return f"{self.rng.getrandbits(bits):0{bits // 4}x}"

    def geometric(self, mean: float) -> int:
        """Return a whole number from 1, with a mean."""
        stays = 1 - 1 / mean
        return 1 if stays <= 0 else 1 + int(math.log(1 - self.random()) / math.log(stays))

    def language(self) -> int:
        """Return a language's place."""
        return pick(self.ground.language_sums, self.random())

    # What is said.

    def say(self, slot: str, language: str = "en") -> str:
        """Return a text of a slot, or none where the log has none."""
        return self.words.say(slot, language, self.talk) if self.ground.texts else ""

    def frame(self, slot: str, language: str = "en", *, public: int | None = None) -> Frame:
        """Return a template: one of some that are published, or one of somebody's own."""
        source = self.talk if public is None else Mixer(11, public)
        return self.words.frame(slot, language, source)

    def fill(self, frame: Frame, item: str) -> str:
        """Return a template with an item in it, or nothing where the log has no texts."""
        return self.words.fill(frame, item, self.talk) if self.ground.texts else ""

    # When people are there.

    def moments(self, rate: float, zone: float, until: float = math.inf) -> Iterator[float]:
        """Yield the times at which a person turns up, so many a day, by a Poisson process.

        It is thinned to hours of the person's day and to how busy the service is.
        """
        ground = self.ground
        night, load = ground.night, ground.load
        most = 1.25
        peak = rate * most / (_DAY_WEIGHT + (1 - _DAY_WEIGHT) * night) / DAY
        until = min(until, self.end)
        at = self.now
        while True:
            at -= math.log(1.0 - self.random()) / peak
            if at >= until:
                return
            hour = (at / 3600 + zone) % 24
            weight = load(at) * (night if hour < 7 or hour >= 22 else 1.0)
            if self.random() * most < weight:
                yield at

    # What is left in the log.

    def open_account(
        self,
        signed_up: float,
        limit: str,
        *,
        cluster: str | None = None,
        share: float | None = None,
        organisation: str | None = None,
        payment: str | None = None,
        agent: str | None = None,
    ) -> Account:
        """Return a new account; what it is is written down with its first row."""
        account = Account(
            f"acct-{self.word()}",
            f"key-{self.word()}",
            signed_up,
            self.limits.number(limit),
        )
        account.organisation, account.payment, account.agent = organisation, payment, agent
        ground = self.ground
        account.model = ground.models[pick(ground.model_sums, self.random())]
        self._release(account)
        account.tail = (
            f',"signed_up":"{self._time(int(signed_up * 1e6))}"'
            f',"payment":{_text(payment)},"agent":{_text(agent)}'
            f',"organisation":{_text(organisation)}'
        )
        truth = {
            "account": account.name,
            "honest": not self.campaign,
            "kind": self.name,
            "cluster": cluster,
            "share": share if self.campaign else None,
        }
        account.truth = json.dumps(truth) + "\n"
        return account

    def model(self, account: Account) -> str:
        """Return the model that an account asks at this time."""
        if self.now >= account.adopts:
            ground = self.ground
            known = sum(1 for at in ground.releases if at <= self.now)
            account.model = ground.new_models[min(known, len(ground.new_models)) - 1]
            self._release(account)
        return account.model

    def _release(self, account: Account) -> None:
        """Draw when an account takes up the next model."""
        slow = self.given["world"].number("adopting_days") * DAY
        coming = [at for at in self.ground.releases if at > self.now]
        account.adopts = coming[0] - slow * math.log(1.0 - self.random()) if coming else math.inf

    def sign_up(self, account: Account, address: str) -> None:
        """Write down that an account was opened now."""
        self._row(account, f'"kind":"signup","address":{_text(address)}')

    def ban(self, account: Account) -> None:
        """Write down that an account is banned from now on."""
        account.banned = self.now
        self._row(account, '"kind":"ban"')

    def banning(self, account: Account) -> Iterator[float]:
        """Ban an account when its turn comes: a process."""
        self.ban(account)
        yield from ()

    def ask(
        self,
        account: Account,
        address: str,
        system: str,
        text: str,
        *,
        model: str | None = None,
        tokens: tuple[float, float] = (400.0, 300.0),
        spreads: tuple[float, float] = (0.5, 0.6),
        blobs_in: Sequence[str] = (),
        blobs_out: Sequence[str] = (),
        reasoning: bool = False,
        endpoint: str = "chat",
        key: str | None = None,
        declared: str | None = None,
    ) -> float:
        """Ask the service, and return 0, the seconds that a refusal asks to wait, or BANNED.

        Args:
            account: who asks; its limit is a bucket of a minute's requests.
            address: from where.
            system: the system prompt.
            text: the last user turn.
            model: of the service; the account's own where it is not given.
            tokens: median tokens of question and answer.
            spreads: of their logarithms.
            blobs_in: opaque reasoning that is presented.
            blobs_out: opaque reasoning that an answer brings.
            reasoning: whether it is asked for by the documented parameter.
            endpoint: of the API.
            key: of the account, where it has several.
            declared: the digest of a signed run, sent along.
        """
        now, limit = self.now, account.limit
        level = min(limit, account.tokens + (now - account.stamp) * limit / 60)
        account.tokens, account.stamp = level, now
        status, wait = 200, 0.0
        if now >= account.banned:
            status, wait = 403, BANNED
        elif level < 1:
            least, most = self._waits
            wait = round(min(most, max(least, (0.1 * limit - level) * 60 / limit)), 1)
            status = 429
        else:
            account.tokens = level - 1
            if self.random() < self.failing:
                status = (500, 529, 400)[int(self.random() * 3)]
        self.answered = status == 200
        gauss = self.rng.gauss
        asked = int(tokens[0] * math.exp(gauss(0.0, spreads[0]))) + 8
        answered = int(tokens[1] * math.exp(gauss(0.0, spreads[1]))) + 1 if status == 200 else 0
        after = f"{wait:g}" if status == 429 else "null"
        self._row(
            account,
            f'"kind":"exchange","key":"{key or account.key}"'
            f',"model":"{model or self.model(account)}","endpoint":"{endpoint}"'
            f',"status":{status},"retry_after":{after}'
            f',"tokens_in":{asked},"tokens_out":{answered},"address":"{address}"'
            f',"system":{_text(system)},"text":{_text(text)}'
            f',"blobs_in":{_list(blobs_in)}'
            f',"blobs_out":{_list(blobs_out if status == 200 else ())}'
            f',"reasoning":{"true" if reasoning else "false"},"declared":{_text(declared)}',
        )
        return wait

    def _row(self, account: Account, middle: str) -> None:
        """Write a row, later than any before it."""
        if account.truth:
            self.truths.append(account.truth)
            self.accounts += 1
            account.truth = ""
        micro = max(int(self.now * 1e6), self._last + 1)
        self._last = micro
        name = f"{self.rng.getrandbits(64):016x}"
        line = (
            f'{{"id":"{name}","time":"{self._time(micro)}","account":"{account.name}",'
            f"{middle}{account.tail}}}\n"
        )
        self._out.append((micro, name, line))

    def _time(self, micro: int) -> str:
        """Return a time as RFC 3339 writes it, to the microsecond, in UTC."""
        day, rest = divmod(micro, 86_400_000_000)
        if day != self._day:
            self._day = day
            self._date = f"{self.ground.start + timedelta(days=day):%Y-%m-%d}"
        second, part = divmod(rest, 1_000_000)
        minute, second = divmod(second, 60)
        return f"{self._date}T{minute // 60:02}:{minute % 60:02}:{second:02}.{part:06}Z"


def _text(text: str | None) -> str:
    """Return a text as JSON; an empty one, as one that is not there, is null."""
    return _QUOTED(text) if text else "null"


def _list(parts: Sequence[str]) -> str:
    """Return some hexadecimal texts as JSON."""
    return '["' + '","'.join(parts) + '"]' if parts else "[]"
