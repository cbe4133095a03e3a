"""Hugging Face's model card and dataset card: README.md with front matter in YAML.

The Hub's metadata knows a base model and datasets by their ids on the Hub, and has no relation
for a teacher, so everything else stands in ``bill.json``, to which ``x-mashbill`` points by name
and digest, and in the text (:mod:`mashbill.lineage.exports.card_text`). What is not recorded, such
as the language of the texts, is left out and never guessed. Scalars are written as JSON, which is
YAML too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.core.shown import yaml_scalar
from mashbill.core.source import Channel
from mashbill.lineage.described.model_files import ADAPTER, is_for_transformers
from mashbill.lineage.exports.account import Account
from mashbill.lineage.exports.bill_file import reference
from mashbill.lineage.exports.card_index import model_index
from mashbill.lineage.exports.card_text import body
from mashbill.lineage.exports.licences import hub
from mashbill.lineage.exports.trained_here import own_teachers
from mashbill.policy.licence_words import is_no_licence

if TYPE_CHECKING:
    from collections.abc import Iterable

HUB_ID = r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?"
"""an id on the Hub; the Hub refuses a card whose base model is none"""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"),
          (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip


def write(account: Account, data_files: str = "part-*.parquet", rows: str = "") -> str:
    """Return the account as a card.

    Args:
        account: of the artifact.
        data_files: which files beside the card hold the rows.
        rows: digest of these files; that of the artifact if empty. ``datasets`` keeps what it read
            of a folder under the folder's own name and what the card says of it, and would give
            the rows of another folder of the same name if both said the same.
    """
    matter = _front_matter(account, data_files, rows or account.manifest.digest)
    front = [f"{key}:{_yaml(value, 1)}" for key, value in matter.items()]
    return "\n".join(["---", *front, "---", "", *body(account)]) + "\n"


_FLOW = 4
"""depth from which on a mapping stands in one line, as JSON, which is YAML too"""


def _yaml(value: Any, depth: int) -> str:
    """Write a value behind its key: scalars as JSON, mappings and lists as blocks."""
    indent = "\n" + "  " * depth
    if isinstance(value, dict) and value and depth < _FLOW:
        return "".join(f"{indent}{key}:{_yaml(item, depth + 1)}" for key, item in value.items())
    if isinstance(value, list) and value:
        # Of a mapping in a list the first key stands behind the dash.
        items = (_yaml(item, depth + 1).lstrip() for item in value)
        return "".join(f"{indent}- {item}" for item in items)
    return " " + _scalar(value)


def _scalar(value: Any) -> str:
    """Write JSON of one line; what YAML calls unprintable, or nobody sees, is escaped."""
    return yaml_scalar(value)


def _front_matter(account: Account, data_files: str, rows: str) -> dict[str, Any]:
    """Return the front matter: what the Hub reads, in the order in which its own cards have it."""
    manifest = account.manifest
    front: dict[str, Any] = dict(_licence(account.stated_license))
    taught = own_teachers(account.table) or any(
        line.source.what == "model" for line in account.lines
    )
    tags = ["mashbill", *(["distillation"] if taught else [])]
    if account.is_model:
        front["library_name"] = _library(account)
        front["pipeline_tag"] = account.described.task or []
        bases, relation = _bases(account)
        if bases:
            front |= {"base_model": bases, "base_model_relation": relation}
        front["datasets"] = _hub_ids(
            line.source.name for line in account.lines if line.source.what == "dataset"
        )
        front["model-index"] = model_index(account)
    else:
        front["pretty_name"] = str(manifest.ref)
        front["size_categories"] = [
            next((name for most, name in _SIZES if manifest.rows < most), "n>1T")
        ]
        front["task_categories"] = _categories(account)
        front |= _made_by_machines(account)
        # Rejected rows lie beside the others; without this the Hub would load them too.
        told = {"description": f"{account.manifest.ref}, {rows}"}
        front["configs"] = [{"config_name": "default", "data_files": data_files} | told]
    front["tags"] = tags
    front["x-mashbill"] = reference(account)
    return {key: value for key, value in front.items() if value != []}


def _library(account: Account) -> str:
    """Return the library that loads it, by the Hub's name."""
    built = account.described.built
    if is_for_transformers(item.file for item in account.manifest.files):
        return "peft" if built is not None and not built.config else "transformers"
    return "gguf" if built is not None and built.form == "gguf" else "mashbill"


_WRITTEN = frozenset({"messages", "conversations", "chosen", "completion", "response", "answer"})
"""columns of rows that a model learns to write from"""


def _categories(account: Account) -> list[str]:
    """Return the Hub's tasks that a dataset's columns are for."""
    names = {name for name, _ in account.columns}
    found = ["text-classification"] if account.described.labels else []
    return [*found, *(["text-generation"] if names & _WRITTEN else [])]


def _licence(text: Any) -> dict[str, str]:
    """Return the licence by the Hub's rules: an id of its list, or ``other`` with a name."""
    if not isinstance(text, str) or is_no_licence(text):
        return {"license": "unknown"}
    known = hub(text)
    return {"license": known} if known else {"license": "other", "license_name": text.lower()}


def _hub_ids(names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if re.fullmatch(HUB_ID, name)})


def _bases(account: Account) -> tuple[list[str], str]:
    """Return the models that it started from, and the Hub's relation to them.

    A base that is an artifact of the store is on no Hub: what it started from itself counts.
    """
    lines = [line for line in account.lines if line.source.what == "model" and line.is_base]
    taken = [item for item in account.step.taken if item.channel == Channel.WEIGHTS.value]
    if "quant" in str(account.manifest.stage.get("kind", "")):
        relation = "quantized"
    elif any(item.file == ADAPTER for item in account.manifest.files):
        relation = "adapter"
    else:
        relation = "merge" if len(taken) > 1 else "finetune"
    return _hub_ids(line.source.name for line in lines), relation


def _made_by_machines(account: Account) -> dict[str, list[str]]:
    """Return the Hub's words for who wrote and who annotated, where a model did."""
    channels = {
        channel
        for line in account.lines
        if line.source.what == "model"
        for channel in line.channels
    }
    channels |= {how for each in own_teachers(account.table).values() for how in each}
    wrote = {"language_creators": ["machine-generated"]} if Channel.CONTENT in channels else {}
    judged = (
        {"annotations_creators": ["machine-generated"]} if Channel.JUDGEMENT in channels else {}
    )
    return wrote | judged
