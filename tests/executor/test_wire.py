"""The beginning of a large stream message, without unpacking the rest."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.executor.wire import shorten_stream


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(0, 200), st.booleans(), st.booleans()
)
def test_any_beginning_of_a_text_is_a_beginning(text: str, keep: int, escaped: bool, spaced: bool) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    content = json.dumps({"name": "stderr", "text": text}, ensure_ascii=escaped, separators=separators).encode()
    found = shorten_stream(memoryview(content), keep)
    assert found is not None
    name, kept = found
    assert name == "stderr"
    whole = kept.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
    assert text.startswith(whole)
    assert len(json.dumps(kept, ensure_ascii=escaped).encode("utf-8", "surrogatepass")) - 2 <= keep or escaped
    if keep >= len(content):
        assert kept == text


@pytest.mark.parametrize(
    ("keep", "text"), [(2, "a"), (4, "a\n"), (5, 'a\n"'), (6, 'a\n"'), (10, 'a\n"'), (12, 'a\n"ä')]
)
def test_half_of_an_escape_is_left_out(keep: int, text: str) -> None:
    content = rb'{"name":"stdout","text":"a\n\"\u00e4\\"}'
    assert shorten_stream(memoryview(content), keep) == ("stdout", text)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"text":"x","name":"stdout"}', b'{"name":"other","text":"x"}'])
def test_what_is_not_written_as_expected_is_not_guessed_at(content: bytes) -> None:
    assert shorten_stream(memoryview(content), 100) is None
