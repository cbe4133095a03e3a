"""A classifier learns words of every script; old ones answer as they did."""

# ruff: noqa: E501, RUF001
# Texts of many scripts: letters that look like others, and are wider than they count.

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.preprocessing import normalize
from tests_support import execute, rows_of, run_stages

from mashbill import InputError, StoreError, load_recipe
from mashbill.core.canonical import canonical
from mashbill.core.faults import LINEAR_FORMAT
from mashbill.models import linear
from mashbill.models.linear import LinearPredictor
from mashbill.plan import build
from mashbill.run.executor import Execution

# script: two words, and what they stand among; {} is where
PAIRS = {
    "english": ("boy", "girl", ["the {} runs", "a tall {} came", "I saw the {}", "{}", "is it the {}?"]),
    "accented": ("côte", "côté", ["la {} est là", "une {}", "voici {}", "{} ou non", "je vois la {}"]),
    "greek": ("αγόρι", "κορίτσι", ["το {} τρέχει", "ένα {}", "είδα το {}", "{}", "να το {};"]),
    "cyrillic": ("мой", "мои", ["это {} дома", "{} тут", "где {}?", "вот {}", "а это {}"]),
    "arabic": ("وَلَد", "وُلِد", ["هذا {} هنا", "{} أمس", "قال {}", "أين {}؟", "ثم {}"]),
    "hebrew": ("שָׁם", "שֵׁם", ["הוא {} עכשיו", "{}", "זה {}", "יש {} טוב", "אין {}"]),
    "devanagari": ("लड़का", "लड़की", ["यह {} है", "वह {} आज घर में है", "{}", "क्या {} यहाँ है?", "एक {}"]),
    "bengali": ("মামা", "মামি", ["আমার {} এসেছেন", "{}", "ওই {} ভাল", "তোমার {} কোথায়?", "এক {}"]),
    "tamil": ("மகன்", "மகள்", ["என் {} வந்தான்", "{}", "ஒரு {}", "அந்த {} எங்கே?", "இது {}"]),
    "telugu": ("కలి", "కలు", ["ఒక {} ఉంది", "{}", "ఆ {} ఎక్కడ?", "ఇది {}", "మంచి {}"]),
    "thai": ("ปู", "ปี", ["ฉันเห็น{}ที่นี่", "{}", "นี่คือ{}ใช่ไหม", "มี{}มาก", "ไม่ใช่{}"]),
    "lao": ("ເດັກຊາຍ", "ເດັກຍິງ", ["ຂ້ອຍເຫັນ{}ຢູ່ນີ້", "{}", "ນີ້ແມ່ນ{}", "ມີ{}ຫຼາຍ", "ບໍ່ແມ່ນ{}"]),
    "khmer": ("ប្រុស", "ស្រី", ["ខ្ញុំឃើញ{}នៅទីនេះ", "{}", "នេះគឺ{}", "មាន{}ច្រើន", "មិនមែន{}ទេ"]),
    "burmese": ("သား", "သမီး", ["ကျွန်တော့်{}ဒီမှာ", "{}", "ဒါက{}ပါ", "{}ရှိတယ်", "{}မဟုတ်ဘူး"]),
    "tibetan": ("བུ", "བུ་མོ", ["འདི་{}་རེད", "{}", "ང་ལ་{}་ཡོད", "{}་གཅིག", "{}་མང་པོ"]),
    "georgian": ("კაცი", "კაცო", ["ეს {} აქ არის", "{}", "სად არის {}?", "აი {}", "ერთი {}"]),
    "armenian": ("տուն", "տոն", ["սա {} է", "{}", "մեծ {}", "ո՞ւր է {}", "մի {}"]),
    "amharic": ("ወንድ", "ሴት", ["ይህ {} ነው", "{}", "አንድ {}", "{} የት ነው?", "ያ {}"]),
    "chinese": ("男孩", "女孩", ["我看见{}在这里", "{}", "这是{}吗？", "有很多{}", "不是{}"]),
    "japanese": ("息子", "娘", ["私の{}はここにいます", "{}", "これは{}ですか", "{}が来た", "{}ではない"]),
    "korean": ("소년", "소녀", ["저 {} 여기 있다", "{}", "한 {}", "{} 어디?", "그 {} 봤다"]),
    "emoji": ("👍", "👎", ["my answer {}", "{}", "{} from me", "so: {}", "that was {} I think"]),
    "skins": ("👍🏽", "👍🏿", ["my answer {}", "{}", "{} from me", "so: {}", "that was {} I think"]),
    "flags": ("🇩🇪", "🇫🇷", ["from {} here", "{}", "{} wins", "go {}!", "I like {}"]),
    "families": ("👨‍👩‍👧", "👨‍👩‍👦", ["from {} here", "{}", "{} wins", "go {}!", "I like {}"]),
    "smileys": (":)", ":(", ["my answer {}", "{}", "{} from me", "so {}", "that was {} I think"]),
    "operators": ("+", "-", ["what is 7 {} 5?", "8 {} 2", "so 3 {} 1", "9{}4", "12 {} 3 please"]),
    "relations": ("<", ">", ["is x {} y?", "a {} b", "so 3 {} 1", "9{}4", "if n {} 3 then"]),
    "languages": ("C++", "C#", ["I write {} now", "{}", "in {}!", "learn {} today", "{} or not"]),
    "dotted": (".NET", "NET", ["I write {} now", "{}", "in {} again", "learn {} today", "{} or not"]),
    "money": ("$5", "€5", ["it was {} then", "{}", "only {}!", "pay {} now", "{} or not"]),
}  # fmt: skip

