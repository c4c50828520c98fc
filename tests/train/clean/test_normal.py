"""Statistics of clean strip, on features that are drawn with known ones."""

from __future__ import annotations

import numpy as np
import pytest

from stripwatch_train.clean import normal
from stripwatch_train.clean.normal import Moments, Scales

FEATURES, H, W = 3, 16, 12
MIX = np.array([[2.0, 0, 0], [1.5, 0.5, 0], [0.3, -0.2, 0.1]])


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames of correlated features about a mean of each column: [n, features, h, w], [f, w]."""
    random = np.random.default_rng(seed)
    columns = random.normal(0, 5, (FEATURES, W))
    noise = np.einsum("ij,njhw->nihw", MIX, random.normal(0, 1, (count, FEATURES, H, W)))
    return (noise + columns[None, :, None, :]).astype(np.float32), columns


def whitened(found: normal.Normal, frames: np.ndarray) -> np.ndarray:
    rest = np.einsum("ij,njhw->nihw", found.weights, frames)
    return np.asarray(rest - found.columns[:, None, :] - found.lines[:, :, None])


def learned(frames: np.ndarray) -> normal.Normal:
    moments = Moments(FEATURES, (H, W))
    for frame in frames:
        moments.add(frame)
    return moments.normal()


def test_clean_features_become_independent_with_variance_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of new frames, so that nothing is learned by heart."""
    monkeypatch.setattr(normal, "SHRINK", 0.0)
    frames, _ = drawn(400)
    rest = whitened(learned(frames[:200]), frames[200:])
    flat = rest.transpose(1, 0, 2, 3).reshape(FEATURES, -1)
    assert np.abs(flat.mean(axis=1)).max() < 0.2
    assert np.abs(np.cov(flat) - np.eye(FEATURES)).max() < 0.1


def test_the_covariance_is_that_about_the_means_which_are_used() -> None:
    """With few frames a column's mean is drawn to that of the strip, and the rest is larger."""
    frames, _ = drawn(3)
    moments = Moments(FEATURES, (H, W))
    for frame in frames:
        moments.add(frame)
    found = moments.normal()
    rest = whitened(found, frames.astype(np.float64))
    flat = rest.transpose(1, 0, 2, 3).reshape(FEATURES, -1)
    # The identity's share makes unused directions wider, never narrower.
    values = np.linalg.eigvalsh(flat @ flat.T / flat.shape[1])
    assert values.max() == pytest.approx(1, abs=0.02)
    assert values.min() > 0


def test_a_line_at_the_cut_of_frames_has_a_mean_of_its_own() -> None:
    frames, _ = drawn(200)
    frames[:, :, 0, :] += 50
    rest = whitened(learned(frames), frames)
    assert abs(float(rest[:, :, 0].mean())) < 0.05


def test_features_that_never_change_do_no_harm() -> None:
    frames, _ = drawn(20)
    frames[:, 1] = 7
    assert np.isfinite(whitened(learned(frames), frames)).all()
    assert np.isfinite(learned(np.ones_like(frames)).weights).all()


def test_columns_that_vary_more_are_allowed_more() -> None:
    random = np.random.default_rng(1)
    spread = np.where(np.arange(W) < 2, 9.0, 1.0)
    scales = Scales((H, W))
    for _ in range(400):
        scales.add((random.chisquare(1, (H, W)) * spread).astype(np.float32))
    scale = scales.scale()
    assert scale[:, 0].mean() == pytest.approx(9, rel=0.1)
    assert scale[:, 5].mean() == pytest.approx(1, rel=0.1)


def test_black_columns_beside_the_strip_do_not_make_noise_an_alarm() -> None:
    scales = Scales((H, W))
    squares = np.ones((H, W), np.float32)
    squares[:, 0] = 0
    for _ in range(1000):
        scales.add(squares)
    scale = scales.scale()
    assert scale[:, 0].min() > 0.2
    assert scale[:, 1:].max() < 1.2
