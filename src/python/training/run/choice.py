"""Which version a retraining starts from. Loads no TensorFlow, so that a missing one is said at once."""

from cli import UsageError
from contracts.record import Record
from registry import Registry


def choose_parent(registry: Registry) -> Record:
    """Production's version, or else the newest of testing that may become it.

    Raises:
        UsageError: there is neither.
    """
    stable = registry.serving().labels.get("stable")
    if stable is not None:
        return registry.record(stable)
    waiting = [record for record in registry.records() if record.state in ("candidate", "tested")]
    if not waiting:
        raise UsageError(
            f"The registry holds no version of '{registry.model}' to start from; run train first: "
            f"`./pants run src/python/training:train -- --model {registry.model}`."
        )
    return waiting[-1]
