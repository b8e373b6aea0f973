"""Threads of the panel do not stop the application for a full garbage collection."""

import gc
import weakref

import pytest


@pytest.fixture
def garbage(application):
    """The module as the opened application imported it."""
    from CovidCTPanel import garbage

    return garbage


@pytest.fixture
def collections():
    """Generations that were collected, in order."""
    seen = []

    def note(phase, info):
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


class Knot:
    """Refers to itself, so that only the garbage collector can remove it."""

    def __init__(self):
        self.own = self


def test_only_new_objects_are_collected(garbage, collections):
    gc.collect()
    collections.clear()
    garbage.pauseCollections()
    knots = [weakref.ref(Knot()) for _ in range(100_000)]
    assert collections == []
    assert knots[0]() is not None
    garbage.resumeCollections()
    assert collections == [0]
    assert all(knot() is None for knot in knots)
    assert gc.isenabled()


def test_the_last_of_several_restores_it(garbage):
    garbage.pauseCollections()
    garbage.pauseCollections()
    garbage.resumeCollections()
    assert not gc.isenabled()
    garbage.resumeCollections()
    assert gc.isenabled()


def test_it_stays_off_where_the_application_turned_it_off(garbage):
    gc.disable()
    try:
        garbage.pauseCollections()
        garbage.resumeCollections()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_work_beside_the_panel_is_done_so(application, collections):
    from CovidCTPanel.background import BackgroundCall

    found = []
    call = BackgroundCall(lambda: (gc.isenabled(), len(collections)), lambda future: found.append(future.result()))
    before = len(collections)
    application.until(lambda: bool(found))
    assert found == [(False, before)]
    assert gc.isenabled()
    call.drop()
    assert gc.isenabled()


def test_dropped_work_restores_it_once(application):
    from CovidCTPanel.background import BackgroundCall

    call = BackgroundCall(lambda: None, lambda future: None)
    assert not gc.isenabled()
    call.drop()
    call.drop()
    assert gc.isenabled()
