"""The verdict as a page."""

from importlib import resources
from typing import Any

from registry import Record


def render(verdict: dict[str, Any], record: Record) -> bytes:
    """A self-contained HTML page about how a version's tests ended."""
    from jinja2 import Environment

    source = resources.files("testing").joinpath("templates/report.html").read_text("utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    return template.render(verdict=verdict, record=record).encode()
