"""What a check found, as JSON and as a page with pictures of the offenders."""

import json
from collections.abc import Callable

import pages
from contracts.classes import in_one_form
from contracts.grouping import described
from dataset.check import Checked
from dataset.finding import Finding, Offender
from dataset.sides import NAME as SIDES_NAME
from dataset.statistics import MEASURES
from imaging import ImageError

_PICTURES = 12  # shown of a finding
_FILES = 200  # named of a finding
JSON_NAME, PAGE_NAME = "dataset.json", "dataset.html"

_TITLES = {
    "layout": "The folder's layout",
    "pointer": "Pointer out of date",
    "left-out": "Files that were not read",
    "unreadable": "Unreadable images",
    "empty-class": "Classes without an image",
    "conflict": "One image in several classes",
    "vanished-class": "Missing classes",
    "new-class": "New classes",
    "small-class": "Classes with too few images",
    "duplicate": "Copies",
    "near-conflict": "Near-duplicates across classes",
    "near-duplicate": "Near-duplicates",
    "between": "Near-duplicates of images on two sides",
    "alike": "Images too similar to compare",
    "patients": "Several images of one patient?",
    "ungrouped": "Images without a group",
    "few": "Few images",
    "colour": "Colour images, gray model",
    "range": "Dark 16-bit images",
    "blank": "Blank images",
    "outlier": "Unusual brightness",
    "imbalance": "Class imbalance",
    "shortcut": "Shortcut: the file gives its class away",
    "mix": "Class shares changed",
    "brightness": "Brightness changed",
    "contrast": "Contrast changed",
    "bytes": "File sizes changed",
    "side": "Image sizes changed",
}


def keep(checked: Checked, save: Callable[[str, bytes], object]) -> None:
    """Saves both forms, and which image is on which side; `save` takes a name and the content."""
    save(PAGE_NAME, render(checked))
    save(JSON_NAME, json.dumps(as_json(checked), indent=1).encode())
    if checked.dataset:
        save(SIDES_NAME, checked.dataset.sides.as_bytes())


def as_json(checked: Checked) -> dict[str, object]:
    """`dataset` is what a later check takes with --previous, and a record holds the same."""
    data = checked.dataset
    return {
        "dataset": {
            "uri": str(checked.root),
            "fingerprint": data.fingerprint if data else "",
            "images": len(data.images) if data else 0,
            "classes": data.counts() if data else {},
            "statistics": data.statistics if data else {},
            "groups": data.grouping if data else "",
            "held_out": data.held_out if data else "",
        },
        "files": checked.files,
        "passed": not checked.refused,
        "previous": checked.previous.name if checked.previous else None,
        "findings": [
            {
                "kind": finding.kind,
                "refused": finding.refused,
                "message": finding.message,
                "count": len(finding.offenders),
                "files": [
                    {"path": str(one.path), "class": one.label, "note": one.note} for one in finding.offenders[:_FILES]
                ],
            }
            for finding in checked.findings
        ],
    }


def render(checked: Checked) -> bytes:
    """The page, as UTF-8."""
    data, previous = checked.dataset, checked.previous
    counts = data.counts() if data else {}
    before = {in_one_form(label): count for label, count in previous.classes.items()} if previous else {}
    most = max([*counts.values(), *before.values(), 1])
    view = {
        "checked": checked,
        "data": data,
        "previous": previous,
        "groups": f"{len({image.group for image in data.images})} {described(data.grouping)}"
        if data and data.grouping
        else "none: each image by itself",
        "findings": [_shown(finding) for finding in checked.findings],
        "classes": [
            {
                "label": label,
                "count": counts.get(label, 0),
                "before": before.get(label),
                "width": 100 * counts.get(label, 0) / most,
                "width_before": 100 * before.get(label, 0) / most,
                "splits": {split: own.get(label, 0) for split, own in data.statistics["splits"].items()}
                if data
                else {},
            }
            for label in sorted({*counts, *before})
        ],
        "measures": [_measure(name, checked) for name in MEASURES] if data else [],
    }
    return pages.render("dataset", "report.html", view)


def _shown(finding: Finding) -> dict[str, object]:
    return {
        "title": _TITLES.get(finding.kind, finding.kind),
        "message": finding.message,
        "refused": finding.refused,
        "count": len(finding.offenders),
        "pictures": [
            {"name": one.path.name, "path": one.path, "label": one.label, "note": one.note, "image": _picture(one)}
            for one in finding.offenders[:_PICTURES]
        ],
    }


def _picture(offender: Offender) -> str | None:
    try:
        return pages.thumbnail(offender.path.read_bytes())
    except (ImageError, OSError):
        return None


def _measure(name: str, checked: Checked) -> dict[str, object]:
    assert checked.dataset is not None
    before = checked.previous
    rows = [
        {"label": label, "now": now, "before": before.of_class(name, label) if before else None}
        for label, now in checked.dataset.statistics[name].items()
    ]
    words = {"brightness": "brightness", "contrast": "contrast", "bytes": "KiB a file", "side": "side in pixels"}
    return {"name": words[name], "scale": 1024 if name == "bytes" else 1, "rows": rows}
