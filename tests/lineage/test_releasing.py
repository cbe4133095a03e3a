"""A release wants a licence for artifact, data and base; leaving a fact out never helps."""

import re
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill import InputError, Source
from mashbill.core.use import Operator, Use
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.duties.decisions import decide_circuit
from mashbill.policy.decision import OUTCOMES
from mashbill.policy.documents import load_registry
from mashbill.policy.expressions import Expression
from mashbill.policy.house import OF_ARTIFACT, OF_SOURCE, HouseRule, load_rules

DAY = date(2026, 11, 24)
REGISTRY = load_registry()
OWN = Source(name="Our texts", what="dataset", kind="own-dataset", route="file", license="CC0-1.0")
BASE = Source(
    name="Heron-1B", what="model", kind="open-weights", route="weights", license="Apache-2.0",
    provider="Heron Labs", country="US",
)  # fmt: skip
USE = Use(
    purpose="product", commercial=True, distribution="public", competes_with=(), license="MIT",
    published_name="Otter-1", operator=Operator(name="Otter", country="DE", monthly_users=10),
)  # fmt: skip


def circuit_of(sources, kind="model"):
    """A model (or a dataset) of these sources: weights of models by weights, texts as content."""
    table = NodeTable()
    members = []
    for source in sources:
        by = "weights" if source.what == "model" and source.route == "weights" else "content"
        members.append([by, table.add_source(source), None if by == "weights" else 10])
    if kind == "dataset":
        members = [[table.add_made([(by, node)]), 1, 10] for by, node, _ in members]
    body = {"type": kind, "artifact": "otter@1", "members": members}
    table.root = table.add({**body, "files": "f"} if kind == "model" else body)
    return Circuit.of(table)


def decide(sources=(OWN, BASE), use=USE, rules=(), kind="model", **more):
    circuit = circuit_of(sources, kind)
    return decide_circuit(
        REGISTRY, [circuit], circuit, lambda _: "language-model", use, DAY, rules=rules,
        is_release=True, **more,
    )  # fmt: skip


def without(thing, *names):
    return thing.model_copy(update={name: type(thing).model_fields[name].default for name in names})


def test_a_release_with_every_licence_is_allowed():
    assert decide().outcome == "allow"
    assert decide().licence.stated == "MIT"


BARE = (without(OWN, "license"), without(BASE, "license"))


@pytest.mark.parametrize("kind", ["model", "dataset"])
@pytest.mark.parametrize("distribution", ["public", None])
def test_a_release_without_any_licence_names_each_thing_and_where_to_write_it(kind, distribution):
    use = without(USE, "license").model_copy(update={"distribution": distribution})
    found = {d.about: d for d in decide(BARE, use, kind=kind).of("review")}
    told = " ".join(d.because for d in decide(BARE, use, kind=kind).of("review"))
    assert 'write license = "..." under [use] of the recipe' in told
    assert 'write license = "..." in the stage that reads them' in told
    assert "Our texts (file)" in found
    assert ("use.distribution" in told) == (distribution is None)
    assert any("Heron-1B" in f"{d.about} {d.because}" for d in found.values())


@pytest.mark.parametrize("text", ["other", "Other", "LicenseRef-other", "unknown", "n/a"])
def test_a_text_that_names_no_licence_is_none(text):
    own = OWN.model_copy(update={"license": text})
    found = {d.rule: d for d in decide([own, BASE]).of("review")}
    assert repr(text) in found["data-licence-not-recorded"].because
    use = USE.model_copy(update={"license": text})
    found = {d.rule: d for d in decide(use=use).of("review")}
    assert repr(text) in found["licence-not-stated"].because
    assert not decide(use=use).licence.stated


@pytest.mark.parametrize("distribution", ["private", "service"])
def test_what_nobody_gets_a_copy_of_wants_no_licence(distribution):
    use = without(USE, "license").model_copy(update={"distribution": distribution})
    assert decide((BARE[0], BASE), use).outcome == "allow"


@pytest.mark.parametrize("text", ["NOASSERTION", "none", "unknown"])
def test_a_text_that_says_there_is_none_is_none(text):
    assert decide(use=USE.model_copy(update={"license": text})).outcome == "review"
    assert decide((OWN.model_copy(update={"license": text}), BASE)).outcome == "review"


def test_the_licence_of_an_import_is_its_own_unless_another_is_declared():
    bare = without(USE, "license")
    assert decide((OWN,), bare, kind="dataset", stated="CC-BY-4.0").licence.stated == "CC-BY-4.0"
    assert decide((OWN,), USE, kind="dataset", stated="CC-BY-4.0").licence.stated == "MIT"


