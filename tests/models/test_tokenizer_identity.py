"""Tokenizers are the same where each text becomes the same ids, and each id is the same text."""

from __future__ import annotations

import json

import pytest
from tests_causal import letters
from tests_tiny_base import make_base
from tokenizers import Tokenizer, models

from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.tokenizer_identity import ids_digest, ids_of, reading_digest


def test_a_map_of_ids_is_which_text_each_id_stands_for() -> None:
    def made(words):
        return Tokenizer(models.WordLevel(dict(zip(words, range(9), strict=False)), words[0]))

    one, same, swapped = made("abc"), made("abc"), made("acb")
    assert ids_digest(one) == ids_digest(same)
    assert ids_digest(one) != ids_digest(swapped)
    assert ids_of(one) == ids_of(swapped) == 3
    one.add_tokens(["d"])
    assert ids_digest(one) != ids_digest(same)
    assert ids_of(one) == 4


def told(change):
    data = json.loads(letters(begins=False).to_str())
    change(data)
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.encode_special_tokens = True
    return tokenizer


def swap_merges(data):
    merges = data["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]


def plain_mark(data):
    data["added_tokens"][-1]["special"] = False


OTHERWISE = {
    "lower case": lambda data: data.update(normalizer={"type": "Lowercase"}),
    "composed": lambda data: data.update(normalizer={"type": "NFC"}),
    "compatible": lambda data: data.update(normalizer={"type": "NFKC"}),
    "merges": swap_merges,
    "a space before": lambda data: data.update(
        pre_tokenizer={
            "type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True,
        }
    ),
    "a mark in texts": plain_mark,
}  # fmt: skip


@pytest.mark.parametrize("change", OTHERWISE.values(), ids=OTHERWISE)
def test_one_map_of_ids_and_another_reading(change) -> None:
    plain, other = told(lambda _: None), told(change)
    assert ids_digest(plain) == ids_digest(other)
    assert reading_digest(plain, []) != reading_digest(other, [])


def test_what_texts_begin_with_is_part_of_it() -> None:
    plain = told(lambda _: None)
    assert reading_digest(plain, []) != reading_digest(plain, [1])


def test_files_that_are_written_otherwise_read_alike(tmp_path) -> None:
    """transformers writes merges as pairs or as texts, and keeps what a saved one pads and cuts."""
    one = make_base(tmp_path / "one")
    two = make_base(tmp_path / "two", seed=1)
    file = two / "tokenizer.json"
    data = json.loads(file.read_text())
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    data["truncation"] = {
        "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    file.write_text(json.dumps(data, indent=1))
    assert ConversationTokens(one).reading == ConversationTokens(two).reading
