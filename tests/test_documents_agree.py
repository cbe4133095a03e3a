"""What is said of one artifact: section 2.5, brief, card, bill and exports never disagree.

Lineages are drawn at random, with everything that a document has a word for: licences or none,
accounts of ours or of others, people, unknown origins, models of one's own. Each document is
written as its command writes it and read again, and every fact that two of them have is compared.
"""

import json
import re
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_wording import held
from tests_laws import law

from mashbill import Source, Store
from mashbill.core.use import Use
from mashbill.lineage.bills.bill import bill, coverage
from mashbill.lineage.bills.definitions import judge_all, load_definitions
from mashbill.lineage.bills.telling import coverage_sentence, definition_sentences
from mashbill.lineage.bills.text import markdown
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.unrecorded import ORIGIN
from mashbill.lineage.duties.decisions import decide_circuit
from mashbill.lineage.exports import card, cyclonedx, eu_2_5, gather, prov, spdx
from mashbill.lineage.exports.bill_file import bill_text
from mashbill.lineage.exports.eu_answer import section_of
from mashbill.lineage.exports.trained_here import own_teachers
from mashbill.policy.documents import load_registry
from mashbill.report.brief import Facts, Kept, compose, to_html, to_markdown
from mashbill.report.brief.calls import Called

REGISTRY = load_registry()
DAY = date(2026, 11, 28)
[EU] = load_definitions(["EU-2.5"])
LICENCES = [None, "mit", "CC-BY-NC-4.0", "unknown", "other", "LicenseRef-House"]
ROUTES = ["weights", "api:someone", "in-process", "dataset:Rows of others"]


@st.composite
def sources(draw, number):
    what = draw(st.sampled_from(["model", "model", "dataset", "unknown"]))
    if what == "unknown":
        names = [f"old dump {chr(97 + number)}", f"Rows of others {number}{ORIGIN}"]
        name = draw(st.sampled_from(names))
        return Source(name=name, what="unknown", kind="unknown", route="dataset:Rows of others")
    if what == "dataset":
        kind = draw(st.sampled_from(["own-dataset", "public-dataset", "human", "unknown"]))
        return Source(name=f"texts, part {number}", what="dataset", kind=kind, route="file",
                      license=draw(st.sampled_from(LICENCES)))  # fmt: skip
    kind = draw(st.sampled_from(["open-weights", "closed-api", "test-double", "unknown"]))
    route = draw(st.sampled_from(ROUTES))
    return Source(
        name=f"heron-{'abcd'[number]}",
        what="model",
        kind=kind,
        route=route,
        provider=draw(st.sampled_from(["unknown", "Someone"])),
        license=draw(st.sampled_from(LICENCES)) if kind == "open-weights" else None,
        called_by=draw(st.sampled_from(["", "us", "others"])) if "dataset" in route else "",
    )


VIAS = ["content", "judgement", "logits", "weights", "selection", "prompt", "transform",
        "transform/cleaning", "judgement/verifying", "content/enriching"]  # fmt: skip


@st.composite
def lineages(draw):
    """A model, trained on sources directly and on what models of one's own made of others."""
    table = NodeTable()
    nodes = [table.add_source(draw(sources(n))) for n in range(draw(st.integers(1, 4)))]

    def members(most):
        via = st.tuples(st.sampled_from(VIAS), st.sampled_from(nodes))
        drawn = draw(st.lists(via, min_size=1, max_size=most, unique=True))
        tokens = st.one_of(st.none(), st.integers(1, 900))
        return [[how, node, None if how == "weights" else draw(tokens)] for how, node in drawn]

    for n in range(draw(st.integers(0, 2))):
        model = {"type": "model", "artifact": f"own{n}@1", "files": str(n), "members": members(3)}
        nodes.append(table.add(model))
    model = {"type": "model", "artifact": "m@1", "files": "f", "members": members(4)}
    table.root = table.add(model)
    return table


USES = st.builds(
    Use,
    license=st.sampled_from(LICENCES),
    distribution=st.sampled_from([None, "private", "public"]),
)


@pytest.fixture(scope="session")
def real(finished):
    store = Store(finished[0])
    account = gather(store, store.find("scratch"))
    return lambda: account  # an account is too long to be shown where a law fails


