"""From bytes to a valid notebook: what is taken, filled and upgraded, and what is refused in which words."""

from __future__ import annotations

import base64
import json
import logging
import warnings
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_ext.errors import HubExtError, InvalidInput, TooLarge
from hub_ext.sharing.notebooks import MIN_PICTURE, PNG, read_notebook

PICTURE = PNG + b"0" * MIN_PICTURE


def code(source: str = "1", *, tags: tuple[str, ...] = (), png: bytes | None = None, **rest: Any) -> dict[str, Any]:
    outputs = []
    if png is not None:
        data = {"image/png": base64.encodebytes(png).decode()}
        outputs = [{"output_type": "display_data", "data": data, "metadata": {}}]
    metadata = {"tags": list(tags)} if tags else {}
    return {
        "cell_type": "code",
        "source": source,
        "metadata": metadata,
        "outputs": outputs,
        "execution_count": None,
        **rest,
    }


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def book(*cells: dict[str, Any], minor: int = 4, **metadata: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": minor, "metadata": metadata, "cells": list(cells)}


def data(*cells: dict[str, Any], **metadata: Any) -> bytes:
    return json.dumps(book(*cells, **metadata)).encode()


def refused(content: bytes, **options: Any) -> HubExtError:
    with pytest.raises(HubExtError) as error:
        read_notebook(content, **options)
    return error.value


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", range(6))
def test_each_minor_of_format_4_is_read_as_4_5(minor: int) -> None:
    read = read_notebook(json.dumps(book(code("a = 1"), text("b"), minor=minor)).encode())

    assert (read.node.nbformat, read.node.nbformat_minor) == (4, 5)
    nbformat.validate(read.node)
    assert (read.cell_count, read.code_cell_count, read.language, read.kernel) == (2, 1, "python", "python3")


def test_format_3_is_converted_and_says_nothing_on_the_way(caplog: pytest.LogCaptureFixture) -> None:
    cell = {"cell_type": "code", "input": ["a = 1"], "outputs": [], "language": "python", "collapsed": False}
    heading = {"cell_type": "heading", "level": 2, "source": "Part"}
    version = {"nbformat": 3, "worksheets": [{"cells": [cell, heading]}]}
    with caplog.at_level(logging.INFO):
        content = json.dumps({**version, "nbformat_minor": 0, "metadata": {"name": "old"}}).encode()
        first, second = read_notebook(content), read_notebook(content)

    assert [cell.source for cell in first.node.cells] == ["a = 1", "## Part"]
    assert first.to_bytes() == second.to_bytes()
    assert caplog.records == []


def test_gaps_with_one_filling_are_filled() -> None:
    raw = book({"cell_type": "code", "source": ["a = 1\n", "b = 2"]}, minor=5, kernelspec={"language": "python"})

    read = read_notebook(json.dumps(raw).encode())

    cell = read.node.cells[0]
    assert (cell.source, cell.outputs, cell.execution_count) == ("a = 1\nb = 2", [], None)
    assert read.kernel == "python3"


def test_a_byte_order_mark_is_no_harm() -> None:
    assert read_notebook(b"\xef\xbb\xbf" + data(code())).cell_count == 1


def test_what_is_stored_reads_back_as_the_same() -> None:
    read = read_notebook(data(text("# Title"), code("x = 1", png=PICTURE), hub_ext={"tags": ["a"]}))

    again = read_notebook(read.to_bytes())

    assert again == read
    assert again.to_bytes() == read.to_bytes()


def test_cells_with_the_same_id_get_ids_of_their_own() -> None:
    raw = book(code("a", id="same"), code("b", id="same"), minor=5)

    ids = [cell.id for cell in read_notebook(json.dumps(raw).encode()).node.cells]

    assert ids[0] == "same"
    assert len(set(ids)) == 2
    assert ids == [cell.id for cell in read_notebook(json.dumps(raw).encode()).node.cells]


def test_no_warning_leaves() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_notebook(json.dumps(book(code(), code(id="x"), code(id="x"), minor=5)).encode())

    assert caught == []


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b" \n", "empty file"),
        (b"hello", "not JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"{}", "not a notebook"),
        (b"[]", "not a notebook"),
        (b'{"nbformat": true}', "not a notebook"),
        (b'{"nbformat": 0}', "not a notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 6}', "newest that is known here is 4.5"),
        (b'{"nbformat": 5, "nbformat_minor": 0}', "newest that is known here is 4.5"),
        (b'{"nbformat": 3, "worksheets": 5}', "old format 3"),
        (b'{"nbformat": 2, "worksheets": []}', "old format 2"),
        (b'{"nbformat": 4, "nbformat_minor": 4, "x": NaN}', "NaN"),
        (b'{"nbformat": 4, "nbformat_minor": 4, "x": 1e999}', "1e999"),
        (b'{"nbformat": 4, "nbformat_minor": 4, "x": ' + b"1" * 5000 + b"}", "too many digits"),
        (b"[" * 100_000, "levels deep"),
        (b"[" + b"[]," * 500_001 + b"0]", "500,000 lists and objects"),
    ],
)
def test_what_is_no_notebook_is_told_why(content: bytes, words: str) -> None:
    error = refused(content)

    assert isinstance(error, InvalidInput)
    assert words in error.detail


