"""What a model's network may import: the files of its own folder, and no other model's."""

import sys

import pytest

from training.networks import own
from training.networks.own import BadNetwork

BUILD = "def build(parameters, image, classes):\n    return SIZE\n"


def written(folder, **files):
    """A model's folder, and its network.py."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "network.py"


def built(file):
    return own.load(file).build(None, None, 2)


@pytest.mark.parametrize(
    "line", ["from .blocks import SIZE", "from . import blocks; SIZE = blocks.SIZE", "from .parts.deep import SIZE"]
)
def test_file_beside_it_can_be_imported(tmp_path, line):
    deep = "from ..blocks import SIZE as SIZE\n"
    assert built(written(tmp_path, network=f"{line}\n{BUILD}", blocks="SIZE = 3\n", parts__deep=deep)) == 3


def test_file_that_it_imports_may_import_the_network(tmp_path):
    late = "def size():\n    from .network import SMALL\n    return SMALL\n"
    network = "from . import blocks\nSMALL = 5\ndef build(p, i, c):\n    return blocks.size()\n"
    assert built(written(tmp_path, network=network, blocks=late)) == 5


def test_two_models_may_call_theirs_alike_even_when_they_import_late(tmp_path):
    late = "def build(p, i, c):\n    from .blocks import SIZE\n    return SIZE\n"
    files = [written(tmp_path / name, network=late, blocks=f"SIZE = {size}\n") for name, size in (("a", 1), ("b", 2))]
    modules = [own.load(file) for file in files]
    assert [module.build(None, None, 2) for module in modules] == [1, 2]
    # Nor does anything else find them.
    assert not {"network", "blocks"} & set(sys.modules)


def test_both_are_read_anew_and_leave_nothing_beside(tmp_path):
    file = written(tmp_path, network=f"from .blocks import SIZE\n{BUILD}", blocks="SIZE = 1\n")
    assert built(file) == 1
    # Of the same size and within the same second: an old cache would be taken for it.
    written(tmp_path, blocks="SIZE = 2\n")
    assert built(file) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"network.py", "blocks.py"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "import blocks",
            "in line 2: blocks stands beside it, so write `from . import blocks`, or `from .blocks import …",
        ),
        ("from blocks import SIZE", "write `from . import blocks`"),
        ("import parts.deep", "write `from . import parts`, or `from .parts import …`"),
        ("from . import block", "in line 2: there is no block.py in {folder}"),
        ("from .block import SIZE", "in line 2: there is no block.py in {folder}"),
        ("from .parts.flat import SIZE", "there is no parts/flat.py in {folder}"),
        ("from .blocks import WIDTH", "in line 2: cannot import name 'WIDTH' from 'blocks'"),
        (
            "from ..other.blocks import SIZE",
            "a network imports files of its own folder alone; what several models share",
        ),
        ("from models.other.blocks import SIZE", "a network imports files of its own folder alone"),
        (
            "import no_such_package",
            "No module named 'no_such_package'; a package of PyPI is added to 3rdparty/python/ml",
        ),
        ("from .wrong import SIZE", "NameError in line 3 of wrong.py: name 'nobody' is not defined"),
        ("from .broken import SIZE", "SyntaxError in line 1 of broken.py: "),
        ("from .leaves import SIZE", "SystemExit in line 2 of leaves.py: 0"),
        ("import os; os._exit(0)", "SystemExit in line 2: os._exit(0)"),
    ],
)
def test_import_that_fails_says_where_and_the_way_out(tmp_path, line, told):
    written(tmp_path / "other", blocks="SIZE = 9\n")
    file = written(
        tmp_path / "mine",
        network=f"# a network\n{line}\n{BUILD}",
        blocks="SIZE = 1\n",
        parts__deep="SIZE = 1\n",
        wrong="\n\nSIZE = nobody\n",
        broken="def size(:\n",
        leaves="import sys\nsys.exit(0)\n",
    )
    before = set(sys.modules)
    with pytest.raises(BadNetwork) as error:
        own.load(file)
    assert told.format(folder=file.parent) in str(error.value)
    assert "_model_" not in str(error.value)
    # What was half loaded is gone.
    assert {name for name in set(sys.modules) - before if name.startswith("_model_")} == set()


def test_import_within_build_is_told_too(tmp_path):
    network = "def build(p, i, c):\n    from .block import SIZE\n    return SIZE\n"
    module = own.load(file := written(tmp_path, network=network))
    with pytest.raises(ImportError) as error:
        module.build(None, None, 2)
    assert own.described(error.value, file) == f"ModuleNotFoundError in line 2: there is no block.py in {tmp_path}"
