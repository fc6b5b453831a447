"""CSV that no spreadsheet calculates, and that is read as people save it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.access.csv_text import lines_of, neutral, plain, read
from hub_ext.errors import InvalidInput

COLUMNS = ("name", "reason")


def rows(data: bytes, **more: Any) -> list[tuple[int, dict[str, str]]]:
    return [(row.line, row.cells) for row in read(io.BytesIO(data), COLUMNS, **more)]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum", "\t=1", " =1", "＝1", "'=1", "\r=1", "\n@x", "'"])
def test_what_a_spreadsheet_could_calculate_is_text_and_comes_back(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"
    assert plain(neutral(cell)) == cell


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_comes_back(text: str) -> None:
    assert plain(neutral(text)) == text
    assert not neutral(text).lstrip().startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("cell", ["O'Neill", "'s-Gravenhage", "ann"])
def test_a_quotation_mark_that_nobody_added_stays(cell: str) -> None:
    assert plain(cell) == plain(neutral(cell)) == cell


@given(st.lists(st.tuples(st.text(), st.text()).map(list), max_size=5))
def test_what_is_written_is_csv(made: list[list[str]]) -> None:
    written = [[cell.encode("utf-8", "ignore").decode() for cell in row] for row in made]
    data = b"".join(lines_of(written)).decode()
    assert list(csv.reader(io.StringIO(data, newline=""))) == [[neutral(cell) for cell in row] for row in written]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_are_read_as_people_save_them(separator: str, mark: bytes, end: str) -> None:
    text = end.join([separator.join(line) for line in (["Reason", " NAME "], ["Grüße", "ann"], ["", ""], ["b", "ben"])])
    assert rows(mark + text.encode()) == [
        (2, {"name": "ann", "reason": "Grüße"}),
        (4, {"name": "ben", "reason": "b"}),
    ]


def test_a_row_of_several_lines_is_named_by_its_first() -> None:
    found = rows(b'name,reason\nann,"one\ntwo\nthree"\nben,x\n')
    assert [line for line, _ in found] == [2, 5]
    assert found[0][1]["reason"] == "one\ntwo\nthree"


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", 1, "lacks the column name"),
        (b"\xff\xfen\x00a\x00", 1, "UTF-8"),
        (b"name,reason\nann,ok\nb\xff,x\n", 3, "UTF-8"),
        (b"name\nann\n", 1, "lacks the column reason"),
        (b"name,reason,colour\n", 1, "'colour', which is not known"),
        (b"name,reason,name\n", 1, "twice"),
        (b"name,reason\nann\n", 2, "has 1 cells where the header has 2"),
        (b"name,reason\nann,ok\nben,ok,more\n", 3, "has 3 cells"),
        (b'name,reason\nann,"never closed\n', 2, "not CSV"),
        (b'name,reason\nann,"a"b\n', 2, "not CSV"),
        (b"name,reason\nann," + b"x" * 200_000 + b"\n", 2, "not CSV"),
    ],
    ids=["empty", "utf-16", "latin", "short", "unknown", "twice", "few", "many", "open", "odd", "huge"],
)
def test_what_is_no_such_file_is_refused_with_its_line(data: bytes, line: int, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        rows(data)
    assert caught.value.problems[0].line == line


def test_some_columns_may_be_there_and_say_nothing() -> None:
    assert rows(b"id,name,reason\n7,ann,ok\n", ignored=("id",))[0][1]["name"] == "ann"
