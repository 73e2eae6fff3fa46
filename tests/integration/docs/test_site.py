"""The documentation as a site: it builds without a warning, links lead somewhere, and no page asks anybody outside."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import sync_playwright

from docs.site import inside, reference
from tests import axe
from tests.integration.docs.test_accessibility import BROWSER, FLAGS

ROOT = next(root for root in (Path.cwd(), *Path(__file__).parents) if (root / "docs" / "index.md").is_file())
# Where Pants puts it for a test; SPHINX_BUILD names another.
SPHINX = next(filter(None, (os.environ.get("SPHINX_BUILD"), shutil.which("docs.site/sphinx.pex"))), None)
PROTO = "src/proto/trainyard/v1/classifier.proto"
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if SPHINX is None:
        pytest.skip("no Sphinx here; `./pants test` brings it")
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "docs", folder / "source")
    shutil.copy(ROOT / PROTO, folder / "source" / "reference")
    reference.write(folder / "source" / "reference")
    inside.keep_inside(folder / "source")
    command = [SPHINX, "-W", "--keep-going", "-q", "-b", "html", folder / "source", folder / "site"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
@axe.needs_npm
def test_no_page_asks_anybody_outside(site):
    with sync_playwright() as play, play.chromium.launch(executable_path=BROWSER, args=FLAGS) as browser:
        page, asked, lacking = browser.new_page(), [], {}
        page.on("request", lambda request: asked.append(request.url))
        for name in (
            "index.html",
            "reference/commands.html",
            "reference/settings.html",
            "your-own-model.html",
            "architecture.html",
            "tensorflow-serving-without-docker.html",
        ):
            page.goto((site / name).as_uri())
            # "region" is about the theme's own search field.
            lacking[name] = [line for line in axe.violations(page) if not line.startswith("region:")]
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    assert {name: lines for name, lines in lacking.items() if lines} == {}


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
@pytest.mark.parametrize("width", [1280, 390])
def test_wide_table_scrolls_inside_its_page(site, width):
    with sync_playwright() as play, play.chromium.launch(executable_path=BROWSER, args=FLAGS) as browser:
        page = browser.new_page(viewport={"width": width, "height": 844})
        page.goto((site / "reference" / "settings.html").as_uri())
        wide = page.locator(".table-wrapper").evaluate_all(
            "boxes => boxes.filter(b => b.scrollWidth > b.clientWidth).map(b => getComputedStyle(b).overflowX)"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert set(wide) == {"auto"}


def test_every_page_is_reached_from_the_first(site):
    first = (site / "index.html").read_text("utf-8")
    for name in (
        "your-own-images",
        "clients",
        "operations/gke",
        "reference/rest",
        "reference/proto",
        "decisions/index",
    ):
        assert f'href="{name}.html"' in first
    assert "service Classifier" in re.sub("<[^>]+>", "", (site / "reference" / "proto.html").read_text("utf-8"))


def test_links_between_the_texts_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert {"README.md", "SECURITY.md", "clients.md"} <= {page.name for page in pages}
    broken = []
    for page in pages:
        for found in _LINK.finditer(_CODE.sub("", page.read_text("utf-8"))):
            target, _, anchor = unquote(found[1] or found[2]).partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            place = (page.parent / target).resolve() if target else page
            # Of the code, a sandbox has just what tests need; links to it are few.
            if place.suffix not in (".md", ".png", "") or place.is_relative_to(ROOT / "src"):
                continue
            if not place.exists() or (anchor and place.suffix == ".md" and anchor not in anchors(place)):
                broken.append(f"{page.relative_to(ROOT)}: {found[1] or found[2]}")
    assert broken == []


def anchors(page):
    """As a forge makes them of headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", head).lower() for head in heads]
    return {re.sub(r"[^\w\- ]", "", head).strip().replace(" ", "-") for head in plain}
