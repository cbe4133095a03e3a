"""What a stranger's folder of weights asks for is looked at before a library acts on it."""

import json
import re
import types

import pytest

from mashbill import TeacherError
from mashbill.models.folder_bounds import check_config, check_tokenizer
from mashbill.run import foreseen

tokenizers = pytest.importorskip("tokenizers")


def replace(text, content):
    return {"type": "Replace", "pattern": {"String": text}, "content": content}


def pattern(regex, content):
    return {"type": "Replace", "pattern": {"Regex": regex}, "content": content}


def sequence(*steps):
    return {"type": "Sequence", "normalizers": [*steps]}


def template(pieces, ids):
    text = [{"Sequence": {"id": "A", "type_id": 0}}] * pieces
    special = {"s": {"id": "s", "ids": [0] * ids, "tokens": ["s"] * ids}}
    return {"type": "TemplateProcessing", "single": text, "pair": text, "special_tokens": special}


def written(tmp_path, section, value):
    made = json.loads(tokenizers.Tokenizer(tokenizers.models.BPE()).to_str())
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**made, section: value}))
    return path


BAD = [
    ("normalizer", replace("a", "a" * 1000), "a Replace of 1,000 characters, and 100 may be"),
    ("normalizer", {"pattern": {"String": "a"}, "content": "a" * 1000}, "a Replace of 1,000"),
    ("normalizer", sequence(*[replace("a", "a" * 90)] * 5), "more than 10,000 characters of one"),
    ("normalizer", sequence(*[pattern("x*", "y")] * 40), "more than 10,000 characters of one"),
    ("normalizer", sequence(*[{"type": "ByteLevel"}] * 40), "more than 10,000 characters of one"),
    ("normalizer", sequence(*[{"type": "NFC"}] * 60), "has 61 steps, and 50 may be"),
    ("normalizer", {"type": "Prepend", "prepend": "a" * 1000}, "a Prepend of 1,000 characters"),
    ("decoder", replace("a", "a" * 1000), "its decoder has a Replace of 1,000 characters"),
    ("pre_tokenizer", {"type": "FixedLength", "length": 0}, "pieces of no length"),
    ("post_processor", template(200, 200), "more than 10,000 characters of one"),
]


@pytest.mark.parametrize(("section", "value", "says"), BAD)
def test_a_tokenizer_that_makes_much_of_little_is_refused(tmp_path, section, value, says):
    path = written(tmp_path, section, value)
    with pytest.raises(TeacherError, match=re.escape(says)) as error:
        check_tokenizer(path)
    assert str(error.value).startswith(f"{path}: its {section}")


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("normalizer", sequence({"type": "Prepend", "prepend": "▁"}, replace(" ", "▁"))),
        ("normalizer", sequence({"type": "NFC"}, pattern(r"\s+", " "), {"type": "Lowercase"})),
        ("normalizer", sequence(*[replace(a, a * 2) for a in "abcdefgh"])),
        ("normalizer", None),
        ("post_processor", template(1, 1)),
        ("decoder", [1, {"type": 3}]),
    ],
)
def test_a_tokenizer_as_there_are_is_taken(tmp_path, section, value):
    check_tokenizer(written(tmp_path, section, value))


@pytest.mark.parametrize("data", [b"[]", b"\xff", b"{", b"[" * 10_000, b""])
def test_what_is_no_tokenizer_is_told(tmp_path, data):
    (tmp_path / "tokenizer.json").write_bytes(data)
    with pytest.raises(TeacherError, match=r"tokenizer\.json"):
        check_tokenizer(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": 0}, {"num_hidden_layers": 10**6}, {"hidden_size": 10**9},
        {"text_config": {"hidden_size": "a"}}, {"vocab_size": 10**12}, {"hidden_size": 1.5},
    ],
)  # fmt: skip
def test_a_config_of_no_model_that_there_is_is_refused(config):
    with pytest.raises(TeacherError, match="a whole number from 1 to"):
        check_config(config, "config.json")


def test_a_config_as_there_are_is_taken():
    check_config({"hidden_size": 4096, "num_hidden_layers": 126, "vocab_size": None}, "c")
    check_config({"text_config": {"intermediate_size": [8192] * 30}}, "c")


def test_a_panic_of_a_tokenizer_at_plan_is_told(tmp_path):
    class PanicError(BaseException):
        pass

    class Teacher:
        source = types.SimpleNamespace(name="theirs")

        def tokenizer_at_hand(self, *_):
            return self

        def encode(self, *_, **__):
            raise PanicError("called `Option::unwrap()` on a `None` value")

    with pytest.raises(TeacherError, match="theirs: not a teacher with a tokenizer"):
        foreseen._weighing(Teacher(), tmp_path, tmp_path).encode("a")
