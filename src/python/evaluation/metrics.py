"""Accuracy, per-class figures and the confusion matrix, by scikit-learn."""

from collections.abc import Sequence

from contracts.record import ClassMetrics, Metrics


def measure(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Metrics:
    """Compares predicted with true classes, both of shape [N], over the classes `labels` in this order.

    A class that is never predicted has precision 0, one with no images recall 0.
    """
    # Imported here: scikit-learn takes a second to load, and a command's --help must not wait for it.
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    order = list(labels)
    precision, recall, f1, support = precision_recall_fscore_support(true, predicted, labels=order, zero_division=0)
    per_class = {
        label: ClassMetrics(
            precision=float(precision[i]), recall=float(recall[i]), f1=float(f1[i]), support=int(support[i])
        )
        for i, label in enumerate(order)
    }
    return Metrics(
        accuracy=float(accuracy_score(true, predicted)),
        images=len(true),
        per_class=per_class,
        confusion=confusion_matrix(true, predicted, labels=order).tolist(),
    )
