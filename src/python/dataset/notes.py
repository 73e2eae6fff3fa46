"""What is worth knowing of a dataset before anything is learnt from it: told, never refused."""

from collections.abc import Mapping, Sequence

from contracts.classes import alike, told_alike, told_padded
from contracts.grouping import described
from dataset import groups, layout
from dataset.finding import Finding, Offender, offenders
from dataset.folder import by_count
from dataset.read import Read
from dataset.scan import Scan
from dataset.split import SPLITS
from imaging import ImageInput

# Gray levels: a picture with less contrast shows nothing; an outlier is so many deviations from its class.
_BLANK = 3.0
_FAR = 4.0
# Mean distance of the strongest from the weakest colour, 0 to 255, above which a picture is in colour; and the share of
# images that are.
_COLOURED, _MANY = 8.0, 0.1
# Images that use less of the 16-bit range than this share are nearly black.
_USED = 0.5
# Fewer images of a class on one side say little: one more mistake is five points and more.
FEW = 20
_NAMED = 4


def left_out(found: Scan) -> list[Finding]:
    """Whatever lies in the folder and is no image of the dataset."""
    there = found.found
    parts = []
    if there.others:
        kinds = ", ".join(f"{n} {suffix or 'without a suffix'}" for suffix, n in by_count(there.others))
        parts.append(f"files of other kinds in class folders ({kinds})")
    if there.deeper:
        names = ", ".join(f"'{name}'" for name, _ in by_count(there.deeper)[:_NAMED])
        parts.append(f"{sum(there.deeper.values())} images in sub-folders such as {names}")
    if there.hidden:
        parts.append(f"{there.hidden} images with names, or in folders, that begin with a dot or an underscore")
    if there.beside:
        more = f" and {len(there.beside) - _NAMED} more" if len(there.beside) > _NAMED else ""
        parts.append(f"beside the class folders {', '.join(there.beside[:_NAMED])}{more}")
    if not parts:
        return []
    pictures = [suffix for suffix in there.others if suffix in layout.PICTURES]
    way_out = f" {layout.way_out(pictures)}" if pictures else ""
    return [Finding("left-out", f"Not read: {'; '.join(parts)}.{way_out}")]


def alike_classes(found: Scan) -> list[Finding]:
    return [Finding("alike-classes", told_alike(several)) for several in alike(found.dataset.labels)]


def padded_classes(found: Scan) -> list[Finding]:
    return [Finding("padded-class", told) for told in told_padded(found.dataset.labels)]


def copies(found: Scan) -> list[Finding]:
    if not found.duplicates:
        return []
    extra = found.dataset.statistics["duplicates"]
    saved_anew = sum(len({copy.sha256 for copy in several}) > 1 for several in found.duplicates)
    message = f"{extra} of {found.files} files are copies of others in their class, and count once"
    message += f"; of {saved_anew} pictures the copies were saved anew, with other bytes." if saved_anew else "."
    listed = [
        Offender(copy.path, copy.label, f"copy of {several[0].path.name}")
        for several in found.duplicates
        for copy in several[1:]
    ]
    return [Finding("duplicate", message, False, listed)]


def near(found: Scan) -> list[Finding]:
    findings = []
    across = [pair for pair in found.near if pair[0].label != pair[1].label]
    within = [pair for pair in found.near if pair[0].label == pair[1].label]
    for kind, pairs, what in (
        ("near-conflict", across, "look nearly the same as one of another class: see which label is right"),
        (
            "near-duplicate",
            within,
            "look nearly the same as others of their class, and are kept on one side of the split",
        ),
    ):
        listed = _listed(pairs)
        if listed:
            first, other = pairs[0]
            message = f"{len(listed)} images {what}; the first are {first.path} and {other.path}."
            findings.append(Finding(kind, message, False, listed))
    if found.between:
        message = (
            f"{len(found.between)} images are left out: they came later, and are near to images on two sides of the "
            f"split; the first is {found.between[0].path}."
        )
        findings.append(Finding("between", message, False, offenders(found.between)))
    if found.alike:
        message = (
            f"{found.alike} images are so much alike that copies among them can't be told, and may be on two sides of "
            "the split. If several are of one object or patient, say so with groups under [dataset]."
        )
        findings.append(Finding("alike", message))
    return findings


