"""A student of ours that comes back as weights from outside: refused, in each form it leaves in."""

import json
import shutil
import zipfile

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
gguf = pytest.importorskip("gguf")

from tests_bases import FILES, ROWS, pin, table, write_base  # noqa: E402
from tests_causal import save, tuning  # noqa: E402, F401
from tests_support import run_stages  # noqa: E402

import mashbill as mb  # noqa: E402
from mashbill.core.base_model import FolderModel, GgufModel  # noqa: E402
from mashbill.core.canonical import digest_file  # noqa: E402
from mashbill.core.errors import InputError, MashbillError  # noqa: E402
from mashbill.lineage.exports import gather  # noqa: E402
from mashbill.models.base_weights import check_at_hand, weights_of  # noqa: E402
from mashbill.teachers.embedded import EmbeddedTeacherSpec  # noqa: E402
from mashbill.teachers.transformers_engine import TransformersTeacherSpec  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("tuning")]
TUNED = '\n[stages.tuned]\nkind = "tuned"\ninput = "rows"\nbase = "tiny"\n'
BENT = {"name": "Otter-1B", "provider": "Otters", "license": "MIT"}


@pytest.fixture
def home(tmp_path):
    """A folder with a student in every form."""
    save(tmp_path / "tiny")
    stages = table("tiny", pin(tmp_path / "tiny")) + ROWS + TUNED
    made = mb.open(run_stages(tmp_path, stages, FILES, "").root)["tuned"]
    made.publish(str(tmp_path / "published"))
    shutil.copytree(made.store.folder("model", made.manifest.ref), tmp_path / "copied")
    for name, lacks in (("nobill", ["bill.json"]), ("nocard", ["README.md", "SHA256SUMS"])):
        shutil.copytree(tmp_path / "published", tmp_path / name)
        for file in lacks:
            (tmp_path / name / file).unlink()
    shutil.copytree(tmp_path / "nocard", tmp_path / "renamed")
    (tmp_path / "renamed" / "bill.json").rename(tmp_path / "renamed" / "notes.json")
    shutil.copytree(tmp_path / "published", tmp_path / "adapter")
    (tmp_path / "adapter" / "config.json").rename(tmp_path / "adapter" / "adapter_config.json")
    made.write_model("gguf", tmp_path / "tuned.gguf", "f32")
    made.write_model("gguf", tmp_path / "small.bin", "q8_0")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.write(tmp_path / "tuned.gguf", "in/model.gguf")
    return tmp_path


FOLDERS = ["copied", "published", "nobill", "nocard", "renamed", "adapter"]
GGUFS = [("tuned.gguf", ""), ("small.bin", ""), ("packed.zip", "in/model.gguf")]


def test_a_student_is_no_source_in_whatever_form_it_comes_back(home):
    cache, wrong = home / "cache", []

    def refused(what, ask, *called):
        try:
            ask()
            wrong.append(f"{what}: taken")
        except InputError as error:
            if not all(word in str(error) for word in ("tuned@1, which mashbill made", *called)):
                wrong.append(f"{what}: {error}")

    base, teacher = (
        'kind = "artifact", artifact = "tuned@1"',
        'kind = "student", model = "tuned@1"',
    )
    for name in FOLDERS:
        for sha256 in ("", pin(home / name)):
            spec = FolderModel(folder=name, sha256=sha256, **BENT)
            refused(name, lambda s=spec: weights_of("x", s, home, cache), "models.x: ", base)
            refused(name, lambda s=spec: check_at_hand("x", s, home, cache), "models.x: ", base)
        asked = TransformersTeacherSpec(folder=name, sha256=pin(home / name), **BENT)
        refused(name, lambda s=asked: s.weights(home, cache), teacher)
    for name, member in GGUFS:
        keys = {"file": name, "member": member, "sha256": digest_file(home / name), **BENT}
        spec = GgufModel(**keys)
        refused(name, lambda s=spec: weights_of("x", s, home, cache), "models.x: ", base)
        if not member:
            refused(name, lambda s=spec: check_at_hand("x", s, home, cache), base)
        asked = EmbeddedTeacherSpec(**keys)
        refused(name, lambda s=asked: s.load(home, cache, 1), teacher)
    assert not wrong, "\n".join(wrong)


def test_a_plan_refuses_it_and_an_artifact_keeps_its_bill(home):
    next_ = '\n[stages.next]\nkind = "tuned"\ninput = "rows"\nbase = "{}"\n'
    bent = table("bent", pin(home / "published"), "published", license="Apache-2.0")
    with pytest.raises(
        MashbillError, match=r"models\.bent: published: by README\.md it is tuned@1"
    ):
        run_stages(home, bent + ROWS + next_.format("bent"), FILES, "")
    given = '\n[models.own]\nkind = "artifact"\nartifact = "tuned@1"\n'
    store = run_stages(home, given + ROWS + next_.format("own"), FILES, "")
    lines = gather(store, store.find("next")).lines
    assert ("Tiny", 2) in {(line.source.name, line.depth) for line in lines}


def test_a_conversion_of_an_older_release_is_looked_at_once(home):
    cache = home / "cache"
    gguf_file = home / "tiny.gguf"
    _without_keys(home / "tuned.gguf", gguf_file)
    spec = GgufModel(file="tiny.gguf", sha256=digest_file(gguf_file), **BENT)
    folder = weights_of("x", spec, home, cache).folder
    (looked,) = (cache / "bases").glob("*.looked")
    looked.unlink()  # as a release before left it
    assert weights_of("x", spec, home, cache).folder == folder
    assert looked.exists()


def _without_keys(path, to):
    """Write a GGUF file again as one that says nothing of us."""
    data = path.read_bytes()
    to.write_bytes(data.replace(b"mashbill.", b"somebody."))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("manifest.json", {"kind": "model", "name": "a", "version": "1"}),
        ("manifest.json", [1]),
        ("bill.json", {"bill": [{"dish": "soup"}], "artifact": "a vase"}),
        ("other.json", '{"verdicts": '),
        ("README.md", "---\nlicense: mit\ntags: [mashbill]\n---\nMade with x-mashbill: in mind.\n"),
        ("README.md", "no front matter"),
        ("README.md", "---\n: [\n---\n"),
    ],
)
def test_an_honest_folder_is_taken(tmp_path, name, says):
    write_base(tmp_path / "tiny", np.zeros(8))
    text = says if isinstance(says, str) else json.dumps(says)
    (tmp_path / "tiny" / name).write_text(text)
    files = [path for path in sorted((tmp_path / "tiny").iterdir()) if path.suffix != ".md"]
    apart = tmp_path / "apart"
    apart.mkdir()
    for path in files:
        shutil.copyfile(path, apart / path.name)
    spec = FolderModel(folder="tiny", sha256=pin(apart), **BENT)
    assert weights_of("x", spec, tmp_path, tmp_path / "cache").digest == spec.sha256
