"""A first recipe for a folder of documents: questions, answers, and the words behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.plain import counted
from mashbill.core.store import write_atomically
from mashbill.workspace.begun import Begun, Wish, plain_name
from mashbill.workspace.first_recipe import USE, teacher_text, toml

if TYPE_CHECKING:
    from pathlib import Path

_ENDINGS = (".txt", ".md")
_LOOKED = 100_000
"""files of a folder that are counted"""


def begin_documents(folder: Path, wish: Wish, *, replace: bool = False) -> Begun:
    """Write a recipe beside a folder of documents that asks a teacher for questions about them.

    Args:
        folder: whose files of text are a document each, those in folders of it too.
        wish: teacher and name; what is about columns and labels is for files of rows.
        replace: whether a recipe that is there is written anew.

    Raises:
        InputError: if it holds no such file, or a recipe of this name is there.
    """
    if wish.labels or wish.gold or wish.text or wish.task:
        msg = (
            f"{folder} is a folder of documents, from which questions and answers are made: leave "
            "out --text, --labels, --gold and --task, or name a file of rows"
        )
        raise InputError(msg)
    found, bad = 0, 0
    for path in folder.rglob("*"):
        if path.suffix.lower() in _ENDINGS and path.is_file():
            found += 1
            bad += not _is_utf8(path)
            if found >= _LOOKED:
                break
    if not found:
        msg = (
            f"{folder} holds no file that ends in {' or '.join(_ENDINGS)}; name a folder of "
            "documents, or a file of rows (.csv, .tsv, .jsonl, .parquet)"
        )
        raise InputError(msg)
    folder = folder if folder.name not in ("", "..") else folder.resolve()
    name = plain_name(wish.name or folder.name)
    recipe = folder.with_name(f"{name}.toml")
    if recipe.exists() and not replace:
        msg = f"{recipe} is there already; give another --name, or --replace it"
        raise InputError(msg)
    write_atomically(recipe, _text(folder.name, name, wish, has_bad=bad > 0).encode())
    told = ["each question stands beside its answer and the words of the document behind it"]
    if bad:
        told.append(
            f"{counted(bad, 'document')} not UTF-8, and rejected: save as UTF-8 what is not; an "
            "encoding in the recipe would be that of all"
        )
    return Begun(recipe, None, (), found, tuple(told))


def _is_utf8(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as stream:
            while stream.read(1 << 20):
                pass
    except (UnicodeDecodeError, OSError):
        return False
    return True


def _text(folder: str, name: str, wish: Wish, *, has_bad: bool) -> str:
    rejects = 'on_bad_bytes = "reject"      # those that are not UTF-8\n' if has_bad else ""
    return f"""# Made by `mashbill init`: questions and answers from documents.
#
#     mashbill plan {name}.toml     what it asks, and what that costs; nothing is run
#     mashbill run {name}.toml      a report at the end
#     mashbill publish questions --to DIR --format chat     # or trl-sft, alpaca, sharegpt
#
# `mashbill stages KIND` says what else each kind of stage can do.

[recipe]
name = {toml(name)}
version = "1"
seed = 1
result = "questions"

{USE}
{teacher_text(wish.teacher, {}, wish.licence)}
[stages.documents]
kind = "corpus"
title = {toml(folder)}          # how the bill calls them
origin = "own-dataset"        # or "public-dataset", with provider and license
source = {toml(folder)}
format = "text"               # a file is a document
{rejects}
[stages.pieces]
kind = "chunk"
input = "documents"
words = 120                   # of a piece, from which questions are asked
overlap = 20

[stages.questions]
kind = "qa"
input = "pieces"
teacher = "t"
pairs = 2                     # asked of a piece
min_quote = 20                # letters: what is shorter would stand in any document
"""
