"""Writes the pages that are made from the code: `./pants run docs/site:reference -- DIR`."""

import sys
from pathlib import Path


def write(folder: Path) -> None:
    """`commands.md`, `settings.md` and `rest.md` into `folder`."""
    from docs.site import commands, rest_page, settings_page

    folder.mkdir(parents=True, exist_ok=True)
    for name, page in (("commands", commands), ("settings", settings_page), ("rest", rest_page)):
        (folder / f"{name}.md").write_text(page.page(), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
