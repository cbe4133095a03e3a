"""What a recipe may read: its folder, and what the user allows; whoever wrote the recipe."""

from __future__ import annotations

import json
import os
import pickle
import socket
from pathlib import Path

import pytest
from tests_support import TEACHER
from tests_tables import table
from typer.testing import CliRunner

from mashbill import InputError, RecipeError, load_recipe
from mashbill.cli import app
from mashbill.core.folder import RecipeFolder

SAID = "what another folder says"
HEAD = f'[recipe]\nname = "some"\nversion = "1"\n{TEACHER}\n'
CORPUS = '[stages.corpus]\nkind = "corpus"\ntitle = "x"\nsource = '
TEXTS = CORPUS + '"texts.jsonl"\n'
OUT = "[stages.out]\ninput = 'corpus'\nteacher = 't'\n"
PINNED = 'name = "m"\nprovider = "p"\nsha256 = "' + "0" * 64 + '"\n'
# A recipe in which "@" stands for what names a file, for every key that names one.
KEYS = {
    "stages.corpus.source": CORPUS + "@\n",
    "stages.import.source": '[stages.import]\nkind = "import"\ntitle = "x"\nsource = @\n',
    "stages.out.prompt": TEXTS + OUT + 'kind = "generate"\nprompt = @\n',
    "stages.out.schema": TEXTS + OUT + 'kind = "generate"\nschema = @\n',
    "stages.out.judge_prompt": TEXTS + OUT + 'kind = "generate"\njudge = "t"\njudge_prompt = @\n',
    "stages.out.user_prompt": TEXTS + OUT + 'kind = "converse"\nuser_prompt = @\n',
    "stages.out.tools": TEXTS + OUT + 'kind = "tools"\nsimulator = "t"\ntools = @\n',
    "stages.out.results": TEXTS + OUT + 'kind = "tools"\ntools = "tools.json"\nresults = @\n',
    "policy.terms": TEXTS + "[policy]\nterms = [@]\n",
    "policy.rules": TEXTS + "[policy]\nrules = [@]\n",
    "teachers.e.file": f'[teachers.e]\nkind = "embedded"\n{PINNED}file = @\n{TEXTS}',
    "teachers.f.folder": f'[teachers.f]\nkind = "transformers"\n{PINNED}folder = @\n{TEXTS}',
    "teachers.r.journal": '[teachers.r]\nkind = "replay"\nteacher.kind = "fake"\n'
    f'teacher.words.a = ["b"]\njournal = @\n{TEXTS}',
}


@pytest.fixture
def folder(tmp_path):
    """A recipe's folder, beside another that is none of its business."""
    made = tmp_path / "recipe"
    made.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.jsonl").write_text(json.dumps({"text": SAID}) + "\n")
    (made / "texts.jsonl").write_text(json.dumps({"text": "a"}) + "\n")
    (made / "tools.json").write_text("[]")
    (made / "link.jsonl").symlink_to(tmp_path / "outside" / "secret.jsonl")
    (made / "there").symlink_to(tmp_path / "outside")
    (made / "chain.jsonl").symlink_to("link.jsonl")
    (made / "inner.jsonl").symlink_to("texts.jsonl")
    return made


def written(folder: Path, text: str) -> Path:
    path = folder / "some.toml"
    path.write_text(HEAD + text)
    return path


def ways(folder: Path) -> list[str]:
    """Return ways to write the path of a file outside."""
    out = folder.parent / "outside" / "secret.jsonl"
    return [
        str(out), "../outside/secret.jsonl", "a/../../outside/secret.jsonl", "link.jsonl",
        "there/secret.jsonl", "chain.jsonl", f"/proc/self/root{out}", f"/{out}",
        f"{folder}/../outside/secret.jsonl",
        "./../outside/./secret.jsonl", "there/../outside/secret.jsonl", "C:/x", "\\\\host\\x",
    ]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_every_key_that_names_a_file_stays_in_the_folder(folder, key):
    for way in ways(folder):
        path = written(folder, KEYS[key].replace("@", f"'{way}'"))
        with pytest.raises(RecipeError) as caught:
            load_recipe(path)
        said = str(caught.value)
        assert said.startswith(f"{path}: {key} = ")
        assert repr(way) in said
        assert "it leads out of the recipe's folder" in said
        assert "--allow " in said


