"""What models.config says at each stage of a promotion, so that servers never lose a model they answer with.

  added     what was loaded before and the new version, labels as before
  switched  the same versions, `stable` on the new one, `previous` on the old one
  trimmed   just those two
Up to `switched` the promotion can be undone at any time because everything labelled before is still loaded; a server
refuses a label on a version it has not loaded (docs/decisions/0003).
"""

from registry import PREVIOUS, STABLE, ServingState


def added(before: ServingState, version: int) -> ServingState:
    return ServingState(tuple(sorted({*before.versions, version})), dict(before.labels), before.generation)


def switched(loaded: ServingState, before: ServingState, version: int) -> ServingState:
    labels = {**before.labels, STABLE: version}
    if before.stable is not None:
        labels[PREVIOUS] = before.stable
    return ServingState(loaded.versions, labels, loaded.generation)


def trimmed(moved: ServingState) -> ServingState:
    """Just the versions that have a label; an operator's own labels keep theirs."""
    return ServingState(tuple(sorted(set(moved.labels.values()))), dict(moved.labels), moved.generation)


def every(before: ServingState, version: int) -> list[ServingState]:
    """What it says from `before` to the end of a promotion of `version`."""
    loaded = added(before, version)
    moved = switched(loaded, before, version)
    return [before, loaded, moved, trimmed(moved)]
