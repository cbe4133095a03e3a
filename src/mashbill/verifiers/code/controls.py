"""What the verifier ``code`` is tried on: programs that are right, wrong, and after the reward."""

from __future__ import annotations

import json

from mashbill.core.controls import JUNK
from mashbill.core.verifier import Case, Control

_CALLS = json.dumps(
    {
        "function": "double",
        "calls": [{"args": [2], "expected": 4}, {"args": ["ab"], "expected": "abab"}],
    }
)
_RIGHT = "def double(x):\n    return x + x\n"
_CHEATS = {
    "a program that is wrong": "def double(x):\n    return x * x\n",
    "a program that ends before its tests": "import os\nos._exit(0)\n",
    "a program that prints a verdict": "print('passed')\nprint('{\"value\": 4}')\n",
    "a program whose answer says it equals all": (
        "class Same(int):\n    def __eq__(self, other):\n        return True\n"
        "def double(x):\n    return Same(0)\n"
    ),
    "a program that writes where answers go": (
        "import os\nfor fd in range(3, 20):\n    try:\n"
        "        os.write(fd, b'\\0\\0\\0\\x0c{\"value\": 4}' * 3)\n"
        "    except OSError:\n        pass\n"
    ),
}


def controls(column: str, *, forgeable: bool) -> tuple[Control, ...]:
    """Return the controls.

    Args:
        column: with the tests of a row.
        forgeable: whether tests that are programs are run, too.
    """
    found = [
        Control("a program that is right", Case(_RIGHT, None, {column: _CALLS}), is_right=True)
    ]
    for name, program in {**JUNK, **_CHEATS}.items():
        found.append(Control(name, Case(program, None, {column: _CALLS}), is_right=False))
    if forgeable:
        suite = "assert double(3) == 6\n"
        found += [
            Control("a program that passes", Case(_RIGHT, None, {column: suite}), is_right=True),
            *(
                Control(name, Case(_CHEATS[name], None, {column: suite}), is_right=False)
                for name in ("a program that is wrong", "a program that ends before its tests")
            ),
        ]
    return tuple(found)
