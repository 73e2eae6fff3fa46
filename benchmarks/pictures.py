"""Makes the pictures of the README from a run of the quickstart: `./pants run benchmarks:pictures`.

A terminal, the page, a report and a mail, in docs/pictures; the page and the report in light and in dark.
"""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import InfrastructureError, command_line, run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from rich.console import Console

    from quickstart.loop import Loop

WIDTH, SCALE = 800, 1.5  # CSS pixels, and how many of the picture's each of them is
COLOURS = 128
# Of a picture, in CSS pixels: nobody scrolls through a README for one.
LONGEST = 900
COLUMNS = 128

app = command_line(
    "pictures", "Makes the README's pictures from a run of the quickstart.", ["./pants run benchmarks:pictures"]
)


@app.command()
def pictures(
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the pictures go.")] = Path("docs/pictures"),
) -> None:
    """Make the README's pictures."""
    import models
    from quickstart import summary
    from quickstart.__main__ import prepare
    from quickstart.loop import Loop

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise InfrastructureError("No Chromium is installed (Debian: apt-get install chromium); it makes the pictures.")
    to = to.absolute()
    to.mkdir(parents=True, exist_ok=True)
    shown = models.find("chest-xray")
    with tempfile.TemporaryDirectory(prefix="trainyard-pictures-") as temporary:
        folder = Path(temporary) / "quickstart"
        folder.mkdir()
        prepare(shown.name, folder)
        console = _recording()
        loop = Loop(folder, None, shown.settings, [], console)
        try:
            story = loop.run()
            summary.show(console, story)
            with _opened(browser) as chromium:
                _terminal(chromium, console, folder, to)
                _page(chromium, loop, to)
                _report(chromium, Path(story.reports[story.promoted[-1]]), to)
                _mail(chromium, Path(story.mails[0]), to)
        finally:
            loop.close()
    for file in sorted(to.glob("*.png")):
        typer.echo(f"{file.name}: {file.stat().st_size // 1024} KiB")


def _recording() -> "Console":
    """A terminal in colours that keeps what is shown on it for good, and so has no spinner."""
    from rich.console import Console

    console = Console(record=True, force_terminal=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.status = lambda *_, **__: nullcontext()  # type: ignore[method-assign,assignment,return-value]
    return console


@contextmanager
def _opened(program: str) -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as play, play.chromium.launch(executable_path=program, args=flags) as browser:
        yield browser


def _sheet(browser: "Browser", scheme: str = "light", width: int = WIDTH) -> "Page":
    size: Any = {"width": width, "height": LONGEST}
    return browser.new_page(viewport=size, device_scale_factor=SCALE, color_scheme=scheme)  # type: ignore[arg-type]


def _keep(page: "Page", file: Path, selector: str = "body") -> None:
    """The picture of what `selector` finds, no longer than a reader looks, in few colours."""
    from PIL import Image

    box = page.locator(selector).first.bounding_box()
    assert box, f"{selector} is not shown"
    height = min(box["height"], LONGEST)
    shot = page.screenshot(full_page=True, clip={**box, "height": height}, animations="disabled")
    with Image.open(io.BytesIO(shot)) as image:
        few = image.convert("RGB").quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(file, optimize=True)
    page.close()


def _terminal(browser: "Browser", console: "Console", folder: Path, to: Path) -> None:
    from rich.terminal_theme import MONOKAI

    text = console.export_html(inline_styles=True, theme=MONOKAI, code_format="{code}")
    # The folder is a temporary one; the quickstart's lies below the repository.
    text = text.replace(str(folder), ".trainyard/quickstart")
    page = _sheet(browser, width=1080)
    page.set_content(
        "<body style='margin:0;background:#0c0c0c'><pre id=all style='margin:0;padding:14px 18px;color:#d9d9d9;"
        'font:13px/1.45 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace\'>'
        f"<b>$ ./pants run //:quickstart</b>\n{text}</pre>"
    )
    _keep(page, to / "terminal.png", "#all")


def _page(browser: "Browser", loop: "Loop", to: Path) -> None:
    classes = sorted(path for path in (loop.folder / "dataset").iterdir() if path.is_dir())
    images = [next(iter(sorted(folder.glob("images/*")))) for folder in classes][:2]
    for scheme in ("light", "dark"):
        page = _sheet(browser, scheme)
        page.goto(loop.pod.url)
        page.set_input_files("#images", images)
        page.get_by_text("images done").wait_for()
        _keep(page, to / f"page-{scheme}.png")


def _report(browser: "Browser", file: Path, to: Path) -> None:
    for scheme in ("light", "dark"):
        page = _sheet(browser, scheme)
        page.goto(file.absolute().as_uri())
        _keep(page, to / f"report-{scheme}.png")


def _mail(browser: "Browser", file: Path, to: Path) -> None:
    message = message_from_bytes(file.read_bytes())
    parts = {part.get_content_type(): part for part in message.walk() if not part.is_multipart()}
    html = parts["text/html"].get_payload(decode=True)
    assert isinstance(html, bytes)
    text = html.decode()
    # What a mail program does: a picture that came along is named by its Content-ID.
    for part in message.walk():
        name = (part.get("Content-ID") or "").strip("<>")
        if name:
            data = str(part.get_payload()).replace("\n", "")
            text = text.replace(f"cid:{name}", f"data:{part.get_content_type()};base64,{data}")
    page = _sheet(browser, width=660)
    page.set_content(text)
    _keep(page, to / "mail.png")


if __name__ == "__main__":
    run(app)
