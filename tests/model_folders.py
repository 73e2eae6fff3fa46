"""Folders of models, for commands that start by looking for one."""

from pathlib import Path

DESCRIBED = 'task = "one label"\nfamily = "residual"\n'


def describe_model(folder: Path, name: str = "chest-xray", **files: str) -> Path:
    """Describes model `name` below `folder`, and returns its folder; `files` are its other files' texts.

    A file's name is written with __ for / and _ for the dot before its ending: limits_toml, tests__test_it_py.
    """
    model = folder / "models" / name.replace("-", "_")
    for key, text in {"model_toml": DESCRIBED, **files}.items():
        stem, _, ending = key.replace("__", "/").rpartition("_")
        file = model / f"{stem}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return model
