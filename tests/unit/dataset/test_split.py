import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts.record import DatasetUsed, Record, SplitRule
from dataset import Split, check, lineage, previous, scan
from dataset.check import Limits
from dataset.split import DEFAULT, SPLITS, side_of

DIGESTS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(500)]
shares = st.floats(0.01, 0.4)
rules = st.builds(Split, test=shares, validation=shares)


def trained_on(chain):
    return {digest for digest in DIGESTS if side_of(digest, chain) == "train"}


@settings(deadline=None, max_examples=50)
@given(st.lists(rules, min_size=1, max_size=5))
def test_no_model_is_judged_on_what_it_or_any_ancestor_saw(own_rules):
    """A model, its child with other shares, and so on: each is split by its own rule and those of its ancestors."""
    chain: tuple[Split, ...] = ()
    seen: set[str] = set()
    for own in own_rules:
        chain = lineage(own, chain)
        sides = {digest: side_of(digest, chain) for digest in DIGESTS}
        judged_by = {digest for digest, side in sides.items() if side == "test"}
        assert not judged_by & seen
        seen |= {digest for digest, side in sides.items() if side != "test"}


def test_without_its_ancestors_rules_a_larger_test_share_would_leak():
    # What the property above is there to prevent.
    parent, child = Split(test=0.1), Split(test=0.3)
    alone = {digest for digest in DIGESTS if side_of(digest, [child]) == "test"}
    assert alone & trained_on([parent])


def test_same_shares_leave_the_split_as_it_is():
    assert lineage(Split(), DEFAULT) == DEFAULT


def test_test_model_holds_out_what_neither_of_two_versions_was_trained_on():
    candidate, production = Split(test=0.3), Split(test=0.1)
    held_out = {digest for digest in DIGESTS if side_of(digest, [candidate, production]) == "test"}
    assert held_out
    assert not held_out & (trained_on([candidate]) | trained_on([production]))


def test_record_carries_the_rules_and_an_older_one_goes_by_the_default():
    used = DatasetUsed(uri="x", fingerprint="f", images=1, classes={})
    record = Record(version=1, model="m", state="candidate", kind="train", created="now", dataset=used)
    assert previous.rules_of(record) == previous.rules_of(None) == DEFAULT
    used.splits = [SplitRule(test=0.3, validation=0.1), SplitRule(test=0.2, validation=0.12)]
    assert previous.rules_of(Record.model_validate_json(record.model_dump_json())) == (Split(0.3, 0.1), Split())


@pytest.mark.parametrize("seed", [0, 1])
def test_picture_that_was_saved_anew_is_never_on_two_sides(root, seed):
    """Losslessly saved copies have other bytes, and often another side; the one that is kept is the most seen."""
    twins = {}
    for file in sorted((root / "Normal" / "images").iterdir()):
        copy = file.with_name(f"twin-{file.name}")
        Image.open(file).save(copy, compress_level=seed)
        sides = [Split().side(hashlib.sha256(path.read_bytes()).hexdigest()) for path in (file, copy)]
        twins[file.name] = min(sides, key=SPLITS.index)
    data = scan(root, 0.0)
    kept = {image.path.name.removeprefix("twin-"): image.split for image in data.images if image.label == "Normal"}
    assert kept == twins


def test_adding_images_moves_none_and_a_seed_has_no_say(root, tmp_path):
    before = {image.sha256: image.split for image in scan(root, 0.0).images}
    for number in range(60):
        pixels = Image.effect_noise((16, 16), 50 + number)
        pixels.save(root / "Normal" / f"new-{number}.png")
    after = {image.sha256: image.split for image in check(root, Limits()).require().images}
    assert len(after) == len(before) + 60
    assert before.items() <= after.items()
