"""A YAML loader for strangers' files: plain values, no aliases, no numbers without end."""

from __future__ import annotations

from typing import Any

import yaml

_LONGEST = 64  # characters of a number: YAML 1.1 counts in base 60 too, and that takes squares


class PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # it ships no types
    """See the module."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias; everything else is composed as ever."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            problem = f"the alias *{event.anchor}: aliases are not read; write the value out"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


def _bounded(make: Any) -> Any:
    def construct(loader: PlainLoader, node: Any) -> Any:
        if len(loader.construct_scalar(node)) > _LONGEST:
            problem = f"a number of more than {_LONGEST} characters; put it in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return make(loader, node)

    return construct


for _tag in ("int", "float"):
    PlainLoader.add_constructor(
        f"tag:yaml.org,2002:{_tag}", _bounded(getattr(yaml.SafeLoader, f"construct_yaml_{_tag}"))
    )
