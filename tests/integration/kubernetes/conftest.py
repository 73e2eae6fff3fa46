import sys

import pytest

from tests.integration.kubernetes.fake_cluster import FakeCluster
from tests.manifests import require_kubectl

# Runs the source that comes with the arguments a step's container is given: {"program": …} among the variables.
_PROGRAM = "import os; exec(os.environ['TRAINYARD_TEST_PROGRAM'])"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A fake cluster that the real kubectl reaches; each container runs the Python text that `says` was given."""
    require_kubectl()
    fake = FakeCluster(tmp_path, [sys.executable, "-c", _PROGRAM])
    monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig))
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "kubecache"))
    yield fake
    fake.close()


@pytest.fixture
def says(monkeypatch):
    """says(text): what the containers of this test run."""
    return lambda text: monkeypatch.setenv("TRAINYARD_TEST_PROGRAM", text)
