"""Who called: a licence that somebody put on outputs does not lift what bound the caller."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill import Source
from mashbill.core.use import Use
from mashbill.policy.case import Question, Student
from mashbill.policy.decision import strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.restrictions import decide_use

REGISTRY = load_registry()
DAY = date(2026, 11, 20)
STUDENT = Student("student", "language-model", 1, frozenset())
LICENCES = ("CC0-1.0", "MIT", "Apache-2.0", "CC-BY-4.0", "ODC-By-1.0", "MIT OR CC0-1.0",
            "cc0-1.0", "Unlicense", "CC-BY-NC-4.0", "whatever", None)  # fmt: skip
CLOSED = (("OpenAI", "gpt-4o"), ("Anthropic", "claude-sonnet-4"), ("Google", "gemini-2.5-pro"),
          ("xAI", "grok-4"), ("Somebody", "their-model"))  # fmt: skip


def decided(source, **use):
    asked = Question(source, (STUDENT,), Use(**use), DAY)
    return decide_use(REGISTRY, asked)


def rows_of(provider, name, licence, called_by="", kind="closed-api"):
    return Source(name=name, what="model", kind=kind, route="dataset:Set", provider=provider,
                  license=licence, called_by=called_by)  # fmt: skip


@table("licence", LICENCES)
@table(("provider", "name"), CLOSED)
def test_no_licence_on_rows_gives_leave_until_it_is_told_who_called(provider, name, licence):
    rivals = ["OpenAI", "Anthropic", "Google", "xAI"]
    found = decided(rows_of(provider, name, licence), competes_with=rivals, commercial=True)
    assert strictest(d.outcome for d in found) != "allow"
    asked = [d for d in found if d.rule == "caller-not-declared"]
    assert len(asked) == 1
    assert (asked[0].outcome, asked[0].lacking) == ("review", ("called_by",))
    assert name in asked[0].because


def test_if_we_called_the_terms_bind_whatever_the_licence():
    found = decided(rows_of("OpenAI", "gpt-4o", "CC0-1.0", "us"), competes_with=["OpenAI"])
    assert ("deny", "no-competing-model") in {(d.outcome, d.rule) for d in found}


def test_if_others_called_the_licence_decides_as_it_did():
    (found,) = decided(rows_of("OpenAI", "gpt-4o", "CC0-1.0", "others"), competes_with=["OpenAI"])
    assert (found.outcome, found.rule) == ("allow", "permissive-licence")


def test_nothing_is_asked_where_nothing_bound_the_caller():
    source = rows_of("Alibaba Cloud", "Qwen/Qwen2.5-7B-Instruct", "CC0-1.0", kind="open-weights")
    assert {d.rule for d in decided(source)} == {"permissive-licence"}


def test_a_licence_on_rows_is_none_of_the_models_own():
    """Else weights that nobody knows would be under the licence that somebody put on outputs."""
    source = rows_of("Somebody", "their-model", "MIT", kind="open-weights")
    assert "caller-not-declared" in {d.rule for d in decided(source)}


def test_a_data_set_of_which_the_catalogue_knows_what_wrote_it_is_asked_about_too():
    facts = {"name": "teknium/OpenHermes-2.5", "what": "dataset", "kind": "public-dataset",
             "route": "file", "license": "CC0-1.0"}  # fmt: skip
    found = decided(Source(**facts), competes_with=["OpenAI"])
    assert [d.outcome for d in found if d.rule == "caller-not-declared"] == ["review"]
    told = decided(Source(**facts, called_by="others"), competes_with=["OpenAI"])
    assert {d.outcome for d in told} == {"allow"}
    other = decided(Source(**{**facts, "name": "somebody/tickets"}))
    assert {d.outcome for d in other} == {"allow"}


def test_what_nobody_said_is_written_nowhere_so_nodes_keep_their_digests():
    assert "called_by" not in rows_of("OpenAI", "gpt-4o", None).model_dump(mode="json")
    assert rows_of("OpenAI", "gpt-4o", None, "us").model_dump(mode="json")["called_by"] == "us"


@law(100)
@given(st.sampled_from(LICENCES), st.sampled_from(CLOSED), st.sampled_from([None, True, False]),
       st.sampled_from([None, [], ["OpenAI"], ["Anthropic", "Google"]]))  # fmt: skip
def test_no_answer_is_never_milder_than_others_and_never_stricter_than_a_review_beyond_them(
    licence, model, commercial, competes
):
    use = {"commercial": commercial, "competes_with": competes}
    outcome = {
        said: strictest(d.outcome for d in decided(rows_of(*model, licence, said), **use))
        for said in ("", "us", "others")
    }
    order = ["allow", "review", "deny"]
    assert order.index(outcome["others"]) <= order.index(outcome[""])
    assert outcome[""] == "allow" or outcome[""] in ("review", outcome["others"])
    assert not (outcome["us"] != "allow" and outcome[""] == "allow")
