"""Which artifacts' texts no page shows, since a stage behind them took something out on purpose.

What a stage redacts (:attr:`mashbill.core.stage.StageSpec.redacts`) still stands in its input, and
in all that this was made of. Whoever reads a page of what came out is not to read it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import PluginError
from mashbill.core.registry import STAGES, find, kinds
from mashbill.core.source import Channel

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store


def withheld(store: Store, result: Manifest) -> dict[str, str]:
    """Return of what a result rests on the artifacts whose texts are not shown, and why.

    These are all behind an artifact that redacts, and what was made of their rows without going
    through one: a classifier's examples, say, or a mix of redacted rows and others. A store that
    lacks an artifact is told of by whoever needs it.

    Args:
        store: where they lie.
        result: the artifact that a page is about.

    Returns:
        address -> sentence that says why
    """
    behind = _behind(store, result)
    reasons: dict[str, str] = {}
    for name, manifest in behind.items():
        why = _why(manifest)
        if why:
            for other in _behind(store, manifest):
                if other != name:
                    reasons.setdefault(other, why)
    grew = bool(reasons)
    while grew:
        grew = False
        for name, manifest in behind.items():
            taken = [item.name for item in manifest.inputs
                     if item.is_artifact and item.role in ("rows", "beside")
                     and item.channel.startswith(Channel.CONTENT.value)]  # fmt: skip
            source = next((other for other in taken if other in reasons), "")
            if source and name not in reasons and not _why(manifest):
                reasons[name] = reasons[source]
                grew = True
    return reasons


def _behind(store: Store, manifest: Manifest) -> dict[str, Manifest]:
    """Return an artifact and all that it rests on, by address."""
    found: dict[str, Manifest] = {}
    waiting = [manifest]
    while waiting:
        one = waiting.pop()
        if str(one.ref) not in found:
            found[str(one.ref)] = one
            inputs = [store.get(ArtifactRef.parse(i.name)) for i in one.inputs if i.is_artifact]
            waiting += [source for source in inputs if source is not None]
    return found


def _why(manifest: Manifest) -> str:
    """Return why what an artifact was made of is not shown; empty if it may be."""
    kind = str(manifest.stage.get("kind", ""))
    if manifest.kind != "dataset" or kind not in kinds(STAGES):
        return ""
    try:
        redacts = getattr(find(kind, STAGES), "redacts", False)
    except PluginError:  # a page needs no plugin, but is not to show what one may have taken out
        return f"not shown: kind {kind} of {manifest.ref} cannot be loaded, and may redact"
    if redacts:
        return f"not shown: {manifest.ref} is what was redacted of it"
    return ""
