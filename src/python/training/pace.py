"""How far a run is, and how fast it learns there.

A run short of time goes through its learning rates faster. How many epochs it plans is decided once an epoch and saved,
so that the same run can be made again on a slower machine: nothing else about it depends on a clock.
"""

import math
from collections.abc import Sequence

from training.state import Epoch

_WARMUP_EPOCHS = 2
_TRUSTED = 2  # epochs before their time says anything: the first also builds the graph


def progress(planned: Sequence[int], part: float) -> float:
    """0 to 1 over the whole run. `planned` are its lengths in epochs as seen at the start of each epoch so far, the
    last being under way; `part` of that is done, 0 to 1."""
    done = 0.0
    for epoch, length in enumerate(planned):
        share = part if epoch == len(planned) - 1 else 1.0
        done += share * (1 - done) / max(length - epoch, 1)
    return min(done, 1.0)


def learning_rate(peak: float, progress: float, epochs_done: float) -> float:
    """A linear start, then half a cosine down to zero."""
    warmup = min(1.0, (epochs_done + 0.05) / _WARMUP_EPOCHS)
    return peak * warmup * 0.5 * (1 + math.cos(math.pi * progress))


def plan(epochs: int, limit: float, history: Sequence[Epoch], seconds: float) -> int:
    """How many epochs the whole run should have: `epochs`, or as many as fit into `limit` seconds, of which `seconds`
    are over."""
    done = len(history)
    if seconds >= limit:
        return done
    if done < _TRUSTED or math.isinf(limit):
        return epochs
    each = (seconds - history[0].seconds) / (done - 1)
    return min(epochs, done + int((limit - seconds) / max(each, 1e-6)))
