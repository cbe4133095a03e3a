"""X and J on prompts that nobody of the model's authors has seen, with the shipped thresholds.

A folder has ``x.jsonl`` and ``j.jsonl`` (prompts that a detector should pass) and ``benign.jsonl``
and ``jbenign.jsonl`` (neighbours that it should not), objects with ``text``, ``family`` (of
jailbreaks the method) and ``language``. Nothing is tuned on them.

Beside single prompts, each family is taken for one account that sends all of it and nothing else,
as an account is judged by a scan: the e-value of its wordings, and its tier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from measured import shares_over, upper
from scanned import HASHES

from mashbill.conduct.evidence.tiers import tier_of
from mashbill.conduct.signals.wording import LEVELS, evidence
from mashbill.conduct.sketching import sketch
from mashbill.conduct.text.scoring import THRESHOLDS, Scorer
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADS = {"x": "extraction", "benign": "extraction", "j": "jailbreak", "jbenign": "jailbreak"}
"""file -> the score that it is about"""


def held_out(folder: Path) -> dict[str, Any]:
    """Return what the shipped model makes of the prompts of a folder."""
    scorer = Scorer.shipped()
    report: dict[str, Any] = {}
    for name, head in HEADS.items():
        rows = _read(folder / f"{name}.jsonl")
        texts = [row["text"] for row in rows]
        families = [row["family"] for row in rows]
        both = dict(zip(("jailbreak", "extraction"), scorer.score(texts), strict=True))
        level = tuple(THRESHOLDS[head][rate] for rate in ("1%", "0.1%"))
        of_all = {}
        for label, at in zip(("1%", "0.1%"), level, strict=True):
            over = shares_over(both[head], families, at)
            languages = shares_over(both[head], [row["language"] for row in rows], at)
            hits, number = over.pop("")
            languages.pop("")
            of_all[label] = {
                "over": hits, "of": number, "upper": upper(hits, number),
                "families": over, "languages": languages,
            }  # fmt: skip
        pooled = {
            family: _account([text for text, one in zip(texts, families, strict=True)
                              if one == family],
                             both[head][np.array([one == family for one in families])],
                             "J" if head == "jailbreak" else "X")
            for family in sorted(set(families))
        }  # fmt: skip
        report[name] = {"head": head, "single": of_all, "accounts": pooled}
    return report


def _account(texts: Sequence[str], scores: np.ndarray, pool: str) -> dict[str, Any]:
    """Return what an account that sends these prompts is held for, at the levels of a scan."""
    level = LEVELS[pool]
    skeletons = [np.array(sketch("", text, HASHES).skeleton, np.uint32) for text in texts]
    high = scores >= level[1]
    low = (scores >= level[0]) & ~high
    tripped = [place for place, score in enumerate(scores) if score >= level[0]]
    found = evidence(
        skeletons,
        [skeletons[place] for place in tripped],
        [bool(high[place]) for place in tripped],
        len(texts),
        (int(low.sum()), int(high.sum())),
    )
    return {"prompts": len(texts), "log10_e": round(found, 3), "tier": tier_of(found)}


def _read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file.

    Raises:
        InputError: naming the line that has no text, family and language.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = json_value(line, f"{path}:{number}") if line.strip() else None
        if row is None:
            continue
        if not isinstance(row, dict) or not all(
            isinstance(row.get(key), str) for key in ("text", "family", "language")
        ):
            msg = f"{path}:{number} has no text, family and language"
            raise InputError(msg)
        rows.append(row)
    return rows