@pytest.mark.parametrize("key", KEYS)
def test_nothing_but_files_is_opened(folder, key, tmp_path, monkeypatch):
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("recipe/sock")
        for name in ("pipe", "sock", "/dev/zero", "/dev/stdin", "/proc/self/environ",
                     "/proc/self/fd/0", "/sys/kernel/uevent_seqnum"):  # fmt: skip
            path = written(folder, KEYS[key].replace("@", f"'{name}'"))
            with pytest.raises(RecipeError, match=r"and only files are read|it leads out"):
                load_recipe(path, ["/dev", "/proc", "/sys"])


ADDRESSES = [
    "file://@", "local://@", "FILE://@", "simplecache::file://@", "filecache::file://@",
    "blockcache::file://@", "zip://x::@", "zip://@", "tar://x::file://@", "libarchive://x::@",
    "reference://@", "dir://@", "dir://x::file://@", "git://@", "s3://b/x::file://@",
    "simplecache::s3://b/x", "unknown://@", "arrow_hdfs://@", "file://@?x", "file://localhost@",
    "file://texts.jsonl", "file:@", "local:@", "~/@", "@\0", "file://@\0",
]  # fmt: skip


@table("key", [k for k in KEYS if k.split(".")[0] != "policy"])
@table("address", ADDRESSES)
def test_no_address_reaches_this_disk(folder, key, address):
    out = str(folder.parent / "outside" / "secret.jsonl")
    escaped = json.dumps(address.replace("@", out))
    path = written(folder, KEYS[key].replace("@", escaped))
    said, recipe = "", None
    try:
        recipe = load_recipe(path)
    except RecipeError as error:
        said = str(error)
    assert SAID not in said
    # What is loaded is an address of elsewhere, or is not there: nothing of it was read.
    assert recipe is None or key.startswith("teachers") or address.startswith("s3://")


def test_the_users_word_opens_a_file_or_a_folder(folder, tmp_path):
    text = CORPUS + "'there/secret.jsonl'\n"
    path = written(folder, text)
    for allow in (tmp_path / "outside", tmp_path / "outside" / "secret.jsonl", folder / "there"):
        recipe = load_recipe(path, [allow])
        assert recipe.folder == folder
        (name,) = recipe.stages["corpus"].files_beside(recipe.folder)
        assert SAID in (recipe.folder / name).read_text()
    assert load_recipe(path, str(tmp_path / "outside"))
    assert load_recipe(path, [f"file://{tmp_path}/outside"])
    for nothing in ("", " ", "a\0b"):
        with pytest.raises(InputError, match="there is no such file or folder"):
            load_recipe(path, [nothing])
    for allow in (tmp_path / "recipe", tmp_path / "outside" / "other"):
        allow.touch()
        with pytest.raises(RecipeError, match="it leads out"):
            load_recipe(path, [allow])
    with pytest.raises(InputError, match=r"--allow .*nowhere.: there is no such file or folder"):
        load_recipe(path, [tmp_path / "nowhere"])
    assert load_recipe(written(folder, CORPUS + "'inner.jsonl'\n"))


def test_the_command_says_what_to_add_and_it_works(folder, tmp_path):
    path = written(folder, CORPUS + "'../outside/secret.jsonl'\nlicense = 'CC0-1.0'\n")
    store = str(tmp_path / "store")
    run = CliRunner()

    def refuses(*command):
        done = run.invoke(app, [command[0], str(path), *command[1:], "--store", store])
        assert isinstance(done.exception, RecipeError)
        assert f"--allow {tmp_path}/outside/secret.jsonl" in str(done.exception)

    refuses("plan")
    refuses("run")
    allowed = ["--allow", str(tmp_path / "outside")]
    assert run.invoke(app, ["plan", str(path), "--store", store, *allowed]).exit_code == 0
    done = run.invoke(app, ["run", str(path), "--store", store, *allowed])
    assert done.exit_code == 0, done.output
    refuses("rebuild", "--without", "x")
    to = ["--without", "x", "--to", str(folder / "new.toml")]
    done = run.invoke(app, ["rebuild", str(path), "--store", store, *to, *allowed])
    assert done.exit_code == 0, done.output


