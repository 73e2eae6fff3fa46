"""What has a side keeps it, whatever comes later."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from dataset import Limits, Split, check, scan
from dataset.sides import Sides
from dataset.split import SPLITS
from tests.unit.dataset.conftest import picture, save

BOTH = ("A", "B")


@pytest.fixture
def root(tmp_path):
    for label in BOTH:
        for number in range(40):
            save(picture(number + 1000 * (label == "B")), tmp_path / "data" / label / f"{number}.png")
    return tmp_path / "data"


def compressed(image, quality=40):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def sides_of(data):
    return {image.sha256: image.split for image in data.images}


def of(data, name):
    return next((image.split for image in data.images if image.path.name == name), None)


def on(data, side, label="A"):
    return [image for image in data.part(side) if image.label == label]


def with_own_side(image, side, path):
    """Saves a copy of `image` whose bytes alone would put it on `side`."""
    for quality in range(30, 96):
        save(image, path, quality=quality)
        if Split().side(hashlib.sha256(path.read_bytes()).hexdigest()) == side:
            return path
    raise AssertionError(side)


@pytest.mark.parametrize("side", ["test", "validation", "train"])
def test_near_copy_that_comes_later_goes_where_its_original_is(root, side):
    before = scan(root, 0.0)
    original = on(before, side)[0]
    other = next(one for one in SPLITS if one != side)
    with_own_side(Image.open(original.path), other, root / "A" / "later.jpg")
    after = scan(root, 0.0, known=before.sides)
    assert of(after, "later.jpg") == side
    assert sides_of(before).items() <= sides_of(after).items()


def test_image_that_comes_later_and_is_near_to_two_sides_is_left_out_and_said(root):
    # Two pictures, not near to each other, and one between them.
    first, last = picture(5), None
    for share in np.linspace(0.02, 0.5, 49):
        last = Image.blend(picture(5), picture(6), float(share))
        middle = Image.blend(first, last, 0.5)
        save(first, root / "A" / "5.png")
        save(last, root / "A" / "other.png")
        save(middle, root / "A" / "middle.png")
        near = {tuple(sorted((i.path.name, j.path.name))) for i, j in _pairs(root)}
        if near == {("5.png", "middle.png"), ("middle.png", "other.png")}:
            break
    else:
        raise AssertionError("no such three")
    (root / "A" / "middle.png").unlink()
    # As two versions before may have it: each on a side of its own.
    known = scan(root, 0.0).sides
    rows = known.rows.copy()
    for name, side in (("5.png", 0), ("other.png", 2)):
        digest = hashlib.sha256((root / "A" / name).read_bytes()).digest()[:16]
        rows["side"][[row["sha256"].tobytes() == digest for row in rows]] = side
    save(middle, root / "A" / "middle.png")
    checked = check(root, Limits(), known=Sides(rows))
    (finding,) = [one for one in checked.findings if one.kind == "between"]
    assert not finding.refused and finding.message.startswith("1 images are left out: they came later")
    assert [one.path.name for one in finding.offenders] == ["middle.png"]
    data = checked.dataset
    assert (of(data, "5.png"), of(data, "other.png"), of(data, "middle.png")) == ("train", "test", None)


def _pairs(root):
    from dataset.scan import scan_folder

    return scan_folder(root).near


def test_copy_of_an_image_that_is_gone_goes_where_that_was(root):
    """All images saved anew in another size: what an ancestor trained on must not judge its child."""
    before = scan(root, 0.0)
    was = {(image.label, image.path.stem): image.split for image in before.images}
    for file in sorted(root.rglob("*.png")):
        save(Image.open(file).resize((150, 150), Image.Resampling.BICUBIC), file.with_suffix(".jpg"), quality=80)
        file.unlink()
    after = scan(root, 0.0, known=before.sides)
    now = {(image.label, image.path.stem): image.split for image in after.images}
    assert now == was
    assert {(image.label, image.path.stem): image.split for image in scan(root, 0.0).images} != was
    # And so on: what is known of the first images is kept with the second version.
    assert len(after.sides.rows) == 160


def test_sides_are_kept_as_bytes_and_anything_else_is_not_taken_for_them(root):
    sides = scan(root, 0.0).sides
    again = Sides.of_bytes(sides.as_bytes())
    assert again.complete and np.array_equal(again.rows, sides.rows)
    for other in (None, b"", b"x", sides.as_bytes()[:-5]):
        assert not Sides.of_bytes(other).complete


def test_of_two_versions_the_one_that_saw_more_counts():
    digest = "ab" * 32
    one, other = (Sides().grown([(digest, side, b"")]) for side in ("test", "train"))
    assert Sides.together([one, other]).of(digest) == Sides.together([other, one]).of(digest) == "train"
    assert not Sides.together([one, Sides(complete=False)]).complete


@pytest.mark.parametrize("kept", [True, False])
def test_group_of_which_an_ancestor_trained_one_image_stays_on_the_training_side(root, kept):
    """A model from before groups were set, with its list of sides or, older still, without."""
    before = scan(root, 0.0)
    rule = r"pattern:^(\d+?)\d?$"  # tens of neighbours
    known = before.sides if kept else Sides(complete=False)
    after = scan(root, 0.0, rules=(Split(groups=rule), Split()), known=known)
    was = {image.path: image.split for image in before.images}
    members: dict[int, list] = {}
    for image in after.images:
        members.setdefault(image.group, []).append(image)
    assert any(len({was[image.path] for image in group}) > 1 for group in members.values())
    for group in members.values():
        now = {image.split for image in group}
        assert len(now) == 1
        seen = min((was[image.path] for image in group), key=SPLITS.index)
        # Without a list, no one knows which images there were: the group's own side counts too.
        assert now == {seen} if kept else SPLITS.index(*now) <= SPLITS.index(seen)


def test_new_group_after_one_without_groups_is_split_as_a_group(root):
    known = scan(root, 0.0).sides
    for label in BOTH:
        for patient in range(40):
            for view in range(3):
                seed = 5000 + 500 * (label == "B") + 5 * patient + view
                save(picture(seed), root / label / f"{label}{patient}_{view}.png")
    rules = (Split(groups=r"pattern:^([AB]\d+)_"), Split())
    data = scan(root, 0.0, rules=rules, known=known)
    fresh = [image for image in data.images if "_" in image.path.name]
    tests = [image for image in fresh if image.split == "test"]
    assert 0.08 < len(tests) / len(fresh) < 0.4


def test_held_out_changes_with_the_images_that_test_and_with_nothing_else(root):
    before = scan(root, 0.0)
    (root / "A" / "new.png").write_bytes(b"")
    on(before, "train")[0].path.unlink()
    (root / "A" / "new.png").unlink()
    assert scan(root, 0.0).held_out == before.held_out
    on(before, "test")[0].path.unlink()
    assert scan(root, 0.0).held_out != before.held_out
    assert len(before.held_out) == 64
