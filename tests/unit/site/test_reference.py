"""The pages that are made from the code leave nothing out, and say something of everything."""

import re

import pytest

from docs.site import commands, completions, inside, rest_page, settings_page
from settings.schema import Settings


def test_every_setting_has_a_line_with_its_variable_and_its_meaning():
    rows = [line.split(" | ") for line in settings_page.page().splitlines() if line.startswith("| `")]
    told = {row[3].strip("` "): row[4].rstrip("| ") for row in rows}
    wanted = {
        f"TRAINYARD_{name}_{field}".upper()
        for name, section in Settings.model_fields.items()
        for field in section.annotation.model_fields
    }
    assert set(told) == wanted
    assert [name for name, meaning in told.items() if len(meaning) < 10] == []


def test_comment_holds_for_the_fields_below_it():
    told = settings_page.comments_of(Settings.model_fields["dataset"].annotation)
    assert told["validation_share"] == told["test_share"] != told["groups"]


def test_every_command_has_its_help_and_the_version():
    page = commands.page()
    for target, module in commands.COMMANDS.items():
        texts = list(commands.helps(target, module))
        assert all(re.search(r"Trainyard \d+\.\d+\.\d+\s*$", text) for _, text in texts), target
        assert all(text.lower().startswith("usage: ./pants run " + target) for _, text in texts)
    for heading in ("## promote", "### rollback", "### runs resume", "## model_server"):
        assert f"\n{heading}\n" in page


def test_every_path_of_rest_is_described():
    page = rest_page.page()
    for path in rest_page.document()["paths"]:
        assert f" {path}\n" in page
    assert "| `scores` | number by name | Every class with its probability, most probable first. |" in page


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("[a](b.md#c)", "[a](b.md#c)"),
        ("[a](../README.md)", "a"),
        ("[`a`](../src/x.py)", "`a`"),
        ("[a](https://example.com)", "[a](https://example.com)"),
        ("[a](#there)", "[a](#there)"),
    ],
)
def test_links_out_of_the_documentation_become_text(tmp_path, link, kept):
    (tmp_path / "page.md").write_text(f"See {link}.\n")
    inside.keep_inside(tmp_path)
    assert (tmp_path / "page.md").read_text() == f"See {kept}.\n"


def test_completions_know_verbs_and_flags():
    lines = {tuple(line.split("\t")[:2]): line.split("\t")[2].split() for line in completions.lines()}
    assert {"src/python/promote", "serving/pod", "//:quickstart"} <= set(lines["", ""])
    assert {"list", "run", "rollback"} <= set(lines["src/python/promote", ""])
    assert {"--yes", "--version", "--dry-run"} <= set(lines["src/python/promote", "run"])
    assert "--model_config_file" in lines["serving/model_server", ""]
