"""Which models a registry holds versions of."""

from contracts import location
from contracts.location import InBucket
from registry.errors import BadName, UsageError
from registry.names import check_model
from registry.registry import Registry


def models_in(uri: str) -> list[str]:
    """Their names, sorted; none for a registry that is not there yet.

    Raises:
        UsageError: it is no place for a registry.
        InfrastructureError: it can't be looked at.
    """
    place = location.parse(uri, "registry")
    if isinstance(place, InBucket):
        from registry.bucket import BucketStore

        found = BucketStore.folders(place)
    else:
        found = sorted(path.name for path in place.path.iterdir() if path.is_dir()) if place.path.is_dir() else []
    return [name for name in found if _is_model(name) and Registry.open(uri, name).store.list("records")]


def choose(uri: str, named: str | None, usual: str) -> str:
    """The model that a call means: the one it names, or the usual one, or the only one there is.

    Raises:
        UsageError: the registry holds no version of the one that is named, and the sentence lists those it does.
    """
    wanted = named or usual
    if Registry.open(uri, wanted).store.list("records"):
        return wanted
    there = models_in(uri)
    if named is None and len(there) <= 1:
        return there[0] if there else usual
    listed = f"it holds {', '.join(there)}" if there else "it holds no model at all"
    raise UsageError(f"The registry {uri} holds no version of a model '{wanted}'; {listed}.")


def _is_model(name: str) -> bool:
    try:
        check_model(name)
    except BadName:
        return False
    return True