STAGES = """
[stages.texts]
kind = "corpus"
title = "texts"
license = "CC0-1.0"
source = "texts.jsonl"
dedup = false
gold.column = "which"
gold.labels.one.equals = "one"
gold.labels.two.equals = "two"

[stages.labelled]
kind = "label"
input = "texts"
teacher = "t"
prompt = "p.txt"
labels = { one = " one", two = " two" }

[stages.learned]
kind = "classifier"
input = "labelled"
buckets = 4096

[stages.applied]
kind = "apply"
input = "texts"
model = "learned"
"""
PROMPT = {"p.txt": "{{ text }} ="}


def sixty(script):
    """Return sixty texts, every other of which has the other word."""
    first, second, among = PAIRS[script]
    return [among[i // 2 % len(among)].format((first, second)[i % 2]) for i in range(60)]


@pytest.mark.parametrize("script", PAIRS)
def test_two_words_are_told_apart_in_every_script(script):
    """All texts in which the words stand among the same are held out, five times."""
    texts = sixty(script)
    counts = linear.vectorizer(2**12, linear.WORDS).transform(texts)
    seen = np.asarray((counts > 0).sum(0)).ravel()
    inputs = linear.scaled(counts, np.log((1 + len(texts)) / (1 + seen)) + 1)
    scores = cross_val_score(
        LogisticRegression(C=4.0, max_iter=500),
        inputs,
        [i % 2 for i in range(60)],
        cv=GroupKFold(5),
        groups=[i // 2 % 5 for i in range(60)],
    )
    assert scores.mean() >= 0.9, scores


@pytest.mark.parametrize("script", ["english", "devanagari", "thai", "chinese", "skins", "smileys"])
def test_a_run_learns_them(tmp_path, script):
    first, second, _ = PAIRS[script]
    rows = [{"text": (first, second)[i % 2], "which": ("one", "two")[i % 2]} for i in range(60)]
    teacher = f'[teachers.t]\nkind = "fake"\nwords.one = ["{first}"]\nwords.two = ["{second}"]\n'
    store = run_stages(tmp_path, STAGES, {**PROMPT, "texts.jsonl": rows}, teacher)
    found = rows_of(store, "applied")
    assert len(found) == 60
    assert all(row["label"] == row["gold"] for row in found)


OLD = {"format": 2, "labels": ["one", "two"], "buckets": 512, "temperature": 1.5}


def old_model(folder, seed=3):
    """Write a classifier as releases before rule 2 did; return its numbers."""
    draw = np.random.default_rng(seed)
    tensors = {
        "weights": draw.normal(size=(1, 512)).astype(np.float32),
        "bias": draw.normal(size=1).astype(np.float32),
        "idf": draw.uniform(1, 4, 512).astype(np.float32),
    }
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "weights.safetensors")
    (folder / "config.json").write_bytes(canonical(OLD))
    return tensors


def as_it_was(text):
    """The features of release 0.1, as it had them."""
    words = re.compile(r"\w+|[!?:;)(]+").findall(text.lower())
    return [
        *words,
        *("^" + word[:4] for word in words if len(word) > 4),
        *("$" + word[-3:] for word in words if len(word) > 5),
    ]


TEXTS = [
    "लड़का और लड़की",
    "C++ is not C#",
    "A day of rain, was it?",
    "ฉันเห็นปูที่นี่",
    "👍🏽",
    "",
    "Straße İ e\u0301",
]


def test_a_classifier_of_an_earlier_release_answers_as_it_did(tmp_path):
    tensors = old_model(tmp_path / "old")
    counts = HashingVectorizer(
        analyzer=as_it_was, n_features=512, alternate_sign=False, norm=None, binary=True
    ).transform(TEXTS)
    inputs = normalize(counts.multiply(tensors["idf"].astype(np.float64)).tocsr())
    scores = np.asarray(inputs @ tensors["weights"].T.astype(np.float64)) + tensors["bias"]
    expected = 1 / (1 + np.exp(-scores[:, 0] / 1.5))
    before = sorted((path.name, path.read_bytes()) for path in (tmp_path / "old").iterdir())
    model = LinearPredictor.load(tmp_path / "old")
    assert np.allclose(model.probabilities(TEXTS)[:, 1], expected, rtol=0, atol=1e-12)
    after = sorted((path.name, path.read_bytes()) for path in (tmp_path / "old").iterdir())
    assert after == before


def test_what_is_made_of_its_weights_keeps_its_rule(tmp_path, monkeypatch):
    """A base, an average and a rounding of an older classifier; not an average with a newer one."""
    rows = [{"text": t, "which": ("one", "two")[i % 2]} for i, t in enumerate(sixty("english"))]
    files = {**PROMPT, "texts.jsonl": rows}
    teacher = '[teachers.t]\nkind = "fake"\nwords.one = ["boy"]\nwords.two = ["girl"]\n'
    with monkeypatch.context() as earlier:
        earlier.setattr("mashbill.train.classifier.WORDS", 1)
        store = run_stages(tmp_path, STAGES, files, teacher)
    path = tmp_path / "some.toml"
    path.write_text(
        path.read_text() + '[stages.warm]\nkind = "classifier"\ninput = "labelled"\n'
        'base = "learned"\nbuckets = 4096\n[stages.tiny]\nkind = "quantise"\nbase = "warm"\n'
        '[stages.average]\nkind = "merge"\nmodels = { learned = 1.0, warm = 1.0 }\n'
        '[stages.fresh]\nkind = "classifier"\ninput = "labelled"\nbuckets = 4096\n'
    )

    def run():
        execute(build(load_recipe(path), store), store, Execution(tmp_path / "cache", threads=1))

    run()
    rules = {}
    for name in ("learned", "warm", "tiny", "average", "fresh"):
        folder = store.folder("model", store.find(name).ref)
        rules[name] = json.loads((folder / "config.json").read_bytes())["words"]
        assert LinearPredictor.load(folder).rule == rules[name]
    assert rules == {"learned": 1, "warm": 1, "tiny": 1, "average": 1, "fresh": 2}
    path.write_text(
        path.read_text()
        + '[stages.mixed]\nkind = "merge"\nmodels = { fresh = 1.0, learned = 1.0 }\n'
    )
    with pytest.raises(InputError, match="learned was trained by an earlier release"):
        run()


@pytest.mark.parametrize("rule", [0, 4, "2", None, [2]])
def test_a_rule_that_is_not_known_is_refused(tmp_path, rule):
    old_model(tmp_path / "m")
    config = {**OLD, "format": LINEAR_FORMAT, "words": rule}
    (tmp_path / "m" / "config.json").write_bytes(canonical(config))
    with pytest.raises(StoreError, match="takes texts apart by rule"):
        LinearPredictor.load(tmp_path / "m")
