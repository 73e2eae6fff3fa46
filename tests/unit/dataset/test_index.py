"""What was decoded once is not decoded again, and the answer is the same, byte for byte."""

import json
import os
import shutil

import numpy as np
import pytest

from dataset import Limits, check, facts, index, read, report
from dataset.index import Index
from tests.unit.dataset.conftest import picture, png, save


@pytest.fixture
def root(tmp_path):
    for label in "AB":
        for number in range(25):
            save(picture(number + 500 * (label == "B"), 64), tmp_path / "data" / label / f"{number}.png")
    (tmp_path / "data" / "A" / "cut.png").write_bytes(png(3)[:-20])
    save(picture(90).convert("RGB"), tmp_path / "data" / "A" / "colour.jpg")
    save(picture(91).resize((20, 20)), tmp_path / "data" / "A" / "small.png")
    return tmp_path / "data"


@pytest.fixture
def decoded(monkeypatch):
    """Digests of the images that were decoded."""
    seen = []

    def counted(data, sha256, white):
        seen.append(sha256)
        return facts.measure(data, sha256, white)

    monkeypatch.setattr(read, "measure", counted)
    return seen


def answer(root, place, **limits):
    checked = check(root, Limits(max_unreadable=0.1, index=place, **limits))
    return json.dumps(report.as_json(checked)), [checked.dataset.sides.as_bytes(), checked.dataset.images]


def test_warm_check_gives_the_same_answer_and_decodes_nothing(root, tmp_path, decoded):
    place = str(tmp_path / "index")
    cold = answer(root, None)
    decoded.clear()
    assert answer(root, place) == cold
    assert len(decoded) == 53
    decoded.clear()
    assert answer(root, place) == cold
    assert len(decoded) == 1  # the broken one, anew each time


def test_new_images_alone_are_decoded_wherever_the_known_ones_lie(root, tmp_path, decoded):
    place = str(tmp_path / "index")
    answer(root, place)
    moved = shutil.move(root, tmp_path / "elsewhere")
    (moved / "A" / "0.png").rename(moved / "A" / "renamed.png")
    save(picture(777), moved / "B" / "new.png")
    decoded.clear()
    warm = answer(moved, place)
    assert len(decoded) == 2
    assert warm == answer(moved, None)


def test_forged_time_stamp_hides_no_changed_file(root, tmp_path):
    place = str(tmp_path / "index")
    before = json.loads(answer(root, place)[0])
    file = root / "A" / "3.png"
    stat = file.stat()
    content = save(picture(4321, 64), tmp_path / "other.png").read_bytes()
    file.write_bytes(content + b"\0" * (stat.st_size - len(content)) if len(content) < stat.st_size else content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = json.loads(answer(root, place)[0])
    assert after["dataset"]["fingerprint"] != before["dataset"]["fingerprint"]
    assert json.dumps(after) == answer(root, None)[0]


def test_index_that_was_deleted_damaged_or_can_not_be_written_changes_nothing(root, tmp_path, decoded):
    place = tmp_path / "index"
    cold = answer(root, str(place))
    (file,) = place.rglob("*.npy")
    whole = file.read_bytes()
    for damaged in (b"", b"x", whole[:-7], whole[:-9] + b"\1" + whole[-8:]):
        file.write_bytes(damaged)
        decoded.clear()
        assert answer(root, str(place)) == cold
        assert len(decoded) == 53
        file.write_bytes(whole)
    shutil.rmtree(place)
    place.write_text("in the way")
    assert answer(root, str(place)) == cold


def test_many_files_become_one_and_nothing_is_forgotten(root, tmp_path, decoded):
    place = tmp_path / "index"
    for number in range(index._MOST_FILES + 2):
        save(picture(6000 + number), root / "A" / f"more{number}.png")
        answer(root, str(place))
    assert 1 <= len(list(place.rglob("*.npy"))) < 5
    decoded.clear()
    answer(root, str(place))
    assert len(decoded) == 1


def test_other_white_or_other_code_is_another_index(root, tmp_path, monkeypatch):
    place = str(tmp_path / "index")
    folders = {Index.open(place, 65535)._folder, Index.open(place, 4095)._folder}
    monkeypatch.setattr(index, "_code", lambda: "changed")
    assert len(folders | {Index.open(place, 65535)._folder}) == 3


def test_facts_come_back_as_they_were(tmp_path):
    images = [picture(1), picture(2).convert("RGB"), picture(3).resize((10, 10))]
    files = [save(image, tmp_path / f"{place}.png") for place, image in enumerate(images)]
    measured = [facts.measure(file.read_bytes(), f"{place}" * 64, 65535) for place, file in enumerate(files)]
    kept = Index(tmp_path / "index")
    for one in measured:
        kept.add(one)
    kept.save()
    assert [Index(tmp_path / "index").get(one.sha256) for one in measured] == measured
    assert Index(tmp_path / "index").get("f" * 64) is None
    assert np.dtype(index._ROW).itemsize < 300
