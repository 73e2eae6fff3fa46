import pytest

from dataset import Limits, check

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            LFS,
            "The image is a Git LFS pointer; only PNG and JPEG are accepted: get the image itself again (git lfs",
        ),
        (b"outs:\n- md5: 1234\n  path: x.png\n", "(dvc pull)"),
        (b"", "The image is empty"),
        (b"\n<!DOCTYPE html><html><body>404", "The image is a web page"),
        (
            bytes(128) + b"DICM",
            "a DICOM file; only PNG and JPEG are accepted: convert it to PNG (for a dataset: dataset import)",
        ),
        (b"\0\0\0\x18ftypheic", "a HEIC"),
        (b"\0\0\0\x18ftypavif", "an AVIF"),
        (b"hello", "This is not an image"),
    ],
)
def test_file_that_is_no_image_is_told_what_it_is(root, content, said):
    for place in range(3):
        (root / "COVID" / f"x{place}.png").write_bytes(content)
    (finding, *_) = check(root, Limits()).findings
    assert finding.refused
    told, _, why = finding.message.partition(f"{root / 'COVID' / 'x0.png'}: ")
    assert told == "3 of 83 images can't be read, more than the 1.0% allowed; of 3, such as " and said in why
    assert {one.note for one in finding.offenders if said in one.note}


def test_link_to_nothing_is_an_image_that_can_not_be_read(root):
    """As git-annex and DVC leave images that nobody has fetched: half a dataset must not go unnoticed."""
    for number in range(3):
        (root / "COVID" / f"x{number}.png").symlink_to("../.git/annex/objects/nowhere.png")
    (finding, *_) = check(root, Limits()).findings
    assert finding.refused
    assert "3 of 83 images can't be read" in finding.message and "No such file or directory" in finding.message
