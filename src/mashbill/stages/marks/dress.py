"""One dress for texts: letters that only look like others are those, as far as marks go.

A reader sees no difference between a Latin and a Cyrillic o, a letter of full width or one with a
joiner that joins nothing. For what texts mean they differ, so :mod:`mashbill.files.rows.text` keeps
them apart; whoever wants a copy not to be found uses just that.
"""

from __future__ import annotations

import re
import unicodedata

_LOOKS = str.maketrans(
    # Cyrillic, small and capital, Greek, and letters of other shapes, each by what it looks like
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0455\u0458\u04bb\u0501\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406\u0405\u0408"
    "\u03bf\u03b1\u03bd\u03b9\u03c1\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1"
    "\u03a4\u03a5\u03a7\u0251\u0261\u0131",
    "aeopcxyisjhdqwABEKMHOPCTXISJoavipABEZHIKMNOPTYXagi",
)
_JOINERS = re.compile("[\u200b-\u200d\u2060\u034f\u00ad\ufe00-\ufe0f]+")


def one_dress(text: str) -> str:
    """Return a text with what looks alike written alike; one of ASCII is itself."""
    if text.isascii():
        return text
    return _JOINERS.sub("", unicodedata.normalize("NFKC", text)).translate(_LOOKS)
