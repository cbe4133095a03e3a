"""Laws that a plugin is held to: each is tried, and what breaks is told with what to mend."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import canonical
from mashbill.core.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.literals import Literals


class LawError(AssertionError):
    """Laws that a plugin breaks, each with what to mend."""

    def __init__(self, what: str, broken: list[tuple[str, str]]) -> None:
        self.laws = tuple(law for law, _ in broken)
        lines = "\n".join(f"  {law}: {says}" for law, says in broken)
        super().__init__(f"{what} breaks {len(broken)} of the laws:\n{lines}")


class Laws:
    """The laws that one plugin was held to."""

    def __init__(self, what: str) -> None:
        self.held: list[str] = []
        self.broken: list[tuple[str, str]] = []
        self._what = what

    @contextmanager
    def law(self, name: str, mend: str) -> Iterator[None]:
        """Try a law; whatever is raised breaks it.

        Args:
            name: the law, in a few words.
            mend: what to do where it is broken, as a sentence.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            said = str(error) if isinstance(error, AssertionError) else _told(error)
            self.broken.append((name, f"{said or 'it does not hold'}. {mend}"))
        else:
            self.held.append(name)

    def settle(self) -> tuple[str, ...]:
        """Return the laws that held.

        Raises:
            LawError: if one did not.
        """
        if self.broken:
            raise LawError(self._what, self.broken)
        return tuple(self.held)


def demand(holds: object, says: str) -> None:
    """Raise AssertionError with a text, unless something holds."""
    if not holds:
        raise AssertionError(says)


def _told(error: Exception) -> str:
    return f"it raised {type(error).__name__}: {error!s:.400}".rstrip(".")


def check_spec(laws: Laws, spec: Literals) -> None:
    """Hold the keys of a recipe's table to what all of them promise."""
    with laws.law(
        "literals come back",
        "Keep only fields that JSON holds, and let validators leave a value that is right alone.",
    ):
        again = type(spec).model_validate(spec.model_dump(mode="json"))
        demand(again == spec, f"its keys, written and read again, are {again!r:.200}")
        canonical(spec.model_dump(mode="json"))
    with laws.law(
        "spec is handed over",
        "Put the class at the top of a module, and keep no open file, lock or lambda in it.",
    ):
        demand(pickle.loads(pickle.dumps(spec)) == spec, "it is another one once it was pickled")  # noqa: S301 - what was pickled here
    with laws.law("kind", "Declare kind: Literal['NAME'] = 'NAME', as it is registered."):
        kind: Any = getattr(spec, "kind", None)
        default = type(spec).model_fields["kind"].default
        demand(kind and kind == default, f"its kind is {kind!r} and its default {default!r}")


def check_source(laws: Laws, source: Any) -> None:
    """Hold the source of a teacher or verifier to what bills take."""
    with laws.law("source", "Return a mashbill.Source from the property source."):
        demand(isinstance(source, Source), f"its source is {source!r:.80}")
        canonical(source.model_dump(mode="json"))
