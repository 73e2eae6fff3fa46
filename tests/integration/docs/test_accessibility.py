"""Every page that a user sees, looked at by axe-core in light and in dark: contrast, labels, structure."""

import shutil

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from contracts.about import About, outputs
from contracts.record import Record
from contracts.verdict import ModelVerdict
from dataset import Limits, check
from dataset import report as dataset_report
from evaluation import report as training_report
from imaging.array import encode_png
from serving.adapter.limits import Limits as AdapterLimits
from testing import report as tests_report
from tests import axe
from tests.unit.adapter.fakes import FakeModelServer, FakeVersion, adapter
from tests.unit.adapter.images import gray
from tests.unit.evaluation.test_report import LABELS, account
from tests.unit.notify.test_message import MAILS, sent
from tests.unit.testing.test_report import record as tested
from tests.unit.testing.test_report import verdict

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
    axe.needs_npm,
]
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
ABOUT = tuple(outputs(About(0.9731, 240, (0.9412, 0.9899), "for: showing\nnot for: diagnosis")))
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play, play.chromium.launch(executable_path=BROWSER, args=FLAGS) as browser:
        yield browser


def reports(folder):
    """Each report page, made of everything that it can hold."""
    trained = Record(
        version=7, model="m", state="rejected", kind="train", created="2026-01-01T00:00:00Z", labels=LABELS
    )
    rng = np.random.default_rng(1)
    for label in ("a", "b"):
        (folder / "images" / label).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 255, (24, 30), dtype=np.uint8)
            (folder / "images" / label / f"{number}.png").write_bytes(encode_png(pixels))
        (folder / "images" / label / "same.png").write_bytes(encode_png(np.full((24, 30), 90, np.uint8)))
        (folder / "images" / label / "broken.png").write_bytes(b"no picture")
    passed = verdict(passed=True, reasons=[])
    return {
        "tests failed": tests_report.render(ModelVerdict.model_validate(verdict()), tested()),
        "tests passed": tests_report.render(ModelVerdict.model_validate(passed), tested(state="tested")),
        "training": training_report.render(account(folder), trained, ["accuracy 0.7 is below 0.8"]),
        "dataset": dataset_report.render(check(folder / "images", Limits())),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reports(browser, tmp_path, scheme):
    page, found = browser.new_page(color_scheme=scheme), {}
    for name, content in reports(tmp_path).items():
        (tmp_path / "page.html").write_bytes(content)
        page.goto((tmp_path / "page.html").as_uri())
        found[name] = axe.violations(page)
    assert "\n".join(f"{name}: {line}" for name, lines in found.items() for line in lines) == ""


def test_mails(browser):
    page, found = browser.new_page(), {}
    for name, mail in MAILS.items():
        page.set_content(sent(mail).get_body(("html",)).get_content())
        found[name] = axe.violations(page)
    assert "\n".join(f"{name}: {line}" for name, lines in found.items() for line in lines) == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_of_the_service_on_a_phone_too(browser, tmp_path, scheme):
    (tmp_path / "bright.png").write_bytes(gray(255))
    (tmp_path / "notes.png").write_bytes(b"hello")
    labels = {"stable": 3, "previous": 2}
    with (
        FakeModelServer(versions={2: FakeVersion(), 3: FakeVersion(about=ABOUT)}, labels=labels).serving() as server,
        adapter(f"127.0.0.1:{server.port}", AdapterLimits(max_explanations=1)) as it,
    ):
        page = browser.new_page(color_scheme=scheme)
        page.goto(it.http)
        expect(page.locator("#served")).to_contain_text("version 3")
        assert axe.violations(page) == []
        page.set_input_files("#images", [tmp_path / "bright.png", tmp_path / "notes.png"])
        expect(page.locator("#progress")).to_have_text("2 images done.")
        page.locator(".why").first.click()
        page.locator("summary").click()
        expect(page.locator(".heat")).to_be_visible()
        wide = page.viewport_size
        for address, drawn in ((None, "#results"), ("/models", "tbody tr")):
            if address:
                page.goto(it.http + address)
            expect(page.locator(drawn).first).to_be_visible()
            for size in (wide, PHONE):
                page.set_viewport_size(size)
                assert axe.violations(page) == []
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nobody scrolls sideways"


def test_page_of_the_service_is_used_by_the_keyboard_alone(browser, tmp_path):
    with FakeModelServer().serving() as server, adapter(f"127.0.0.1:{server.port}") as it:
        page = browser.new_page()
        page.goto(it.http)
        reached = []
        # The field, three drawn examples, and what is linked to.
        for _ in range(8):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"images", "drawn-covid", "REST interface", "Versions"} <= set(reached)


def test_what_a_page_lacks_is_found(browser):
    page = browser.new_page()
    body = "<main><h1>x</h1><img src='data:,'><p style='color:#ddd'>hard to read</p></main>"
    page.set_content(f"<html lang=en><title>x</title>{body}")
    assert {line.partition(":")[0] for line in axe.violations(page)} == {"image-alt", "color-contrast"}
