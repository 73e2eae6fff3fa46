"""The page in a real browser."""

import shutil
from pathlib import Path

import pytest

from contracts.about import About, outputs
from imaging.array import encode_png
from serving.adapter.access import AccessOptions
from serving.adapter.limits import Limits
from tests.unit.adapter.fakes import FakeModelServer, FakeVersion, adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.test_explaining import spotted

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


ABOUT = tuple(outputs(About(0.9731, 240, (0.9412, 0.9899), "for: <b>showing</b>\nnot for: diagnosis\nMore.")))
NOT_TOLD = "Version 3 does not tell how accurate it is: it was made before versions did."


@pytest.fixture
def model_server():
    labels = ("COVID", "<b>Normal</b>")
    with FakeModelServer(versions={3: FakeVersion(labels=labels)}, labels={"stable": 3}).serving() as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    """One for all; each test's pages are in a context of their own, which shares nothing with others."""
    with playwright.sync_playwright() as play, play.chromium.launch(executable_path=BROWSER, args=FLAGS) as browser:
        yield browser


@pytest.fixture
def page(browser, model_server):
    """The page, which has to stay free of errors in its scripts and of refused contents."""
    complaints = []
    with (
        adapter(f"127.0.0.1:{model_server.port}", Limits(max_explanations=1)) as it,
        browser.new_context() as context,
    ):
        page = context.new_page()
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

    playwright.expect(page.locator(".card .file")).to_have_text([file.name for file in files])


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
    model_server.versions[2] = FakeVersion(about=ABOUT)
    model_server.labels["previous"] = 2
    page.set_input_files("#images", files[:2])
    playwright.expect(page.locator("#progress")).to_have_text("2 images done.")
    page.get_by_role("link", name="Versions").click()

    rows = page.locator("tbody tr")
    playwright.expect(rows).to_have_count(2)
    stable, previous = ([cell.strip() for cell in row.inner_text().split("\t")] for row in rows.all())
    assert stable[:5] == ["3", "stable", "AVAILABLE", "2", "0"]
    assert stable[5].endswith(" ms") and float(stable[5].removesuffix(" ms")) > 0
    assert stable[6] == "not told"
    assert set(stable[7].split(", ")) == {"COVID 1", "<b>Normal</b> 1"}
    assert previous == ["2", "previous", "AVAILABLE", "0", "0", "", "97.3%", ""]
    abouts = page.locator("#abouts .about")
    playwright.expect(abouts.first).to_have_text(NOT_TOLD)
    playwright.expect(abouts.last).to_contain_text("Version 2 got 97.3% of 240 held-out images right")
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


def test_an_adapter_that_wants_a_token_is_asked_with_it_and_no_address_holds_it(browser, model_server, tmp_path, files):
    token, addresses = "token-of-the-browsers-test", []
    (tmp_path / "tokens").write_text(token)
    with (
        adapter(f"127.0.0.1:{model_server.port}", access=AccessOptions(token_file=tmp_path / "tokens")) as it,
        browser.new_context() as context,
    ):
        page = context.new_page()
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


def test_what_a_version_tells_of_itself_is_shown_and_so_is_that_it_tells_nothing(page, model_server):
    about = page.locator("#about")
    playwright.expect(about).to_have_text(NOT_TOLD)
    model_server.versions[2] = FakeVersion(about=ABOUT)
    model_server.labels["previous"] = 2
    page.reload()
    page.locator("#version").select_option(label="2 (previous)")
    playwright.expect(about).to_contain_text("Version 2 got 97.3% of 240 held-out images right when it was made")
    playwright.expect(about).to_contain_text("between 94.1% and 99.0%")
    playwright.expect(about.locator("dl")).to_be_hidden()
    about.get_by_text("What the model is for").press("Enter")
    playwright.expect(about.locator("dt")).to_have_text(["for", "not for"])
    playwright.expect(about.locator("dd")).to_have_text(["<b>showing</b>", "diagnosis"])
    playwright.expect(about.locator(".model-card p")).to_have_text("More.")


