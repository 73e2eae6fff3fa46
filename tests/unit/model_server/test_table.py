"""docs/model-server.md says how each flag and behaviour stands beside the original; here it is held against that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.version import VERSION
from serving.model_server import flags, version

PAGE = Path("docs/model-server.md")
VALUES = {"port": "7", "rest_api_port": "8", "batching_parameters_file": "/b", "grpc_channel_arguments": "a=1"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    part = PAGE.read_text(encoding="utf-8").partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    assert len(lines) > 5, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


FLAGS = {name.strip("`"): (verdict, why) for name, verdict, why in rows("Flags")} if PAGE.exists() else {}


def test_no_flag_is_missing() -> None:
    own = {"host", "servable_versions_always_present", "rest_api_max_body_mib", "help"}
    assert {action.dest for action in flags.parser()._actions} - own == FLAGS.keys()


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_a_flag_does_what_is_said_of_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict, why = FLAGS[name]
    (action,) = [action for action in flags.parser()._actions if action.dest == name]
    given = [f"--{name}={VALUES.get(name, '1')}"] if action.nargs != 0 else [f"--{name}"]
    extra = ["--enable_batching"] if name == "batching_parameters_file" else []
    base = [] if name == "model_base_path" else ["--model_base_path=/m"]
    if why.startswith("refused"):
        with pytest.raises(SystemExit):
            flags.parse([*given, *base])
        assert f"--{name} is not supported" in capsys.readouterr().err
        return
    parsed = flags.parse([*given, *extra, *base])
    said = [text for text in flags.without_effect(parsed) if text.startswith(f"--{name} is without effect")]
    assert len(said) == (verdict == "not there")


@pytest.mark.parametrize("heading", ["REST", "gRPC"])
def test_what_is_said_is_shown_by_a_test(heading: str) -> None:
    for behaviour, verdict, shown in rows(heading):
        assert verdict, behaviour
        file, _, test = shown.strip("`").partition("::")
        (found,) = [
            path for kind in ("unit", "integration") if (path := Path("tests") / kind / "model_server" / file).exists()
        ]
        assert re.search(rf"^def {test}\(", found.read_text(encoding="utf-8"), re.M), shown


def test_the_wheel_has_trainyards_version() -> None:
    assert version.VERSION == VERSION
