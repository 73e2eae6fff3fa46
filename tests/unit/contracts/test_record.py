"""A record of any released version of Trainyard is read by this one."""

import json

from contracts.record import InputUsed, Record

# As the first released version wrote it: what was optional then is left out.
OLD = {
    "version": 7,
    "model": "chest-xray",
    "state": "production",
    "kind": "train",
    "created": "2026-11-23T05:16:00Z",
    "labels": ["COVID", "Normal"],
    "image_size": 128,
    "parameters": {"stem": 16, "stages": [32, 64]},
}


def test_an_old_record_says_what_was_true_then() -> None:
    record = Record.model_validate_json(json.dumps(OLD))
    assert (record.input, record.task, record.checked) == (None, "one label", True)
    assert (record.judged, record.held_out) == (0, "")


def test_what_was_written_is_read_again() -> None:
    record = Record.model_validate({**OLD, "input": {"size": 64, "channels": 3, "oblong": "pad", "white": 4095}})
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert record.input == InputUsed(size=64, channels=3, oblong="pad", white=4095)
