"""Usage errors name the call as the user made it."""

import pytest

from cli.call import program_name

EXAMPLES = (
    "Tests.\n\nExamples:\n  ./pants run src/python/testing:test_model -- --version 3\n  ./pants run //:other -- x"
)
UNDER_PANTS = {"PEX": "/tmp/pants-sandbox-jQDpYe/src.python.testing/test_model.pex"}


def test_call_through_pants_names_the_target_of_the_examples():
    assert program_name(EXAMPLES, ["python", "-I", "/cache/venv/pex"], UNDER_PANTS) == (
        "./pants run src/python/testing:test_model --"
    )


def test_program_without_an_example_of_a_target_is_named_as_python_does():
    assert program_name("Shows.", ["python", "/cache/venv/pex"], UNDER_PANTS) is None


def test_packaged_program_is_named_by_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = {"PEX": str(tmp_path / "dist" / "test_model.pex")}
    assert program_name(EXAMPLES, ["python", packaged["PEX"]], packaged) == "dist/test_model.pex"
    assert program_name(EXAMPLES, ["python", "/app/pex"], {"PEX": "/app/pex"}) == "/app/pex"


@pytest.mark.parametrize("options", [[], ["-I"], ["-W", "ignore"]])
def test_module_is_named_as_python_does(options):
    # What a program under Pants starts by itself inherits the environment.

    assert program_name(EXAMPLES, ["python", *options, "-m", "testing", "--nope"], UNDER_PANTS) is None


def test_program_that_is_no_package_is_named_as_python_does():
    assert program_name(EXAMPLES, ["python", "driver.py", "-m", "x"], {}) is None
