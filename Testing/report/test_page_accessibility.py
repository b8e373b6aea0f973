"""Every kind of page: nothing that axe-core objects to in light and dark, and no sideways scrolling on a phone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_browser import CHROMIUM, DARK, NO_AXE, Look, axe_script, look_at
from page_samples import PAGES

from CovidCTLib.report.page import RESEARCH_USE

SCREENS = {"light on a desktop": (1280, ()), "dark on a phone": (360, (DARK,))}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: make(tmp_path_factory.mktemp("page")) for name, make in PAGES.items()}


@pytest.fixture(params=PAGES)
def a_page(request: pytest.FixtureRequest, pages: dict[str, str]) -> str:
    return pages[request.param]


@pytest.fixture(scope="module")
def needs_axe() -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    if axe_script() is None:
        pytest.skip(NO_AXE)


@pytest.fixture(scope="module", params=SCREENS)
def looks(
    request: pytest.FixtureRequest, needs_axe: None, pages: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, dict[str, Look]]:
    width, arguments = SCREENS[request.param]
    return width, look_at(pages, tmp_path_factory.mktemp("look"), width, *arguments)


def test_it_has_the_head_and_foot_of_all_pages(a_page: str) -> None:
    assert a_page.count(RESEARCH_USE) == 1
    assert "Made by CovidCT" in a_page
    assert "Apache License 2.0" in a_page
    assert "default-src 'none'" in a_page
    assert a_page.count("<h1>") == 1


def test_every_picture_has_words_and_lies_inside(a_page: str) -> None:
    for picture in re.findall(r"<img[^>]*>", a_page):
        assert re.search(r'alt="[^"]{15,}"', picture)
        assert re.search(r'src="data:image/', picture)


@pytest.mark.parametrize("kind", PAGES)
def test_axe_core_objects_to_nothing(looks: tuple[int, dict[str, Look]], kind: str) -> None:
    assert looks[1][kind].violations == []


@pytest.mark.parametrize("kind", PAGES)
def test_it_never_scrolls_sideways(looks: tuple[int, dict[str, Look]], kind: str) -> None:
    width, found = looks
    assert found[kind].wide == []
    assert found[kind].widths == [width, width]


def test_axe_core_would_object(needs_axe: None, pages: dict[str, str], tmp_path: Path) -> None:
    page = pages["case without lungs"]
    spoiled = page.replace("--soft: #52606d", "--soft: #d0d0d0").replace(' lang="en"', "")
    (found,) = look_at({"spoiled": spoiled}, tmp_path, 1280).values()
    assert {"color-contrast", "html-has-lang"} <= {rule for rule, *_ in found.violations}