def test_a_licence_that_passes_on_and_another_that_is_stated_want_a_reader():
    llama = BASE.model_copy(
        update={"name": "Llama-3.1-8B", "provider": "Meta", "license": "LicenseRef-Llama-3.1"}
    )
    [differs] = [d for d in decide((OWN, llama)).decisions if d.rule == "licence-differs"]
    assert differs.outcome == "review"
    assert "MIT" in differs.because
    same = USE.model_copy(update={"license": "LicenseRef-Llama-3.1"})
    assert not [d for d in decide((OWN, llama), same).decisions if d.rule == "licence-differs"]


def test_a_rival_that_nobody_knows_lifts_no_bar():
    teacher = Source(
        name="gpt-4o", what="model", kind="closed-api", route="api:openai", provider="OpenAI"
    )
    for names, outcome in [((), "allow"), (("Meta",), "allow"), (("OpenAI",), "deny"),
                           (("Meta", "Opan AI"), "review"), (("Opan AI",), "review")]:  # fmt: skip
        use = USE.model_copy(update={"competes_with": names})
        found = [d for d in decide((OWN, teacher), use).decisions if d.rule == "no-competing-model"]
        assert [d.outcome for d in found] == [outcome], names
        assert ("Opan AI" in found[0].because) == ("Opan AI" in names)


# ---- the law: removing a fact never turns review or deny into allow ----

SOURCES = st.builds(
    Source,
    name=st.sampled_from(["Our texts", "SmolLM2-135M", "Llama-3.1-8B", "gpt-4o", "Otter"]),
    what=st.sampled_from(["model", "dataset"]),
    kind=st.sampled_from(["open-weights", "closed-api", "own-dataset", "public-dataset"]),
    route=st.sampled_from(["weights", "file", "api:", "dataset:Some rows", "router:OpenRouter"]),
    provider=st.sampled_from(["OpenAI", "Meta", "Hugging Face", "Somebody"]),
    country=st.sampled_from(["US", "CN", "DE"]),
    version=st.sampled_from(["2024-05-13", "7"]),
    license=st.sampled_from(["MIT", "CC-BY-NC-4.0", "CC-BY-SA-4.0", "LicenseRef-Odd"]),
).map(lambda s: s.model_copy(update={"route": s.route + s.provider.lower() * (s.route == "api:")}))
USES = st.builds(
    Use,
    purpose=st.sampled_from(["product", "internal", "research", "evaluation"]),
    commercial=st.booleans(),
    distribution=st.sampled_from(["private", "service", "public"]),
    competes_with=st.sampled_from([(), ("OpenAI",), ("Meta",), ("Nobody knows",)]),
    published_name=st.sampled_from(["Otter-1", "Llama-Otter"]),
    license=st.sampled_from(["MIT", "CC-BY-NC-4.0"]),
    operator=st.builds(
        Operator,
        name=st.just("Acme"),
        country=st.sampled_from(["US", "DE"]),
        monthly_users=st.sampled_from([10.0, 1e9]),
    ),
)
WHENS = [
    ("source", 'license.contains("NC")'),
    ("source", 'provider == "OpenAI"'),
    ("source", 'country == "CN"'),
    ("source", 'version.startsWith("2024")'),
    ("source", 'use.operator.name == "Acme" && use.commercial'),
    ("artifact", 'licence.contains("NC")'),
    ("artifact", 'licences.exists(l, l == "CC-BY-NC-4.0")'),
    ("artifact", 'sources.exists(s, s.provider == "OpenAI")'),
    ("artifact", 'sources.exists(s, s.license == "CC-BY-NC-4.0")'),
    ("artifact", 'sources.exists(s, s.version == "2024-05-13")'),
    ("artifact", 'use.published_name == "Otter-1"'),
    ("artifact", "use.operator.monthly_users > 1e6"),
    ("artifact", 'obligations.exists(o, o.code == "non-commercial")'),
]
RULES = [
    HouseRule(f"r{n}", "No.", about, Expression(
        when, f"rules.toml: rule r{n}", OF_SOURCE if about == "source" else OF_ARTIFACT
    ), "deny", "rules.toml", 1)
    for n, (about, when) in enumerate(WHENS)
]  # fmt: skip
FACTS_OF_USE = ["purpose", "commercial", "distribution", "competes_with", "published_name",
                "license", "operator"]  # fmt: skip


def removed(thing, name):
    blank = {"provider": "unknown", "country": "unknown", "version": "", "operator": Operator()}
    return thing.model_copy(update={name: blank.get(name)})


