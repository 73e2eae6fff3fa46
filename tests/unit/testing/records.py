"""Records of versions that need no more than to exist."""

from contracts.record import Record


def record(version: int, labels: list[str], **fields: object) -> Record:
    known = {"version": version, "model": "m", "state": "candidate", "kind": "train", "labels": labels}
    return Record.model_validate(known | {"created": "now"} | fields)
