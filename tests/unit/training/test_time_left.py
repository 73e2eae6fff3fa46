from training.loop import Epoch
from training.run.search import _seconds_left


def epoch(number: int, seconds: float) -> Epoch:
    return Epoch(number=number, epochs=60, seconds=seconds, loss=1.0, validation_loss=1.0, validation_accuracy=0.5)


def test_the_time_left_is_never_more_than_the_limit_leaves():
    """The first epoch builds the graph too: sixty like it would take longer than the run may."""
    assert _seconds_left([epoch(1, 14.3)], 342) == 342 - 14.3


def test_the_time_left_follows_the_epochs_after_the_first():
    assert _seconds_left([epoch(1, 14.0), epoch(2, 16.0), epoch(3, 18.0)], 342) == 57 * 2
    assert _seconds_left([epoch(60, 400.0)], 342) == 0