@law(150)
@given(st.lists(SOURCES, min_size=1, max_size=2, unique=True), USES, st.data())
def test_removing_a_fact_never_turns_review_or_deny_into_allow(sources, use, data):
    rules = data.draw(st.lists(st.sampled_from(RULES), max_size=2, unique=True))
    before = decide(sources, use, rules)
    # Of two texts that contradict each other one may go, and then there is no contradiction.
    assume(not [d for d in before.decisions if d.rule in ("licences-differ", "licence-differs")])
    if data.draw(st.booleans()):
        after = decide(sources, removed(use, data.draw(st.sampled_from(FACTS_OF_USE))), rules)
    else:
        at = data.draw(st.integers(0, len(sources) - 1))
        fact = data.draw(st.sampled_from(["license", "provider", "country", "version"]))
        rest = [removed(s, fact) if n == at else s for n, s in enumerate(sources)]
        after = decide(rest, use, rules)
    if before.outcome != "allow":
        assert after.outcome != "allow", [d for d in before.decisions if d.outcome != "allow"]
    else:
        assert OUTCOMES.index(after.outcome) >= 0


# ---- the table: what is missing, by who gets it ----

MISSING = [(), ("artifact",), ("data",), ("base",), ("artifact", "data"), ("artifact", "base"),
           ("data", "base"), ("artifact", "data", "base")]  # fmt: skip
ASKED = {
    "artifact": {"licence-not-stated"},
    "data": {"data-licence-not-recorded"},
    "base": {"no-document", "licence-not-known", "weights-licence-not-recorded"},
}


@table("distribution", ["public", None, "private", "service"])
@table("missing", MISSING, ids="+".join)
@table("kind", ["own-dataset", "human"])
def test_each_licence_that_is_missing_is_asked_for_and_only_once(missing, distribution, kind):
    own = OWN.model_copy(update={"kind": kind, "license": None if "data" in missing else "CC0-1.0"})
    base = without(BASE, "license") if "base" in missing else BASE
    use = USE.model_copy(update={"distribution": distribution})
    use = without(use, "license") if "artifact" in missing else use
    found = decide((own, base), use)
    review = found.of("review")
    others_get_it = distribution in ("public", None)
    wanted = {thing for thing in missing if others_get_it or thing == "base"}
    rules = {decision.rule for decision in review}
    assert bool(wanted) <= (found.outcome == "review")
    for thing, names in ASKED.items():
        assert bool(rules & names) == (thing in wanted), (thing, rules)
    lacks = [fact for decision in review for fact in decision.lacking]
    assert lacks.count("use.license") == ("artifact" in wanted)
    assert lacks.count(f"license of {own.title}") == ("data" in wanted)
    assert lacks.count("use.distribution") <= 1
    texts = [decision.because for decision in review]
    assert len(set(texts)) == len(texts)
    assert not any("learned from these data" in text for text in texts)  # a dataset learns nothing


def test_a_rule_that_asks_for_nothing_of_a_source_is_put_once():
    when = Expression('use.license != "MIT"', "rule mine", OF_SOURCE)
    rule = HouseRule("mine", "Ours is MIT.", "source", when, "deny", "rules.toml", 1)
    for use, outcome in [(USE, "allow"), (without(USE, "license"), "review")]:
        [said] = [d for d in decide(use=use, rules=[rule]).decisions if d.engine == "house rule"]
        assert (said.outcome, said.about) == (outcome, "otter@1")
    assert said.because == "Ours is MIT. It cannot be put: use.license is not recorded."


@pytest.mark.parametrize(
    ("about", "when", "told"),
    [
        (
            "source",
            "artifact.coverage[0] < 1.0",
            'coverage is asked of an artifact as it is: write for = "artifact"',
        ),
        ("source", 'use.licence == "MIT"', "did you mean 'license'?"),
        ("artifact", 'use.licence.startsWith("M")', "did you mean 'license'?"),
        ("artifact", 'artifact.owner == "x"', "artifact has name, kind"),
    ],
)
def test_a_member_that_nothing_ever_has_is_refused_and_not_taken_for_unrecorded(
    tmp_path, about, when, told
):
    path = tmp_path / "rules.toml"
    path.write_text(f'[[rule]]\nid = "r"\nsays = "No."\nfor = "{about}"\nwhen = \'{when}\'\n')
    with pytest.raises(InputError, match=re.escape(told)):
        load_rules([path])


@pytest.mark.parametrize("text", ["other", "unknown", None])
def test_a_rule_about_a_licence_cannot_pass_where_the_text_names_none(text):
    when = Expression('license == "CC-BY-NC-4.0"', "rule nc", OF_SOURCE)
    rule = HouseRule("nc", "No NC.", "source", when, "deny", "rules.toml", 1)
    data = OWN.model_copy(update={"license": text})
    said = [d for d in decide((data, BASE), rules=[rule]).decisions if d.engine == "house rule"]
    assert [d.outcome for d in said if "Our texts" in d.about] == ["review"]
