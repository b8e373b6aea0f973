"""Threads of the panel do not stop the application for a full garbage collection."""

import gc
import threading
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
    with garbage.fullCollectionsPaused():
        knots = [weakref.ref(Knot()) for _ in range(100_000)]
        assert collections == []
        assert knots[0]() is not None
    assert collections == [0]
    assert all(knot() is None for knot in knots)
    assert gc.isenabled()


def test_the_last_thread_that_leaves_restores_it(garbage):
    inside, leave = threading.Event(), threading.Event()

    def work():
        with garbage.fullCollectionsPaused():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(10)
    with garbage.fullCollectionsPaused():
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_it_stays_off_where_the_application_turned_it_off(garbage):
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError), garbage.fullCollectionsPaused():
            raise ZeroDivisionError
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_work_beside_the_panel_is_done_so(application):
    from CovidCTPanel.background import BackgroundCall

    found = []
    call = BackgroundCall(gc.isenabled, lambda future: found.append(future.result()))
    application.until(lambda: bool(found))
    assert found == [False]
    assert gc.isenabled()
    call.drop()
