"""The page in a real browser."""

import shutil
from pathlib import Path

import pytest

from serving.adapter.access import AccessOptions
from tests.unit.adapter.fakes import FakeModelServer, FakeVersion, adapter
from tests.unit.adapter.images import gray

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture
def model_server():
    labels = ("COVID", "<b>Normal</b>")
    with FakeModelServer(versions={3: FakeVersion(labels=labels)}, labels={"stable": 3}).serving() as server:
        yield server


@pytest.fixture
def page(model_server):
    """The page, which has to stay free of errors in its scripts and of refused contents."""
    complaints = []
    with (
        adapter(f"127.0.0.1:{model_server.port}") as it,
        playwright.sync_playwright() as play,
        play.chromium.launch(executable_path=BROWSER, args=FLAGS) as browser,
    ):
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((it.http, f"blob:{it.http}"))
                else complaints.append(f"foreign request: {request.url}")
            ),
        )
        page.goto(it.http)
        yield page
    assert complaints == []


@pytest.fixture
def files(tmp_path) -> list[Path]:
    contents = {"bright.png": gray(255), "dark.jpg": gray(0, kind="JPEG"), "notes.png": b"hello"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def card(page, name):
    return page.locator(".card", has_text=name)


def widths(card):
    """Of the bars in a card, as shares of their track."""
    script = "bars => bars.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    return card.locator(".track span").evaluate_all(script)


def test_chosen_images_get_bars_and_a_bad_one_its_reason(page, files):
    page.set_input_files("#images", files)
    playwright.expect(page.locator("#progress")).to_have_text("3 images done.")

    bright = card(page, "bright.png")
    playwright.expect(bright.locator(".verdict")).to_have_text("COVID 100.0%")
    assert bright.locator("dt").all_inner_texts() == ["COVID", "<b>Normal</b>"]
    assert widths(bright) == pytest.approx([1, 0], abs=0.01)
    playwright.expect(bright).to_contain_text("chest-xray, version 3")
    names = page.locator(".card .file").all_inner_texts()
    assert names == [file.name for file in files]
    assert bright.locator("img").evaluate("image => image.naturalWidth") == 8
    playwright.expect(card(page, "dark.jpg").locator(".verdict")).to_have_text("<b>Normal</b> 100.0%")
    playwright.expect(card(page, "notes.png")).to_contain_text("not an image")


def test_images_can_be_dropped(page):
    page.evaluate(
        """(content) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(content)], "dropped.png"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }""",
        list(gray(255)),
    )

    playwright.expect(card(page, "dropped.png").locator(".verdict")).to_have_text("COVID 100.0%")


def test_further_images_are_listed_below_the_first(page, files):
    page.set_input_files("#images", files[:1])
    page.set_input_files("#images", files[1:])
    playwright.expect(page.locator("#progress")).to_have_text("3 images done.")

    assert page.locator(".card .file").all_inner_texts() == [file.name for file in files]


def test_page_tells_the_model_and_its_classes(page, model_server):
    playwright.expect(page).to_have_title("chest-xray: classify images")
    playwright.expect(page.locator("#classes")).to_have_text("Seen in shades of gray, as one of: COVID, <b>Normal</b>.")

    model_server.versions[4] = FakeVersion(labels=("cat", "dog"), channels=3)
    model_server.labels["stable"] = 4
    page.reload()

    playwright.expect(page.locator("#classes")).to_have_text("Seen in colour, as one of: cat, dog.")


def test_page_names_the_served_version_and_lets_another_be_asked(page, model_server, files):
    playwright.expect(page.locator("#served")).to_have_text("chest-xray, version 3")
    playwright.expect(page.locator("#choice")).to_be_hidden()

    model_server.versions[2] = FakeVersion()
    model_server.labels["previous"] = 2
    page.reload()
    page.locator("#version").select_option(label="2 (previous)")
    page.set_input_files("#images", files[:1])

    playwright.expect(card(page, "bright.png")).to_contain_text("chest-xray, version 2")


def test_versions_are_listed_with_their_labels_and_what_was_counted(page, model_server, files):
    model_server.versions[2] = FakeVersion()
    model_server.labels["previous"] = 2
    page.set_input_files("#images", files[:2])
    playwright.expect(page.locator("#progress")).to_have_text("2 images done.")
    page.get_by_role("link", name="Versions").click()

    rows = page.locator("tbody tr")
    playwright.expect(rows).to_have_count(2)
    stable, previous = ([cell.strip() for cell in row.inner_text().split("\t")] for row in rows.all())
    assert stable[:5] == ["3", "stable", "AVAILABLE", "2", "0"]
    assert stable[5].endswith(" ms") and float(stable[5].removesuffix(" ms")) > 0
    assert set(stable[6].split(", ")) == {"COVID 1", "<b>Normal</b> 1"}
    assert previous == ["2", "previous", "AVAILABLE", "0", "0", "", ""]
    playwright.expect(page.locator("#takes")).to_have_text(
        "Sees a picture as 8 × 8 pixels in shades of gray, and takes it for one of: COVID, <b>Normal</b>."
    )
    model_server.versions.clear()
    page.reload()
    playwright.expect(page.locator("#served")).to_contain_text("no version is served yet")


def test_absent_model_is_said(page, model_server):
    model_server.versions.clear()
    page.reload()

    playwright.expect(page.locator("#served")).to_contain_text("no version is served yet")


def test_documentation_is_drawn(page):
    page.goto(page.url + "docs")

    playwright.expect(page.locator(".opblock-summary-path").first).to_be_visible()
    page.get_by_text("/v1/classify").first.click()
    playwright.expect(page.get_by_text("multipart/form-data").first).to_be_attached()


def test_an_adapter_that_wants_a_token_is_asked_with_it_and_no_address_holds_it(model_server, tmp_path, files):
    token, addresses = "token-of-the-browsers-test", []
    (tmp_path / "tokens").write_text(token)
    with (
        adapter(f"127.0.0.1:{model_server.port}", access=AccessOptions(token_file=tmp_path / "tokens")) as it,
        playwright.sync_playwright() as play,
        play.chromium.launch(executable_path=BROWSER, args=FLAGS) as browser,
    ):
        page = browser.new_page()
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(it.http)
        field = page.get_by_label("Your token")
        playwright.expect(field).to_be_focused()
        field.fill("not-the-token-of-the-test")
        field.press("Enter")
        playwright.expect(page.locator("#unknown")).to_contain_text("not known")
        page.get_by_label("Your token").fill(token)
        page.get_by_role("button", name="Go on").click()
        playwright.expect(page.locator("#served")).to_have_text("chest-xray, version 3")
        playwright.expect(page.locator("#access")).to_be_hidden()
        page.set_input_files("#images", files[:1])
        playwright.expect(page.locator("#progress")).to_have_text("1 image done.")
        playwright.expect(card(page, "bright.png").locator(".verdict")).to_have_text("COVID 100.0%")
        page.goto(it.http + "/models")
        playwright.expect(page.locator("tbody tr")).to_have_count(1)
    assert not [address for address in addresses if token in address]
