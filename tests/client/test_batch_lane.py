"""The lane of batches by itself, on a loop of its own, over toys in this process."""

import asyncio
import time
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest
from tests_chat import asking
from tests_service import AnthropicBatches, GeminiBatches

from mashbill import TeacherError
from mashbill.calls.paid_call import PaidCall
from mashbill.calls.runs import OpenBatch
from mashbill.client import batch_calls, gathering
from mashbill.client.accounts import Account
from mashbill.client.batch_lane import BatchLane, Endpoint
from mashbill.client.budget import Budget, Caps, Cost
from mashbill.client.limits import Pace
from mashbill.client.order import Answered, Order, Refused
from mashbill.client.pressure import Window
from mashbill.client.route import ClientContext, Route
from mashbill.client.transport import Response, TransportError
from mashbill.client.wire import anthropic_batches, batching, gemini_batches
from mashbill.client.wire.anthropic import AnthropicMessages
from mashbill.client.wire.gemini import Gemini
from mashbill.core.teacher import Answer, Question


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(gathering, "_GATHER", 0.05)
    monkeypatch.setattr(gathering, "_LONGEST_GATHER", 0.5)
    monkeypatch.setattr(gathering, "_BLOCKED", 0.05)
    monkeypatch.setattr(batch_calls, "_UNSURE", 0.02)
    monkeypatch.setattr(batch_calls, "_backoff", lambda _: 0.01)


class Caught:
    """What a toy takes for a handler."""

    def reply(self, status, body, _="", **headers):
        data = body if isinstance(body, bytes) else batching.dumped(body)
        names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        self.response = Response(status, names, data)


def call_of(number):
    return f"{number:064x}"


def order_of(number, usd=0.0):
    def read(status, _, body):
        if status == 200:
            return Answered(Answer((), 1, text=body.decode()))
        return Refused(f"status {status}", retry=status >= 500, ends_run=status == 404)

    question = Question("", f"prompt {number}")
    return Order(call_of(number), question, b"{}", 1.0, Cost(usd, 1), read)


class Bench:
    """A lane, the toy that it asks, and what it told."""

    def __init__(self, toy, *, keys=("",), budget=None, opened=(), bought=()):
        self.toy, self.answer = toy, toy
        self.answers, self.failed, self.events, self.records = {}, [], [], []
        anthropic = isinstance(toy, AnthropicBatches)
        wire = (
            anthropic_batches.AnthropicBatches(AnthropicMessages())
            if anthropic
            else gemini_batches.GeminiBatches(Gemini())
        )
        account = Account("a", "server", "http://x", keys, "Example Ltd")
        route = Route(account, "", "w", "m-1", {}, "", "", "")
        context = ClientContext(
            "r", self, budget or Budget(), self.write, self.stop, time.monotonic
        )

        def asked(order):
            return asking("m-1", [{"role": "user", "content": order.question.body}], 8)

        self.lane = BatchLane(
            route, context, Pace(), Window(8),
            endpoint=Endpoint(wire, "", asked, 0.02), record=self.record,
            open_batches=list(opened), bought=lambda calls: set(calls) & set(bought),
        )  # fmt: skip

    async def send(self, _, url, __, body):
        caught = Caught()
        self.answer(caught, url, body)
        return caught.response

    def write(self, item):
        if isinstance(item, PaidCall):
            self.answers[item.call] = item
            asyncio.get_running_loop().call_later(0.01, self.lane.written, item)
        else:
            self.events.append(item)

    async def record(self, key, own, calls, state):
        self.records.append((key, own, tuple(calls), state))

    def stop(self, error):
        self.failed.append(error)
        self.lane.stop()

    def hand_in(self, *orders):
        self.lane.ready.extend(orders)
        self.lane.pump()

    async def until(self, condition, seconds=5.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.records, self.failed)
            await asyncio.sleep(0.005)

    def states(self):
        """Return the last state of each batch."""
        return {key: state for key, _, _, state in self.records}


def made(toy, numbers, own="batches/0"):
    """Let a toy have a batch that an earlier run made."""
    toy.take(own, [(call_of(n), f"prompt {n}") for n in numbers])
    toy.batches[own]["name"] = batching.mark_of([call_of(n) for n in numbers])


def opened(key, own, numbers, age=timedelta(seconds=100)):
    at = (datetime.now(UTC) - age).isoformat(timespec="milliseconds")
    return OpenBatch(key, own, tuple(call_of(n) for n in numbers), at)


def test_other_lanes_traffic_does_not_put_a_submission_off():
    async def main():
        bench = Bench(GeminiBatches(polls=0))
        bench.hand_in(*map(order_of, range(3)))
        began = time.monotonic()
        while not bench.toy.submitted:
            bench.lane.pump()
            await asyncio.sleep(0.01)
            assert time.monotonic() - began < 2

    asyncio.run(main())


def test_orders_that_keep_coming_do_not_put_a_submission_off_for_ever():
    async def main():
        bench = Bench(GeminiBatches(polls=0))
        began, numbers = time.monotonic(), iter(range(10**6))
        while not bench.toy.submitted:
            bench.hand_in(order_of(next(numbers)))
            await asyncio.sleep(0.01)
            assert time.monotonic() - began < 2
        assert time.monotonic() - began > 0.4
        assert len(bench.toy.submitted[0]) > 5

    asyncio.run(main())


def test_a_batch_is_done_once_all_of_it_is_on_disk():
    async def main():
        bench = Bench(GeminiBatches(polls=0))
        written = []
        bench.lane.written = written.append
        bench.hand_in(*map(order_of, range(3)))
        await bench.until(lambda: len(written) == 3)
        for item in written:
            await asyncio.sleep(0.05)
            assert [state for *_, state in bench.records] == ["submitting", "running"]
            assert BatchLane.written(bench.lane, item).call == item.call
        await bench.until(lambda: list(bench.states().values()) == ["done"])

    asyncio.run(main())


