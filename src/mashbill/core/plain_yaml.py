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

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a key that is there twice: only one of its values would be kept."""
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            named = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if named in seen and named is not None:
                problem = f"the key {key.value[:80]!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(named)
        return super().construct_mapping(node, deep)


def _placed(make: Any) -> Any:
    """Return a maker of a value that tells the line of what cannot be one."""

    def construct(loader: PlainLoader, node: Any) -> Any:
        numeric = node.tag.endswith((":int", ":float"))
        if numeric and len(loader.construct_scalar(node)) > _LONGEST:
            problem = f"a number of more than {_LONGEST} characters; put it in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        try:
            return make(loader, node)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # A date such as 2025-13-45, a time zone out of the world.
            problem = f"{node.value!s:.80}: {' '.join(str(error).split()):.200}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    return construct


for _tag in ("bool", "int", "float", "timestamp"):
    PlainLoader.add_constructor(
        f"tag:yaml.org,2002:{_tag}", _placed(getattr(yaml.SafeLoader, f"construct_yaml_{_tag}"))
    )
