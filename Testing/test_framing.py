"""Frames: what networks see, and the way back to the scan's pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from CovidCTLib.framing import BODY_MARGIN_MM, LUNG_MARGIN_MM, Body, Frame, body_frame, find_body, lung_frame


@given(
    st.integers(-3, 15), st.integers(-3, 15), st.integers(4, 30), st.integers(4, 30), st.sampled_from([16, 32])
)  # fmt: skip
def test_a_smooth_picture_returns_to_its_pixels(top: int, left: int, rows: int, columns: int, size: int) -> None:
    y, x = np.mgrid[:24, :28]
    hu = (-1000 + 20 * y + 10 * x).astype(np.int16)[None]
    frame = Frame(top, left, rows, columns)
    grid = frame.to_grid(hu, size)
    assert grid.shape == (1, 1, size, size)
    where_rows, where_columns, values = frame.from_grid(grid[:, 0], (24, 28))
    back = values[0].numpy() * 1174 - 1024
    expected = hu[0, where_rows, where_columns]
    assert back.shape == expected.shape
    # Away from the rim, where air from outside the picture does not mix in.
    if min(back.shape) > 12:
        assert np.abs(back - expected)[5:-5, 5:-5].max() < 60


def test_what_lies_beyond_the_picture_is_filled() -> None:
    cut = Frame(-1, -2, 4, 5).cut(np.ones((1, 2, 2)), 7)
    assert cut[0].tolist() == [[7] * 5, [7, 7, 1, 1, 7], [7, 7, 1, 1, 7], [7] * 5]


def test_frames_are_square_in_mm_whatever_the_spacing() -> None:
    frame = Frame.square((0, 0), (100, 50), (1.0, 2.0))
    assert frame.rows * 1.0 == frame.columns * 2.0 == 100
    tall = Frame.square((0, 0), (100, 20), (1.0, 2.0))
    assert (tall.columns, tall.left) == (50, -15)


def test_body_frame_holds_the_body_and_leaves_the_table_out() -> None:
    hu = np.full((10, 200, 200), -1000, np.int16)
    hu[:, 60:140, 40:160] = 30
    hu[:, 190:193, 20:180] = 200
    spacing = (4.0, 2.0, 2.0)
    frame = body_frame(find_body(hu, spacing), spacing)
    assert frame.rows == frame.columns
    assert frame.rows * 2.0 == pytest.approx(120 * 2 + 2 * BODY_MARGIN_MM, abs=8)
    assert frame.left <= 40
    assert frame.left + frame.columns >= 160


def test_without_a_body_the_frame_is_the_picture() -> None:
    spacing = (1.0, 1.0, 1.0)
    body = find_body(np.full((3, 40, 40), -1000, np.int16), spacing)
    assert body_frame(body, spacing) == Frame(0, 0, 40, 40)


def test_a_body_encloses_its_lungs_but_not_the_air_around_it() -> None:
    ring = np.zeros((2, 20, 20), bool)
    ring[:, 5:15, 5:15] = True
    ring[:, 8:12, 8:12] = False
    body = Body(ring, ring, (1, 2, 2), (2, 40, 40))
    index = (np.arange(2), np.arange(0, 40, 4), np.arange(0, 40, 4))
    inside = body.encloses(index)
    assert inside.shape == (2, 10, 10)
    assert inside[:, 4:6, 4:6].all()
    assert not inside[:, 0].any()
    assert not inside[:, :, 9].any()
    cut = Body(ring[:, :, 8:], ring[:, :, 8:], (1, 2, 2), (2, 40, 24))
    assert cut.encloses((np.arange(2), np.array([20]), np.array([2]))).all()


def test_lung_frame_has_its_margin_on_all_sides() -> None:
    lungs = np.zeros((4, 100, 100), np.uint8)
    lungs[2, 40:60, 20:80] = 2
    frame = lung_frame(lungs, (1.0, 1.0, 1.0))
    assert (frame.left, frame.columns) == (20 - LUNG_MARGIN_MM, 60 + 2 * LUNG_MARGIN_MM)
    assert frame.rows == frame.columns


def test_paste_sets_pixels_where_the_logit_is_positive() -> None:
    mask = np.zeros((3, 20, 20), bool)
    logits = torch.full((1, 8, 8), -1.0)
    logits[0, :, :4] = 1
    Frame(0, 0, 20, 20).paste(logits, mask, np.array([1]))
    assert mask[1, :, :9].all()
    assert not mask[1, :, 11:].any()
    assert not mask[[0, 2]].any()


def test_what_is_finer_than_the_networks_grid_becomes_its_mean() -> None:
    # A chequerboard of air and soft tissue, four pixels to one of the grid.
    hu = np.full((1, 256, 256), -1024, np.int16)
    hu[0, ::2, ::2] = hu[0, 1::2, 1::2] = 150
    small = Frame(0, 0, 256, 256).to_grid(hu, 64)[0, 0, 4:-4, 4:-4]
    np.testing.assert_allclose(small.numpy(), 0.5, atol=0.01)
    # Nothing is smoothed where it does not shrink.
    same = Frame(0, 0, 256, 256).to_grid(hu, 256)[0, 0].numpy()
    np.testing.assert_allclose(same, hu[0] == 150, atol=1e-6)
