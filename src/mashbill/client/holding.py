"""What a service's limits hold back: learned from its answers, obeyed, and put on record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.client.limits import LONGEST_HOLD, Asked, Pace
from mashbill.client.recording import Recording
from mashbill.client.route import Counts
from mashbill.client.waiting import held_back, too_long

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.errors import TeacherError

_UNSAID_WAIT = 1.0  # after a 429 that does not say how long, doubled while they follow each other
_LONGEST_UNSAID = 60.0
_WORTH_TELLING = 0.1  # seconds by which an empty window must hold back what nothing else does
_BELIEVED = 4  # limits in a row, before their Retry-After alone is no longer enough


@dataclass
class Holding:
    """See the module. Moments are of the lane's clock, in seconds."""

    pace: Pace
    recording: Recording
    counts: Counts
    _in_a_row: int = 0
    """limits since the last answer"""

    @property
    def _place(self) -> str:
        return self.recording.route.place

    def learn(self, headers: Mapping[str, str], call: str, now: float) -> None:
        """Learn the limits that a response tells."""
        before = self.pace.held_until
        if self.pace.learn(headers, now):
            self.recording.event("limits", call, {"seen": self.pace.seen}, now)
        if self.pace.held_until > max(before, now) + _WORTH_TELLING:
            held = round(self.pace.held_until - now, 3)
            said = {"held": held, "header": self.pace.held_by}
            self.recording.event("window-empty", call, said, now)
        if self.pace.unbelieved:
            self.recording.context.tell(
                f"{self._place}: {self.pace.unbelieved} is out of all bounds, and is left out"
            )
            self.pace.unbelieved = ""

    def answered(self) -> None:
        """Count an answer."""
        self._in_a_row = 0

    def unsaid(self) -> float:
        """Return the seconds after a limit that does not say how long: ever more in a row."""
        return min(_UNSAID_WAIT * 2.0**self._in_a_row, _LONGEST_UNSAID)

    def wait_of(self, said: float | None) -> float:
        """Return the seconds that are waited after a limit.

        A service that says that it is ready, and then is not, is asked ever slower, too.
        """
        if said is None:
            return self.unsaid()
        return max(said, self.unsaid() / 2**_BELIEVED) if self._in_a_row >= _BELIEVED else said

    def limited(self) -> None:
        """Count a rate limit."""
        self._in_a_row += 1
        self.counts.limited += 1

    def record(
        self, asked: Asked, wait: float, call: str, reason: str, since: float, now: float
    ) -> TeacherError | None:
        """Put a rate limit on record.

        Args:
            asked: what a response asks to wait.
            wait: seconds that are waited.
            call: the request that it answers; empty if it is none's.
            reason: what else it says.
            since: when the request was sent.
            now: when it came.

        Returns:
            why a run does not wait for so long; None if it does.
        """
        detail = {
            "reason": reason[:200], "retry_after": asked.seconds, "held": round(wait, 3),
            "header": asked.header, "seconds": round(now - since, 3),
        }  # fmt: skip
        self.recording.event("rate-limited", call, detail, now)
        if not asked.is_believed or wait > LONGEST_HOLD:
            return too_long(self._place, asked, reason)
        return None

    def hold(self, wait: float, now: float, by: str) -> None:
        """Hold all of this account and model back, by any key, and count by how much longer."""
        before = max(self.pace.held_until, now)
        self.pace.hold(wait, now, by)
        self.counts.waited += max(self.pace.held_until - before, 0.0)

    def over(self, now: float) -> TeacherError | None:
        """Return that everything is held back for longer than is waited for; None if it is not."""
        held = self.pace.held_until - now
        if held <= LONGEST_HOLD + 1.0:
            return None
        return held_back(self._place, self.pace.held_by, held)
