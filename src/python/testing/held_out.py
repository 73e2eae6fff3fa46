"""The images that a version is judged on: neither it, nor production's, nor an ancestor of theirs learnt from them."""

from cli import DataRefused
from contracts.classes import in_one_form
from contracts.record import Record
from dataset import Dataset, open_dataset, previous
from registry import Registry
from testing.subject import MOST_IMAGES, Labelled, input_of


def opened(
    registry: Registry,
    uri: str,
    max_unreadable: float,
    record: Record,
    baseline: Record | None,
    index: str | None = None,
) -> Dataset:
    """The dataset at `uri`, split by the rules of both versions, and as their lists of sides say.

    Raises:
        DataRefused: it can't be used.
    """
    versions = [record, *([baseline] if baseline else [])]
    rules = dict.fromkeys(rule for version in versions for rule in previous.rules_of(version))
    return open_dataset(
        uri,
        max_unreadable,
        tuple(rules),
        known=previous.sides_of(registry, *versions),
        classes=record.labels,
        index=index,
        wanted=input_of(record),
    )


def chosen(dataset: Dataset, uri: str, record: Record) -> list[Labelled]:
    """Held-out images of every class of `record`, about MOST_IMAGES at most.

    Raises:
        DataRefused: a class has none.
    """
    by_class = {
        label: [image for image in dataset.part("test") if image.label == in_one_form(label)] for label in record.labels
    }
    if missing := [label for label, images in by_class.items() if not images]:
        raise DataRefused(
            f"{uri} has no held-out image of {', '.join(missing)}, so version {record.version} can't be judged on it; "
            "name the dataset it was trained on, or add images (30 or more of every class)."
        )
    # Evenly from every class, so that each keeps its share and the smallest is still there.
    step = max(1, -(-sum(map(len, by_class.values())) // MOST_IMAGES))
    few = [(label, image) for label, images in by_class.items() for image in images[::step]]
    grouped = bool(dataset.grouping)
    return [
        Labelled(image.path.name, image.path.read_bytes(), label, image.group if grouped else None)
        for label, image in few
    ]
