"""The shapes, and the wire that reads each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mashbill.client.wire import Reply, Wire
from mashbill.client.wire.anthropic import AnthropicMessages
from mashbill.client.wire.events import read_events
from mashbill.client.wire.gemini import Gemini
from mashbill.client.wire.openai_chat import OpenAIChat
from mashbill.client.wire.openai_completions import OpenAICompletions
from mashbill.client.wire.openai_responses import OpenAIResponses

SHAPES = Path(__file__).parent / "shapes"
WIRES: dict[str, Wire] = {
    wire.name: wire
    for wire in (
        OpenAIChat(), OpenAICompletions(), OpenAIResponses(), AnthropicMessages(), Gemini(),
    )
}  # fmt: skip
ANSWERS = sorted(
    path.stem
    for path in SHAPES.glob("*.json")
    if "error" not in path.stem
    and path.stem.split(".")[0] in WIRES
    and path.stem != "openai-responses.failed"
)
STREAMS = sorted(path.stem for path in SHAPES.glob("*.sse") if "error" not in path.stem)
BOTH = [name for name in STREAMS if name in ANSWERS]


def shape(name: str) -> Any:
    return json.loads((SHAPES / f"{name}.json").read_text())


def stream(name: str) -> bytes:
    return (SHAPES / f"{name}.sse").read_bytes()


def wire_of(name: str) -> Wire:
    return WIRES[name.split(".", maxsplit=1)[0]]


def read(name: str) -> Reply:
    return wire_of(name).read(shape(name))


def read_stream(name: str, data: bytes | None = None) -> Reply:
    wire = wire_of(name)
    events = read_events(stream(name) if data is None else data, wire.stops_stream)
    return wire.read(wire.joined(events))
