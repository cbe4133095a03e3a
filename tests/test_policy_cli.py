"""Plans that terms deny or want reviewed, and checks of what is made, as a user calls them."""

import json
import re
import shutil
from datetime import date

import pytest
from tests_support import write_recipe

from mashbill import Signer, Store, load_recipe
from mashbill.cli import main
from mashbill.core.errors import PolicyError
from mashbill.plan import build, with_teacher
from mashbill.policy.documents import load_registry
from mashbill.run.permission import Acceptance, permit
from mashbill.teachers.api import parse_teacher


@pytest.fixture
def call(capsys, monkeypatch):
    """Call the command line as a user does, in this process: a process for each costs a second."""

    def called(*arguments, code=0):
        monkeypatch.setattr("sys.argv", ["mashbill", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        text = capsys.readouterr()
        assert (ended.value.code or 0) == code, text.out + text.err
        return text.out + text.err

    return called


EXAMPLE = """
provider = "Example AI"
country = "US"

[[document]]
id = "example-api"
title = "Example API Terms"
kind = "terms"
routes = ["api"]

[[document.version]]
effective_from = 2026-01-01
superseded_by = 2026-06-01
pointer = { path = "here" }
[[document.version.clause]]
code = "outputs-may-train"
says = "Outputs may train any model."

[[document.version]]
effective_from = 2026-06-01
observed_on = 2026-11-01
pointer = { path = "here" }
[[document.version.clause]]
code = "no-training"
scope = "any-model"
says = "Outputs may not train any model."
"""


@pytest.fixture
def closed_recipe(tmp_path):
    """The toy recipe with a teacher that stands in for a closed model of Example AI."""
    path = write_recipe(tmp_path / "recipe")
    text = path.read_text()
    assert 'kind = "fake"\n' in text
    text = text.replace(
        'kind = "fake"\n',
        'kind = "fake"\nname = "Example"\nsource_kind = "closed-api"\nprovider = "Example AI"\n',
        1,
    )
    path.write_text(text)
    (path.parent / "terms.toml").write_text(EXAMPLE)
    return path


def test_a_plan_tells_what_terms_say_as_of_a_day(call, closed_recipe, tmp_path):
    terms = ("--terms-file", closed_recipe.parent / "terms.toml", "--store", tmp_path / "none")
    early = json.loads(call("plan", closed_recipe, "--as-of", "2026-03-01", "--json", *terms))[
        "policy"
    ]
    assert early["outcome"] == "allow"
    late = json.loads(call("plan", closed_recipe, "--as-of", "2026-07-01", "--json", *terms))[
        "policy"
    ]
    denied = [d for d in late["decisions"] if d["outcome"] == "deny"]
    assert {d["document"] for d in denied} == {"example-api"}
    assert {d["effective_from"] for d in denied} == {"2026-06-01"}
    assert denied[0]["path"]
    unknown = json.loads(call("plan", closed_recipe, "--as-of", "2025-01-01", "--json", *terms))[
        "policy"
    ]
    assert unknown["outcome"] == "review"
    assert any("2025-01-01" in " ".join(d["lacking"]) for d in unknown["decisions"])


def test_a_denied_plan_is_refused_and_buys_nothing(call, closed_recipe, tmp_path):
    store = tmp_path / "store"
    text = call("run", closed_recipe, "--store", store, "--terms-file",
                closed_recipe.parent / "terms.toml", "--accept-review", "me", "--reason", "x",
                code=1)  # fmt: skip
    assert "refused: the plan is denied; nothing was bought" in text
    assert "Outputs may not train any model" in text
    assert "Example API Terms of 2026-06-01" in text
    opened = Store(store)
    assert [entry.event for entry in opened.ledger.entries] == ["open"]


def test_a_plan_that_wants_review_runs_once_somebody_answers_for_it(call, closed_recipe, tmp_path):
    store = tmp_path / "store"
    text = call("run", closed_recipe, "--store", store, code=3)
    assert "in need of review" in text
    assert "Lacking: API terms of Example AI" in text
    assert "belong together" in call(
        "run", closed_recipe, "--store", store, "--accept-review", "me", code=2
    )
    call("run", closed_recipe, "--store", store, "--accept-review", "R. Ling", "--reason",
         "letter of 2 May")  # fmt: skip
    [entry] = [e for e in Store(store).ledger.entries if e.event == "decide"]
    assert entry.predicate["accepted"] == {"name": "R. Ling", "reason": "letter of 2 May"}
    assert entry.predicate["outcome"] == "review"
    assert "holds" in call("audit", "--store", store)
    # All is done: nothing is left to buy, so nothing is asked again.
    call("run", closed_recipe, "--store", store)
    changed = json.loads(
        call("terms", "diff", "--from", "2026-03-01", "--to", "2026-07-01", "--store", store,
             "--terms-file", closed_recipe.parent / "terms.toml", "--json")
    )  # fmt: skip
    assert "example-api" in {item["document"] for item in changed["documents"]}
    outcomes = {a["artifact"]: (a["before"], a["after"]) for a in changed["artifacts"]}
    assert outcomes["classifier@1"] == ("allow", "deny")
    text = call("terms", "diff", "--from", "2026-03-01", "--to", "2026-07-01", "--store", store,
                "--terms-file", closed_recipe.parent / "terms.toml")  # fmt: skip
    assert "decided otherwise" in text


def test_an_artifact_is_decided_again_as_of_any_day(call, channels, tmp_path):
    terms = tmp_path / "terms.toml"
    terms.write_text(EXAMPLE)
    at = ("--store", channels, "--terms-file", terms)
    late = json.loads(call("check", "scratch", "--as-of", "2026-07-01", "--json", *at, code=1))
    assert late["outcome"] == "deny"
    assert {d["engine"] for d in late["decisions"]} >= {"use restriction"}
    early = json.loads(call("check", "scratch", "--as-of", "2026-02-01", "--json", *at, code=3))
    assert all(d["outcome"] != "deny" for d in early["decisions"])
    assert any(d["lacking"] for d in early["decisions"])
    text = call("check", "scratch", "--as-of", "2026-07-01", *at, code=1)
    assert "no legal advice" in text
    assert "clean" not in re.sub(r"clean\.txt|cleaned", "", text)  # names of a file and a stage
    assert "--distribution 'x'" in call("check", "scratch", "--distribution", "x", *at, code=2)
    assert "write YYYY-MM-DD" in call("check", "scratch", "--as-of", "soon", *at, code=2)


def test_what_was_declared_is_what_is_checked(tmp_path, recipe_file):
    recipe_file.write_text(recipe_file.read_text() + '\n[use]\ndistribution = "public"\n')
    store = Store(tmp_path / "store", Signer.default())
    plan = build(load_recipe(recipe_file), store)
    decided = plan.decide(load_registry(), date(2026, 11, 24))
    permit(decided, store)
    assert Store(tmp_path / "store").ledger.entries[-1].predicate["use"] == {
        "distribution": "public"
    }


def test_review_is_not_passed_by_silence(tmp_path, recipe_file):
    recipe = with_teacher(load_recipe(recipe_file), parse_teacher("openai:gpt-4o-mini"))
    decided = build(recipe).decide(load_registry(), date(2026, 11, 24))
    store = Store(tmp_path / "store", Signer.default())
    assert decided.outcome == "review"
    with pytest.raises(PolicyError) as error:
        permit(decided, store)
    assert error.value.outcome == "review"
    permit(decided, store, Acceptance("R. Ling", "read it"))
    assert len(store.ledger.entries) == 2


def test_a_house_rule_stops_a_plan(call, tmp_path, recipe_file):
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nid = "no-toys"\nsays = "No stand-ins."\nwhen = \'kind == "test-double"\'\n'
    )
    text = call("run", recipe_file, "--store", tmp_path / "s", "--policy", rules, code=1)
    assert "No stand-ins" in text
    rules.write_text('[[rule]]\nid = "x"\nsays = "x"\nwhen = "kin == 1"\n')
    text = call("plan", recipe_file, "--store", tmp_path / "s", "--policy", rules, code=2)
    assert "rule x: kin == 1: no name kin" in " ".join(text.split())


def test_the_use_bears_no_identity(tmp_path, recipe_file):
    first = build(load_recipe(recipe_file))
    other = tmp_path / "other"
    shutil.copytree(recipe_file.parent, other)
    path = other / recipe_file.name
    path.write_text(path.read_text() + '\n[use]\ncommercial = true\ncompetes_with = ["OpenAI"]\n')
    second = build(load_recipe(path))
    for stage in first.recipe.stages:
        assert first.recipe.literals(stage) == second.recipe.literals(stage)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[use]\ndistributon = "public"', "did you mean 'distribution'?"),
        ('[use]\ndistribution = "wide"', "use.distribution = 'wide'"),
        ('[policy]\nterms = ["nowhere.toml"]', "policy names 'nowhere.toml'"),
        ("[uses]\nx = 1", "key 'uses' is unknown"),
    ],
)
def test_a_wrong_use_is_told(call, recipe_file, table, message):
    recipe_file.write_text(recipe_file.read_text() + f"\n{table}\n")
    assert message in " ".join(call("plan", recipe_file, code=2).split())


