"""What is sent is read strictly, and every refusal names its field."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from hub_ext.errors import InvalidInput, Unsupported
from hub_ext.web.api import parsing
from hub_ext.web.errors import Malformed

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner)
    ),
)


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    tags: list[str] | None = None
    count: int = 1
    notebook: bytes = b""


def request(uri: str = "/", body: bytes = b"", kind: str = "") -> HTTPServerRequest:
    headers = HTTPHeaders({"Host": "hub.example"} | ({"Content-Type": kind} if kind else {}))
    line = RequestStartLine("POST", uri, "HTTP/1.1")
    made = HTTPServerRequest(headers=headers, body=body, start_line=line)
    made._parse_body()
    return made


@given(VALUES)
def test_any_ordinary_json_comes_back_as_it_was(value: Any) -> None:
    assert parsing.json_of(json.dumps(value).encode()) == value


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()[:-1]))
def test_any_bytes_are_read_or_refused_by_name(data: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        parsing.json_of(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"{", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b"\xff", "UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b"[" * 100_000, "nested deeper"),
    ],
)
def test_what_is_not_json_cannot_be_read(data: bytes, words: str) -> None:
    with pytest.raises(Malformed) as caught:
        parsing.json_of(data)
    assert caught.value.problems[0].field == "body"
    assert words in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        (b'{"x": {"y": NaN}}', "x.y", "NaN"),
        (b'{"x": [1, -Infinity]}', "x.1", "Infinity"),
        (b'{"x": 1e400}', "x", "double"),
        (b'{"x": 1' + b"0" * 400 + b"}", "x", "64 bits"),
        (b'{"x": 9223372036854775808}', "x", "64 bits"),
        (b'{"x": 1, "x": 2}', "x", "twice"),
        (b'{"x": "a\\u0000b"}', "x", "NUL"),
        (b'{"x": "a\\ud800b"}', "x", "surrogate"),
        (b'{"x": {"a\\ud800": 1}}', "x", "surrogate"),
        (b'{"x": ' + b"[" * 101 + b"]" * 101 + b"}", "x" + ".0" * 99, "nested deeper"),
        (b"NaN", "body", "NaN"),
    ],
)
def test_what_json_should_not_hold_is_refused_where_it_stands(data: bytes, field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parsing.json_of(data)
    found = caught.value.problems[0]
    assert words in found.message
    assert found.field == (field if len(field) <= 120 else field[:117] + "…")


def test_json_is_not_coerced() -> None:
    with pytest.raises(InvalidInput) as caught:
        parsing.validated(Form, {"name": 7, "count": "2", "colour": "red"}, strict=True)
    assert {problem.field for problem in caught.value.problems} == {"name", "count", "colour"}
    assert "colour: is not known here" in caught.value.detail


@pytest.mark.parametrize("content", [None, [], "text", 7])
def test_a_body_is_an_object(content: object) -> None:
    with pytest.raises(InvalidInput, match="object"):
        parsing.validated(Form, content, strict=True)


def test_a_query_is_read_by_type() -> None:
    found = parsing.query_of(request("/?name=a%20b&count=3&_xsrf=secret"), Form)
    assert found == Form(name="a b", count=3)


@pytest.mark.parametrize(
    ("uri", "field"),
    [
        ("/?name=a&colour=red", "colour"),
        ("/?name=a&name=b", "name"),
        ("/?name=a&count=many", "count"),
        ("/?count=1", "name"),
        ("/?name=%00", "name"),
        ("/?name=%ff", "name"),
    ],
)
def test_a_query_that_does_not_fit_names_its_field(uri: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parsing.query_of(request(uri), Form)
    assert caught.value.problems[0].field == field


def multipart(*parts: tuple[str, bytes]) -> HTTPServerRequest:
    lines = b"".join(
        b"--b\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return request(body=lines + b"--b--\r\n", kind="multipart/form-data; boundary=b")


def test_a_form_gives_texts_lists_and_files() -> None:
    sent = multipart(
        ('name="name"', "Größe".encode()),
        ('name="tags"', b"a"),
        ('name="tags"', b"b"),
        ('name="_xsrf"', b"secret"),
        ('name="notebook"; filename="n.ipynb"', b"\x00{}"),
    )
    assert parsing.form_of(sent, Form, ("notebook",)) == Form(name="Größe", tags=["a", "b"], notebook=b"\x00{}")


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([('name="name"', b"a"), ('name="other"; filename="x"', b"")], "other"),
        ([('name="name"', b"a"), ('name="name"', b"b")], "name"),
        ([('name="name"', b"a"), *[('name="notebook"; filename="x"', b"")] * 2], "notebook"),
        ([('name="name"', b"\xff")], "name"),
    ],
)
def test_a_form_that_does_not_fit_names_its_field(parts: list[tuple[str, bytes]], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parsing.form_of(multipart(*parts), Form, ("notebook",))
    assert caught.value.problems[0].field == field


def test_the_media_type_must_be_one_that_is_taken() -> None:
    assert parsing.require(request(kind="Application/JSON; charset=utf-8"), "application/json") == "application/json"
    assert parsing.require(request(), "application/json") == "application/json"
    with pytest.raises(Unsupported, match="Content-Type"):
        parsing.require(request(kind="text/plain", body=b"{}"), "application/json")
    with pytest.raises(Unsupported, match="nothing"):
        parsing.require(request(body=b"{}"), "application/json")


def test_a_compressed_body_is_not_taken() -> None:
    sent = request(kind="application/json", body=b"x")
    sent.headers["Content-Encoding"] = "gzip"
    with pytest.raises(Unsupported, match="Content-Encoding"):
        parsing.require(sent, "application/json")
