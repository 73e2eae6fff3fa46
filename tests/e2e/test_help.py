"""Every program that ./pants can run ends its --help with Trainyard's version.

tests/unit/site/test_reference.py reads the help of all commands that the reference has; here none is missing there.
"""

import runpy
from pathlib import Path

from docs.site.commands import COMMANDS

ROOT = Path(__file__).parents[2]
# The old place of src/python/monitoring:drift: the same program.
OLD = {"src/python/testing:drift"}
# Parts of scripts/site.
TOOLS = ("docs/site:",)


def test_every_program_is_a_command_of_the_reference_or_a_benchmark_that_is_made_as_they_are() -> None:
    calls = runpy.run_path(str(ROOT / "scripts/launch/programs.py"))["_calls"](ROOT)
    programs = {call.removeprefix("./pants run ") for call in calls}
    benchmarks = {program for program in programs if program.startswith("benchmarks:")}
    assert len(benchmarks) > 10
    for program in benchmarks:
        text = (ROOT / "benchmarks" / f"{program.removeprefix('benchmarks:')}.py").read_text()
        assert "command_line(" in text and "run(app)" in text, program
    others = {program for program in programs - benchmarks - OLD if not program.startswith(TOOLS)}
    assert others == set(COMMANDS)
