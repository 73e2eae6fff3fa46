from tests.unit.adapter.conftest import model_server, rest, served, stub  # noqa: F401
