"""How a run ends for whoever called it: figures, what comes next, and the exit code."""

import shlex

from cli import GateNotPassed, print_json, progress_console
from contracts.record import Record
from registry import place
from training.commands.options import Options


def finish(record: Record, as_json: bool, options: Options, mail: bool = False) -> None:
    """Shows how the run with `options` ended and which command comes next; if it missed the gate, it mails the owner.

    Raises:
        GateNotPassed: the version was rejected; nothing of it is saved but its record.
    """
    if as_json:
        print_json(record.model_dump(mode="json"))
    console, test = progress_console(), record.metrics.test
    if test is not None:
        recalls = ", ".join(f"{label} {own.recall:.3f}" for label, own in test.per_class.items())
        console.print(
            f"Accuracy {test.accuracy:.3f} on {test.images} test images; recall: {recalls}",
            markup=False,
            soft_wrap=True,
        )
    if record.state == "rejected":
        if mail:
            _mail(record, options)
        raise GateNotPassed(_why(record))
    if record.version == 1 and (danger := place.warning(options.registry)):
        console.print(danger, markup=False, soft_wrap=True)
    if record.awaits:
        console.print(
            f"Version {record.version} of {record.model} awaits the checks of run {record.awaits}; until they pass it "
            "can be neither tested nor promoted.",
            markup=False,
            soft_wrap=True,
        )
        return
    console.print(
        f"Version {record.version} of {record.model} is a candidate. Next, test it: "
        f"{shlex.join(_test_call(record, options))}",
        markup=False,
        soft_wrap=True,
    )


def _test_call(record: Record, options: Options) -> list[str]:
    """What tests the version, with dataset, registry and gates where they are not those of the settings: by those the
    version would be refused after all."""
    settings = options.model.settings
    more = ["--dataset", options.dataset] if options.dataset != settings.dataset.uri else []
    more += ["--registry", options.registry] if options.registry != settings.registry.uri else []
    for flag, chosen, usual in (
        ("--min-accuracy", options.min_accuracy, settings.gates.min_accuracy),
        ("--min-recall", options.min_recall, settings.gates.min_recall),
    ):
        more += [flag, f"{chosen:g}"] if chosen != usual else []
    named = ["--model", record.model, "--version", str(record.version)]
    return ["./pants", "run", "src/python/testing:test_model", "--", *named, *more]


def _mail(record: Record, options: Options) -> None:
    import notify

    console = progress_console()
    notify.tell(
        options.model.settings.mail,
        options.registry,
        record.model,
        "gate_missed",
        record.version,
        "",
        lambda line: console.print(line, markup=False, soft_wrap=True),
    )


def _why(record: Record) -> str:
    verdict = record.verdicts[-1]
    reasons = "; ".join(verdict.reasons)
    if isinstance(verdict.details, dict) and verdict.details.get("parent_stays"):
        stays = f"Version {record.parent} stays in place."
        return f"Version {record.version} of {record.model} is not saved: {reasons}. {stays}"
    lower = "lower the gate ([gates] in the model's limits.toml, or --min-accuracy, --min-recall)"
    advice = f"Train on more images or with --max-trials, or {lower}."
    if any(trial.chosen and trial.ended == "time" for trial in record.trials):
        # What was cut short has not shown yet what it can do.
        advice = f"It ran out of time: try a larger --max-minutes first. {advice}"
    return f"Version {record.version} of {record.model} misses the gate and is not saved: {reasons}. {advice}"
