"""Calls the command `docker`, and says in one sentence what a machine lacks for it."""

import subprocess

from cli import InfrastructureError


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`docker` with `arguments`, ended; whether it succeeded is for the caller to see.

    Raises:
        InfrastructureError: there is no such command.
    """
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, errors="replace")
    except FileNotFoundError:
        raise InfrastructureError(
            "The command `docker` is not installed; install it, or use --executor local."
        ) from None


def require_image(image: str) -> None:
    """Looks for one of our own images, and never elsewhere: somebody else may own its name in a public registry.

    Raises:
        InfrastructureError: no engine answers, or the image is not there.
    """
    found = docker("image", "inspect", "--format", "{{.Id}}", image)
    if found.returncode and "no such image" in found.stderr.lower():
        raise InfrastructureError(
            f"The image {image} is not on this machine; build it (`./pants package infra/docker:`), pull it, or name "
            "another one in trainyard.toml ([containers] image)."
        )
    if found.returncode:
        said = (found.stderr.strip().splitlines() or ["it said nothing"])[-1].rstrip(".")
        raise InfrastructureError(f"Docker can't be used: {said}; is its engine running?")


def require_shared_users() -> None:
    """Looks whether a user in a container is the same one outside, who may write what is mounted.

    Raises:
        InfrastructureError: the engine is rootless, so it is another one.
    """
    told = docker("info", "--format", "{{json .}}").stdout.replace(" ", "")
    # Docker's words, and Podman's under Docker's name.
    if "name=rootless" in told or '"rootless":true' in told:
        raise InfrastructureError(
            "This container engine is rootless: the user of a container is another one outside, who can't write the "
            "registry. Use an engine that runs as root (`docker context use default`), or --executor local."
        )
