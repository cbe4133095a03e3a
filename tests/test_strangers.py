"""Hostile text in every place that a stranger can write, and every command over it."""

import csv
import json
import os
import re
import subprocess
import sys
import unicodedata
from unittest import mock

import pytest
import tomli_w
from client.test_http import SERVER, recipe
from tests_service import Service, chat
from tests_support import run_stages
from typer.testing import CliRunner

from mashbill.cli import app, main, printing
from mashbill.core.shown import shown

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
SGR = re.compile(r"\x1b\[[0-9;]*m")
MOVES = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]")
"""how bars are drawn anew: rich's own"""

NASTY = [
    "[/foo]", "[bold]b[/bold]", "m [fp8]", "m [azure]", "[/INST]", "[link=x]l[/]", ":warning:",
    "a\x1b[31mred", "\x1b]0;owned\x07", "\x9b2J\x90", "a\rb\nholds: c", "\u202egpj.exe",
    "\u2066\u200b\U000e0041", "x\ufe0f\ufe0e", "y" * 9000, "<script>alert(1)</script>", "a|b`c`*d*",
    "---\nlicense: mit", "]]><x/>", "\"'&amp;", "=cmd|x", "\t\x00\x08\x7f\x85\u2028",
    "javascript:alert(1)", "{{ 1 }} {% x %} {0} %s", "$(x)`y`", "../../x", "</svg></style>",
]  # fmt: skip
ALL = " ".join(text for text in NASTY if len(text) < 100)


def acted_on(text, plain=""):
    """What of a command's output a terminal would act on, or nobody would see."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    rest = MOVES.sub("", text) if plain == "bars" else SGR.sub("", text)
    layout = "\n\r" if plain == "bars" else "\n"
    return [c for c in rest if unicodedata.category(c) in kinds and c not in layout]


def invoke(*arguments, bars=False, codes=(0, 1, 3)):
    """Run a command in this process; check what it printed, and return it."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    assert done.exit_code in codes, done.output
    assert acted_on(done.output, "bars" if bars else "") == [], arguments
    if "--json" in arguments:
        json.loads(SGR.sub("", done.stdout))
    return done.stdout


@pytest.fixture
def terminal(monkeypatch):
    """Print as for a terminal: narrow, with colours, bars and all."""
    monkeypatch.setattr(printing.out, "_width", 60)
    monkeypatch.setattr(printing.out, "_force_terminal", True)


