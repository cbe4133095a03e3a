"""Counts of what a gateway does, as Prometheus reads them (text format 0.0.4).

Source: *Exposition formats*, Prometheus documentation. Labels have few values: endpoints, statuses,
tiers, reasons; never an account, and never a model, whose name a client writes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "mashbill_gateway_"
_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_HELP = {
    "requests_total": "Requests that were answered, by endpoint and status.",
    "refused_total": "Requests that the gateway itself refused, by reason.",
    "actions_total": "Requests on which a configured action was taken, by tier and action.",
    "upstream_errors_total": "Requests that the service did not answer whole, by what went wrong.",
    "cancelled_total": "Requests whose client went away.",
    "events_total": "Exchanges that became events.",
    "unobserved_total": "Exchanges, or parts of them, that no event tells of, by reason.",
    "engine_failures_total": "Calls of the engine that failed, by which.",
    "sink_bytes_total": "Bytes of events that were written.",
    "sink_failures_total": "Times that events could not be written.",
    "connections_refused_total": "Connections beyond those that are taken.",
    "guardrail_total": "Questions of a LiteLLM proxy, by answer.",
    "own_seconds": "Time in the gateway before a request was sent on, configured delays excluded.",
    "first_byte_seconds": "Time until the service began to answer.",
    "running": "Requests that are answered now.",
    "connections": "Connections of clients.",
    "queue": "Exchanges that wait to become events.",
    "held_bytes": "Bytes of bodies that are held.",
    "engine_age_seconds": "Time since the engine last took events; 0 if none wait for it.",
    "draining": "1 while the gateway ends.",
}
_HISTOGRAMS = frozenset({"own_seconds", "first_byte_seconds"})


class Metrics:
    """Counters, gauges and histograms; may be counted by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._histograms = {name: [0] * (len(_BOUNDS) + 1) for name in _HISTOGRAMS}
        self._sums = dict.fromkeys(_HISTOGRAMS, 0.0)
        self._gauges: dict[str, Callable[[], float]] = {}

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Count something that is known by name."""
        key = (name, tuple(labels.items()))
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + by

    def of(self, name: str, **labels: str) -> float:
        """Return a count, summed over labels that are not given."""
        with self._lock:
            return sum(
                value
                for (each, told), value in self._counts.items()
                if each == name and labels.items() <= dict(told).items()
            )

    def time(self, name: str, seconds: float) -> None:
        """Take note of how long something took."""
        place = next((at for at, most in enumerate(_BOUNDS) if seconds <= most), len(_BOUNDS))
        with self._lock:
            self._histograms[name][place] += 1
            self._sums[name] += seconds

    def gauge(self, name: str, value: Callable[[], float]) -> None:
        """Have something asked when metrics are read."""
        self._gauges[name] = value

    def text(self) -> bytes:
        """Return all of it in the text format."""
        lines: list[str] = []
        with self._lock:
            counts = sorted(self._counts.items())
            histograms = {name: list(each) for name, each in sorted(self._histograms.items())}
            sums = dict(self._sums)
        told = ""
        for (name, labels), value in counts:
            if name != told:
                told = name
                lines += _head(name, "counter")
            lines.append(f"{_PREFIX}{name}{_labels(labels)} {value:g}" if value % 1 else
                         f"{_PREFIX}{name}{_labels(labels)} {int(value)}")  # fmt: skip
        for name, values in histograms.items():
            lines += _head(name, "histogram")
            total = 0
            for most, value in zip((*_BOUNDS, "+Inf"), values, strict=True):
                total += value
                lines.append(f'{_PREFIX}{name}_bucket{{le="{most}"}} {total}')
            lines.append(f"{_PREFIX}{name}_sum {sums[name]:.9g}")
            lines.append(f"{_PREFIX}{name}_count {total}")
        for name, ask in sorted(self._gauges.items()):
            lines += _head(name, "gauge")
            lines.append(f"{_PREFIX}{name} {ask():.9g}")
        return ("\n".join(lines) + "\n").encode()


def _head(name: str, kind: str) -> list[str]:
    return [f"# HELP {_PREFIX}{name} {_HELP[name]}", f"# TYPE {_PREFIX}{name} {kind}"]


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
