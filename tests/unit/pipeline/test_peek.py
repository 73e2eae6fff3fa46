"""The build graph is read by Pants again whenever something has changed that it is made of, and only then."""

import pytest

from cli import InfrastructureError, UsageError
from pipeline import pants, peek
from tests.small_repository import Yard


@pytest.fixture
def yard(tmp_path):
    yard = Yard(tmp_path)
    # As Pants leaves it, and Git is told to ignore it.
    (yard.root / ".pants.d").mkdir()
    (yard.root / ".gitignore").write_text(".trainyard/\n.pants.d/\n")
    for path, text in FILES.items():
        (yard.root / path).parent.mkdir(parents=True, exist_ok=True)
        (yard.root / path).write_text(text)
    yard.commit()
    return yard


CODE = '''"""A module."""

import os
from training import (
    loop,
)


def value():
    import json

    return 1
'''
FILES = {
    "src/code.py": CODE,
    "src/__init__.py": "",
    "src/BUILD": "python_sources()\n",
    "docs/page.md": "A page.\n",
    "3rdparty/python/ml.txt": "numpy\n",
    "models/chest_xray/card.md": "A card.\n",
}
# What is done to a file -> whether Pants has to be asked.
CASES = {
    "what a function does": ("src/code.py", CODE.replace("return 1", "return 2"), False),
    "a comment": ("src/code.py", CODE + "# A comment.\n", False),
    "an import": ("src/code.py", CODE.replace("import os", "import sys"), True),
    "an import inside": ("src/code.py", CODE.replace("import json", "import csv"), True),
    "one of several imported names": ("src/code.py", CODE.replace("    loop,", "    step,"), True),
    "an import by a string": ("src/code.py", CODE + '__import__("registry")\n', True),
    "a word to Pants": ("src/code.py", CODE.replace("import os", "import os  # pants: no-infer-dep"), True),
    "code that can't be read": ("src/code.py", CODE + "def :\n", True),
    "an __init__ that is empty no more": ("src/__init__.py", "x = 1\n", True),
    "a BUILD file": ("src/BUILD", "python_sources(tags=['x'])\n", True),
    "a requirement": ("3rdparty/python/ml.txt", "numpy\nscipy\n", True),
    "the settings of Pants": ("pants.toml", "[GLOBAL]\n", True),
    "a page": ("docs/page.md", "Edited.\n", False),
    "a model's card": ("models/chest_xray/card.md", "Edited.\n", False),
    "what a model is made from": (
        "models/chest_xray/model.toml",
        'task = "one label"\nfamily = "applications"\n',
        False,
    ),
    "a new module": ("src/more.py", "", True),
    "a new page": ("docs/more.md", "", True),
    "a module that is gone": ("src/code.py", None, True),
}


@pytest.mark.parametrize("committed", [False, True], ids=["edited", "committed"])
@pytest.mark.parametrize("case", CASES)
def test_pants_is_asked_when_the_graph_may_be_another(yard, monkeypatch, case, committed):
    monkeypatch.setenv("SCENE", str(yard.scene))
    path, text, asked = CASES[case]
    before = peek.read(yard.root)
    assert set(before.targets) == {f"models/chest-xray:{pipeline}" for pipeline in ("train", "retrain", "test")}
    if text is None:
        (yard.root / path).unlink()
    else:
        (yard.root / path).write_text(text)
    if committed:
        yard.commit()
    again = peek.read(yard.root)
    assert again.targets == before.targets
    assert yard.peeked() == (2 if asked else 1)


def test_variable_of_pants_is_part_of_the_graph(yard, monkeypatch):
    monkeypatch.setenv("SCENE", str(yard.scene))
    peek.read(yard.root)
    monkeypatch.setenv("PANTS_CONFIG_FILES", "other.toml")
    peek.read(yard.root)
    assert yard.peeked() == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1}', '{"format": 0}'])
def test_damaged_memory_is_asked_again(yard, monkeypatch, damage):
    monkeypatch.setenv("SCENE", str(yard.scene))
    peek.read(yard.root)
    (yard.root / ".pants.d/trainyard/graph.json").write_text(damage)
    peek.read(yard.root)
    assert yard.peeked() == 2


DENIED = """23:01:02.00 [ERROR] 1 Exception encountered:

Engine traceback:
  in `peek` goal

DependencyRuleActionDeniedError: src/python/registry/clock.py:lib has 1 dependency violation:

  * src/python/BUILD[!//src/python/training/**] -> src/python/BUILD[*] : DENY
    python_sources src/python/registry/clock.py:lib -> python_sources src/python/training/loop.py:lib
"""


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (
            DENIED,
            UsageError,
            "src/python/registry/clock.py imports src/python/training/loop.py, against the layers in src/python/BUILD; "
            "remove the import, or move what it needs to a lower layer.",
        ),
        ("[ERROR] x\n\nMappingError: BUILD:1: SyntaxError\n", UsageError, "MappingError: BUILD:1: SyntaxError."),
        ("UnownedDependencyError: src/a.py imports b\n", UsageError, "UnownedDependencyError: src/a.py imports b."),
        ("OSError: No space left on device\n", InfrastructureError, "OSError: No space left on device."),
        ("Killed\n", InfrastructureError, "Killed."),
        ("", InfrastructureError, "it said nothing."),
    ],
)
def test_tree_that_pants_does_not_take_is_a_mistake_and_all_else_may_pass(tmp_path, said, kind, told):
    error = pants.failure(tmp_path, said)
    assert type(error) is kind
    assert str(error).endswith(told)


def test_checkout_without_a_launcher_is_told(tmp_path):
    with pytest.raises(InfrastructureError, match=r"pants can't be started: No such file"):
        pants.run_pants(tmp_path, "peek", "::")