def account_of(real, table, use):
    circuit = Circuit.of(table)
    leaves = {
        f"urn:mashbill:source:{node}": Source.model_validate(
            {key: value for key, value in body.items() if key != "type"}
        )
        for node, body in table.bodies.items()
        if body["type"] == "source"
    }
    manifest = real.manifest.model_copy(update={"tokens": 1000})
    step = replace(real.steps[-1], manifest=manifest)
    return replace(
        real, manifest=manifest, table=table, lines=tuple(bill(circuit)),
        verdicts=tuple(judge_all(circuit)), covered=coverage(circuit),
        named=coverage(circuit).named,
        steps=(*real.steps[:-1], step), sources=real.sources | leaves,
        described=replace(real.described, evaluations=()),
        declared_license=use.license,
    )  # fmt: skip


def brief_of(account, use):
    circuit = Circuit.of(account.table)
    decided = decide_circuit(
        REGISTRY, [circuit], circuit, lambda _: "other", use, DAY,
        stated=account.step.license, is_release=True, prompted=account.prompted,
    )  # fmt: skip
    kept = Kept("store", account, Called((), 0), ("key",), 3, "head", ())
    facts = Facts(
        name=str(account.manifest.ref), as_of=DAY, decided=decided, lines=account.lines,
        verdicts=account.verdicts, covered=account.covered, of=kept, version="0",
    )  # fmt: skip
    return facts, compose(facts)


def part(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(text):
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return {row.removeprefix("| ").split(" | ")[0] for row in rows}


@law(40)
@given(lineages(), USES)
def test_what_five_documents_say_of_one_artifact_is_the_same(real, table, use):
    account = account_of(real(), table, use)
    unit = account.manifest.token_unit
    eu, page = eu_2_5.write(account), card.write(account)
    facts, document = brief_of(account, use)
    brief = to_markdown(document)
    told = json.loads(bill_text(account))

    # Each conclusion, in the same words wherever it is put into words.
    for closed, any_model in account.verdicts:
        said = definition_sentences(closed, any_model, unit)
        assert said in page
        assert said in brief
        if closed.definition.name == EU.name:
            assert said in eu
    assert [v["conclusion"] for v in told["verdicts"]] == [
        verdict.conclusion for pair in account.verdicts for verdict in pair
    ]

    # How much is known of it.
    known = markdown(coverage_sentence(account.covered, unit))
    assert known in page
    assert known in brief
    assert f"{account.coverage} Nothing here is legal advice." in eu
    assert told["named"] == list(account.covered.named)

    # What is not known: each fact once, and the same ones.
    items = [line.removeprefix("* ") for line in part(eu, "Not recorded").splitlines()]
    unknown = [markdown(text) for text in account.unknown]
    assert [item for item in items if item in unknown] == unknown
    assert len(set(account.unknown)) == len(account.unknown)
    for line in account.lines:
        if line.source.what == "unknown":
            named = line.source.title.removesuffix(ORIGIN)
            of_it = [text for text in account.unknown if named in text and "share" not in text]
            assert len(of_it) == 1
    assert {*account.unknown} == {*facts.unknown}

    # Whose outputs: the models of the bill are those of the card, the brief and section 2.5.
    models = {line.source.title for line in account.lines if line.source.what == "model"}
    rows = first_cells(part(page, "Training data"))
    assert {name for name in rows if name.startswith("heron")} == models
    rows = first_cells(part(brief, "What it was made from"))
    assert {row.rpartition(" (")[0] for row in rows if row.startswith("heron")} == models
    assert {name for name in models if name in eu} == models
    listed = page.split("Models had a part in it: ")[1:]
    assert bool(listed) == bool(models or own_teachers(account.table))
    section = section_of(account, EU)
    is_yes = section.answer.startswith("Yes")
    tables = part(eu, "Models available on the market") + part(eu, "The provider's own models")
    direct = [
        line
        for line in tables.splitlines()
        if re.search(r"\| the provider \|$", line) and line.split(" | ")[4] == "1"
    ]
    assert is_yes == bool(direct)
    assert ("Not to be answered" in section.answer) <= (not is_yes)
    if section.answer.startswith("No:"):
        assert account.named[0] >= 1
        assert not any(item.behalf != "others" for item in section.direct)

    # The licence that it is given out under.
    stated = facts.decided.licence.stated
    assert (f"stated to be under {stated}." in brief) == bool(stated)
    assert ("The licence that it is under is not recorded." in page) == (not stated)
    assert ('license: "unknown"' in page) == (not stated)

    # The exports have as many sources, and none of them a licence that the bill has not.
    for write in (cyclonedx.write_1_7, prov.write, spdx.write):
        text = write(account)
        assert all(json.dumps(name)[1:-1] in text for name in models)

    # And all of it can be read aloud.
    body = page.partition("\n---\n")[2]
    for text in (eu, body, brief, to_html(document)):
        assert held(text) == []
