"""The candidate is good enough as it is served: images in, answers out, over the wire."""


def test_accuracy_is_over_the_gate(metrics, budget):
    assert metrics.accuracy >= budget.min_accuracy, (
        f"accuracy {metrics.accuracy:.3f} on {metrics.images} held-out images is under {budget.told('min_accuracy')}"
    )


def test_recall_of_every_class_is_over_the_gate(metrics, budget):
    low = {label: round(m.recall, 3) for label, m in metrics.per_class.items() if m.recall < budget.min_recall}
    assert not low, f"recall under {budget.told('min_recall')} for {low}"


def test_accuracy_is_not_behind_production(comparison):
    fallen = [one.sentence() for one in comparison if one.label is None and one.outcome == "behind"]
    assert not fallen, fallen[0]


def test_recall_of_no_class_is_behind_production(comparison):
    fallen = [one.sentence() for one in comparison if one.label is not None and one.outcome == "behind"]
    assert not fallen, "; ".join(fallen)
