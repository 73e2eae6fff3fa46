"""The candidate is good enough as it is served: images in, answers out, over the wire."""


def test_accuracy_is_over_the_gate(metrics, budget):
    assert metrics.accuracy >= budget.min_accuracy, (
        f"accuracy {metrics.accuracy:.3f} on {metrics.images} held-out images is under {budget.min_accuracy}"
    )


def test_recall_of_every_class_is_over_the_gate(metrics, budget):
    low = {label: round(m.recall, 3) for label, m in metrics.per_class.items() if m.recall < budget.min_recall}
    assert not low, f"recall under {budget.min_recall} for {low}"


def test_not_worse_than_production(metrics, baseline_metrics, budget):
    assert metrics.accuracy >= baseline_metrics.accuracy - budget.tolerance, (
        f"accuracy {metrics.accuracy:.3f} falls behind production's {baseline_metrics.accuracy:.3f} "
        f"on the same {metrics.images} images"
    )
