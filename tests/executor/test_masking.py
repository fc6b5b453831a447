"""Secrets out of texts, whole and in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub_ext.executor.masking import MASK, SHORTEST, Masker

# Few letters, so that secrets overlap each other and themselves.
SECRETS = st.lists(st.text("abc", min_size=SHORTEST, max_size=7), min_size=1, max_size=4)
PIECES = st.lists(st.text("abcd", max_size=9), max_size=12)


@given(SECRETS, PIECES)
def test_pieces_give_what_the_whole_gives_and_no_secret(secrets: list[str], pieces: list[str]) -> None:
    masker = Masker(secrets)
    stream = masker.stream()
    out = "".join([*(stream.feed(piece) for piece in pieces), stream.close()])
    assert out == masker.text("".join(pieces))
    assert not [secret for secret in secrets if secret in out]


@given(SECRETS, st.text("abcd", max_size=30), st.text("abcd", max_size=30))
def test_a_secret_is_masked_wherever_it_stands(secrets: list[str], before: str, after: str) -> None:
    masker = Masker(secrets)
    found = masker.deep({"a": [before + secrets[0] + after], secrets[0]: 1})
    assert secrets[0] not in str(found)
    assert MASK in found["a"][0]


@given(st.text(max_size=40), st.integers(0, 10))
def test_without_secrets_nothing_changes_and_nothing_waits(text: str, at: int) -> None:
    stream = Masker([]).stream()
    assert stream.feed(text[:at]) == text[:at]
    assert stream.feed(text[at:]) == text[at:]
    assert stream.close() == ""


def test_the_longest_of_two_secrets_is_masked() -> None:
    assert Masker(["abcd", "abcdef"]).text("xabcdefx") == f"x{MASK}x"
    stream = Masker(["abcd", "abcdef"]).stream()
    assert stream.feed("xabcd") + stream.feed("ef") + stream.close() == f"x{MASK}"


def test_a_text_that_cannot_become_a_secret_does_not_wait() -> None:
    stream = Masker(["secret"]).stream()
    assert stream.feed("a seagull, sec") == "a seagull, "
    assert stream.feed("ond") == "second"


def test_values_too_short_to_protect_are_left() -> None:
    assert Masker(["abc", ""]).text("abc") == "abc"
