"""The Data Provenance Initiative's summaries of fine-tuning datasets (Longpre et al., 2023).

Files are ``data_summaries/*.json`` of
github.com/Data-Provenance-Initiative/Data-Provenance-Collection (Apache-2.0), each an object::

    {IDENTIFIER: {"Hugging Face URL": str, "Dataset URL": str, "Model Generated": [str],
                  "Licenses": [{"License": str}], "Text Metrics": {"Num Dialogs": int}, ...}}

People filled them in, and they hold errors; so a claim is ``derived`` and second-hand. A record
that names no generator says nothing here and is passed by in silence. Shares and dates are not
given; nor is how many of a record's rows a generator wrote, where a record names several.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mashbill.core.errors import InputError
from mashbill.core.nothing import is_nothing
from mashbill.policy.importers.imported import (
    Gathering,
    Imported,
    from_address,
    objects,
    one_line,
    read_each,
    read_json,
)
from mashbill.policy.importers.licences import from_dpi

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.source import SourceKind


class _Maker(NamedTuple):
    """Names that tell their maker: pattern, owner of the id, provider, and who can have them."""

    pattern: str
    owner: str
    provider: str
    kind: SourceKind


_MAKERS = (
    _Maker(r"openai (?=gpt-[12]$)", "openai", "OpenAI", "open-weights"),
    _Maker(r"openai ", "openai", "OpenAI", "closed-api"),
    _Maker(r"anthropic |(?=claude)", "anthropic", "Anthropic", "closed-api"),
    _Maker(r"google ", "google", "Google", "closed-api"),
    _Maker(r"(?=flan-t5|t5\b)", "google", "Google", "open-weights"),
    _Maker(r"(?=llama)", "meta-llama", "Meta", "open-weights"),
    _Maker(r"(?=mistral|mixtral)", "mistralai", "Mistral AI", "open-weights"),
    _Maker(r"(?=command r)", "cohere", "Cohere", "unknown"),
    _Maker(r"(?=bing )", "microsoft", "Microsoft", "closed-api"),
    _Maker(r"(?=deepl$)", "deepl", "DeepL", "closed-api"),
    _Maker(r"gretel ", "gretelai", "Gretel", "unknown"),
    _Maker(r"(?=nous-)", "nousresearch", "unknown", "unknown"),
    _Maker(r"(?=seallm)", "seallms", "unknown", "unknown"),
    _Maker(r"(?=vicuna)", "lmsys", "unknown", "open-weights"),
    _Maker(r"(?=starcoder)", "bigcode", "unknown", "open-weights"),
    _Maker(r"(?=indictrans)", "ai4bharat", "unknown", "open-weights"),
)
_TRANSLATES = re.compile(r"translat|deepl$|indictrans", re.IGNORECASE)
_NO_MODEL = {
    "other": "which names none",
    "templates": "a program, not a model",
    "nbc": "a method, not a model",
    "svm": "a method, not a model",
}


@dataclass
class _Data:
    """A dataset on the hub, over all records that lead to it."""

    where: str
    address: str
    licences: set[str] = field(default_factory=set)


def read(path: Path) -> Imported:
    """Read one file, a folder of them, or the data_summaries of a copy of the whole repository.

    Raises:
        InputError: naming file, line or key, if a file is no summary; in a folder such a file is
            left out, unless there is no other.
    """
    gathered = Gathering("dpi")
    data: dict[str, _Data] = {}
    if (path / "data_summaries").is_dir():
        path /= "data_summaries"

    def read_one(file: Path) -> None:
        if file.name.startswith("_"):
            gathered.leave(str(file), "a template, not a summary")
            return
        records = read_json(file)
        good = {key: record for key, record in records.items() if _is_record(record)}
        if records and not good:
            msg = (
                f"{file}: {one_line(next(iter(records)))}: found no record with 'Hugging Face "
                "URL'; give the files of data_summaries in the Data Provenance Collection"
            )
            raise InputError(msg)
        for key in (key for key in records if key not in good):
            flaw = f"{file}: {one_line(key)}: found no record with 'Hugging Face URL'"
            gathered.reject(file, flaw)
        for key, record in good.items():
            _gather(gathered, file, one_line(key), record, data)

    read_each(path, "*.json", gathered.reject, read_one)
    for name, one in data.items():
        if len(one.licences) > 1:
            found = ", ".join(sorted(one.licences))
            gathered.leave(f"{one.where}: Licenses", f"{name} has {found}; not one, so none taken")
        gathered.add_entity(
            one.where,
            id=name,
            what="dataset",
            kind="public-dataset",
            license=next(iter(one.licences)) if len(one.licences) == 1 else None,
            second_hand=True,
            source=one.address,
        )
    return gathered.finish()


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and "Hugging Face URL" in value


def _gather(
    gathered: Gathering, file: Path, key: str, record: dict[str, Any], data: dict[str, _Data]
) -> None:
    """Add the claims of a record, and its dataset."""
    where = f"{file}: {key}"
    stated = record.get("Model Generated")
    listed = stated if isinstance(stated, list) else []
    makers = [one_line(name) for name in listed if isinstance(name, str) and name.strip()]
    if not makers:
        return
    found = _address(record)
    if found is None:
        gathered.leave(
            f"{where}: Hugging Face URL",
            f"no dataset on the hub ({one_line(str(record.get('Hugging Face URL'))) or 'empty'}), "
            f"so its generators {', '.join(makers)} have no child",
        )
        return
    child, address = found
    metrics = record.get("Text Metrics")
    rows = metrics.get("Num Dialogs") if isinstance(metrics, dict) else None
    counted = isinstance(rows, int) and rows > 0
    alone = len(set(makers)) == 1
    note = "Model Generated names it"
    if counted and not alone:
        note += f" with {len(set(makers)) - 1} others for {rows} dialogues in all"
    kept = 0
    for name in dict.fromkeys(makers):
        parent = _model(gathered, f"{where}: Model Generated", name)
        if parent is not None:
            kept += gathered.add_claim(
                where,
                child=child,
                parent=parent,
                relation="rewrite" if _TRANSLATES.search(name) else "sft-data",
                dataset=key,
                rows=rows if counted and alone else None,
                status="derived",
                second_hand=True,
                source=f"Data-Provenance-Initiative/Data-Provenance-Collection:"
                f"data_summaries/{file.name} ({key})",
                note=note,
            )
    if kept:
        one = data.setdefault(child, _Data(where, address))
        stated = objects(record.get("Licenses"))
        named = (item.get("License") for item in stated)
        licences = (from_dpi(one_line(text)) for text in named if isinstance(text, str))
        one.licences |= {licence for licence in licences if licence is not None}


def _address(record: dict[str, Any]) -> tuple[str, str] | None:
    """Return the id of a record's dataset on the hub, and the address that says so."""
    for key in ("Hugging Face URL", "Dataset URL"):
        address = one_line(str(record.get(key) or ""))
        found = from_address(address)
        if found is not None and found[1] == "dataset":
            return found[0], address
    return None


def _model(gathered: Gathering, where: str, name: str) -> str | None:
    """Return the id of a model by the name that a record gives it, or leave it out."""
    if name.lower() in _NO_MODEL:
        gathered.leave(where, f"{name!r}: {_NO_MODEL[name.lower()]}")
        return None
    for maker in _MAKERS:
        match = re.match(maker.pattern, name, re.IGNORECASE)
        if match:
            bare = name[match.end() :].strip().lower().replace(" ", "-")
            if is_nothing(bare):
                break
            model = f"{maker.owner}/{bare}"
            gathered.add_entity(
                where,
                id=model,
                what="model",
                provider=maker.provider,
                kind=maker.kind,
                second_hand=True,
                source="Data Provenance Initiative",
            )
            return model
    gathered.leave(where, f"{name!r}: the name does not tell whose model it is")
    return None
