"""Ids that APIs of models give to their answers: who keeps them keeps whose answers they are.

The forms are those of the makers' own specifications: openai/openai-openapi@f85dbe2 (openapi.yaml:
``chatcmpl-``, ``cmpl-``, ``resp_``, ``msg_``, ``req_``), which many servers of open models follow,
and anthropics/anthropic-sdk-python@009b0353 (tests: ``msg_01`` and ``req_01`` with 22 characters).
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

_OPENAI, _ANTHROPIC = "an API of OpenAI's form", "Anthropic's API"
# A random UUID in hexadecimal digits, which others put behind a word, has 4 or 7 in the 13th place.
_NO_UUID = r"[0-9a-f]{12}[0-3568-9a-f][0-9a-f]{19}"
_FORMS = (
    (_OPENAI, (r"chatcmpl-[A-Za-z0-9_-]{4,80}|cmpl-[A-Za-z0-9]{20,40}"
              rf"|(?:resp|msg)_(?:[0-9a-f]{{48}}|[0-9a-f]{{50}})|(?:resp|req)_{_NO_UUID}")),
    (_ANTHROPIC, r"(?:msg|req)_01[A-Za-z0-9]{22}"),
)  # fmt: skip
_BEGIN = r"(?:chatcmpl-|cmpl-|resp_|msg_|req_)"


def ids_in(texts: pa.Array, *, within: bool = False) -> Counter[str]:
    """Return how many of some texts are such ids, by whose API gave them.

    Args:
        texts: of a column.
        within: whether they are JSON, in which an id may stand anywhere.
    """
    begin, end = ('"', '"') if within else ("^", "$")
    found: Counter[str] = Counter()
    may_be = pc.match_substring_regex(texts, begin + _BEGIN)
    texts = texts.filter(pc.fill_null(may_be, fill_value=False))
    for who, form in _FORMS if len(texts) else ():
        found[who] += pc.sum(pc.match_substring_regex(texts, f"{begin}(?:{form}){end}")).as_py()
    return +found
