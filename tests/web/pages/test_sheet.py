"""The one style sheet of our pages: everything that pages use is in it, and nothing that has to be fetched first."""

from __future__ import annotations

import re

import pytest

from hub_ext.web.pages import assets, sheet


def test_nothing_is_imported_and_nothing_is_cut() -> None:
    text = sheet.text()
    assert "@import" not in text
    assert "sourceMappingURL" not in text
    assert ".hx-card" in text
    assert ".navbar-toggler" in text
    assert "SIL OFL" in text  # the licence stays beside what is under it
    assert text.count("{") == text.count("}")


def test_ours_comes_last_so_that_it_wins() -> None:
    ours = (assets.OURS / "css" / "hub-ext.css").read_text()
    assert sheet.text().endswith(ours)


def test_every_icon_that_a_page_names_is_in_it_and_no_other() -> None:
    drawn = {
        icon for names in re.findall(r"((?:\.fa-[a-z0-9-]+[,\s]*)+)\{\s*--fa:", sheet.text()) for icon in names.split()
    }
    drawn = {one.strip(".,") for one in drawn}
    assert {"fa-star", "fa-circle-half-stroke", "fa-copy", "fa-check"} <= drawn
    assert len(drawn) < 120
    named = sheet.icons() - {"fa-solid-900"}  # the name of the font's file
    assert {one for one in named if f".{one}" not in sheet.text()} == set()


def test_what_it_loads_is_served() -> None:
    addresses = re.findall(r'url\("?((?!data:)[^")]+)', sheet.text())
    assert addresses
    for one in addresses:
        path = re.sub(r"^\.\./", "", one)
        assert ".." not in path
        assert assets.locate(path)[1].is_file(), one


@pytest.mark.parametrize("text", ["a { b: url(x.png) }", 'a { b: url("x.png") }'])
def test_addresses_are_those_of_the_files(text: str) -> None:
    assert sheet.relative(text, "hub/css/one.css") == 'a { b: url("../hub/css/x.png") }'


@pytest.mark.parametrize(
    "text", ['a { b: url("data:image/svg+xml,%3csvg") }', "a { b: url(/x.png) }", "a { b: url(#x) }"]
)
def test_what_is_no_file_beside_it_stays(text: str) -> None:
    assert sheet.relative(text, "hub/css/one.css") == text
