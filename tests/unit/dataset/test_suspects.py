import pytest

from dataset import Limits, check

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LFS, "It is a pointer of Git LFS; `git lfs pull` brings the image."),
        (b"outs:\n- md5: 1234\n  path: x.png\n", "It is a pointer of DVC; `dvc pull` brings the image."),
        (b"", "The file is empty, as a download that broke off leaves it; fetch it again."),
        (b"\n<!DOCTYPE html><html><body>404", "It is a web page, such as a server sends in the place of a file"),
        (b"\xef\xbb\xbf<html>\n<head>", "It is a web page"),
        (b"hello", "This is not an image"),
        (b"outside", "This is not an image"),
    ],
)
def test_file_that_is_no_image_is_told_what_it_is(root, content, said):
    for place in range(3):
        (root / "COVID" / f"x{place}.png").write_bytes(content)
    (finding, *_) = check(root, Limits()).findings
    assert finding.refused
    assert "3 of 83 images can't be read" in finding.message and f"of 3: {said}" in finding.message
    assert {one.note for one in finding.offenders if said in one.note}
