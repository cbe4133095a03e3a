"""The things of a whole catalogue with their facts, from its index: gathered, not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.lineage.catalogue.hub import Hub, hub_of
from mashbill.lineage.texts import Texts
from mashbill.lineage.whatif.things import FACTS, Column, Measures, Things
from mashbill.policy.claims import MEDIA
from mashbill.policy.index import places
from mashbill.policy.keeping import array_of, code_of, derived
from mashbill.policy.sizes import parameters_by_name, total_parameters
from mashbill.policy.statuses import COUNTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mashbill.policy.index import Index
    from mashbill.policy.statuses import Status

_SEPARATOR = "[^A-Za-z0-9.]"
_SIZE = r"(?:^|[^A-Za-z0-9.])(?P<size>\d{1,6}(?:\.\d{1,4})?[MBTmbt])(?:$|[^A-Za-z0-9])"
_EXPERTS = r"\d(?:[Ee]|x\d)"


def things_of_index(index: Index, statuses: Sequence[Status] = COUNTED) -> Things:
    """Return the entities of a catalogue as things, as ``things_of_catalogue`` does.

    Args:
        index: entities and claims.
        statuses: which claims count, by who stands behind them.

    Raises:
        InputError: if figures of an entity add up to more than the whole.
    """
    hub = hub_of(index, statuses)
    columns = {name: _column(hub, *index.codes(name)) for name in FACTS if name in _PLAIN}
    ids = index.merged.entities.column("id").chunk(0)
    columns["name"] = _column(hub, np.from_dlpack(ids.indices), Texts(ids.dictionary))
    columns["route"] = _routes(hub)
    ordered = {name: columns[name] for name in FACTS}
    return Things(hub.circuit, hub.row >= 0, ordered, _measures(hub))


_PLAIN = ("what", "provider", "country", "kind", "license", "released")


def _column(hub: Hub, code: np.ndarray, texts: Sequence[str]) -> Column:
    """Return a fact of every node; what lies between entities has none."""
    if isinstance(texts, Texts):
        blank = len(texts) - 1
    else:
        texts = texts if "" in texts else [*texts, ""]
        blank = texts.index("")
    least = next(kind for kind in (np.int8, np.int16, np.int32) if len(texts) <= np.iinfo(kind).max)
    found = np.full(len(hub.row), blank, least)
    mine = hub.row >= 0
    found[mine] = code[hub.row[mine]]
    return Column(found, texts)


def _routes(hub: Hub) -> Column:
    """Return how each node is reached."""
    index = hub.index
    provider, providers = index.codes("provider")
    kind, kinds = index.codes("kind")
    what, whats = index.codes("what")
    by_api = np.array([text == "closed-api" for text in kinds], bool)[kind]
    is_data = np.array([text == "dataset" for text in whats], bool)[what]
    texts = ["", "public", "weights", *(f"api:{text.lower()}" for text in providers)]
    code = np.where(is_data, 1, np.where(by_api, provider + 3, 2)).astype(np.int32)
    column = _column(hub, code, texts)
    second = np.flatnonzero(hub.by_api)
    column.code[second] = provider[hub.row[second]] + 3
    return column


def _measures(hub: Hub) -> Measures:
    """Return what is recorded in numbers of every node."""
    index = hub.index
    nan = float("nan")

    def each(name: str, read: Callable[[str], Any], kind: type = np.float64) -> np.ndarray:
        code, texts = index.codes(name)
        values: np.ndarray = np.array([read(text) for text in texts], kind)[code]
        return values

    def takes(text: str) -> int:
        return sum(1 << MEDIA.index(medium) for medium in set(text.split(";")) if medium in MEDIA)

    code = code_of("mashbill.lineage.whatif", ("hub_facts",)) + code_of(
        "mashbill.policy", ("sizes",)
    )
    sizes = derived(
        index, "sizes", code, lambda: {"sizes": pa.table({"sizes": _parameters(index)})}
    )
    parts = (
        array_of(sizes["sizes"], "sizes"),
        each("context", lambda text: float(text) if text else nan),
        each("takes", takes, np.uint8),
        each("downloads", lambda text: float(text) if text else nan),
    )
    mine = hub.row >= 0
    found = []
    for values, blank in zip(parts, (nan, nan, 0, nan), strict=True):
        whole = np.full(len(hub.row), blank, values.dtype)
        whole[mine] = values[hub.row[mine]]
        found.append(whole)
    return Measures(*found)


def _parameters(index: Index) -> np.ndarray:
    """Return the parameters of each model as stated, or as its name says, float64, shape (n,)."""
    code, texts = index.codes("parameters")
    stated: np.ndarray = np.array([total_parameters(text) or np.nan for text in texts], np.float64)[
        code
    ]
    what, whats = index.codes("what")
    is_model = np.array([text == "model" for text in whats], bool)[what]
    stated[~is_model] = np.nan
    at = np.flatnonzero(np.isnan(stated) & is_model)
    ids = index.ids_of(at)
    # Most names say no size at all; of the others, most say one, and a few hundred sizes are all.
    some = np.flatnonzero(
        np.from_dlpack(pc.match_substring_regex(ids, r"\d[MBTmbt]").cast("uint8"))
    )
    at, ids = at[some], ids.take(places(some))
    own = pc.replace_substring_regex(ids, "^.*/", "")
    own = pc.replace_substring_regex(own, _SEPARATOR, "  ")
    times = np.from_dlpack(pc.count_substring_regex(own, _SIZE))
    odd = np.from_dlpack(pc.match_substring_regex(own, _EXPERTS).cast("uint8")) > 0
    once = np.flatnonzero((times == 1) & ~odd)
    sizes = pc.extract_regex(own.take(places(once)), _SIZE).field("size").dictionary_encode()
    values = [parameters_by_name(text) or np.nan for text in sizes.dictionary.to_pylist()]
    if len(once):
        stated[at[once]] = np.array(values, np.float64)[np.from_dlpack(sizes.indices)]
    rest = np.flatnonzero((times > 1) | ((times == 1) & odd))
    named = ids.take(places(rest)).to_pylist()
    stated[at[rest]] = [parameters_by_name(name) or np.nan for name in named]
    return stated
