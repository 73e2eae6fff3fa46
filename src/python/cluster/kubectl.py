"""Calls the command `kubectl` in one namespace, and says in one sentence what a machine lacks for it."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from cli import InfrastructureError
from cluster.objects import Pod

# Seconds for one question; what follows or waits has limits of its own.
_SECONDS = 60


@dataclass(frozen=True)
class Kubectl:
    """kubectl, bound to `namespace`."""

    namespace: str

    def command(self, *arguments: str) -> list[str]:
        return ["kubectl", "--namespace", self.namespace, *arguments]

    def call(self, *arguments: str, data: bytes | None = None, seconds: float = _SECONDS) -> str:
        """What `kubectl` with `arguments` prints.

        Raises:
            InfrastructureError: there is no such command, or it failed.
        """
        try:
            done = subprocess.run(
                self.command(*arguments),
                capture_output=True,
                timeout=seconds,
                check=True,
                input=data or b"",
            )
        except FileNotFoundError:
            raise InfrastructureError(
                "The command `kubectl` is not installed; install it, or use --executor local."
            ) from None
        except subprocess.TimeoutExpired:
            raise InfrastructureError(f"The cluster did not answer within {seconds:g} s; try again.") from None
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            raise InfrastructureError(f"kubectl {arguments[0]} failed: {said[-1].rstrip('.')}.") from None
        return done.stdout.decode("utf-8", "replace")

    def get(self, *arguments: str) -> Any:
        """The same of `kubectl get`, as JSON; None for an object that is not there."""
        text = self.call("get", *arguments, "--ignore-not-found", "--output", "json")
        return json.loads(text) if text.strip() else None

    def items(self, kind: str, selector: str) -> list[Pod]:
        """The objects of `kind`, pods or what is like them, with these labels."""
        return (self.get(kind, "--selector", selector) or {}).get("items", [])
