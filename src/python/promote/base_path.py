"""Where models.config sends servers: into this registry, or to where it lay before it was copied or moved."""

import os

from promote.choice import Where, promote_call
from registry import Registry, ServingState


def moved(registry: Registry, serving: ServingState, where: Where = ()) -> str | None:
    """A sentence where the configuration names another place than this registry; None where all is well.

    It holds a call, in which the flags `where` name the registry.
    """
    here = registry.store.uri("production")
    if not serving.versions or not serving.base_path:
        return None
    if here.startswith("gs://") and serving.base_path == here:
        return (
            f"{registry.models_config()} was written by an earlier Trainyard, whose folder without a slash at its end "
            f"TensorFlow Serving may not read; `{promote_call(f'run --version {serving.stable}', where)}` mends it."
        )
    if _same(serving.base_path, here):
        return None
    return (
        f"{registry.models_config()} sends servers to {serving.base_path}, as this registry was copied or moved; "
        f"`{promote_call(f'run --version {serving.stable}', where)}` sends them to {here}."
    )


def mend(registry: Registry) -> str | None:
    """Rewrites a configuration that names another place, and returns a sentence about it.

    Raises:
        Conflict: somebody else changed the configuration meanwhile.
    """
    serving = registry.serving()
    if moved(registry, serving) is None:
        return None
    written = registry.write_serving(serving)
    if _same(serving.base_path, written.base_path.rstrip("/")):
        return f"{registry.models_config()} names {written.base_path} now, with the slash that it lacked."
    return (
        f"{registry.models_config()} sent servers to {serving.base_path}; this registry was copied or moved, and they "
        f"are sent to {registry.store.uri('production')} now."
    )


def _same(one: str, other: str) -> bool:
    if one.rstrip("/") == other:
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
