"""Where something runs: the names that every command's --executor takes."""

from enum import StrEnum

from cli.errors import UsageError


class Executor(StrEnum):
    # Processes of this machine.
    LOCAL = "local"
    # Containers of this machine.
    DOCKER = "docker"
    # Jobs and pods of a cluster.
    KUBERNETES = "kubernetes"

    @classmethod
    def named(cls, name: str) -> "Executor":
        """
        Raises:
            UsageError: there is none of this name.
        """
        try:
            return cls(name)
        except ValueError:
            *others, last = (f"`{known}`" for known in cls)
            raise UsageError(f"Executor {name!r} is not known; use {', '.join(others)} or {last}.") from None
