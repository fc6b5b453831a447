"""Searching ignores case, accents and what cannot be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.errors import InvalidInput
from hub_ext.sharing.search import fold, search_text, words

ANY_TEXT = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Übersicht", "ubersicht"),
        ("STRASSE Straße", "strasse strasse"),
        ("ﬁle № 3", "file no 3"),
        ("İstanbul", "istanbul"),
        ("  two\n\tlines ", "two lines"),
        ("zero\u200bwidth nul\x00 lone\ud800", "zerowidth nul lone"),
        ("漢字 100 %", "漢字 100 %"),
    ],
)
def test_text_is_folded(text, folded):
    assert fold(text) == folded


@given(ANY_TEXT)
def test_folding_twice_changes_nothing_and_the_result_can_be_stored(text):
    once = fold(text)
    assert fold(once) == once
    assert "\x00" not in once
    once.encode()


@given(st.text(max_size=200), st.text(max_size=50))
def test_what_stands_in_a_title_is_found_however_it_is_typed(before, after):
    column = search_text(f"{before} Größe {after}", "name", "owner", (), "")
    assert all(word in column for word in words("GRÖSSE"))


def test_words_are_told_apart_once_each():
    assert words("  Rain rain  FLOW ") == ["rain", "flow"]
    assert words("\u200b ") == []


def test_no_word_spans_two_fields():
    assert "ainamy" not in search_text("rain", "amy", "", (), "")


@pytest.mark.parametrize(
    ("query", "told"),
    [("x" * 201, "201 characters"), ("x" * 10_000, "10000"), ("a b c d e f g h i j k l m", "13 words")],
)
def test_a_search_that_is_too_long_is_refused(query, told):
    with pytest.raises(InvalidInput, match=told) as caught:
        words(query)
    assert caught.value.problems[0].field == "q"
