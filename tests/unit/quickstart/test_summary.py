"""What the quickstart prints at its end."""

import io
import re
import shlex

from rich.console import Console

from quickstart.loop import Story
from quickstart.summary import show, show_serving


def shown(write, *arguments):
    out = io.StringIO()
    write(Console(file=out, width=400), *arguments)
    return out.getvalue()


def test_the_lines_to_paste_hold_a_folder_with_a_space(tmp_path):
    folder = tmp_path / "mein Rechner ü"
    story = Story(folder, "chest-xray", [])
    calls = re.findall(r"^  (./pants run src/python/promote .*)$", shown(show, story), re.M)
    assert len(calls) == 2
    for call in calls:
        assert shlex.split(call)[5:] == ["--registry", str(folder / "registry"), "--model", "chest-xray"]


def test_the_lines_to_paste_hold_an_image_with_a_space_and_a_quote():
    image = "/home/ada's pictures/1.png"
    curl, client = re.findall(r"^  (.*)$", shown(show_serving, "http://127.0.0.1:8080", "127.0.0.1:9090", image), re.M)
    assert f"@{image}" in shlex.split(curl)
    assert image in shlex.split(client)