def test_public_models_are_billed_checked_and_shown(call):
    text = call("bill", "hf:HuggingFaceTB/SmolLM3-3B", "--definition", "all")
    assert "Claims are never complete" in text
    made = json.loads(call("bill", "hf:allenai/Olmo-3-1125-32B", "--json", "--definition", "A"))
    assert {v["conclusion"] for v in made["verdicts"]} == {"yes"}
    made = json.loads(call("bill", "hf:SmolLM3-3B", "--json", "--against", "hf:SmolLM3-3B-Base"))
    assert made["lines"]
    text = call("check", "hf:deepseek-ai/DeepSeek-R1-Distill-Llama-8B", code=3)
    assert "LicenseRef-Llama-3.1 AND MIT" in text
    text = call("catalogue", "show", "CodeAlpaca-20k")
    assert "Sources disagree" in text
    assert "did you mean" in call("bill", "hf:SmolLM3", code=2)
    assert "codealpaca-generator" in call("catalogue", "disputes")
    listed = json.loads(call("catalogue", "list", "olmo-3", "--json"))
    assert "Ai2" in {item["provider"] for item in listed}
    assert "choose of stated" in call("bill", "hf:SmolLM3-3B", "--claims", "hearsay", code=2)


def test_a_makers_repository_is_imported_and_what_rows_rest_on_is_counted(call, tmp_path):
    (tmp_path / "code").mkdir()
    recipe = "model_name_or_path: base/big\ndatasets:\n  - path: data/one\n"
    (tmp_path / "code" / "sft.yaml").write_text(recipe)
    origin = ("--of", "maker/code", "--commit", "0123456", "--to", tmp_path / "c")
    text = call("catalogue", "import", "repository", tmp_path / "code", *origin)
    assert "sft.yaml: line 1: nothing says which model" in " ".join(text.split())
    made = ("--makes", "*.yaml=made/it")
    assert "2 claims" in call(
        "catalogue", "import", "repository", tmp_path / "code", *made, *origin
    )
    shown = json.loads(
        call("catalogue", "show", "made/it", "--catalogue", tmp_path / "c", "--json")
    )
    assert [claim["source"] for claim in shown["made_from"]] == [
        "maker/code@0123456:sft.yaml#L1",
        "maker/code@0123456:sft.yaml#L3",
    ]
    wrong = ("--of", "maker/code", "--commit", "main")
    assert "is no commit" in call("catalogue", "import", "repository", tmp_path, *wrong, code=2)
    counted = json.loads(call("catalogue", "sources", "--json"))["claims"]
    assert counted["primary"] + counted["second-hand"] == counted["all"]
    assert "second-hand" in call("catalogue", "sources")


