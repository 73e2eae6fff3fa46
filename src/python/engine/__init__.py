"""Docker's engine, asked by its own command."""

from engine.docker import docker, require_image, require_shared_users

__all__ = ["docker", "require_image", "require_shared_users"]
