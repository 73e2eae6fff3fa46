"""One copy of this repository for all tests of a process that ask its build graph: Pants starts once for them."""

from collections.abc import Iterator

import pytest

from tests.repository import Repository


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Who uses it calls its `begin` first."""
    made = Repository(tmp_path_factory.mktemp("copy") / "repository")
    yield made
    made.close()
