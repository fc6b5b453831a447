"""The one style sheet of our pages: everything that pages use is in it, and nothing that has to be fetched first."""

from __future__ import annotations

import re

import pytest
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont

from hub_ext.web.pages import assets, sheet


def test_nothing_is_imported_and_nothing_is_cut() -> None:
    text = sheet.text()
    assert "@import" not in text
    assert "sourceMappingURL" not in text
    assert "SIL OFL" in text  # the licence stays beside what is under it
    assert "Licensed under MIT" in text
    assert text.count("{") == text.count("}")


def test_ours_comes_last_so_that_it_wins() -> None:
    ours = (assets.OURS / "css" / "hub-ext.css").read_text()
    assert sheet.text().endswith(ours)


@pytest.mark.parametrize(
    "there",
    [
        ".btn-primary", ".navbar-expand-lg", ".navbar-toggler", ".dropdown-menu-end", ".dropdown-menu.show",
        ".collapsing", ".form-check-input:checked", ".visually-hidden", "[data-bs-theme=dark]", "@font-face",
        "body{", ".fa-star{",
    ],
)  # fmt: skip
def test_what_pages_use_is_in_it(there: str) -> None:
    assert there in re.sub(r"\s*\{", "{", sheet.text())


@pytest.mark.parametrize("gone", [".carousel", ".offcanvas", ".accordion", ".fa-spider", ".col-xxl-11"])
def test_what_no_page_names_is_not(gone: str) -> None:
    assert gone in sheet.whole("hub/css/style.min.css")
    assert gone not in sheet.text()


def test_every_class_of_a_template_that_bootstrap_knows_is_in_it() -> None:
    attributes = [
        found
        for path in (assets.OURS.parent / "templates").glob("*.html")
        for found in re.findall(r'class="([^"{]+)"', path.read_text())
    ]
    used = {name for attribute in attributes for name in attribute.split()}
    alone = re.compile(r"(?<=[,{}])\.([A-Za-z][\w-]*)(?=[,{])")
    known = set(alone.findall(sheet.whole("hub/css/style.min.css")))
    left = set(alone.findall(sheet.text()))
    assert len(used & known) > 40
    assert used & known <= left


def test_what_it_loads_is_served() -> None:
    addresses = re.findall(r'url\("?((?!data:)[^")]+)', sheet.text())
    assert addresses
    for one in addresses:
        path = re.sub(r"^\.\./", "", one)
        assert ".." not in path
        assert assets.locate(path)[1].is_file(), one


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (".a{x:1}", ".a{x:1}"),
        (".b{x:1}", ""),
        (".a,.b{x:1}", ".a{x:1}"),
        (".a .b{x:1}", ""),
        (".a.b:hover{x:1}", ""),
        (".a:not(.b){x:1}", ".a:not(.b){x:1}"),
        (":is(.b,.c) p{x:1}", ":is(.b,.c) p{x:1}"),
        ("p{x:1}", "p{x:1}"),
        ("@media(min-width: 1px){.a{x:1}.b{x:2}}", "@media(min-width: 1px){.a{x:1}}"),
        ("@media(min-width: 1px){.b{x:2}}", ""),
        ("@keyframes b{from{x:1}to{x:2}}", "@keyframes b{from{x:1}to{x:2}}"),
        ('.a{x:"}.b{"}.b{y:1}', '.a{x:"}.b{"}'),
        ("/*! whose */.b{x:1}.a{y:1}", "/*! whose */.a{y:1}"),
        ("/* } */.a{x:1}", "/* } */.a{x:1}"),
        ('@charset "utf-8";.a{x:1}', '@charset "utf-8";.a{x:1}'),
        (".md\\:b{x:1}", ".md\\:b{x:1}"),
        ("", ""),
    ],
)
def test_a_rule_is_left_out_where_it_can_fit_nothing(given: str, kept: str) -> None:
    assert sheet.needed(given, frozenset({"a"})) == kept


@pytest.mark.parametrize("text", ["a { b: url(x.png) }", 'a { b: url("x.png") }'])
def test_addresses_are_those_of_the_files(text: str) -> None:
    assert sheet.relative(text, "hub/css/one.css") == 'a { b: url("../hub/css/x.png") }'


@pytest.mark.parametrize(
    "text", ['a { b: url("data:image/svg+xml,%3csvg") }', "a { b: url(/x.png) }", "a { b: url(#x) }"]
)
def test_what_is_no_file_beside_it_stays(text: str) -> None:
    assert sheet.relative(text, "hub/css/one.css") == text


def _icons_named() -> set[str]:
    package = assets.OURS.parent.parent
    files = [*package.rglob("*.html"), *(assets.OURS / "js").glob("*.js"), *(package / "web").rglob("*.py")]
    return {name for path in files for name in re.findall(r"""(?<=["' ])fa-[a-z0-9-]+""", path.read_text())}


def test_every_icon_that_a_page_names_is_in_the_font() -> None:
    font = TTFont(assets.OURS / sheet.ICONS)
    rules = dict(re.findall(r'\.(fa-[a-z0-9-]+)\{\s*--fa:\s*"\\([^"]+)"', sheet.text()))
    named = _icons_named()
    assert len(named) > 30
    assert named <= rules.keys()
    glyphs = font.getGlyphSet()
    for name in named:
        pen = BoundsPen(glyphs)
        icon = rules[name]
        glyphs[font.getBestCmap()[int(icon, 16) if len(icon) > 1 else ord(icon)]].draw(pen)
        assert pen.bounds is not None, f"{name} is empty"
    assert sheet.icons() <= font.getBestCmap().keys()  # also those that our own rules draw


def test_the_font_of_icons_is_small_and_goes_by_a_name_of_its_own() -> None:
    assert (assets.OURS / sheet.ICONS).stat().st_size < 10_000
    names = {record.nameID: record.toUnicode() for record in TTFont(assets.OURS / sheet.ICONS)["name"].names}
    assert "Font Awesome" in names[0]  # its copyright; its licence keeps the name for the whole font
    assert all("awesome" not in names[one].lower() for one in (1, 3, 4, 6))
    assert "Font Awesome" not in re.sub(r"/\*.*?\*/", "", sheet.text(), flags=re.DOTALL)
    assert "SIL OPEN FONT LICENSE" in (assets.OURS / sheet.ICONS).with_name("LICENSE.txt").read_text()