def test_what_an_earlier_run_bought_is_asked_for_no_more():
    async def main():
        toy = GeminiBatches(polls=0)
        made(toy, range(4))
        made(toy, range(4, 6), "batches/1")
        earlier = [opened("k", "batches/0", range(4)), opened("l", "batches/1", range(4, 6))]
        bench = Bench(toy, opened=earlier, bought=[call_of(n) for n in (0, 1, 4, 5)])
        bench.hand_in(order_of(2), order_of(3))
        await bench.until(lambda: bench.states() == {"k": "done", "l": "done"})
        assert sorted(bench.answers) == [call_of(2), call_of(3)]
        assert len(toy.submitted) == 2
        assert all(98 < item.seconds < 105 for item in bench.answers.values())
        assert toy.batches["batches/1"]["polls"] == 0

    asyncio.run(main())


def test_of_two_batches_with_a_request_the_later_one_counts():
    async def main():
        toy = GeminiBatches(polls=0, fail=lambda *_: 13)
        made(toy, range(3))
        toy.polls = 3
        toy.fail = lambda *_: None
        made(toy, [1, 2], "batches/1")
        earlier = [
            opened("late", "batches/1", [1, 2], timedelta(seconds=10)),
            opened("early", "batches/0", range(3)),
        ]
        bench = Bench(toy, opened=earlier)
        bench.hand_in(*map(order_of, range(3)))
        await bench.until(lambda: len(bench.answers) == 3)
        await bench.until(lambda: set(bench.states().values()) == {"done"})
        # Only what failed in the early one and is in no later one was bought once more.
        assert toy.submitted[2:] == [[call_of(0)]]

    asyncio.run(main())


@pytest.mark.parametrize("days", [0, 3])
def test_a_batch_that_its_provider_keeps_no_more_is_bought_again(days):
    async def main():
        toy = GeminiBatches(polls=0)

        def answer(handler, path, data):
            if path.endswith("batches/lost"):
                handler.reply(404, {"error": {"message": "no such batch"}})
            else:
                toy(handler, path, data)

        lost = opened("k", "batches/lost", range(2), timedelta(days=days))
        bench = Bench(toy, opened=[lost])
        bench.answer = answer
        bench.hand_in(*map(order_of, range(2)))
        if days:
            await bench.until(lambda: len(bench.answers) == 2)
            assert bench.states()["k"] == "done"
            assert [e.kind for e in bench.events] == ["batch"] * 2
        else:
            await bench.until(lambda: bench.failed)
            assert "no such batch" in str(bench.failed[0])
            assert toy.submitted == []

    asyncio.run(main())


def test_an_outage_while_it_is_looked_for_does_not_make_a_batch_somebody_elses():
    async def main():
        toy = AnthropicBatches(polls=0)
        made(toy, range(2), "msgbatch_0")

        def answer(handler, path, data):
            if path.endswith("/msgbatch_0"):
                raise TransportError("connect", "nobody is there")
            toy(handler, path, data)

        bench = Bench(toy, opened=[opened("k", "", range(2))])
        bench.answer = answer
        bench.hand_in(*map(order_of, range(2)))
        await bench.until(lambda: bench.failed)
        assert isinstance(bench.failed[0], TeacherError)
        assert len(toy.submitted) == 1
        assert bench.records == []

    asyncio.run(main())


def test_somebody_elses_batch_of_that_size_is_let_alone():
    async def main():
        toy = AnthropicBatches(polls=0)
        made(toy, range(2), "msgbatch_0")
        made(toy, range(5, 7), "msgbatch_1")
        bench = Bench(toy, opened=[opened("k", "", range(2))])
        bench.hand_in(*map(order_of, range(2)))
        await bench.until(lambda: bench.states() == {"k": "done"})
        assert ("k", "msgbatch_0") in [record[:2] for record in bench.records]
        assert len(toy.submitted) == 2

    asyncio.run(main())


def test_a_budget_that_has_no_room_is_looked_at_again():
    async def main():
        budget = Budget(caps=Caps(usd=2.5))
        bench = Bench(GeminiBatches(polls=0), budget=budget)
        bench.hand_in(*(order_of(n, usd=1.0) for n in range(5)))
        await bench.until(lambda: len(bench.answers) == 5)
        assert [len(calls) for calls in bench.toy.submitted] == [2, 2, 1]
        assert not bench.failed
        assert budget.in_flight == 0

    asyncio.run(main())


def test_answers_of_batches_give_nothing_to_the_pace_that_they_took_nothing_of():
    async def main():
        bench = Bench(GeminiBatches(polls=0))
        settled = []
        bench.lane.pace.settle = lambda *tokens: settled.append(tokens)
        bench.hand_in(order_of(0))
        await bench.until(lambda: bench.answers)
        assert settled == []

    asyncio.run(main())


def test_a_stopped_lane_submits_nothing():
    async def main():
        toy = GeminiBatches(polls=0, fail=lambda *_: 5)
        made(toy, [0])
        bench = Bench(toy, opened=[opened("k", "batches/0", [0])])
        bench.lane.pump()
        await bench.until(lambda: toy.batches["batches/0"]["polls"])
        await asyncio.sleep(0.05)
        bench.hand_in(order_of(0), order_of(1))
        await asyncio.sleep(0.2)
        assert [str(error) for error in bench.failed] == ["x: status 404"]
        assert len(toy.submitted) == 1
        assert bench.lane.ready == deque()

    asyncio.run(main())
