"""Answers that the journal holds already: they are given out, and nothing is bought twice.

What an answer says that no wire could read at all is kept as it came, with ``finish`` "unread",
told as ours, and read again here by a later release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.calls.paid_call import call_digest
from mashbill.client.order import UNREAD, Answered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mashbill.calls.journal import Journal
    from mashbill.client.order import Batch, Order
    from mashbill.core.teacher import Answer


def give_bought(
    journal: Journal,
    places: dict[str, list[int]],
    batch: Batch,
    order: Callable[[int, str], Order],
) -> None:
    """Give a batch the answers to its calls that are there.

    Args:
        journal: where they are looked up.
        places: call -> its places in the batch; those that are answered are taken out.
        batch: what waits.
        order: makes the order of a request, given its place and call, by which an answer is read
            that an earlier release could not.
    """
    for call, answer in journal.answered(places).items():
        where = places.pop(call)
        if answer.finish == UNREAD:
            answer = _read_again(order(where[0], call), answer)  # noqa: PLW2901
        for place in where:
            batch.deliver(place, answer)


def give_earlier(
    journal: Journal,
    terms: str,
    requests: Sequence[str],
    calls: list[str],
    places: dict[str, list[int]],
    batch: Batch,
) -> None:
    """Give a batch the answers that were bought under other versions of the terms.

    Args:
        journal: where they are looked up.
        terms: those that hold now.
        requests: digest of each request.
        calls: call of each request; those that were made under other terms take their place.
        places: as of :func:`give_bought`.
        batch: what waits.
    """
    for other in journal.terms():
        if other == terms:
            continue
        earlier = {call_digest(requests[where[0]], other): call for call, where in places.items()}
        for key, answer in journal.answered(earlier).items():
            for place in places.pop(earlier[key]):
                calls[place] = key
                batch.deliver(place, answer)


def _read_again(order: Order, kept: Answer) -> Answer:
    """Return what this release reads in an answer that an earlier one could not; it is paid for."""
    found = order.read(200, {}, kept.text.encode("utf-8", "surrogatepass"))
    return found.answer if isinstance(found, Answered) else kept