def test_brackets_inside_of_text_are_not_nesting() -> None:
    assert read_notebook(data(code("[" * 5000 + '\\" [[['))).cell_count == 1


def test_above_the_limit_is_too_large_and_names_it() -> None:
    content = data(code("x" * 2_000_000))

    error = refused(content, limit=2**20)

    assert isinstance(error, TooLarge)
    assert "1.9 MiB" in error.detail
    assert "may have 1 MiB" in error.detail
    assert read_notebook(content, limit=len(content)).cell_count == 1


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ({"cell_type": "code"}, "cell 2 has no `source`"),
        ({"cell_type": "video", "source": ""}, "cell 2 must be a code, markdown or raw cell"),
        ("text", "cell 2 must be a code, markdown or raw cell"),
        ({**code(), "colour": 1}, "cell 2 has an unknown field `colour`"),
        ({**code(), "execution_count": "1"}, "wrong at `execution_count`: it must be of type integer or null"),
        ({**code(), "execution_count": -1}, "it must be at least 0"),
        ({**code(), "source": 5}, "cell 2 is wrong at `source`: it must be text, or a list of lines"),
        ({**code(), "metadata": {"tags": ["a,b"]}}, "cell 2 is wrong at `metadata` `tags` 1"),
        ({**code(), "metadata": {"tags": ["a", "a"]}}, "names something twice"),
        ({**code(), "outputs": [{"output_type": "stream", "name": "stdout"}]},
         "cell 2 is wrong at `outputs` 1: it has no `text`"),
    ],
)  # fmt: skip
def test_a_broken_cell_is_named_by_its_number_in_words(cell: Any, words: str) -> None:
    error = refused(data(code(), cell))

    assert isinstance(error, InvalidInput)
    assert [problem.field for problem in error.problems] == ["cells.2"]
    assert words in error.problems[0].message


def test_a_broken_frame_is_told_too() -> None:
    assert "no list of cells" in refused(b'{"nbformat": 4, "nbformat_minor": 4}').detail
    assert "unknown field `worksheets`" in refused(json.dumps({**book(), "worksheets": []}).encode()).detail
    assert "`metadata`" in refused(json.dumps({**book(), "metadata": []}).encode()).detail


def test_half_characters_are_refused_with_their_cell() -> None:
    assert "in cell 2" in refused(data(code(), code("'\ud800'"))).detail
    assert "in its metadata" in refused(data(code(), x="\ud800")).detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cell_type", "source", "metadata", "outputs", "tags", "id", "data"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
PARTS = ("source", "metadata", "outputs", "id", "execution_count", "attachments")
KINDS = st.sampled_from(["code", "markdown", "raw", "x"])
CELL = st.fixed_dictionaries({"cell_type": KINDS | JSON}, optional=dict.fromkeys(PARTS, JSON))


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {"nbformat": st.integers(1, 5) | JSON},
        optional={"nbformat_minor": st.integers(0, 6), "metadata": JSON, "cells": st.lists(CELL, max_size=3) | JSON,
                  "worksheets": JSON},
    )
    | JSON
)  # fmt: skip
def test_any_json_is_a_notebook_or_a_named_error(raw: Any) -> None:
    try:
        read = read_notebook(json.dumps(raw).encode())
    except HubExtError:
        return
    nbformat.validate(read.node)
    assert read_notebook(read.to_bytes()).digest == read.digest


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_notebook_or_a_named_error(content: bytes) -> None:
    with pytest.raises(HubExtError):
        read_notebook(content)
