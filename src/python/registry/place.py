"""Where a registry lies, as far as that endangers it."""

from pathlib import Path

from contracts.location import Local, parse


def warning(uri: str) -> str:
    """One sentence where a registry lies in a clone, with which it goes; nothing where it lies elsewhere."""
    place = parse(uri, "registry")
    if not isinstance(place, Local):
        return ""
    folder = Path(place.path).absolute()
    clone = next((one for one in folder.parents if (one / ".git").exists()), None)
    if clone is None:
        return ""
    return (
        f"The registry is {folder}, inside this clone: `git clean -fdx` deletes it, and with it what is in production. "
        "To keep it elsewhere, move it, and name its folder or bucket: [registry] uri in trainyard.toml, or --registry."
    )
