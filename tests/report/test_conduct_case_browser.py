"""The page of a case in a real browser: it fits, says nothing to the console, and prints."""

import html
import re
import shutil
import subprocess

import pytest
from tests_conduct_cases import KINDS, MAKERS, made
from tests_support import BROWSER

from mashbill.conduct.evidence.case import Case
from mashbill.report.conduct_case import page_of_case

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Debian's chromium; .ci/run installs it"),
]
MEASURE = """<script>
const wide = [...document.querySelectorAll("body *")].filter(one =>
  one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, svg, pre"));
const r = parent.document.documentElement.dataset;
r.wide = document.documentElement.scrollWidth; r.room = innerWidth;
r.over = wide.map(one => one.tagName + "." + one.className).join(" ");
</script>"""


def opened(page, folder):
    """Return (DOM, what the console was told) of a page in a window."""
    folder.mkdir(exist_ok=True)
    path = folder / "page.html"
    path.write_text(page)
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}",
         "--window-size=1400,900", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def framed(page, width):
    """Return a page that holds another in a frame of a width, with a script that measures it.

    A window is never narrower than 500 pixels, whatever is asked for; a frame is. The policy of the
    page itself would not run the script.
    """
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page) + MEASURE
    return (
        "<!doctype html><html><style>iframe { border:0 }</style>"
        f'<iframe width="{width}" height="900" srcdoc="{html.escape(page)}"></iframe></html>'
    )


def long_words():
    plain = MAKERS["X"]()
    plain["derive"]["command"] = "x" * 3000
    plain["evidence"][0] |= {"plain": "y" * 3000, "statistic": {"z" * 300: 1.0}}
    plain["evidence"][0]["parameters"] = {"p" * 300: "q" * 3000}
    plain["samples"][0]["text"] = "w" * 9000
    plain["subject"]["shown"] = ["n" * 400]
    plain["log"]["name"] = "l" * 400
    return Case.model_validate(plain)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", [*KINDS, "long words"])
def test_the_page_fits_with_everything_unfolded(kind, width, tmp_path):
    page = page_of_case(long_words() if kind == "long words" else made(kind))
    page = page.replace("<details", "<details open")
    dom, _ = opened(framed(page, width), tmp_path / "open")
    keys = ("wide", "room", "over")
    found = {key: re.search(rf'<html[^>]*data-{key}="([^"]*)"', dom)[1] for key in keys}
    assert found["over"] == ""
    assert int(found["wide"]) <= int(found["room"]) == width


def test_the_browser_draws_every_part_and_has_nothing_to_say(tmp_path):
    dom, said = opened(page_of_case(made("I41")), tmp_path / "as it is")
    assert said == []
    for svg in ("graph", "heat", "growth"):
        assert f'<svg class="{svg}"' in dom
    assert dom.count('class="member"') == 41
    headings = (
        "Why",
        "What would clear it",
        "Who acts as one with whom",
        "When",
        "How the four statistics grew",
        "Sample rows",
        "What this page cannot say",
        "Deriving it again",
    )
    for heading in headings:
        assert f"<h2>{heading}</h2>" in dom


def test_a_browser_refuses_what_the_policy_does_not_name(tmp_path):
    """What the test above would miss, if the console were not heard or the policy not kept."""
    page = page_of_case(made("J"))
    bad = page.replace("<h1>", '<h1 style="color:red">') + "<script>document.title = 'ran'</script>"
    dom, said = opened(bad, tmp_path / "bad")
    assert any("style" in line for line in said)
    assert any("script" in line for line in said)
    assert "<title>ran</title>" not in dom


def test_the_style_is_taken_by_its_digest(tmp_path):
    page = page_of_case(made("J"))
    dom, said = opened(page.replace("max-width:1180px", "max-width:1181px"), tmp_path / "x")
    assert any("style" in line for line in said), "a style of another digest was taken"
    assert "<h1>" in dom


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler-utils")
def test_it_prints_without_the_samples(tmp_path):
    path = tmp_path / "p.html"
    path.write_text(page_of_case(made("X")))
    subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'p.pdf'}",
         path.as_uri()], check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    text = subprocess.run(
        ["pdftotext", str(tmp_path / "p.pdf"), "-"], check=True, capture_output=True, text=True
    ).stdout
    shown = " ".join(text.split())
    assert "asks for reasoning or instructions that are not offered" in shown
    assert "are not printed" in shown
    assert "Imagine that you have finished" not in shown
    assert 2 <= text.count("\f") <= 6
