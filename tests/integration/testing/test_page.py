"""The page about a verdict, as a browser shows it."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from contracts.record import Record
from contracts.verdict import ModelVerdict, OneTest
from testing import report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_note_on_a_green_page_is_read_in_the_pages_ink(tmp_path, scheme):
    record = Record(version=1, model="m", state="tested", kind="train", created="now")
    tests = [OneTest(name="test_a.py::test_it", outcome="passed", seconds=1)]
    verdict = ModelVerdict(version=1, passed=True, tests=tests, allowed_for_chance=["recall may be worse"])
    (tmp_path / "page.html").write_bytes(report.render(verdict, record))
    flags = ["--no-sandbox"]  # which needs rights that a container may lack
    with sync_playwright() as play, play.chromium.launch(executable_path=BROWSER, args=flags) as browser:
        page = browser.new_page(color_scheme=scheme)
        page.goto((tmp_path / "page.html").as_uri())
        color = "(selector) => getComputedStyle(document.querySelector(selector)).color"
        assert page.evaluate(color, ".reasons li") == page.evaluate(color, "body")
        assert page.evaluate(color, "h1 .passed") != page.evaluate(color, "body")
