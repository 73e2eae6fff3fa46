import numpy as np
import pytest

from evaluation import fitted, judge, scaled


def answers(images: int, sharpness: float, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and truth drawn by the very probabilities of logits / `sharpness`: that is the right temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (images, classes))
    powers = np.exp(logits)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    truth = np.array([random.choice(classes, p=row) for row in probabilities])
    return logits * sharpness, truth


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("sharpness", [1.5, 2.0, 3.5])
def test_too_much_confidence_is_undone(sharpness):
    logits, truth = answers(3000, sharpness)
    assert fitted(logits, truth) == pytest.approx(sharpness, rel=0.15)


@pytest.mark.parametrize("sharpness", [2.0, 3.0])
def test_it_helps_on_images_it_was_not_fitted_on(sharpness):
    temperature = fitted(*answers(400, sharpness))
    logits, truth = answers(4000, sharpness, seed=1)
    plain = softmax(logits)
    before, after = (judge(p, truth, "abc").calibration_error for p in (plain, scaled(plain, temperature)))
    assert after < before / 2


@pytest.mark.parametrize("sharpness", [0.3, 0.5, 0.9])
def test_modest_network_stays_modest(sharpness):
    """Or pictures of something else would get certain answers too."""
    assert fitted(*answers(4000, sharpness)) == 1.0


def test_honest_network_and_few_images_are_left_alone():
    assert fitted(*answers(4000, 1.0)) == 1.0
    assert fitted(*answers(49, 3.0)) == 1.0


def test_faultless_validation_does_not_make_it_certain():
    truth = np.arange(60) % 3
    temperature = fitted(np.eye(3)[truth] * 4.0, truth)
    assert softmax(np.eye(3)[truth] * 4.0 / temperature).max() < 0.99


def test_scaling_changes_no_answer_and_agrees_with_scaled_logits():
    logits, _ = answers(200, 2.0)
    plain = softmax(logits).astype(np.float32)
    for temperature in (0.3, 1.0, 4.0):
        changed = scaled(plain, temperature)
        assert changed.dtype == np.float32
        assert (changed.argmax(axis=1) == plain.argmax(axis=1)).all()
        assert np.allclose(changed, softmax(logits / temperature), atol=1e-4)
