"""Names that a stranger chose, through each standard's own parser: text stays text, and whole."""

import json
import re
import unicodedata
from html.parser import HTMLParser

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prov.model import ProvDocument
from spdx_python_model.bindings import v3_0_1
from tests_laws import law
from tests_support import run_stages

from mashbill.core.shown import shown
from mashbill.lineage.bills.text import list_item, markdown, table_row, table_rule
from mashbill.lineage.exports import FORMATS, gather
from mashbill.lineage.exports.bill_file import bill_text
from mashbill.report import write_report

NAMES = [
    "a|b", "a\\|b", "`x`", "``", "*b* _i_ __b__", "[t](javascript:alert(1))", "![i](http://x/y)",
    "<script>alert(1)</script>", "<!-- x", "&lt;", "---\nlicense: mit\n---", "# head", "- item",
    "1. one", "+ x", "> q", "a\n\n# b", "~~s~~", "$$x$$", "\x1b[31m", "\u202egpj", "\u2028x",
    "\x00",
    "</svg></style>", "]]>", "'\" onload=alert(1)", "{{ 7*7 }}", "{% x %}", "\U000e0041", "x\x85y",
    "a:b: c", "%41", "../x", "#x", "许可证", "m [fp8]", "\\", "\t", "﻿bom", "🥃",
]  # fmt: skip
laws = law(200)
TEXT = st.one_of(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from([*NAMES, " ", "x"]), max_size=4).map("".join),
    st.text(st.characters(exclude_categories=["Cs"])),
)


def hidden(text):
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [c for c in text if unicodedata.category(c) in kinds and c != "\n"]


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """The account of a dataset whose generators, licences and columns are called so."""
    rows = [
        {"text": f"{i}", "generator": name, "license": name, name: "v"}
        for i, name in enumerate(NAMES)
    ]
    stages = '[stages.got]\nkind = "import"\ntitle = "T | <b>"\nsource = "r.jsonl"\n'
    store = run_stages(tmp_path_factory.mktemp("x"), stages, {"r.jsonl": rows})
    return store, gather(store, store.find("got"))


def told(account):
    return sorted(name for line in account.lines for name in [line.source.name])


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def inline(tokens):
    """All tokens, with those within lines."""
    for token in tokens:
        yield token
        yield from token.children or ()


def read(text):
    """The tokens of a Markdown text, and the text of each of its cells and items."""
    tokens = MARKDOWN.parse(text)
    return list(inline(tokens)), [
        "".join(c.content for c in t.children or ()) for t in tokens if t.type == "inline"
    ]


@laws
@given(TEXT)
@example("1.5B")
def test_a_text_in_markdown_reads_as_it_is_shown(text):
    cell = shown(text)
    tokens, cells = read("\n".join([table_row(["h", "k"]), table_rule(2), table_row([text, "k"])]))
    assert cells == ["h", "k", cell.strip(), "k"]
    assert not [t for t in tokens if t.type.startswith(("html", "link", "image", "code"))]
    tokens, cells = read(list_item(text) + "\n" + list_item("next"))
    assert [c for c in cells if c] == [c for c in (cell.strip(), "next") if c]
    kinds = {t.type for t in tokens}
    assert kinds <= {"bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
                     "paragraph_open", "paragraph_close", "inline", "text",
                     "text_special"}  # fmt: skip
    assert hidden(markdown(text)) == []


@pytest.mark.parametrize("kind", ["card", "eu-2.5"])
def test_markdown_has_its_own_headings_and_no_tags_links_or_images(account, kind):
    _, facts = account
    text = FORMATS[kind].write(facts)
    assert hidden(text) == []
    body = text.partition("\n---\n")[2] if kind == "card" else text
    tokens, cells = read(re.sub(r"(?s)```python.*?```", "", body))
    bad = [t for t in tokens if t.type.startswith(("html", "link", "image", "s_", "em_", "strong"))]
    assert bad == []
    heads = [t for t in tokens if t.type == "heading_open"]
    ours = [line for line in body.splitlines() if line.startswith("#")]
    assert len(heads) == len(ours) == {"card": 7, "eu-2.5": 8}[kind]
    names = {shown(line.source.title).strip() for line in facts.lines}
    if kind == "card":
        assert names <= set(cells)


def test_front_matter_keeps_each_name_and_lets_none_out(account):
    _, facts = account
    text = FORMATS["card"].write(facts)
    matter = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)[1])
    assert matter["license"] == "unknown"
    assert matter["x-mashbill"]["bill"] == "bill.json"
    found = sorted(item["source"]["name"] for item in json.loads(bill_text(facts))["bill"])
    assert found == told(facts)


@pytest.mark.parametrize("kind", [k for k, one in FORMATS.items() if one.suffix.endswith("json")])
def test_json_of_each_standard_is_valid_keeps_each_name_and_can_be_printed(account, kind):
    _, facts = account
    text = FORMATS[kind].write(facts)
    assert hidden(text) == []
    data = json.loads(text)
    if kind.startswith("cyclonedx"):
        version = SchemaVersion.V1_6 if kind.endswith("6") else SchemaVersion.V1_7
        assert JsonStrictValidator(version).validate_str(text) is None
        parts = data["metadata"]["component"]["pedigree"]["ancestors"]
        names = [part["name"] for part in parts]
    elif kind == "spdx":
        objects = v3_0_1.SHACLObjectSet()
        v3_0_1.JSONLDDeserializer().deserialize_data(data, objects)
        assert not objects.missing_ids
        names = [e.get("name") for e in data["@graph"] if "Package" in e["type"]]
        texts = [e for e in data["@graph"] if e["type"] == "simplelicensing_SimpleLicensingText"]
        kept = {e["simplelicensing_licenseText"] for e in texts}
        assert {n.strip() for n in NAMES if n.strip()} <= {n.strip() for n in kept}
    elif kind == "prov":
        document = ProvDocument.deserialize(content=text, format="json")
        names = [
            str(label) for e in document.get_records() for label in e.get_attribute("prov:label")
        ]
    elif kind == "openlineage":
        names = [i["facets"]["mashbill_source"]["name"] for e in data for i in e["inputs"]]
    else:
        names = [item["name"] for item in data["prov:wasDerivedFrom"]]
        ids = [field["@id"] for field in data["recordSet"][0]["field"]]
        assert len(set(ids)) == len(ids) == len(NAMES) + 3
        assert all(re.fullmatch(r"records/[\w.~%-]+", one, re.ASCII) for one in ids)
        assert not {"records/.", "records/.."} & set(ids)
    found = {str(name).strip() for name in names}
    assert {name.strip() for name in told(facts)} <= found


class Page(HTMLParser):
    """What a reader of HTML makes of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def test_a_page_has_no_tag_attribute_or_link_of_a_stranger(account, tmp_path):
    store, facts = account
    page = write_report(store, store.find("got"), tmp_path / "p.html", title=" ".join(NAMES))
    text = page.read_text("utf-8")
    assert set(hidden(text)) <= {"\t"}
    seen = Page()
    seen.feed(text)
    assert not seen.tags & {"script", "iframe", "img", "link", "object", "form"}
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    # Links are the page's own, to parts of it.
    ids = {f"#{value}" for name, value in seen.attributes if name == "id"}
    hrefs = {value for name, value in seen.attributes if name == "href"}
    assert hrefs <= ids
    assert all(re.fullmatch(r"#[a-z0-9-]+", href) for href in hrefs)
    squeezed = "".join("".join(seen.text).split())
    for line in facts.lines:
        assert "".join(shown(line.source.title, layout=True).split()) in squeezed
