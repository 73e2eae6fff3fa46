"""The reference of all settings, from their schema and the comments in it."""

import inspect
import json
from typing import Any

from settings.schema import Section, Settings
from settings.variables import PREFIX


def page() -> str:
    """All sections with all their fields, in MyST."""
    parts = [
        "# Settings\n\n"
        "`trainyard.toml` beside the repository's `pants` holds them; a field that is not there has its default. "
        "Precedence: flag, variable, the model's `model.toml` and `limits.toml`, `trainyard.toml`, default. A name "
        "that is none of these is refused.\n"
    ]
    for name, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type)
        parts.append(_section(name, field.annotation))
    return "\n".join(parts)


def _section(name: str, section: type[Section]) -> str:
    told, described = comments_of(section), section.model_json_schema()["properties"]
    own = inspect.cleandoc(section.__dict__["__doc__"]) + "\n\n" if section.__dict__.get("__doc__") else ""
    rows = []
    for field in section.model_fields:
        default = json.dumps(described[field].get("default"), ensure_ascii=False)
        variable = f"{PREFIX}{name}_{field}".upper()
        cells = (f"`{field}`", _kind(described[field]), f"`{default}`", f"`{variable}`", _cell(told.get(field, "")))
        rows.append("| " + " | ".join(cells) + " |")
    head = "| setting | is | default | variable | meaning |\n|---|---|---|---|---|"
    return f"## [{name}]\n\n{own}{head}\n" + "\n".join(rows) + "\n"


def comments_of(section: type[Section]) -> dict[str, str]:
    """What the comment above each field of a section says; a comment holds for all fields below it up to the next."""
    found: dict[str, str] = {}
    comment: list[str] = []
    fresh = True
    for line in inspect.getsource(section).splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment = [text.lstrip("# ")] if fresh else [*comment, text.lstrip("# ")]
            fresh = False
            continue
        field = text.partition(":")[0]
        if field in section.model_fields:
            found[field] = " ".join(comment)
            fresh = True
        elif text.startswith(("@", "def ")):
            break
    return found


def _kind(described: dict[str, Any]) -> str:
    if "enum" in described:
        return " or ".join(f"`{choice}`" for choice in described["enum"])
    kind = {"array": "list of text", "string": "text", "number": "number", "integer": "whole number"}[described["type"]]
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {described[name]:g}" for name, sign in signs.items() if name in described]
    return ", ".join([kind, *limits])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
