"""Draws the parts of the code and who depends on whom, from what Pants knows: see scripts/architecture.

Reads the answer of `./pants peek ::`, prints an SVG, and needs no packages: it runs in any Python 3.
"""

import ast
import json
import sys
from html import escape
from pathlib import Path

# Pixels: the picture's width, a box's height, a letter's width, and from row to row.
WIDTH, HEIGHT, LETTER, ROW = 1000, 34, 7.5, 84
_STYLE = (
    "text{font:13px system-ui,sans-serif;text-anchor:middle;fill:#1f2328}"
    ".part{fill:#ddf4ff;stroke:#0969da}.serving{fill:#dafbe1;stroke:#1a7f37}.proto{fill:#fff8c5;stroke:#9a6700}"
    ".heavy{stroke-width:2.5}path{fill:none;stroke:#59636e;stroke-opacity:.6}"
)


def part_of(address):
    """The part that a target belongs to: `registry`, `serving/adapter`; None for what is drawn nowhere."""
    folders = address.split(":")[0].split("@")[0].split("#")[0].strip("/").split("/")
    if folders[:2] == ["src", "python"] and len(folders) > 2:
        return folders[2]
    if folders[:2] == ["src", "proto"]:
        return "proto"
    if folders[0] == "serving" and len(folders) > 1 and not folders[1].endswith(".py"):
        return "serving/" + folders[1]
    return None


def graph(targets, build):
    """(part -> the parts it depends on, the parts that import TensorFlow themselves).

    `targets` is the answer of peek, `build` the text of src/python/BUILD: what it names as doors and as started are
    calls of another program by name, which lead up.
    """
    named = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(build).body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("DOORS", "STARTS")
    }
    arrows, heavy = {}, set()
    for target in targets:
        part = part_of(target["address"])
        if (
            target["target_type"] != "python_source"
            or part is None
            or any(target["address"].split(":")[0].endswith("src/python/" + door) for door in named["DOORS"])
        ):
            continue
        found = arrows.setdefault(part, set())
        for dependency in target.get("dependencies", ()):
            other = part_of(dependency)
            if dependency.split("#")[-1].split("@")[0] in ("tensorflow", "keras"):
                heavy.add(part)
            elif other not in (None, part) and named["STARTS"].get(part) != other:
                found.add(other)
    # What is no code, as files of flags, is no part.
    return {part: others & set(arrows) | others & {"proto"} for part, others in arrows.items()} | {
        "proto": set()
    }, heavy


def levels(arrows):
    """The parts in rows: each below all that depend on it. Raises ValueError where they go in a circle."""
    row = {}
    left = set(arrows)
    while left:
        free = {part for part in left if not any(part in arrows[other] for other in left if other != part)}
        if not free:
            raise ValueError(f"these depend on each other in a circle: {', '.join(sorted(left))}")
        for part in free:
            row[part] = max((row[other] + 1 for other in row if part in arrows[other]), default=0)
        left -= free
    return row


def needed(arrows):
    """The arrows without those that a longer way says already."""

    def reached(start, seen):
        for other in arrows[start] - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    return {
        part: {o for o in others if not any(o in reached(x, set()) for x in others - {o})}
        for part, others in arrows.items()
    }


def width(part):
    """Of the box that its name is in, in pixels."""
    return 24 + LETTER * len(part)


def places(row, shown):
    """The middle of each part's box; below the middle of those that point to it, so that few arrows cross."""
    at = {}

    def wanted(part):
        above = [at[other][0] for other in at if part in shown[other]]
        return (sum(above) / len(above) if above else WIDTH / 2, part)

    for number in range(max(row.values()) + 1):
        parts = sorted((part for part in row if row[part] == number), key=wanted)
        gap = (WIDTH - sum(map(width, parts))) / len(parts)
        left = gap / 2
        for part in parts:
            at[part] = (left + width(part) / 2, 20 + HEIGHT / 2 + number * ROW)
            left += width(part) + gap
    return at


def arrow(start, end):
    (x, y), (to, below) = start, end
    y, below, bend = y + HEIGHT / 2, below - HEIGHT / 2, ROW / 2
    way = f"M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {to:.0f} {below - bend:.0f} {to:.0f} {below:.0f}"
    return f'<path d="{way}" marker-end="url(#tip)"/>'


def box(part, place, heavy):
    (x, y), wide = place, width(part)
    kind = "serving" if part.startswith("serving/") else "proto" if part == "proto" else "part"
    looks = f'class="{kind}{" heavy" if heavy else ""}" rx="6"'
    corner = f'x="{x - wide / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{wide:.0f}" height="{HEIGHT}"'
    return f'<rect {looks} {corner}/><text x="{x:.0f}" y="{y + 5:.0f}">{escape(part)}</text>'


def svg(arrows, heavy):
    """The picture."""
    shown = needed(arrows)
    at = places(levels(arrows), shown)
    height = int(max(y for _, y in at.values()) + HEIGHT / 2 + 20)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>The parts of the code; an arrow leads from a part to one that it depends on</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8" style="stroke-opacity:1"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#fff"/>',
        *(arrow(at[part], at[other]) for part in sorted(shown) for other in sorted(shown[part])),
        *(box(part, at[part], part in heavy) for part in sorted(at)),
    ]
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    rules = Path(__file__).parents[2] / "src/python/BUILD"
    sys.stdout.write(svg(*graph(json.load(sys.stdin), rules.read_text("utf-8"))))
