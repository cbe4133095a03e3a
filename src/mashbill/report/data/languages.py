"""Which languages and scripts the texts of a dataset are of, by some of them.

Languages are told by py3langid, whose model comes with the package (extra ``language``); without it
only scripts are, which Unicode gives. A text of few letters, and one of which the model is not
sure, is of no language that can be told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from mashbill.core.extras import needs
from mashbill.core.installed import is_installed
from mashbill.files.rows.prose import scripts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT, UNSURE = "too short to tell", "not told"
_FEWEST = 12
"""letters of a text whose language is told; of Chinese and its like each is worth three"""
_SURE = 0.8  # probability from which on it is
_READ = 2000  # characters of a text that are looked at
_DENSE = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL"})


@dataclass(frozen=True)
class Languages:
    """What was found of some texts."""

    texts: int
    """that were looked at"""
    by: str
    """who told the languages; empty if nobody could"""
    languages: tuple[tuple[str, int], ...]
    """(ISO 639-1 or why none is told, texts), the commonest first"""
    scripts: tuple[tuple[str, float], ...]
    """(script, share of the letters), the commonest first"""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "texts": self.texts, "by": self.by or None,
            "languages": [list(each) for each in self.languages],
            "scripts": [list(each) for each in self.scripts],
        }  # fmt: skip


@cache
def _identifier() -> Any:
    """Return the model, or None where the extra is not installed."""
    if not is_installed("py3langid"):
        return None
    with needs("telling languages", "language"):
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def languages_of(texts: Sequence[str]) -> Languages:
    """Return languages and scripts of some texts."""
    model = _identifier()
    letters: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for text in texts:
        read = text[:_READ]
        own = scripts_of(read)
        letters += own
        if model is not None:
            found[_language(model, read, own)] += 1
    whole = letters.total()
    return Languages(
        len(texts),
        "py3langid" if model is not None else "",
        tuple(sorted(found.items(), key=lambda each: (-each[1], each[0]))),
        tuple((name.title(), count / whole) for name, count in letters.most_common()),
    )


def _language(model: Any, text: str, letters: Counter[str]) -> str:
    worth = letters.total() + 2 * sum(letters[name] for name in _DENSE)
    if worth < _FEWEST:
        return SHORT
    language, probability = model.classify(text)
    return str(language) if probability >= _SURE else UNSURE
