"""The command train, in a process that may be told to end itself at some point.

TRAINYARD_TEST_END is SIGNAL:epoch:N (after epoch N), SIGNAL:step:N (before step N) or SIGNAL:publish (before the files
of the model appear); the signal is real.
"""

import os
import signal
import sys

from training.commands.tensorflow import prepare_tensorflow

prepare_tensorflow()

from cli import run  # noqa: E402
from training import loop, train  # noqa: E402
from training.run import search  # noqa: E402


def end_at(point: str) -> None:
    name, where, *number = point.split(":")

    def end() -> None:
        os.kill(os.getpid(), getattr(signal, name))

    if where == "publish":
        from registry import Registry

        Registry.publish = lambda *arguments: end()  # type: ignore[method-assign, assignment]
        return
    if where == "epoch":
        inner = search.Search._fit

        def fit(own, *arguments, **others):
            watch = own.watch

            def watched(trial: int, epoch: loop.Epoch, seconds_left: float) -> None:
                watch(trial, epoch, seconds_left)
                # The state of this epoch is saved after it was shown: the one before is what is left.
                if epoch.number == int(number[0]):
                    end()

            own.watch = watched
            return inner(own, *arguments, **others)

        search.Search._fit = fit
        return
    schedule = loop.learning_rate

    def rate(peak: float, progress: float, epochs_done: float) -> float:
        rate.calls += 1
        if rate.calls == int(number[0]):
            end()
        return schedule(peak, progress, epochs_done)

    rate.calls = 0
    loop.learning_rate = rate


if __name__ == "__main__":
    if point := os.environ.get("TRAINYARD_TEST_END"):
        end_at(point)
    sys.argv[0] = "train"
    run(train.app)
