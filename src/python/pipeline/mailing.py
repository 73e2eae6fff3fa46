"""The mails that a model's pipeline ends with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.verdict import Fault
from pipeline.runner import Run
from settings import Settings

if TYPE_CHECKING:
    from notify import Kind

# Of the suites that every model gets; a model's own tests are in its folder.
_SUITES = "src/python/testing/suites/"


def tell(
    settings: Settings,
    kind: "Kind",
    version: int | None,
    report: str,
    run: Run,
    reason: str,
    faults: Sequence[Fault] = (),
) -> str | None:
    """Mails how it ended, for `reason`, and returns where the mail went; nothing where no version is known.

    Tests that went wrong by themselves (`faults`) are a mail of their own, to those who committed them too.
    """
    if version is None:
        return None
    import notify

    model, uri = settings.model.name, settings.registry.uri
    base = run.state.planned.base
    about = notify.Run(why=reason, test_files=_changed_tests(run, model), since=base)
    where = None
    if kind != "tests_broken":
        where = notify.tell(settings.mail, uri, model, kind, version, report, run.say, about)
    if faults:
        files = tuple(dict.fromkeys(fault.file for fault in faults))
        broken = notify.Run(why=reason, test_files=files, faults=faults)
        told = notify.tell(settings.mail, uri, model, "tests_broken", version, "", run.say, broken)
        where = where or told
    return where


def _changed_tests(run: Run, model: str) -> list[str]:
    """The files of model tests that the plan's change holds, for every model and for this one."""
    places = (_SUITES, f"models/{model.replace('-', '_')}/tests/", f"models/{model}/tests/")
    return [file for file in run.state.planned.changed if file.startswith(places)]
