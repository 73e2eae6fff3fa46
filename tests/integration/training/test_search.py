import pytest

from contracts.changes import Changes
from contracts.record import EpochMetrics, Trial
from imaging import ImageInput
from registry import Registry
from tests.integration.training.conftest import MODEL
from training.family import Family
from training.parameters import first_trials
from training.run.search import hopeless
from training.run.suggestions import Suggestions
from training.state import Epoch

RESIDUAL = Family.named("residual")
(FIRST, *_) = first_trials(RESIDUAL, {"width": 16, "stages": 3}, ImageInput(64), Changes(), {"batch": 16})


def history(*losses: float, epochs: int = 12) -> list[Epoch]:
    return [Epoch(number, epochs, 1.0, loss, 0.5, 1.0) for number, loss in enumerate(losses, start=1)]


def finished(*losses: float) -> Trial:
    curve = [EpochMetrics(loss=1.0, validation_loss=loss, validation_accuracy=0.5) for loss in losses]
    return Trial(number=1, parameters={}, ended="epochs", seconds=1.0, history=curve)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0, 0.95, 0.93, 0.93, 0.92], True),
        ([1.0, 0.95, 0.93, 0.93, 0.53], False),  # a little worse is no reason
        ([1.0, 0.95, 0.93, 0.93], False),  # too early to tell
    ],
)
def test_trial_far_behind_the_others_is_hopeless(losses, expected):
    others = [finished(1.0, 0.8, 0.7, 0.6, 0.5, 0.1), finished(1.0, 0.9, 0.8, 0.6, 0.5)]
    assert hopeless(history(*losses), others) is expected


def test_nothing_is_hopeless_before_another_trial_is_over():
    assert not hopeless(history(9, 9, 9, 9, 9, 9, 9, 9), [])


def test_same_scores_lead_to_the_same_suggestions(tmp_path):
    def suggested(folder) -> list:
        suggestions = Suggestions(FIRST, RESIDUAL.space(FIRST.network, FIRST.input), [], 3, folder)
        found = []
        # Four at random, and one by what came of them; each more takes seconds.
        for _ in range(5):
            found.append(suggestions.next())
            suggestions.report(1 - abs(found[-1].schedule.learning_rate - 1e-3))
        return found

    first = suggested(tmp_path / "one")
    assert first == suggested(tmp_path / "two")
    assert len({str(one) for one in first}) == 5
    assert len({one.network["width"] for one in first}) > 1
    assert {one.input.size for one in first} <= {48, 64, 80}


def test_network_of_a_parent_is_not_searched(tmp_path):
    suggestion = Suggestions(FIRST, {}, [], 0, tmp_path).next()
    assert (suggestion.network, suggestion.input) == (FIRST.network, FIRST.input)


def test_values_without_effect_are_not_searched(tmp_path):
    suggestions = Suggestions(FIRST, {}, ["dropout", "augmentation"], 0, tmp_path)
    for _ in range(5):
        suggestion = suggestions.next()
        suggestions.report(0.5)
        assert suggestion.schedule.dropout == FIRST.schedule.dropout
        assert suggestion.schedule.augmentation == FIRST.schedule.augmentation
        assert suggestion.schedule.learning_rate != FIRST.schedule.learning_rate


def test_small_pictures_are_not_searched_at_other_sizes():
    trials = first_trials(RESIDUAL, {}, ImageInput(32), Changes(), {})
    assert {trial.input.size for trial in trials} == {32}
    assert RESIDUAL.space({}, ImageInput(32))["size"] == [32]
    assert [trial.input.size for trial in first_trials(RESIDUAL, {}, ImageInput(128), Changes(), {})] == [128, 160, 160]


def test_tuning_tries_more_though_the_first_is_good_enough(sample, tmp_path):
    from training.train import train

    train(
        dataset=str(sample),
        registry=str(tmp_path),
        epochs=1,
        min_accuracy=0,
        min_recall=0,
        tune=True,
        max_trials=3,
    )
    record = Registry.open(str(tmp_path), MODEL).record(1)
    assert [trial.number for trial in record.trials] == [1, 2, 3]
    (chosen,) = [trial for trial in record.trials if trial.chosen]
    assert chosen.parameters == record.parameters
    assert chosen.validation == record.metrics.validation

    def score(trial: Trial) -> float:
        return sum(own.recall for own in trial.validation.per_class.values())

    assert score(chosen) == max(score(trial) for trial in record.trials)