def _listed(pairs: Sequence[tuple[Read, Read]]) -> list[Offender]:
    listed: dict[str, Offender] = {}
    for one, other in pairs:
        listed.setdefault(one.sha256, Offender(one.path, one.label, f"near {other.label}/{other.path.name}"))
        listed.setdefault(other.sha256, Offender(other.path, other.label, f"near {one.label}/{one.path.name}"))
    return list(listed.values())


def grouping(found: Scan) -> list[Finding]:
    """Groups that may be missing, and images that have none."""
    if found.ungrouped:
        message = (
            f"{found.ungrouped} images have no group (groups are set {described(found.grouping.rule)}); each "
            "counts as a group of its own."
        )
        return [Finding("ungrouped", message)]
    if found.grouping.rule:
        return []
    rule = groups.suspected(found.found.files)
    if not rule:
        return []
    example = next(file.path.name for file in found.found.files if groups.of_pattern(rule, file))
    message = (
        f"File names look like several images of one patient ({example}), and no groups are set: images of one patient "
        f"on two sides of the split make a model look better than it is. If so, set groups = {rule!r} under [dataset]."
    )
    return [Finding("patients", message)]


def few(found: Scan) -> list[Finding]:
    """Sides with so few images of a class that its figures are mostly chance."""
    splits: Mapping[str, Mapping[str, int]] = found.dataset.statistics["splits"]
    thin = [(split, label, n) for split in SPLITS for label, n in splits[split].items() if 0 < n < FEW]
    if not thin:
        return []
    named = ", ".join(f"{n} '{label}' to {_PURPOSE[split]}" for split, label, n in thin[:_NAMED])
    more = f" and {len(thin) - _NAMED} more" if len(thin) > _NAMED else ""
    message = (
        f"Few images: {named}{more}. Under {FEW} of a class on one side, its figures are mostly chance; add images."
    )
    return [Finding("few", message)]


_PURPOSE = {"train": "train on", "validation": "validate by", "test": "test by"}


def for_the_model(found: Scan, wanted: ImageInput | None) -> list[Finding]:
    """Images that the model's input does not fit."""
    findings = []
    coloured = [one for one in found.kept if one.facts.colour > _COLOURED]
    if wanted and wanted.channels == 1 and len(coloured) > _MANY * len(found.kept):
        message = (
            f"{len(coloured)} of {len(found.kept)} images are in colour, and the model sees shades of gray; "
            'channels = "rgb" under [input] of model.toml shows it the colours.'
        )
        findings.append(Finding("colour", message))
    wide = [one for one in found.kept if one.facts.top]
    white = (wanted or ImageInput(1)).white
    top = max((one.facts.top for one in wide), default=0)
    if wide and top < _USED * white:
        likely = (1 << top.bit_length()) - 1
        message = (
            f"{len(wide)} images have 16 bits a sample and use {top / white:.1%} of the range (up to {top} of {white}) "
            f"so that they are nearly black; white = {likely} under [input] of model.toml makes {likely} white."
        )
        findings.append(Finding("range", message, False, offenders(wide)))
    return findings


def odd_pictures(found: Scan) -> list[Finding]:
    """Pictures that show next to nothing, and such as are far darker or brighter than others of their class."""
    blank = [
        Offender(one.path, one.label, f"contrast {one.facts.contrast:.1f}")
        for one in found.kept
        if one.facts.contrast < _BLANK
    ]
    far = []
    brightness: Mapping[str, Mapping[str, float]] = found.dataset.statistics["brightness"]
    for one in found.kept:
        own, here = brightness[one.label], one.facts.brightness
        if one.facts.contrast >= _BLANK and abs(here - own["mean"]) > _FAR * max(own["deviation"], 1.0):
            far.append(Offender(one.path, one.label, f"brightness {here:.0f}, class {own['mean']:.0f}"))
    findings = []
    if blank:
        findings.append(Finding("blank", f"{len(blank)} images show next to nothing.", False, blank))
    if far:
        findings.append(
            Finding("outlier", f"{len(far)} images are far darker or brighter than their class.", False, far)
        )
    return findings
