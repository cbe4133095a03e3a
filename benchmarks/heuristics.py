"""Rules of ``filter`` beside datatrove's filters: who keeps which text, and how fast.

On one mixed set: pieces of this project's own documents and of licence texts, and texts made to
fail: menus, repeated lines and paragraphs, code, numbers, bullets. Each difference is counted with
both reasons, and some texts of it are shown.

datatrove runs in an environment of its own: ``--peers PYTHON``, with datatrove 0.10.1 and spacy.
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

ROOT = Path(__file__).parents[1]
FAMILIES = ("gopher-quality", "gopher-repetition", "fineweb", "c4", "mc4")
LICENSES = Path("/usr/share/common-licenses")
# datatrove's own limit of the rule; the paper's section 3.6 has 0.1, which is mashbill's.
LIMITS = {"fineweb-repeated-line-chars": 0.01}
PEER = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4ParagraphFilter, C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
    GopherRepetitionFilter)
made = {"gopher-quality": GopherQualityFilter(), "gopher-repetition": GopherRepetitionFilter(),
        "fineweb": FineWebQualityFilter(), "mc4": C4ParagraphFilter(),
        "c4": C4QualityFilter(remove_citations=False)}
texts = json.load(sys.stdin)
told, took = {}, {}
for name, each in made.items():
    each.filter(Document(text="warm up. " * 60, id="0"))
    begun, told[name] = time.process_time(), []
    for text in texts:
        try:
            kept = each.filter(Document(text=text, id="0"))
        except Exception as error:
            kept = False, f"{type(error).__name__}: {error}"
        told[name].append("" if kept is True else kept[1])
    took[name] = time.process_time() - begun
json.dump([told, took], sys.stdout)
"""


def documents() -> list[str]:
    """Return pieces of real documents of 200 to 6,000 characters."""
    draw = random.Random(3)
    files = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
    files += sorted(path for path in LICENSES.glob("*") if path.is_file())
    files += sorted((ROOT / "src" / "mashbill" / "core").glob("*.py"))
    found = []
    for path in files:
        text, at = path.read_text("utf-8", errors="replace"), 0
        while at < len(text):
            size = draw.randint(200, 6000)
            found.append(text[at : at + size])
            at += size
    return found


def made() -> list[str]:
    """Return texts that were made to fail, and some at the edge of a rule."""
    draw = random.Random(4)
    vocabulary = [
        "the", "of", "and", "river", "stone", "that", "house", "with", "winter", "light", "people",
        "be", "have", "to",
    ]  # fmt: skip

    def prose(words: int) -> str:
        return " ".join(draw.choices(vocabulary, k=words)).capitalize() + "."

    found = []
    for _ in range(150):
        sentences = [prose(draw.randint(5, 25)) for _ in range(draw.randint(3, 20))]
        found.append("\n".join(sentences))
        found.append("\n".join([*sentences, *draw.choices(sentences, k=draw.randint(1, 9))]))
        found.append("\n\n".join([*sentences, *sentences[: draw.randint(1, 5)]]))
        found.append("\n".join(f"- {word}" for word in draw.choices(vocabulary, k=60)))
        found.append(" ".join(f"{word} #{word}" for word in draw.choices(vocabulary, k=60)))
        found.append("\n".join(f"{sentence[:-1]}..." for sentence in sentences))
        found.append("\n".join(str(draw.random()) for _ in range(draw.randint(5, 80))))
        found.append("Home | About | Contact\n" * draw.randint(1, 30) + prose(80))
        found.append(f"function f() {{ return {draw.random()}; }}\n" * draw.randint(1, 30))
        found.append(prose(draw.randint(1, 60)))
    return found


def ours(texts: list[str]) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Return what mashbill says of each text by family, and the seconds that it took."""
    from mashbill.stages.heuristics.rules import RULES
    from mashbill.stages.heuristics.trying import Trying, chosen

    told, took = {}, {}
    for family in FAMILIES:
        limits = {key: at for key, at in LIMITS.items() if RULES[key].family == family}
        trying = Trying(chosen([family], limits, ()))
        begun = time.process_time()
        told[family] = [trying.reason(text) or "" for text in texts]
        took[family] = time.process_time() - begun
    return told, took


def main() -> None:
    """Compare, print, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", required=True, help="Python that has datatrove and spacy")
    parser.add_argument("--show", type=int, default=3, help="texts to show of each difference")
    options = parser.parse_args()
    texts = documents() + made()
    mine, my_time = ours(texts)
    done = subprocess.run(
        [options.peers, "-c", PEER], input=json.dumps(texts), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    theirs, their_time = json.loads(done.stdout)
    result: dict[str, Any] = {"texts": len(texts), "families": {}}
    for family in FAMILIES:
        pairs = Counter[tuple[str, str]]()
        shown: dict[tuple[str, str], list[str]] = {}
        for text, own, its in zip(texts, mine[family], theirs[family], strict=True):
            if bool(own) != bool(its):
                key = (own.split(":")[0] or "kept", its or "kept")
                pairs[key] += 1
                shown.setdefault(key, []).append(f"{own} {text[:60]!r}")
        same = len(texts) - pairs.total()
        sys.stdout.write(
            f"{family}: the same of {same} of {len(texts)}; rejected {sum(map(bool, mine[family]))}"
            f" and {sum(map(bool, theirs[family]))}; {my_time[family]:.2f} s and "
            f"{their_time[family]:.2f} s\n"
        )
        for (own, its), count in pairs.most_common():
            sys.stdout.write(f"  {count} mashbill {own}, datatrove {its}\n")
            for line in shown[own, its][: options.show]:
                sys.stdout.write(f"      {line}\n")
        result["families"][family] = {
            "same": same, "seconds": [my_time[family], their_time[family]],
            "differ": [[own, its, count] for (own, its), count in pairs.most_common()],
        }  # fmt: skip
    out = ROOT / "benchmarks" / "results"
    out.mkdir(exist_ok=True)
    (out / "heuristics.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
