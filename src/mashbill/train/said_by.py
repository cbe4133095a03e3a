"""What recipe and record say of how a model learned, brought together: both must say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.base_model import HubModel
from mashbill.core.errors import InputError
from mashbill.core.said_learning import SaidDataset
from mashbill.policy.same_names import agree, is_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.artifact import Manifest
    from mashbill.core.base_model import ModelSpec
    from mashbill.core.said_learning import OriginSize
    from mashbill.core.training_record import Record, RecordedDataset
    from mashbill.train.outside_data import OutsideData
    from mashbill.train.trained import TrainedSpec

_CLOSE = 1e-6
"""by which two numbers of epochs may differ that are the same"""


@dataclass(frozen=True)
class Known:
    """A dataset that the recipe names."""

    address: str
    digest: str
    rows: int | None
    sums: str = ""
    origins: tuple[OriginSize, ...] | None = None
    """None of an artifact of the store"""
    told: str = ""

    @classmethod
    def outside(cls, data: OutsideData) -> Known:
        """Return one that is not in the store."""
        return cls(data.name, data.digest, data.rows, data.sums, data.origins, data.told)


def known_again(said: SaidDataset, manifest: Manifest | None) -> Known:
    """Return one as it was when its model was taken in.

    Args:
        said: what was said of it then.
        manifest: of the artifact that it is; None where it is none of the store.
    """
    if manifest is not None:
        return known_of(manifest)
    rows = said.outside[0].rows if said.outside and len(said.outside) == 1 else None
    return Known(said.name, said.digest, rows, said.sums, said.outside, said.told)


def known_of(manifest: Manifest) -> Known:
    """Return one that the store has."""
    return Known(str(manifest.ref), manifest.digest, manifest.rows)


def agreed(
    spec: TrainedSpec, known: Mapping[str, Known], record: Record | None, where: str
) -> tuple[SaidDataset, ...]:
    """Return what is said of each dataset.

    Args:
        spec: the recipe's word.
        known: the datasets that it names, by what inputs calls them.
        record: the trainer's word; None where it left none.
        where: what messages call the record.

    Raises:
        InputError: naming what both say.
    """
    addresses: dict[str, str] = {}
    for name, one in known.items():
        if addresses.setdefault(one.address, name) != name:
            msg = (
                f"inputs names {addresses[one.address]!r} and {name!r}, which are both "
                f"{one.address}; name it once"
            )
            raise InputError(msg)
    told = {} if record is None else _matched(known, record, where)
    found = []
    for name, one in known.items():
        recorded = told.get(name)
        rows = None if recorded is None else recorded.rows
        if rows is not None and one.rows is not None and rows > one.rows:
            msg = (
                f"{where} says that {rows:,} rows of {one.address} were learned from, and it has "
                f"{one.rows:,}; it is another dataset than inputs names ({name!r})"
            )
            raise InputError(msg)
        tokens: Any = spec.tokens.get(name)
        epochs: Any = spec.epochs.get(name)
        if record is not None and recorded is not None:
            tokens = _same("tokens", name, tokens, record.tokens_of(recorded), where)
            epochs = _same("epochs", name, epochs, record.epochs_of(recorded), where)
        parts = None if recorded is None else recorded.parts
        if parts is not None and tokens is not None and sum(parts.values()) != tokens:
            msg = (
                f"{where} says that {tokens:,} tokens of {one.address} were seen, and its parts "
                f"add up to {sum(parts.values()):,}; correct it"
            )
            raise InputError(msg)
        found.append(
            SaidDataset(
                name=one.address,
                rows=rows,
                tokens=tokens,
                epochs=epochs,
                weight=spec.weights.get(name, 1.0),
                parts=parts,
                outside=one.origins,
                told=one.told,
                digest="" if one.origins is None else one.digest,
                sums=one.sums,
            )
        )
    return tuple(found)


def _same(key: str, name: str, mine: Any, theirs: Any, where: str) -> Any:
    """Return what recipe or record say; both must say the same."""
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    if abs(mine - theirs) > _CLOSE:
        msg = (
            f"{key}.{name} = {mine:,} in the recipe, and {where} says {theirs:,}; take it out of "
            "the recipe, or correct it"
        )
        raise InputError(msg)
    return theirs


def _matched(known: Mapping[str, Known], record: Record, where: str) -> dict[str, RecordedDataset]:
    """Return what the record says of each dataset that the recipe names.

    Raises:
        InputError: if one of the record's is none of the recipe's, or one of the recipe's is none
            of the record's.
    """
    found: dict[str, RecordedDataset] = {}
    for one in record.datasets:
        name = next((name for name, each in known.items() if _is(one, name, each)), None)
        if name is None:
            there = ", ".join(f"{n} ({k.address}, {k.digest[:16]})" for n, k in known.items())
            told = next((d for d in (one.digest, one.sums) if d), "")
            with_digest = f", of the digest {told[:16]}" if told else ""
            msg = (
                f"{where} says that {one.title!r}{with_digest} was learned from, and inputs names "
                f"no such dataset; it names {there or 'none'}: name the one that was published to "
                "the trainer, or its folder"
            )
            raise InputError(msg)
        if name in found:
            msg = f"{where} speaks twice of {known[name].address}; add both up in one"
            raise InputError(msg)
        found[name] = one
    lacking = [name for name in known if name not in found]
    if lacking:
        said = ", ".join(one.title for one in record.datasets) or "none"
        msg = (
            f"inputs names {lacking[0]!r} ({known[lacking[0]].address}), and {where} says nothing "
            f"of it: it names {said}; take it out of inputs, or correct the record"
        )
        raise InputError(msg)
    return found


def _is(one: RecordedDataset, name: str, known: Known) -> bool:
    """Return whether a dataset of a record is one of the recipe's: by digests, if it has some."""
    if one.digest and known.digest:
        return one.digest == known.digest and (
            not (one.sums and known.sums) or one.sums == known.sums
        )
    if one.sums and known.sums:
        return one.sums == known.sums
    if one.digest or one.sums:
        return False
    return (one.name or one.artifact) in {name, known.address}


