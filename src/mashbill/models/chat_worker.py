"""Fills a model's chat template in a process of its own: a program, and imported by nobody.

A template comes with the weights and is somebody else's program. Jinja's sandbox keeps it from the
machine, but not from filling the memory or going on for ever: this process may take so much of
both, and its parent waits so long. A line of JSON each way; the first brings the template.
"""

from __future__ import annotations

import json
import re
import sys

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

MEMORY = 1 << 30  # bytes
LONGEST = 16_000_000  # characters of a conversation
_GENERATION = re.compile(r"\{%-?[ \t\n]*(?:end)?generation[ \t\n]*-?%\}")


def main() -> None:
    """Answer until there are no more lines."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # a system that has no such bounds: the parent's deadline is left
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    environment.filters["tojson"] = _as_json
    template = None
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        try:
            if template is None:
                # Marks of what is learned from: where that is follows from the turns here.
                template = environment.from_string(_GENERATION.sub("", asked["template"]))
                answer = {"text": ""}
            else:
                answer = {"text": _filled(template, asked)}
        except Exception as error:  # noqa: BLE001 - whatever a template brings about is told
            answer = {"error": f"{error!s:.400}" or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _filled(template: jinja2.Template, values: dict[str, object]) -> str:
    pieces, size = [], 0
    for piece in template.generate(values):
        size += len(piece)
        if size > LONGEST:
            msg = f"it comes to more than {LONGEST:,} characters"
            raise jinja2.TemplateError(msg)
        pieces.append(piece)
    return "".join(pieces)


def _as_json(value: object, indent: int | None = None) -> str:
    """Return JSON as transformers' templates get it, where Jinja's own would escape for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


if __name__ == "__main__":
    main()
