"""Texts that stand where a model or a dataset would be named, and name none.

Programs write what they were given: ``None``, a path of the machine that they ran on, a
placeholder of a template. Two things that share one of these have no ancestor in common.
"""

from __future__ import annotations

import re
from reprlib import repr as brief

from mashbill.core.nothing import is_nothing

_NO_OWNER = frozenset(["n", "nan", "none", "null", "tbd", "todo", "undefined", "unknown"])
"""``n`` is that of ``n/a``"""
_NO_REPOSITORY = frozenset(["nan", "none", "null", "undefined"])
_PLACEHOLDERS = frozenset(
    ["hf-username", "huggingface-username", "my-org", "my-username", "org-name", "orgname",
     "user-name", "username", "your-hf-username", "your-huggingface-username", "your-name",
     "your-org", "your-organization", "your-organisation", "your-user-name", "your-username",
     "yourname", "yourorg", "yourusername"]
)  # fmt: skip
"""owners that templates and tutorials write, in small letters, with dashes"""
EXAMPLES = frozenset(
    ["namespace/repo-name", "org/model", "org/repo", "owner/name", "owner/repo", "user/model",
     "user/repo", "user/repo-name"]
)  # fmt: skip
ODD_OWNERS = _NO_OWNER | _PLACEHOLDERS | {name.partition("/")[0] for name in EXAMPLES}
"""owners, in small letters and with dashes, whose names are to be looked at: of names of letters,
digits, dots and dashes those of others name something, if the repository is not nothing itself"""
_MARKED = re.compile(r"\{\{|\}\}|\$\{|^<[^>]*>|/<[^>]*>|^\[[^\]]*\]$")
"""what a template puts around a name that was not filled in"""
_PATH = re.compile(r"[./~$%\\]|.*\\|[A-Za-z]:|[a-z0-9+]{2,}://|.*//", re.DOTALL)


def no_name(text: str) -> str:
    """Return why a text names no model and no dataset; empty if it may name one."""
    plain = text.strip()
    if is_nothing(plain):
        return f"{brief(text)} says that there is none"
    if _PATH.match(plain):
        return f"{brief(text)} is a path or an address, which names nothing to others"
    owner, slash, name = plain.casefold().replace("_", "-").partition("/")
    if slash and (owner in _NO_OWNER or name in _NO_REPOSITORY):
        return f"{brief(text)} says that there is none"
    if _MARKED.search(plain) or owner in _PLACEHOLDERS or f"{owner}/{name}" in EXAMPLES:
        return f"{brief(text)} is a placeholder that nobody filled in"
    return ""
