"""The command `promote`: what is in the registry and in production, and what goes there."""

from cli import command_line
from cli import run as start
from promote.commands.files import sign, verify
from promote.commands.history import history
from promote.commands.rollback import rollback
from promote.commands.run import run
from promote.commands.versions import list_versions, status

app = command_line(
    "promote",
    "Takes a tested model into production, and back. What is served changes in one place, and every serving pod must "
    "have the new version loaded and answering before it does.",
    [
        "./pants run src/python/promote -- list --model digits",
        "./pants run src/python/promote -- run",
        "./pants run src/python/promote -- run --version 4 --yes --approver ada --reason 'better on COVID'",
        "./pants run src/python/promote -- rollback",
        "./pants run src/python/promote -- verify 4",
        "./pants run src/python/promote -- history --at 2026-11-25T14:30Z",
    ],
)
app.command("list")(list_versions)
for verb in (status, run, rollback, verify, sign, history):
    app.command()(verb)

if __name__ == "__main__":
    start(app)