def test_drawn_examples_are_classified_by_one_click(page):
    offered = page.locator("#examples")
    playwright.expect(offered).to_contain_text("nobody's picture")
    names = ["drawn-covid", "drawn-normal", "drawn-viral-pneumonia"]
    playwright.expect(offered.locator("button")).to_have_text(names)
    playwright.expect(offered.locator("img").first).to_have_js_property("naturalWidth", 192)
    offered.get_by_role("button", name="drawn-normal").press("Enter")
    playwright.expect(page.locator("#progress")).to_have_text("1 image done.")
    playwright.expect(card(page, "drawn-normal.png")).to_contain_text("chest-xray, version 3")


def test_what_an_answer_rests_on_is_drawn_on_demand(page, tmp_path):
    (tmp_path / "spot.png").write_bytes(encode_png(spotted()))
    page.set_input_files("#images", [tmp_path / "spot.png"])
    spot = card(page, "spot.png")
    button = spot.get_by_role("button", name="What did it look at in spot.png?")
    assert button.get_attribute("aria-expanded") == "false"
    button.press("Enter")
    figure = spot.locator("figure")
    playwright.expect(figure).to_be_visible()
    assert button.get_attribute("aria-expanded") == "true"
    playwright.expect(figure).to_contain_text("What it is not: a cause")
    playwright.expect(figure.locator(".strongest")).to_contain_text("lowers the probability of")
    playwright.expect(spot.locator(".asking")).to_contain_text("lowers the probability of")
    label = figure.locator("canvas").get_attribute("aria-label")
    assert label.startswith("spot.png as the model sees it") and "lowers the probability of" in label
    # Orange over the spot; blue, or nothing, at the far corner.
    script = """(canvas, [x, y]) => [...canvas.getContext("2d").getImageData(x, y, 1, 1).data]"""
    red, _, blue, _ = figure.locator("canvas").evaluate(script, [5.5 * 40, 2.5 * 40])
    assert red > blue + 50
    red, _, blue, _ = figure.locator("canvas").evaluate(script, [20, 300])
    assert blue > red
    button.press("Enter")
    playwright.expect(figure).to_be_hidden()
    button.press("Enter")
    playwright.expect(figure).to_be_visible()


def test_where_no_part_counts_nothing_is_coloured(page, files):
    page.set_input_files("#images", files[:1])
    bright = card(page, "bright.png")
    bright.locator(".why").click()
    playwright.expect(bright.locator(".strongest")).to_contain_text("No part that is covered changes")
    playwright.expect(bright.locator(".scale")).to_be_hidden()


def test_adapters_that_explain_nothing_offer_nothing(browser, model_server, files):
    with adapter(f"127.0.0.1:{model_server.port}") as it, browser.new_context() as context:
        page = context.new_page()
        page.goto(it.http)
        page.set_input_files("#images", files[:1])
        playwright.expect(card(page, "bright.png").locator(".by")).to_have_text("chest-xray, version 3")
        playwright.expect(page.locator("#results .why")).to_be_hidden()


def test_errors_say_what_to_do(page, model_server, files):
    page.set_input_files("#images", files[2:])
    link = card(page, "notes.png").get_by_role("link", name="What to do")
    assert link.get_attribute("href") == "/problems/bad-image"
    page.route("**/v1/classify", lambda route: route.abort())
    page.set_input_files("#images", files[:1])
    playwright.expect(card(page, "bright.png")).to_contain_text("can't be reached. Check your network")
    page.unroute("**/v1/classify")
    page.route("**/v1/classify", lambda route: route.fulfill(status=502, body="<html>"))
    page.set_input_files("#images", files[1:2])
    playwright.expect(card(page, "dark.jpg")).to_contain_text("answered 502. Something in front of the adapter")
    with page.expect_popup() as opened:
        link.click()
    playwright.expect(opened.value.locator("main")).to_contain_text("Open the file on your machine.")
    model_server.versions.clear()
    page.reload()
    assert page.locator("#served a").get_attribute("href") == "/problems/unavailable"
