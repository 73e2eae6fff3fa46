"""A repository's settings and models, small enough to be trained in a test, in a folder of its own."""

from pathlib import Path

SMALL = """\
task = "one label"
family = "residual"
[input]
size = 32
[network]
width = 8
stages = 1
[schedule]
batch = 16
"""
# Learns nothing, and so misses any gate.
WEAK = """\
task = "one label"
family = "residual"
[input]
size = 16
[network]
width = 4
stages = 1
landmarks = 0
[schedule]
learning_rate = 0.0
"""


def write_yard(folder: Path, **models: str) -> Path:
    """Beside `chest_xray`, `models` are names of folders and what their model.toml says."""
    (folder / "trainyard.toml").write_text('[model]\nname = "chest-xray"\n')
    for name, text in {"chest_xray": SMALL, **models}.items():
        write_model(folder, name, text)
    return folder


def write_model(yard: Path, name: str, text: str, network: str | None = None) -> Path:
    folder = yard / "models" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(text)
    if network is not None:
        (folder / "network.py").write_text(network)
    return folder
