"""Reports, mails and the service's page on paper: what Chromium prints, as a PDF."""

import re
import zlib

import pytest
from playwright.sync_api import expect

from tests.integration.docs.test_accessibility import BROWSER, browser, reports
from tests.unit.adapter.fakes import FakeModelServer, adapter
from tests.unit.adapter.images import gray
from tests.unit.notify.test_message import MAILS, sent

__all__ = ["browser"]  # a fixture
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
A4 = (595, 842)  # points; Chromium rounds up


class Printed:
    """A PDF: its pages, and the colours that it fills shapes and letters with, as 0 to 255."""

    def __init__(self, page):
        # As the dialogue of a browser does it: no backgrounds but those that the page insists on.
        data = page.pdf(format="A4", print_background=False)
        self.pages = len(re.findall(rb"/Type\s*/Page\b", data))
        sizes = [found.split()[2:] for found in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", data)]
        assert sizes and all(
            0 <= float(side) - known < 2 for size in sizes for side, known in zip(size, A4, strict=True)
        )
        self.colours = set()
        for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
            try:
                drawn = zlib.decompress(stream)
            except zlib.error:
                continue  # a font, a JPEG
            for found in re.findall(rb"(?:^|\s)([\d.]+) ([\d.]+) ([\d.]+) rg\b", drawn):
                self.colours.add(tuple(round(255 * float(part)) for part in found))


def rgb(page, variable):
    """What a variable of the page's style is in print."""
    text = page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{variable}').trim()")
    text = text if len(text) == 7 else "#" + "".join(2 * digit for digit in text[1:])
    return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reports_are_dark_on_white_and_keep_their_bars(browser, tmp_path, scheme):
    page = browser.new_page(color_scheme=scheme)
    for name, content in reports(tmp_path).items():
        (tmp_path / "page.html").write_bytes(content)
        page.goto((tmp_path / "page.html").as_uri())
        page.emulate_media(media="print", color_scheme=scheme)
        printed = Printed(page)
        assert 1 <= printed.pages <= 8, name
        assert rgb(page, "--ink") == (0x20, 0x21, 0x24), name
        assert rgb(page, "--ink") in printed.colours, name
        assert (0x14, 0x17, 0x1A) not in printed.colours, f"{name}: the dark page"
        if page.locator(".bar").count():
            assert rgb(page, "--bar") in printed.colours, f"{name}: the bars"
        wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert wide, f"{name}: nothing is cut off"


def test_page_of_the_service_prints_the_answers_alone(browser, tmp_path):
    (tmp_path / "bright.png").write_bytes(gray(255))
    with FakeModelServer().serving() as server, adapter(f"127.0.0.1:{server.port}") as it:
        page = browser.new_page(color_scheme="dark")
        page.goto(it.http)
        page.set_input_files("#images", [tmp_path / "bright.png"])
        expect(page.locator(".bars dt")).not_to_have_count(0)
        page.emulate_media(media="print", color_scheme="dark")
        expect(page.locator("form").first).to_be_hidden()
        expect(page.locator(".card")).to_be_visible()
        printed = Printed(page)
    assert printed.pages == 1
    assert {rgb_ for rgb_ in ((0x1C, 0x24, 0x30), (0x0B, 0x62, 0xC4)) if rgb_ not in printed.colours} == set()
    assert (0x11, 0x15, 0x1B) not in printed.colours, "the dark page"


def test_mails_fit_their_pages(browser):
    page = browser.new_page(viewport={"width": A4[0], "height": A4[1]})
    for name, mail in MAILS.items():
        page.set_content(sent(mail).get_body(("html",)).get_content())
        page.emulate_media(media="print")
        printed = Printed(page)
        assert 1 <= printed.pages <= 3, name
        # White letters on no background would be none.
        title = page.evaluate("getComputedStyle(document.querySelector('h1').parentElement).backgroundColor")
        assert tuple(int(part) for part in re.findall(r"\d+", title)) in printed.colours, name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
