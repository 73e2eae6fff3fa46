from tests.unit.adapter.conftest import model_server, rest, served, standing, stub  # noqa: F401
