"""An import that the build refuses is told as a sentence about a file."""
# ruff: noqa: E501

from pipeline.layers import sentences

DENIED = """\
00:07:09.82 [ERROR] 1 Exception encountered:

Engine traceback:
  in `dependencies` goal

DependencyRuleActionDeniedError: src/python/contracts/record.py:lib@resolve=ml has 2 dependency violations:

  * src/python/BUILD[!//src/python/registry/**] -> src/python/BUILD[*] : DENY
    python_sources src/python/contracts/record.py:lib@resolve=ml -> python_sources src/python/registry/names.py:lib@resolve=ml
  * src/python/BUILD[!//3rdparty/python/ml#tensorflow] -> src/python/BUILD[*] : DENY
    python_sources src/python/contracts/record.py:lib@resolve=ml -> python_requirement 3rdparty/python:ml#tensorflow
"""
UNOWNED = """\
UnownedDependencyError: Pants cannot infer owners for the following imports in the target src/python/cli/home.py:lib@resolve=adapter:

  * registry.Registry (line: 7)

These imports are not in the resolve used by the target (`adapter`), but they were present in other resolves:

  * registry.Registry: 'ml' from src/python/registry/__init__.py:lib@resolve=ml
"""
UNOWNED_BESIDE = """\
UnownedDependencyError: Pants cannot infer owners for the following imports in the target models/leaves/network.py:../networks:

  * blocks.stage (line: 3)

If you do not expect an import to be inferrable, add `# pants: no-infer-dep` to the import line. Otherwise, see
"""


def test_import_against_the_layers_names_both_files() -> None:
    first, second = sentences(DENIED)
    assert first.startswith("src/python/contracts/record.py imports src/python/registry/names.py, against the layers")
    assert "record.py imports 3rdparty/python:ml#tensorflow, against" in second


def test_import_of_what_a_resolve_lacks_names_the_line() -> None:
    (told,) = sentences(UNOWNED)
    assert told.startswith("src/python/cli/home.py (line 7) imports registry.Registry, which the resolve 'adapter'")
    assert told.endswith("; a package of PyPI is added to 3rdparty/python/adapter.txt.")


def test_import_of_what_stands_beside_a_network_says_how_it_is_written() -> None:
    (told,) = sentences(UNOWNED_BESIDE)
    assert told == (
        "models/leaves/network.py (line 3) imports blocks.stage, which nothing provides; what stands beside it is imported by "
        "`from . import blocks`, and a package of PyPI is added to 3rdparty/python/ml.txt."
    )
    (told,) = sentences(UNOWNED_BESIDE.replace("/network.py", "/tests/test_it.py"))
    assert "what tests share are fixtures of a conftest.py beside them" in told


def test_other_failures_are_not_taken_for_imports() -> None:
    assert sentences("MappingError: Failed to parse ./src/python/BUILD:\nNameError: name 'x' is not defined") == []
    # A warning is no refusal.
    assert sentences("[WARN] Dependency rule violation for a.py:lib's dependency on b.py:lib") == []
