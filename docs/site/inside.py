"""Takes the links out of pages that lead to files outside of docs: `python3 docs/site/inside.py DIR`.

On a forge such a link shows the file; a site of the documentation alone does not have it.
"""

import re
import sys
from pathlib import Path

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def keep_inside(folder: Path) -> None:
    """Changes the pages in `folder` where they are."""
    for page in folder.rglob("*.md"):
        text = page.read_text("utf-8")
        kept = _LINK.sub(lambda link, page=page: _inside(link, page, folder), text)
        if kept != text:
            page.write_text(kept, "utf-8")


def _inside(link: re.Match[str], page: Path, folder: Path) -> str:
    text, target, _ = link.groups()
    if not target or "://" in target or target.startswith("mailto:"):
        return link[0]
    place = (page.parent / target).resolve()
    return link[0] if place.is_relative_to(folder.resolve()) else text


if __name__ == "__main__":
    keep_inside(Path(sys.argv[1]))
