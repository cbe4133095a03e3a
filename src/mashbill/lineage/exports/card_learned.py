"""What a card says of each dataset that a model learned from: tokens x epochs x loss weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.said_learning import word_of_training
from mashbill.lineage.bills.text import share_text, table_row, table_rule

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest

_DATASETS = 20


def learned_lines(manifest: Manifest) -> list[str]:
    """Return a table of it; empty for a dataset, and for models of releases before 0.3."""
    whole = sum(each.weight for each in manifest.learned_from)
    word = word_of_training(manifest)
    said = [f"{word[:1].upper()}{word[1:]}.", ""] if word else []
    if not whole:
        return said
    unit = manifest.token_unit
    head = ["learned from", "rows", f"{unit} a pass", "epochs", "loss weight", "part"]
    lines = [table_row(head), table_rule(len(head))]
    for each in manifest.learned_from[:_DATASETS]:
        least, largest = each.loss_weights
        part = each.weight / whole
        weight = f"{least:.4g}" if least == largest else f"{least:.4g} to {largest:.4g}"
        cells = [each.name, f"{each.rows:,}", f"{each.tokens:,}", f"{each.epochs:.4g}"]
        lines.append(table_row([*cells, weight, share_text((part, part))]))
    return [*lines, "", *said]
