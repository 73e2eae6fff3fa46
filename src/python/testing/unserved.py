"""The verdict on a model that was never asked: it must not be loaded, or could not be served."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from contracts.record import Record
from contracts.verdict import ModelVerdict, OneTest

_NAMES = {
    "inspection": "test_model_may_be_loaded_and_keeps_the_contract",
    "serving": "test_model_can_be_served",
}


def verdict(record: Record, baseline: Record | None, stage: str, reasons: list[str], junit: Path) -> ModelVerdict:
    """What `testing.run.run` would say, with one failed test: `stage`, "inspection" or "serving". Also in `junit`."""
    name = f"{stage}::{_NAMES[stage]}"
    _write_junit(junit, stage, _NAMES[stage], reasons)
    return ModelVerdict(
        version=record.version,
        passed=False,
        reasons=reasons,
        baseline_version=baseline.version if baseline else None,
        mistakes=[],
        tests=[OneTest(name=name, outcome="failed", seconds=0.0, message="; ".join(reasons))],
        seconds=0.0,
    )


def _write_junit(path: Path, stage: str, name: str, reasons: list[str]) -> None:
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", name="pytest", tests="1", failures="1", errors="0", skipped="0")
    case = ElementTree.SubElement(suite, "testcase", classname=stage, name=name, time="0")
    failure = ElementTree.SubElement(case, "failure", message=reasons[0])
    failure.text = "\n".join(reasons)
    ElementTree.ElementTree(suites).write(path, "utf-8", xml_declaration=True)
