"""What all kinds of one simulated service share: its days, models, networks and programs."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING

from mashbill.conduct.simulate.texts import Mixer, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.conduct.simulate.parameters import Parameters

DAY = 86_400.0
_STEP = 300.0  # seconds for which the service's load is one


@dataclass(frozen=True, slots=True)
class Ground:
    """One service and the net around it, as a seed makes them.

    Addresses are of private ranges (RFC 1918, RFC 4193), so that none is anybody's.
    """

    seed: int
    scale: float
    texts: bool
    start: datetime
    end: float
    """seconds from the start"""
    releases: tuple[float, ...]
    models: tuple[str, ...]
    model_sums: tuple[float, ...]
    new_models: tuple[str, ...]
    blocks: tuple[str, ...]
    """first three numbers of addresses"""
    block_sums: tuple[float, ...]
    clouds: tuple[str, ...]
    centres: tuple[str, ...]
    carriers: tuple[str, ...]
    vpns: tuple[str, ...]
    exits: tuple[str, ...]
    agents: tuple[str, ...]
    agent_sums: tuple[float, ...]
    programs: tuple[str, ...]
    languages: tuple[str, ...]
    language_sums: tuple[float, ...]
    zones: tuple[float, ...]
    night: float
    loads: tuple[float, ...]
    """of each five minutes, about 1"""

    def load(self, now: float) -> float:
        """Return how busy people are at a time, about 1."""
        return self.loads[int(now / _STEP) % len(self.loads)]


def pick(sums: Sequence[float], number: float) -> int:
    """Return the place that a number of [0, 1) falls to, by running sums of weights."""
    return min(bisect_left(sums, number * sums[-1]), len(sums) - 1)


def ground(
    given: Parameters, *, seed: int, scale: float, days: float | None, texts: bool
) -> Ground:
    """Return what all kinds share.

    Raises:
        InputError: if a parameter is not there, or of another kind.
    """
    world, network, languages = given["world"], given["network"], given["languages"]
    proxies = given["proxies"]
    drawn = random.Random(f"ground {seed}")  # noqa: S311 - a simulation, which has to be repeatable
    blocks = [f"10.{place >> 8}.{place & 255}" for place in range(1 << 16)]
    drawn.shuffle(blocks)
    taken = iter(blocks)
    sizes = {
        "blocks": network.whole("networks"),
        "clouds": network.whole("cloud_networks"),
        "centres": proxies.whole("datacentre_networks"),
    }
    nets = {name: tuple(next(taken) for _ in range(size)) for name, size in sizes.items()}
    carrier_nets = [next(taken) for _ in range(network.whole("carrier_addresses") // 200 + 1)]
    vpn_nets = [next(taken) for _ in range(network.whole("vpn_addresses") // 20 + 1)]
    agents = [_agent(place) for place in range(network.whole("agents"))]
    ways = network.number("agents_zipf")
    days = world.number("days") if days is None else days
    return Ground(
        seed=seed,
        scale=scale,
        texts=texts,
        start=datetime.fromisoformat(world.text("start")),
        end=days * DAY,
        releases=tuple(day * DAY for day in world.numbers("releases")),
        models=world.texts("models"),
        model_sums=tuple(accumulate(world.numbers("model_shares"))),
        new_models=world.texts("new_models"),
        blocks=nets["blocks"],
        block_sums=_zipf(len(nets["blocks"]), network.number("zipf")),
        clouds=nets["clouds"],
        centres=nets["centres"],
        carriers=_addresses(carrier_nets, network.whole("carrier_addresses"), drawn),
        vpns=_addresses(vpn_nets, network.whole("vpn_addresses"), drawn),
        exits=_addresses(
            list(nets["blocks"][: proxies.whole("residential_networks")]),
            max(8, round(proxies.whole("exits_shared") * scale)),
            drawn,
        ),
        agents=tuple(agents),
        agent_sums=_zipf(len(agents), ways),
        programs=tuple(agent for agent in agents if agent.startswith("sdk")),
        languages=languages.texts("names"),
        language_sums=tuple(accumulate(languages.numbers("shares"))),
        zones=languages.numbers("zones"),
        night=languages.share("night"),
        loads=_loads(given, days * DAY, drawn),
    )


def _zipf(size: int, power: float) -> tuple[float, ...]:
    """Return running sums of the weights of Zipf's law."""
    return tuple(accumulate((place + 1) ** -power for place in range(size)))


def _addresses(nets: list[str], size: int, drawn: random.Random) -> tuple[str, ...]:
    """Return so many addresses of some blocks."""
    return tuple(f"{drawn.choice(nets)}.{drawn.randrange(1, 255)}" for _ in range(size))


def _agent(place: int) -> str:
    """Return a User-Agent: of a program in two of three cases, else of a person's browser."""
    mixer = Mixer(5, place)
    made = words().say("tool_result", "en", mixer).split()[0].strip(":")
    version = f"{1 + int(mixer() * 4)}.{int(mixer() * 60)}.{int(mixer() * 9)}"
    if place % 3 == 1:
        return f"Mozilla/5.0 (desktop) {made}/{version}"
    return f"sdk-{('python', 'node', 'go', 'java', 'curl')[int(mixer() * 5)]}/{version}"


def _loads(given: Parameters, end: float, drawn: random.Random) -> tuple[float, ...]:
    """Return the service's load over time: an autoregressive process of the logarithm."""
    chat = given["chat"]
    spread = chat.number("load_spread")
    keeps = math.exp(-_STEP / chat.number("load_memory_seconds"))
    value, found = 0.0, []
    for _ in range(int(end / _STEP) + 1):
        value = keeps * value + math.sqrt(1 - keeps * keeps) * drawn.gauss(0, spread)
        found.append(math.exp(value))
    return tuple(found)
