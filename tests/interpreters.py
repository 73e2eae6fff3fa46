"""Interpreters that are here, packed as uv fetches them: for tests of how ./pants gets those that are missing."""

import hashlib
import platform
import subprocess
import tarfile
from pathlib import Path

LEFT_OUT = {"site-packages", "test", "__pycache__", "idlelib", "tkinter"}


def packed(archive: Path, base: Path, version: str) -> None:
    """The interpreter `version` (3.11) installed below `base`, laid out as uv expects one."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(base / "bin" / f"python{version}", f"python/bin/python{version}")
        for name in ("python", "python3"):
            link = tarfile.TarInfo(f"python/bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, f"python{version}"
            tar.addfile(link)
        for library in base.glob("lib/libpython*"):
            tar.add(library, f"python/lib/{library.name}")
        tar.add(
            base / "lib" / f"python{version}",
            f"python/lib/python{version}",
            filter=lambda each: None if LEFT_OUT & set(Path(each.name).parts) else each,
        )


def listed(archive: Path, release: str, url: str, digest: str | None = None) -> dict[str, object]:
    """uv's entry for an archive of release 3.11.7 that is fetched from `url`; the digest is its own by default."""
    major, minor, patch = (int(part) for part in release.split("."))
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    entry = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": url,
        "sha256": digest or hashlib.sha256(archive.read_bytes()).hexdigest(),
        "variant": None,
        "build": "20260101",
    }
    return {f"cpython-{release}-linux-{machine}-gnu": entry}


def libraries(base: Path, version: str) -> set[Path]:
    """What the interpreter and its modules are linked with here; those that uv fetches bring it with them."""
    found = set()
    for file in [base / "bin" / f"python{version}", *base.glob(f"lib/python{version}/lib-dynload/*.so")]:
        for line in subprocess.run(["ldd", file], capture_output=True, text=True).stdout.splitlines():
            path = line.partition("=> ")[2].partition(" (")[0]
            # Its own library, too: the interpreters of uv look for it beside themselves, these where they were made.
            if path.startswith("/"):
                found.add(Path(path))
    return found


def release_of(python: str) -> tuple[str, Path]:
    """(3.11.7, the folder it is installed in) of an interpreter."""
    tells = "import platform, sys; print(platform.python_version(), sys.base_prefix)"
    release, _, base = subprocess.run(
        [python, "-c", tells], capture_output=True, text=True, check=True
    ).stdout.partition(" ")
    return release, Path(base.strip())
