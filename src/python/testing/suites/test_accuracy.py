"""The candidate is good enough as it is served: images in, answers out, over the wire."""


def test_accuracy_is_over_the_gate(metrics, budget):
    assert metrics.accuracy >= budget.min_accuracy, (
        f"accuracy {metrics.accuracy:.3f} on {metrics.images} held-out images is under {budget.min_accuracy}"
    )


def test_recall_of_every_class_is_over_the_gate(metrics, budget):
    low = {label: round(m.recall, 3) for label, m in metrics.per_class.items() if m.recall < budget.min_recall}
    assert not low, f"recall under {budget.min_recall} for {low}"


def test_accuracy_is_not_behind_production(metrics, baseline_metrics, budget):
    assert not behind(metrics.accuracy, baseline_metrics.accuracy, metrics.images, budget), (
        f"accuracy {metrics.accuracy:.3f} falls behind production's {baseline_metrics.accuracy:.3f} "
        f"on the same {metrics.images} images"
    )


def test_recall_of_no_class_is_behind_production(metrics, baseline_metrics, budget):
    pairs = {label: (own, baseline_metrics.per_class[label]) for label, own in metrics.per_class.items()}
    low = {
        label: f"{own.recall:.3f} after {other.recall:.3f}"
        for label, (own, other) in pairs.items()
        if behind(own.recall, other.recall, own.support, budget)
    }
    assert not low, f"recall falls behind production's on the same images: {low}"


def behind(own, other, images, budget):
    # The rule of the training gate: one image alone never decides, being the least that so many images can show. The
    # half keeps rounding from turning one image into more than one.
    return other - own > max(budget.tolerance, 1.5 / images)