IMPORT = {
    "kind": "import", "title": f"Chats {ALL}", "source": "rows.jsonl", "license": ALL,
    "models": {text: {"kind": "closed-api", "provider": text, "country": text}
               for text in NASTY[:9]},
}  # fmt: skip
OTHER = {"kind": "import", "title": "Chats [b]", "source": "rows.jsonl", "human": NASTY[3]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of rows whose every field is hostile, with the recipe, terms, rules and claims."""
    folder = tmp_path_factory.mktemp("made")
    rows = [
        {"text": f"{i} {text}", "generator": text, "version": text, "license": text, text: text,
         "_bill": text, "original__bill": 1.5}
        for i, text in enumerate([*NASTY, "\ud800"])
    ] + [{"text": None, "generator": text} for text in NASTY]  # fmt: skip
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {
        "recipe": {"name": "x", "version": "1", "title": ALL, "result": "both"},
        "use": {"published_name": ALL, "competes_with": [ALL]},
        "stages": {
            "got": IMPORT,
            "other": OTHER,
            "both": {"kind": "mix", "inputs": {"got": 1, "other": 2}},
        },
    }
    (folder / "x.toml").write_text(tomli_w.dumps(data))
    clause = {"code": "no-competing-model", "says": ALL, "fragment": "a b", "section": ALL}
    document = {
        "id": "evil", "title": ALL, "kind": "terms", "routes": ["api"], "models": ["*"],
        "version": [{"pointer": {"path": ALL}, "note": ALL, "clause": [clause],
                     "effective_from": "2020-01-01"}],
    }  # fmt: skip
    terms = {"provider": "[/foo]\x1b[31m", "country": "XX", "document": [document]}
    (folder / "terms.toml").write_text(tomli_w.dumps(terms))
    rules = [
        {"id": f"r{i}", "says": text, "when": "true", "outcome": "review"}
        for i, text in enumerate([ALL, *NASTY[:3]])
    ]
    (folder / "rules.toml").write_text(tomli_w.dumps({"rule": rules}))
    (folder / "catalogue").mkdir()
    return folder


@pytest.mark.usefixtures("terminal")
def test_the_recipe_is_planned_and_run_and_told(made):
    options = ("--store", made / "store", "--accept-review", ALL, "--reason", ALL)
    plan = invoke("plan", made / "x.toml", "--policy", made / "rules.toml")
    invoke("plan", made / "x.toml", "--json")
    assert "[/foo]" in plan
    told = invoke("run", made / "x.toml", *options, bars=True)
    assert "look at" in told
    invoke("run", made / "x.toml", *options, "--json")


STORE = [
    "bill both", "bill both --json", "bill both --against got", "bill both --against EU-2.5",
    "trace both --row 3", "trace both --row 12 --json", "trace got --row 0 --forward",
    "affected --source [/INST]", "affected --provider [/foo] --json", "affected --kind closed-api",
    "affected --kind closed-api --rows both", "audit", "audit --json",
    "prove both --row 5 --to {tmp}/p.json", "check both", "check both --all --json",
    "check both --policy {made}/rules.toml --sarif {tmp}/s --junit {tmp}/j",
    "check both --terms-file {made}/terms.toml", "terms diff --from 2020-01-01", "terms list",
    "terms list --terms-file {made}/terms.toml", "terms show evil --terms-file {made}/terms.toml",
    "terms show evil --terms-file {made}/terms.toml --json", "report both --to {tmp}/r.html",
    "whatif --remove name.contains('[') --to {tmp}/w.html", "export both --format card",
    "export both --format eu-2.5", "export both --format prov", "export both --format croissant",
    "export both --format spdx", "export both --format cyclonedx",
    "export both --format openlineage",
    "publish both --to {tmp}/out --format csv",
    "publish both --to {tmp}/out2 --format jsonl --json",
    "rebuild {made}/x.toml --without [/INST] --to {tmp}/re.toml", "checkpoint",
]  # fmt: skip


def to_a_terminal(command, request):
    """Have what is for people go to a terminal, and what is for programs to a file, but once."""
    if "--json" not in command or command.startswith("bill"):
        request.getfixturevalue("terminal")


@pytest.mark.few(12)
@pytest.mark.parametrize("command", STORE)
def test_every_command_over_the_store(made, request, tmp_path, command):
    if not (made / "store").exists():
        invoke("run", made / "x.toml", "--store", made / "store", "--accept-review", "a",
               "--reason", "b")  # fmt: skip
    to_a_terminal(command, request)
    arguments = [part.format(made=made, tmp=tmp_path) for part in command.split()]
    if arguments[0] != "terms" or arguments[1] == "diff":
        arguments += ["--store", str(made / "store")]
    if command.startswith("prove"):
        invoke(*arguments)
        proof = tmp_path / "p.json"
        invoke("audit", "--proof", proof)
        invoke("audit", "--proof", proof, "--json")
        return
    text = invoke(*arguments)
    if command == "bill both":
        for name in ("m [fp8]", "m [azure]", "[/foo]", "[/INST]"):
            assert "".join(name.split()) in "".join(text.split())
    if command == "trace both --row 12 --json":
        facts = json.loads(SGR.sub("", text))
        assert NASTY[12] in json.dumps(facts, ensure_ascii=False)


CATALOGUE = [
    "catalogue list", "catalogue list --json",
    "catalogue show o/evil", "catalogue show o/evil --json",
    "catalogue disputes", "catalogue disputes --json", "bill hf:o/evil", "bill hf:o/evil --json",
    "check hf:o/evil", "whatif --remove name.contains('evil') --to {tmp}/w.html",
    "whatif --remove name.contains('evil') --json",
]  # fmt: skip


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Claims of a stranger: hostile names, sources, notes and disputes."""
    folder = tmp_path_factory.mktemp("catalogue")

    def rows(name, lines):
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(lines)

    texts = [text.replace("\x00", "") for text in NASTY if len(text) < 100]
    everything = ALL.replace("\x00", "")
    entities = [["id", "what", "provider", "country", "kind", "license", "parameters", "source"]]
    entities.append(["o/evil", "model", everything, "XX", "open-weights", *[everything] * 3])
    entities += [[f"o/{t}", "model", t, "XX", "closed-api", t, t, t] for t in texts]
    rows("entities.csv", entities)
    claims = [["child", "parent", "relation", "status", "source", "note", "dispute", "dataset"]]
    claims += [
        ["o/evil", f"o/{text}", "sft-data", "stated", text, text, "both [/x]\x1b[1m", text]
        for text in texts
    ]
    rows("claims.csv", claims)
    return folder


@pytest.mark.parametrize("command", CATALOGUE)
def test_every_command_over_the_catalogue(catalogue, request, tmp_path, command):
    to_a_terminal(command, request)
    arguments = [part.format(tmp=tmp_path) for part in command.split()]
    invoke(*arguments, "--catalogue", catalogue)


def test_claims_that_are_taken_in_are_told_with_what_a_spreadsheet_may_run(tmp_path):
    lines = [
        ["child", "parent", "relation", "source"],
        ["o/a", "o/b", "sft-data", "=cmd|x"],
        ["o/a", "o/c [/x]\x1b[1m", "sft-data", "\u202ex"],
    ]
    with (tmp_path / "c.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)
    told = invoke("catalogue", "import", "csv", tmp_path / "c.csv", "--to", tmp_path / "to")
    assert "Formulas: 1 cell begins with" in told


@pytest.mark.usefixtures("terminal")
def test_what_a_server_says_is_told_and_not_acted_on(tmp_path):
    def answer(handler, path, data):
        if b"number 1" in data:
            handler.reply(400, {"error": {"message": ALL, "type": ALL, "code": ALL}})
        else:
            handler.reply(200, chat(ALL.replace("\0", ""), model=ALL))

    with Service(answer) as service:
        teacher = SERVER.format(url=service.url) + 'license = "MIT [/x]\\u001b[31m"\n'
        path = recipe(tmp_path / "r", teacher, rows=6)
        at = ("--store", tmp_path / "s")
        invoke(
            "run", path, *at, "--accept-review", "a", "--reason", "b", bars=True, codes=(0, 1, 2, 3)
        )
    for command in ("conduct runs", "conduct runs --json", "journal size", "journal size --json",
                    "trace out --row 0", "trace out --row 0 --json", "conduct statement",
                    "bill out"):  # fmt: skip
        invoke(*command.split(), *at)


@pytest.mark.parametrize("status", [401, 404, 429])
def test_errors_that_end_a_run_are_told_and_not_acted_on(tmp_path, capfd, status):
    def answer(handler, path, data):
        handler.reply(status, {"error": {"message": ALL}}, **{"Retry-After": "0"})

    with Service(answer) as service:
        teacher = SERVER.format(url=service.url) + 'license = "MIT"\npatience = 1\n'
        path = recipe(tmp_path / "r", teacher, rows=1)
        assert ended("run", path, "--store", tmp_path / "s") in (0, 2)
    told = "".join(capfd.readouterr())
    assert acted_on(told) == []
    assert "\nholds" not in told


def ended(*arguments):
    """Run a command as the program does, in this process; return its exit code."""
    with (
        mock.patch.object(sys, "argv", ["mashbill", *map(str, arguments)]),
        mock.patch("mashbill.cli.take_over"),  # for a program alone, not for all tests after this
        pytest.raises(SystemExit) as end,
    ):
        main()
    return end.value.code


@pytest.mark.few(2)
@pytest.mark.parametrize("text", [NASTY[0], NASTY[8], NASTY[10], NASTY[11], ALL.replace("\0", "")])
def test_errors_about_names_of_a_stranger(tmp_path, text, capfd):
    """Names of artifacts, files, options and values that are not there, or cannot be."""
    source = {"kind": "import", "title": "t", "source": f"{text[:60]}.jsonl"}
    data = {"recipe": {"name": "x", "version": "1"}, "stages": {"a": source}}
    path = tmp_path / "x.toml"
    changes = [
        {}, {"teachers": {text: {"kind": text}}}, {text: {}}, {"stages": {text: {"kind": text}}},
        {"recipe": {"name": text, "version": "1"}}, {"recipe": {"name": "x", "version": text}},
        {"stages": {"a": {"kind": "split", "input": text, "range": [0, 1]}}},
        {"stages": {text: source}}, {"stages": {"a": {**source, text: 1}}},
    ]  # fmt: skip
    for change in changes:
        path.write_text(tomli_w.dumps({**data, **change}))
        assert ended("run", path, "--store", tmp_path / "s") == 2
    for command in (["bill", text], ["plan", text], ["bill", "x", text], ["check", "hf:" + text],
                    ["terms", "show", text], ["bill", "hf:x/y", "--definition", text], [text],
                    ["run", "--threads", text], ["publish", "x", "--to", "y", "--format", text],
                    ["catalogue", "show", text], ["whatif", "--remove", text]):  # fmt: skip
        assert ended(*command) == 2
    out, told = capfd.readouterr()
    assert acted_on(out + told) == []
    assert "Traceback" not in told
    assert len(told) < 300_000


@pytest.mark.parametrize("version", ["1/../../../x", "1\n", "a b", "1\x1b[31m"])
def test_a_version_is_a_version_and_no_path(tmp_path, capfd, version):
    (tmp_path / "r.jsonl").write_text('{"text": "a"}')
    source = {"kind": "import", "title": "t", "source": "r.jsonl", "generator": "none"}
    for data in (
        {"recipe": {"name": "x", "version": version}, "stages": {"a": source}},
        {"recipe": {"name": "x", "version": "1"}, "stages": {"a": {**source, "version": version}}},
    ):
        (tmp_path / "x.toml").write_text(tomli_w.dumps(data))
        assert ended("run", tmp_path / "x.toml", "--store", tmp_path / "deep" / "s") == 2
        assert "version" in capfd.readouterr().err


@pytest.mark.usefixtures("terminal")
def test_files_with_hostile_names_are_read(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    names = [f"{text[:40]}.jsonl".replace("/", "") for text in NASTY if "\x00" not in text]
    for name in dict.fromkeys(names):
        (folder / name).write_text('{"text": "a"}\n{"text": \n')
    data = {
        "recipe": {"name": "x", "version": "1"},
        "stages": {"a": {"kind": "import", "title": "t", "source": "*.jsonl", "generator": "none"}},
    }
    (folder / "x.toml").write_text(tomli_w.dumps(data))
    at = ("--store", tmp_path / "s")
    invoke("run", folder / "x.toml", *at, "--accept-review", "a", "--reason", "b", bars=True)
    invoke("bill", "a", *at)
    invoke("publish", "a", "--to", tmp_path / "o", "--rejected", *at)


def test_a_file_whose_name_is_no_text_is_told(tmp_path, capfd):
    (tmp_path / os.fsdecode(b"\xff\x9b.jsonl")).write_text('{"text": "a"}')
    source = {"kind": "import", "title": "t", "source": "*.jsonl", "generator": "none"}
    data = {"recipe": {"name": "x", "version": "1"}, "stages": {"a": source}}
    (tmp_path / "x.toml").write_text(tomli_w.dumps(data))
    assert ended("run", tmp_path / "x.toml", "--store", tmp_path / "s") == 2
    told = capfd.readouterr().err
    assert "the name of file '\\udcff\\udc9b.jsonl' is no UTF-8" in told


def test_warnings_logs_and_bugs_are_shown(tmp_path):
    code = (
        "import warnings, logging, sys, threading\n"
        "from mashbill.cli import printing\n"
        "printing.take_over()\n"
        "bad = 'x [/y] \\x1b[31m \\u202e \\n holds: all'\n"
        "warnings.warn(bad)\n"
        "logging.getLogger('[/z]').warning('%s', bad)\n"
        "def fail(): raise RuntimeError(bad)\n"
        "t = threading.Thread(target=fail); t.start(); t.join()\n"
        "print('\\u202e', file=sys.stderr) if 0 else None\n"
        "fail()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False,
                          env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"})  # fmt: skip
    text = done.stderr.decode("ascii")
    assert acted_on(text) == []
    for part in ("warning:", "[/z]: x [/y]", "RuntimeError: x [/y] \\x1b[31m"):
        assert part in text
    assert "\n holds" not in text.partition("RuntimeError")[0].replace("\n  ", "")


def test_a_name_reads_the_same_wherever_it_is_printed(tmp_path):
    rows = [{"text": "t", "generator": "q\x1b[1m[/z]", "number": float("inf")}]
    stages = '[stages.a]\nkind = "import"\ntitle = "t"\nsource = "r.jsonl"\n'
    store = run_stages(tmp_path, stages, {"r.jsonl": rows})
    name = shown(rows[0]["generator"])
    for command in ("bill a", "trace a --row 0", "check a --all"):
        assert name in invoke(*command.split(), "--store", store.root)
    facts = invoke("trace", "a", "--row", 0, "--json", "--store", store.root)
    assert json.loads(facts, parse_constant=pytest.fail)["what"]
