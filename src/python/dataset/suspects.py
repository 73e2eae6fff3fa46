"""What stands in a file that is called an image and is none: the usual mishaps, and the way out of each."""

import re

from imaging import ImageError, NotAnImage

_LFS = b"version https://git-lfs.github.com/spec/"
_DVC = re.compile(rb"\A\s*(outs|md5|deps)\s*:")
_PAGE = re.compile(rb"\A(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_LOOKED_AT = 1024  # bytes


def problem_of(data: bytes, error: ImageError) -> str:
    """A sentence that says why the image in `data` can't be read."""
    start = data[:_LOOKED_AT]
    if not data:
        return "The file is empty, as a download that broke off leaves it; fetch it again."
    if isinstance(error, NotAnImage):
        if start.startswith(_LFS):
            return "It is a pointer of Git LFS; `git lfs pull` brings the image."
        if _DVC.match(start):
            return "It is a pointer of DVC; `dvc pull` brings the image."
        if _PAGE.match(start):
            return "It is a web page, such as a server sends in the place of a file; fetch the image again."
    return str(error)
