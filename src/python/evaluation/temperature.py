"""Temperature scaling: one number that makes a network's probabilities as sure as it is right.

Logits are divided by it before they become probabilities (Guo, Pleiss, Sun and Weinberger, ICML 2017). It changes no
answer.
"""

import numpy as np

NONE = 1.0
# Fewer images say too little about so fine a thing.
MIN_IMAGES = 50
# It only ever softens: what sharpens answers to X-rays sharpens those to pictures that are none as well, and the
# network was taught not to be sure of them (docs/decisions/0007).
_BOUNDS = (NONE, 5.0)
_PARTS = 5
# Held-out images must get likelier answers by so much (nats an image), or the network is left as it is.
_LEAST_GAIN = 0.002


def fitted(logits: np.ndarray, truth: np.ndarray, seed: int = 0) -> float:
    """The temperature for logits float [N, C] of images that the network did not learn from; `truth` is int [N].

    It is NONE unless it helps on images that it was not fitted on, each fifth in turn.
    """
    if len(truth) < MIN_IMAGES:
        return NONE
    part = np.random.default_rng(seed).permutation(len(truth)) % _PARTS
    gain = np.zeros(len(truth))
    for number in range(_PARTS):
        others, own = part != number, part == number
        best = _best(logits[others], truth[others])
        gain[own] = _surprise(logits[own], truth[own], NONE) - _surprise(logits[own], truth[own], best)
    return _best(logits, truth) if gain.mean() > _LEAST_GAIN else NONE


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """What probabilities float [N, C] become when the logits behind them are divided by `temperature`."""
    if temperature == NONE:
        return probabilities
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(probabilities.dtype)


def _best(logits: np.ndarray, truth: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    # Platt's targets: so many images can't show more certainty than this, even when none of them is answered wrong.
    sure = (len(truth) + 1) / (len(truth) + 2)
    found = minimize_scalar(
        lambda log: _surprise(logits, truth, float(np.exp(log)), sure).mean(),
        bounds=tuple(np.log(_BOUNDS)),
        method="bounded",
    )
    return float(np.exp(found.x))


def _surprise(logits: np.ndarray, truth: np.ndarray, temperature: float, sure: float = 1.0) -> np.ndarray:
    """Cross entropy of each image, in nats, against a target that gives `sure` to the true class; float [N]."""
    scaled = logits.astype(np.float64) / temperature
    log_probabilities = scaled - scaled.max(axis=1, keepdims=True)
    log_probabilities -= np.log(np.exp(log_probabilities).sum(axis=1, keepdims=True))
    classes = logits.shape[1]
    targets = np.full(logits.shape, (1 - sure) / max(classes - 1, 1))
    targets[np.arange(len(truth)), truth] = sure
    return -(targets * log_probabilities).sum(axis=1)
