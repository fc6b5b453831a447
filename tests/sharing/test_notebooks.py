"""What a notebook says about itself: its digest, title, tags, picture and language."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import pytest

from hub_ext.errors import HubExtError, InvalidInput, Unsupported
from hub_ext.sharing.notebooks import MAX_PICTURE, MIN_PICTURE, PNG, read_notebook

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


# --- the digest -------------------------------------------------------------------------------------------------------


def test_the_digest_is_of_the_content_and_not_of_how_it_is_written() -> None:
    raw = book(code("a = 1\nb = 2", tags=("parameters",)), text("# T"))
    lines = json.loads(json.dumps(raw))
    lines["cells"][0]["source"] = ["a = 1\n", "b = 2"]
    lines["cells"][0]["execution_count"] = 7
    lines["cells"][0]["metadata"] |= {"collapsed": True, "execution": {"iopub.status.busy": "2024"}}
    lines["metadata"] |= {"language_info": {"name": "python", "version": "3.12"}}
    turned = dict(reversed(lines.items()))

    digests = {
        read_notebook(json.dumps(one, indent=indent).encode()).digest
        for one in (raw, lines, turned)
        for indent in (None, 3)
    }

    assert len(digests) == 1
    assert digests.pop().startswith("sha256:")


@pytest.mark.parametrize(
    "change",
    [
        {"source": "a = 2"},
        {"metadata": {"tags": ["parameters"]}},
        {"cell_type": "raw"},
        {"outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]},
    ],
)
def test_the_digest_changes_with_code_tags_type_and_outputs(change: dict[str, Any]) -> None:
    cell = {**code("a = 1"), **change}
    if cell["cell_type"] == "raw":
        cell = {key: cell[key] for key in ("cell_type", "source", "metadata")}

    assert read_notebook(data(cell)).digest != read_notebook(data(code("a = 1"))).digest


def test_the_digest_changes_with_kernel_and_own_metadata() -> None:
    kernel = {"name": "geo", "display_name": "Geo"}

    digests = {
        read_notebook(data(code(), **about)).digest
        for about in ({}, {"hub_ext": {"title": "T"}}, {"kernelspec": kernel})
    }

    assert len(digests) == 3


# --- title, description, tags, profile, picture -----------------------------------------------------------------------


def test_title_and_description_are_the_first_heading_and_the_paragraph_after_it() -> None:
    read = read_notebook(
        data(
            text("Not *this*.\n\n```\n# not this\n```"),
            text(
                "Rain in **Seattle** `daily`\n===\n\n## Part\n\n"
                "How much [it](https://x.org) <b>rains</b>\nthere.\n\nMore."
            ),
            code(),
        )
    )

    assert read.title == "Rain in Seattle daily"
    assert read.description == "How much it rains there."


def test_a_paragraph_in_the_next_cell_counts_until_code_begins() -> None:
    assert read_notebook(data(text("# T"), text("Words."), code())).description == "Words."
    assert read_notebook(data(text("# T"), code(), text("Words."))).description == ""


def test_without_a_heading_the_first_paragraph_describes() -> None:
    read = read_notebook(data(code(), text("Just words.")))

    assert (read.title, read.description) == ("", "Just words.")


def test_long_texts_are_cut_at_a_word() -> None:
    read = read_notebook(data(text("# T\n\n" + "word " * 300)))

    assert len(read.description) <= 500
    assert read.description.endswith("word…")


def test_what_cannot_be_seen_is_left_out_of_titles() -> None:
    assert read_notebook(data(text("# a\u202eb\u0007c"))).title == "a b c"


def test_own_metadata_says_title_tags_and_profile() -> None:
    about = {"title": "Own", "tags": ["Weather", "weather ", "city plan"], "profile": "geo-2"}

    read = read_notebook(data(text("# Heading"), hub_ext=about))

    assert (read.title, read.tags, read.profile) == ("Own", ("weather", "city plan"), "geo-2")


@pytest.mark.parametrize(
    ("about", "field"),
    [
        ([], "metadata.hub_ext"),
        ({"title": 5}, "metadata.hub_ext.title"),
        ({"title": "x" * 201}, "metadata.hub_ext.title"),
        ({"tags": "weather"}, "metadata.hub_ext.tags"),
        ({"tags": [1]}, "metadata.hub_ext.tags"),
        ({"tags": [""]}, "metadata.hub_ext.tags"),
        ({"tags": ["<b>"]}, "metadata.hub_ext.tags"),
        ({"tags": ["x" * 41]}, "metadata.hub_ext.tags"),
        ({"tags": [str(n) for n in range(21)]}, "metadata.hub_ext.tags"),
        ({"profile": "../x"}, "metadata.hub_ext.profile"),
        ({"profile": 3}, "metadata.hub_ext.profile"),
    ],
)
def test_own_metadata_that_is_wrong_is_named(about: Any, field: str) -> None:
    error = refused(data(code(), hub_ext=about))

    assert isinstance(error, InvalidInput)
    assert [problem.field for problem in error.problems] == [field]


def test_the_picture_is_of_the_tagged_cell_else_the_first_that_is_not_tiny() -> None:
    tiny, first, second = PNG + b"t", PICTURE + b"1", PICTURE + b"2"

    assert read_notebook(data(code(png=tiny), code(png=first), code(png=second))).picture == first
    assert read_notebook(data(code(png=first), code(png=second, tags=("picture",)))).picture == second
    assert read_notebook(data(code(png=first), code(png=tiny, tags=("picture",)))).picture == tiny
    assert read_notebook(data(code(png=tiny))).picture is None


@pytest.mark.parametrize("wrong", [b"GIF89a" + b"0" * MIN_PICTURE, PNG + b"0" * MAX_PICTURE])
def test_what_is_no_png_or_too_large_is_no_picture(wrong: bytes) -> None:
    assert read_notebook(data(code(png=wrong, tags=("picture",)), code(png=PICTURE))).picture == PICTURE


def test_broken_base64_is_no_picture() -> None:
    cell = code(png=PICTURE)
    cell["outputs"][0]["data"]["image/png"] = "!!!"

    assert read_notebook(data(cell)).picture is None


# --- the language -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({"kernelspec": {"name": "r", "display_name": "R", "language": "R"}}, "R"),
        ({"language_info": {"name": "julia"}}, "julia"),
        ({"kernelspec": {"name": "julia-1.9", "display_name": "Julia"}}, "Julia"),
        ({"kernelspec": {"name": "ir", "display_name": "x"}}, "R"),
    ],
)
def test_another_language_is_not_supported_and_named(metadata: dict[str, Any], language: str) -> None:
    error = refused(data(code(), **metadata))

    assert isinstance(error, Unsupported)
    assert f"written in {language};" in error.detail


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kernelspec": {"name": "conda-geo", "display_name": "Geo", "language": "Python"}},
        {"language_info": {"name": "ipython"}},
    ],
)
def test_python_by_any_kernel_is_taken(metadata: dict[str, Any]) -> None:
    assert read_notebook(data(code(), **metadata)).language == "python"


def test_reading_needs_no_kernel_and_no_renderer() -> None:
    modules = "import sys; import hub_ext.sharing.notebooks, hub_ext.sharing.parameters; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, check=True).stdout.split()

    assert not {"papermill", "nbclient", "nbconvert", "IPython", "sqlalchemy", "tornado"} & set(loaded)