def test_terms_are_shown_as_of_a_day(call):
    text = call("terms", "show", "anthropic-aup", "--as-of", "2025-10-01")
    assert "2025-09-15" in text
    assert "no text of that day" in call("terms", "show", "gemini-api", "--as-of", "2020-01-01")
    assert "llama-3.1" in call("terms", "list")
    shown = json.loads(call("terms", "show", "hf:meta-llama/Llama-3.1-8B", "--json"))
    assert [item["document"] for item in shown] == ["llama-3.1"]
    assert "providers are" in call("terms", "show", "nobody", code=2)


def test_a_list_of_texts_says_whom_each_binds_and_who_looked_when(call):
    listed = call("terms", "list", "DeepSeek", "--as-of", "2025-02-01")
    assert "Anthropic" not in listed
    row = next(line for line in listed.splitlines() if "deepseek-platform" in line)
    assert "api: all models" in row
    assert "2025-01-20" in row
    assert "second" in next(line for line in listed.splitlines() if "deepseek-v4" in line)
    hosts = call("terms", "list", "--route", "host")
    assert "together" in hosts
    assert "deepseek-r1" not in hosts
    assert "nothing" in call("terms", "list", "OpenRouter", "--as-of", "2020-01-01")
    for service in ("cursor", "windsurf", "bolt.new", "le chat", "DALL·E"):
        call("terms", "list", service)
    assert "providers are" in call("terms", "list", "nobody", code=2)
    assert "no way to reach a model" in call("terms", "list", "--route", "telex", code=2)