def test_a_glob_takes_no_link_out_of_the_folder(folder, tmp_path):
    for pattern in ("*.jsonl", "**/*.jsonl", "there/*.jsonl", "t*/*.jsonl", "[l]ink.jsonl"):
        with pytest.raises(RecipeError, match="it leads out"):
            load_recipe(written(folder, CORPUS + f"'{pattern}'\n"))
    (folder / "data").mkdir()
    (folder / "data" / "a.jsonl").symlink_to(tmp_path / "outside" / "secret.jsonl")
    for source in ("data", "data/", "data/*"):
        with pytest.raises(RecipeError, match="it leads out"):
            load_recipe(written(folder, CORPUS + f"'{source}'\n"))


def test_a_folder_of_terms_is_looked_into(folder, tmp_path):
    (folder / "terms").mkdir()
    (folder / "terms" / "a.toml").symlink_to(tmp_path / "outside" / "secret.jsonl")
    with pytest.raises(RecipeError, match=r"policy.terms = .*a.toml.*it leads out"):
        load_recipe(written(folder, TEXTS + '[policy]\nterms = ["terms"]\n'))


def test_accounts_beside_a_recipe_are_a_file_of_its_folder(folder, tmp_path, monkeypatch):
    from mashbill.client.accounts import FILE, Accounts

    (folder / FILE).symlink_to(tmp_path / "outside" / "secret.jsonl")
    monkeypatch.delenv("MASHBILL_ACCOUNTS", raising=False)
    with pytest.raises(RecipeError, match="it leads out"):
        Accounts.load(load_recipe(written(folder, TEXTS)).folder)


def test_python_code_of_a_recipe_runs_only_if_the_user_says_so(folder, tmp_path):
    marker = tmp_path / "marker"
    (folder / "m.py").write_text(
        f"open({str(marker)!r}, 'w').write('ran')\nfrom pydantic import BaseModel\n"
        "class M(BaseModel):\n    a: int\n"
    )
    path = written(folder, TEXTS + OUT + 'kind = "generate"\nschema = "m.py:M"\n')
    with pytest.raises(RecipeError, match=r"stages.out.schema = 'm.py' is Python code.*--allow "):
        load_recipe(path)
    with pytest.raises(RecipeError, match="is Python code"):
        load_recipe(path, [tmp_path / "outside"])
    assert not marker.exists()
    for allow in (folder / "m.py", folder):
        load_recipe(path, [allow])
        assert marker.exists()


def test_a_stage_of_others_is_held_to_it_without_thinking_of_it(folder):
    recipe = load_recipe(written(folder, TEXTS))
    for way in ways(folder):
        with pytest.raises(RecipeError, match="it leads out"):
            recipe.folder / way
        with pytest.raises(RecipeError, match="it leads out"):
            recipe.folder.joinpath(way)
        with pytest.raises(RecipeError, match="it leads out"):
            recipe.folder.resolve().absolute() / way
    sent = pickle.loads(pickle.dumps(recipe.folder))  # noqa: S301 - our own
    with pytest.raises(RecipeError, match="it leads out"):
        sent / "../x"
    inside = recipe.folder / "texts.jsonl"
    assert type(inside) is type(Path())
    assert type(sent) is RecipeFolder
    assert sent == folder


def test_a_rebuild_elsewhere_says_what_it_cannot_take_along(folder, tmp_path):
    from mashbill.lineage.whatif.rebuild import Rebuild, write_rebuild
    from mashbill.lineage.whatif.removal import Selector

    path = written(folder, CORPUS + "'../outside/secret.jsonl'\n")
    allow = [tmp_path / "outside"]
    made = Rebuild({"recipe": {"name": "some", "version": "1"}, "stages": {"corpus": {
        "kind": "corpus", "title": "x", "source": "../outside/secret.jsonl"}}})  # fmt: skip
    gone = Selector(source="x")
    with pytest.raises(InputError, match=r"leads out of its folder.*--to "):
        write_rebuild(made, path, tmp_path / "far" / "away" / "new.toml", gone, allow)
    assert not (tmp_path / "far" / "outside").exists()
    write_rebuild(made, path, folder / "new.toml", gone, allow)
    assert load_recipe(folder / "new.toml", allow).stages["corpus"]


def test_recipes_that_are_shipped_read_nothing_outside():
    root = Path(__file__).parents[2]
    found = [*root.glob("recipes/*.toml"), *root.glob("examples/*/recipe.toml")]
    assert len(found) > 4
    for path in found:
        recipe = load_recipe(path)
        assert all(recipe.literals(stage) for stage in recipe.stages)
