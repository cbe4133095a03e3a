"""Answers of mathematics compared: mashbill's exact forms beside math-verify, on one fixed mix.

Half are integers and decimals, a quarter fractions and roots, an eighth symbolic, an eighth hostile
or unreadable. One core each, time of the processor. What the two say is compared: each pair of
which one says right and the other wrong is listed, for a human to settle.

math-verify runs in an environment of its own: ``--peers PYTHON``, with math-verify 0.9.0.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

Pair = tuple[str, str]
KINDS = ("plain",) * 4 + ("roots",) * 2 + ("symbolic", "hostile")
HOSTILE = (
    "(10^7)!", r"1,2,\ldots,n", r"\int_0^1 x dx", "asdf", "9^9^9", r"\frac{1}{", "I don't know",
    "1 2 3 4", r"\sum_{k=1}^{n} k", "x^{x^x}", "((((", r"\begin{cases} 1 \end{cases}",
)  # fmt: skip
WRONG = (
    ("3*x-1*y+13=0", "3x + 4y + 14=0"), ("4", r"4\sqrt(2)"), ("1/2004!", "1/2006!"),
    ("1/2^{99}", "1/2^{98}"), (r"1-\frac1{\mathrm e}", r"1+\frac1{\mathrm e}"),
    (r"(2^{2005}+1)/(3\cdot2^{2006})", r"1/(3\cdot 2^{2006})"),
    ("1,2,...,n", "1,3,...,2n-1"), (r"1:2:3:\ldots", r"1:4:9:\ldots"),
)  # fmt: skip
"""pairs that are not the same, and that math-verify 0.9.0 takes for the same"""


def mix(count: int) -> list[tuple[str, Pair]]:
    """Return so many (kind, (output, reference)), always the same ones."""
    draw = random.Random(5)

    def plain() -> Pair:
        kind = draw.choice("idn")
        if kind == "i":
            one = str(draw.randint(-999, 99_999))
            return one, one if draw.random() < 0.6 else str(draw.randint(-9, 999))
        if kind == "d":
            number = draw.randint(-9_999, 9_999) / 100
            return str(number), f"{number:.2f}" if draw.random() < 0.6 else str(number + 1)
        number = draw.randint(1_000, 999_999)
        return f"{number:,}", str(number)

    def fraction() -> str:
        return rf"\frac{{{draw.randint(1, 99)}}}{{{draw.randint(2, 99)}}}"

    def roots() -> Pair:
        kind = draw.choice("frs")
        if kind == "f":
            one = fraction()
            return one, one.replace("frac", "dfrac") if draw.random() < 0.6 else fraction()
        under = draw.choice([2, 3, 5, 6, 7])
        if kind == "r":
            factor, off = draw.randint(2, 9), int(draw.random() >= 0.6)
            return rf"{factor}\sqrt{{{under}}}", rf"\sqrt{{{factor * factor * under + off}}}"
        return rf"\frac{{1}}{{\sqrt{{{under}}}}}", rf"\frac{{\sqrt{{{under}}}}}{{{under}}}"

    def symbolic() -> Pair:
        a, b = draw.randint(1, 9), draw.randint(1, 9)
        pairs: list[Pair] = [
            (f"x^2+{2 * a}x+{a * a}", f"(x+{a})^2"), (f"({a},{b})", f"({a}, {b})"),
            (rf"(-\infty,{a}]", rf"(-\infty, {a}]"), (f"{a}x+{b}=0", f"{2 * a}x+{2 * b}=0"),
            (rf"\frac{{x+{a}}}{{{b}}}", rf"\frac{{{a}+x}}{{{b}}}"), (rf"\{{{a},{b}\}}", f"{b},{a}"),
        ]  # fmt: skip
        return draw.choice(pairs)

    make: dict[str, Any] = {
        "plain": plain, "roots": roots, "symbolic": symbolic,
        "hostile": lambda: (draw.choice(HOSTILE), str(draw.randint(1, 9))),
    }  # fmt: skip
    return [(kind, make[kind]()) for kind in (KINDS[at % len(KINDS)] for at in range(count))]


def measured(pairs: list[tuple[str, Pair]], compare: Any) -> dict[str, Any]:
    """Return answers a second, by kind too, the slowest pair, and what was said of each."""
    took, count, said = Counter[str](), Counter[str](), []
    slowest = 0.0
    for kind, pair in pairs:
        began = time.process_time()
        said.append(compare(*pair))
        seconds = time.process_time() - began
        took[kind] += seconds
        count[kind] += 1
        slowest = max(slowest, seconds)
    return {
        "a_second": round(len(pairs) / sum(took.values()), 1),
        "by_kind": {kind: round(count[kind] / took[kind], 1) for kind in count},
        "slowest_ms": round(slowest * 1000, 2),
        "said": said,
    }


def as_peer(count: int) -> None:
    """Measure math-verify, and print what was found: run in the peers' environment."""
    from math_verify import parse, verify

    def compare(output: str, known: str) -> bool | None:
        try:
            gold = parse(f"${known}$", parsing_timeout=5)
            answer = parse(f"${output}$", parsing_timeout=5)
            return bool(verify(gold, answer, timeout_seconds=5))
        except Exception:  # noqa: BLE001 - whatever it raises of a stranger's text
            return None

    found = measured(mix(count), compare)
    print(json.dumps({**found, "wrong": [compare(*pair) for pair in WRONG]}))


def main() -> None:
    """Measure both, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="a Python with math-verify")
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--peer-count", type=int, default=2_000)
    parser.add_argument("--as-peer", action="store_true")
    given = parser.parse_args()
    if given.as_peer:
        as_peer(given.peer_count)
        return
    from machine import describe

    from mashbill.verifiers.maths.comparing import compare

    verdicts: dict[str, bool | None] = {"same": True, "other": False, "unknown": None}
    pairs = mix(given.count)
    ours = measured(pairs, lambda *pair: verdicts[compare(*pair).verdict])
    found: dict[str, Any] = {
        "machine": describe(),
        "ours": {name: value for name, value in ours.items() if name != "said"},
        "ours_of_wrong": [verdicts[compare(*pair).verdict] for pair in WRONG],
    }
    print("mashbill", found["ours"])
    if given.peers:
        command = [given.peers, __file__, "--as-peer", "--peer-count", str(given.peer_count)]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        theirs = json.loads(told.stdout.splitlines()[-1])
        both = list(zip(pairs, ours["said"], theirs["said"], strict=False))
        apart = sorted({pair for (_, pair), a, b in both if {a, b} == {True, False}})
        found["math-verify"] = {k: v for k, v in theirs.items() if k != "said"}
        found["ratio"] = round(ours["a_second"] / theirs["a_second"], 1)
        found["undecided_here"] = sum(a is None for _, a, _ in both)
        found["disagreements"] = apart
        print("math-verify", found["math-verify"])
        print(f"ratio {found['ratio']}; {len(apart)} pairs of which one says right, one wrong")
        for pair in apart:
            print("  ", *pair, sep="  ")
    path = Path(__file__).parent / "results" / "maths.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