def check_base(
    base: str,
    models: Mapping[str, ModelSpec],
    made: Mapping[str, Manifest],
    record: Record,
    where: str,
) -> None:
    """See that the record names the base that the recipe names, as far as it names one.

    A path of the machine that trained names no model, unless its last part is the name of one.

    Raises:
        InputError: naming both.
    """
    told = record.base
    if told is None:
        if base:
            msg = (
                f"base = {base!r}, and {where} says that weights were drawn at random; correct "
                "the recipe, or the record"
            )
            raise InputError(msg)
        return
    if not base:
        msg = (
            f"{where} says that weights started from {told.name!r:.120}, and the recipe names no "
            "base; add base = NAME with a table [models.NAME]"
        )
        raise InputError(msg)
    names = names_of(base, models.get(base), made.get(base))
    if not agree(told.name, names) and not is_path(told.name):
        msg = (
            f"base = {base!r} ({', '.join(sorted(names))[:120]}), and {where} says that weights "
            f"started from {told.name!r:.120}; name that base"
        )
        raise InputError(msg)
    model = models.get(base)
    revision = model.revision if isinstance(model, HubModel) else ""
    if revision and told.revision and not _is_commit_of(revision, told.revision):
        msg = (
            f"models.{base}.revision = {revision!r}, and {where} says {told.revision!r:.80}; pin "
            "the one that was trained from"
        )
        raise InputError(msg)


def _is_commit_of(one: str, other: str) -> bool:
    """Return whether two revisions may be the same: a tag may name any commit."""
    if not all(re.fullmatch("[0-9a-f]{7,40}", text) for text in (one, other)):
        return True
    return one.startswith(other) or other.startswith(one)


def names_of(base: str, model: ModelSpec | None, manifest: Manifest | None) -> set[str]:
    """Return what a base may be called by a trainer: its names, and the folder that it lies in."""
    found = {base}
    if manifest is not None:
        found |= {str(manifest.ref), manifest.name}
    if model is not None:
        if not model.made_as:
            found.add(model.source.name)
        found |= {getattr(model, "id", ""), *model.addresses()}
    return found - {""}
