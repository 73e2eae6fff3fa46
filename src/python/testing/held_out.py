"""The images that a version is judged on: neither it, nor production's, nor an ancestor of theirs learnt from them."""

from cli import DataRefused
from contracts.record import Record
from dataset import Dataset, open_dataset, previous
from testing.subject import MOST_IMAGES, Labelled


def opened(uri: str, max_unreadable: float, record: Record, baseline: Record | None) -> Dataset:
    """The dataset at `uri`, split by the rules of both versions.

    Raises:
        DataRefused: it can't be used.
    """
    rules = (*previous.rules_of(record), *(previous.rules_of(baseline) if baseline else ()))
    return open_dataset(uri, max_unreadable, tuple(dict.fromkeys(rules)))


def chosen(dataset: Dataset, uri: str, record: Record) -> list[Labelled]:
    """Held-out images of every class of `record`, about MOST_IMAGES at most.

    Raises:
        DataRefused: a class has none.
    """
    by_class = {label: [image for image in dataset.part("test") if image.label == label] for label in record.labels}
    if missing := [label for label, images in by_class.items() if not images]:
        raise DataRefused(
            f"{uri} has no held-out image of {', '.join(missing)}, so version {record.version} can't be judged on it; "
            "name the dataset it was trained on, or add images (30 or more of every class)."
        )
    # Evenly from every class, so that each keeps its share and the smallest is still there.
    step = max(1, -(-sum(map(len, by_class.values())) // MOST_IMAGES))
    few = [image for images in by_class.values() for image in images[::step]]
    return [Labelled(image.path.name, image.path.read_bytes(), image.label, image.group) for image in few]