def test_what_is_not_known_is_never_said_to_be_free(call):
    before = call("terms", "show", "cursor", "--as-of", "2024-07-23")
    assert "not known, which is not to say that nothing was barred" in " ".join(before.split())
    after = call("terms", "show", "google-genai-additional", "--as-of", "2024-05-22")
    assert "ended on 2024-05-22" in " ".join(after.split())
    shown = json.loads(
        call("terms", "show", "OpenAI/gpt-4o", "--route", "api", "--json", "--as-of", "2023-06-01")
    )
    assert [(item["document"], item["binds"]) for item in shown] == [
        ("openai-tou-api", "api: all models until 2024-01-31")
    ]
    assert "a router or host is asked for by its own name" in " ".join(
        call("terms", "show", "OpenAI/gpt-4o", "--route", "router", code=2).split()
    )


def test_a_diff_tells_each_text_that_began_and_what_it_changed(call, tmp_path):
    days = ("--from", "2026-06-25", "--to", "2026-07-08", "--store", tmp_path)
    changes = json.loads(call("terms", "diff", *days, "--json"))
    told = [(change["day"], change["document"], change["after"]) for change in changes["documents"]]
    assert ("2026-06-26", "xai-aup", "2026-06-26") in told
    assert ("2026-06-26", "xai-tos", "2026-06-26") in told
    assert ("2026-07-08", "meta-model-api", "2026-07-08") in told
    assert len(set(told)) == len(told)
    ended = [(change["day"], change["document"]) for change in changes["ended"]]
    assert ended == [("2026-07-08", "llama-api-multimodal")]
    text = " ".join(call("terms", "diff", *days).split())
    assert "gone: outputs-may-train" in text
    assert "new: no-competing-model" in text
    nothing = call(
        "terms", "diff", "--from", "2026-07-01", "--to", "2026-07-01", "--store", tmp_path
    )
    assert "No text began or ended" in nothing
    assert "turn them round" in call(
        "terms", "diff", "--from", "2026-07-02", "--to", "2026-07-01", code=2
    )


def test_what_if_is_asked_of_the_catalogue_and_of_a_store(call, channels, tmp_path):
    page = tmp_path / "page.html"
    facts = json.loads(
        call("whatif", "--remove", 'country == "CN" && kind == "open-weights"', "--terms",
             "OpenAI forbids training from 2027-01-01", "--to", page, "--json")
    )  # fmt: skip
    assert len(facts["scenarios"]) == 2
    assert "<svg" in page.read_text()
    text = call("whatif", "--remove", 'kind == "closed-api"', "--store", channels)
    assert "scratch@1" in text
    assert "Hardest hit" in text
    assert "say what goes" in call("whatif", code=2)


def test_what_if_is_titled_and_told_over_a_list_of_ones_own(call, tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_text("name,what\ndeepseek-ai/DeepSeek-R1,model\nallenai/nothing-of-ours,model\n")
    remove = ["--remove", 'country == "CN"']
    facts = json.loads(
        call("whatif", *remove, "--title", "Without China", "--population", mine, "--most", "3",
             "--lead-months", "2", "--json")
    )  # fmt: skip
    (scenario,) = facts["scenarios"]
    assert scenario["title"] == "Without China"
    assert scenario["first_lines"][0].startswith("Without China, ")
    assert len(scenario["artifacts"]) == 3 < scenario["artifacts_in_all"]
    listed = scenario["impact"]["over_a_list"]
    assert listed["models"]["score"] == [50, 100]
    assert listed["models"]["not_in_the_catalogue"] == ["allenai/nothing-of-ours"]
    assert scenario["lead_times"]["every_step_months"] == 2
    text = call("whatif", *remove, "--population", mine)
    assert "score, 0 to 100, over the 2 models of the list mine" in " ".join(text.split())
    assert "give one for each" in call("whatif", *remove, "--title", "a", "--title", "b", code=2)


def test_own_claims_are_added_and_used(call, tmp_path):
    mine = tmp_path / "claims-mine.csv"
    mine.write_text("child,parent,relation,source\nus/otter,openai/gpt-4o,sft-data,our wiki\n")
    folder = tmp_path / "catalogue"
    text = call("catalogue", "import", "csv", mine, "--to", folder)
    assert "1 claim and " in text
    assert "1 claim was there already" in call("catalogue", "import", "csv", mine, "--to", folder)
    made = json.loads(call("bill", "hf:us/otter", "--catalogue", folder, "--json"))
    assert made["verdicts"][0]["conclusion"] == "yes"
    mine.write_text("child,parent,relation,source\nus/otter,openai/gpt-4o,magic,our wiki\n")
    text = call("catalogue", "import", "csv", mine, "--to", folder, code=2)
    assert "line 2: relation" in " ".join(text.split())
