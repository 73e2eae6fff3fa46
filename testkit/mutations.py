"""What might happen to the files of a model between its publication and a server, drawn from a seed."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

Mutation = Callable[[random.Random, Path], str]


def flip(draw: random.Random, folder: Path) -> str:
    """One bit."""
    path = draw.choice(_files(folder))
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    return _name(path, folder)


def truncate(draw: random.Random, folder: Path) -> str:
    path = draw.choice(_files(folder))
    os.truncate(path, draw.randrange(path.stat().st_size))
    return _name(path, folder)


def append(draw: random.Random, folder: Path) -> str:
    path = draw.choice(_files(folder))
    with path.open("ab") as file:
        file.write(draw.randbytes(draw.randint(1, 64)))
    return _name(path, folder)


def add(draw: random.Random, folder: Path) -> str:
    """A file more, anywhere, of any name, and possibly empty."""
    names = ["model.h5", "assets/code.py", "variables/variables.data-00001-of-00002", ".hidden", "a b", "été", "x\ny"]
    path = folder / f"{draw.choice(['', 'deep/er/'])}{draw.choice(names)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw.randbytes(draw.choice([0, 0, 1, 100])))
    return _name(path, folder)


def delete(draw: random.Random, folder: Path) -> str:
    path = draw.choice(_files(folder))
    path.unlink()
    return _name(path, folder)


def rename(draw: random.Random, folder: Path) -> str:
    path = draw.choice(_files(folder))
    path.rename(path.with_name(path.name + draw.choice([".bak", "~", " ", "1"])))
    return _name(path, folder)


def exchange(draw: random.Random, folder: Path) -> str:
    """Two files, each whole, in each other's place."""
    one, other = draw.sample(_files(folder), 2)
    aside = folder.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    return _name(one, folder)


def link(draw: random.Random, folder: Path) -> str:
    """A link in the place of a file, to the very same content."""
    path, outside = draw.choice(_files(folder)), folder.parent / "outside"
    shutil.copyfile(path, outside)
    path.unlink()
    path.symlink_to(outside if draw.random() < 0.5 else os.path.relpath(outside, path.parent))
    return _name(path, folder)


def link_folder(draw: random.Random, folder: Path) -> str:
    """A link in the place of a folder, to the very same files."""
    path, outside = folder / draw.choice(["variables", "assets.extra"]), folder.parent / "outside-folder"
    shutil.rmtree(outside, ignore_errors=True)
    path.rename(outside)
    path.symlink_to(outside, target_is_directory=True)
    return _name(path, folder)


def pipe(draw: random.Random, folder: Path) -> str:
    """What would hold whoever opens it for ever."""
    path = draw.choice(_files(folder))
    path.unlink()
    os.mkfifo(path)
    return _name(path, folder)


def collide(draw: random.Random, folder: Path) -> str:
    """A name that differs by case alone: a second file, or the first one renamed."""
    path = draw.choice(_files(folder))
    other = path.with_name(draw.choice([path.name.upper(), path.name.capitalize()]))
    if draw.random() < 0.5:
        shutil.copyfile(path, other)
        return _name(other, folder)
    path.rename(other)
    return _name(path, folder)


KINDS: dict[str, Mutation] = {
    one.__name__: one
    for one in (flip, truncate, append, add, delete, rename, exchange, link, link_folder, pipe, collide)
}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _name(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder))
