"""What a student is asked of a row: a prompt file reads columns by any name."""

from __future__ import annotations

from tests_tiny_base import make_base

from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.learned_rows import LearnedRows
from mashbill.train.sft import SftSpec


def test_a_prompt_file_reads_columns_whose_names_are_none_of_jinjas(tmp_path) -> None:
    encoder = ConversationTokens(make_base(tmp_path / "base"))
    (tmp_path / "plain.txt").write_text("Say {{ topic }}.")
    (tmp_path / "named.txt").write_text('Say {{ row["my topic"] }}.')
    found = []
    for name, column in (("plain", "topic"), ("named", "my topic")):
        spec = SftSpec(kind="sft", inputs=("a",), base="b", prompt=f"{name}.txt")
        rows = LearnedRows(spec, encoder, tmp_path)
        assert column in rows.bound([column, "text", "other"])
        assert "other" not in rows.bound([column, "text", "other"])
        (one,) = rows.row({column: "red", "text": "fox"}, "row 0").sequences
        found.append((one.ids, one.learned))
    assert found[0] == found[1]
