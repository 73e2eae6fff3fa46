"""Docker's engine, asked by its own command."""

from engine.docker import docker, require_image

__all__ = ["docker", "require_image"]
