"""The command line: parse, call, print.

Exit codes: 0 done, 1 a finding, a denial or a plugin that failed, 2 an error, 3 something that
wants review.
"""

from __future__ import annotations

from mashbill.cli.ending import ended
from mashbill.cli.options import app
from mashbill.cli.printing import take_over

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    take_over()
    ended(app)
