"""Sizes and shares are read as Kubernetes reads them, and written the shortest exact way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.quantities import format_size, human_size, parse_cpu, parse_size

ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.lists(st.integers())


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512Mi", 512 * 2**20),
        ("8Gi", 8 * 2**30),
        ("1.5Gi", 3 * 2**29),
        ("1k", 1000),
        ("2M", 2_000_000),
        ("1T", 10**12),
        ("100", 100),
        (100, 100),
        ("8192Ti", 2**53),
    ],
)
def test_a_size_is_a_whole_number_of_bytes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "Gi", "8 Gi", "8GiB", "-1Gi", "+1Gi", "1e3", "0", "0Gi", "0.5", "0.0001Ki", "8193Ti", "٨Gi", "8gi", "8Gi\n",
     "9" * 500, "9" * 17, -1, 0, 1.5, True, None, [], "1." + "0" * 9],
)  # fmt: skip
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="must be"):
        parse_size(text)


@pytest.mark.parametrize("number", [2**53 + 1, 10**5000, -(10**5000)], ids=["above", "huge", "below"])
def test_a_number_beyond_all_sizes_is_refused_in_the_same_words(number):
    with pytest.raises(ValueError, match="must be a size such as"):
        parse_size(number)
    with pytest.raises(ValueError, match="must be a number of cores"):
        parse_cpu(number)


@given(st.integers(1, 2**53))
def test_a_size_comes_back_from_its_shortest_form(size):
    assert parse_size(format_size(size)) == size


@given(st.integers(1, 1000), st.sampled_from(["Ki", "Mi", "Gi"]))
def test_the_form_does_not_depend_on_how_it_was_written(number, suffix):
    size = parse_size(f"{number}{suffix}")
    assert format_size(size) == format_size(parse_size(str(size)))


@given(ANYTHING)
def test_anything_is_a_size_or_a_value_error(value):
    for parse in (parse_size, parse_cpu):
        try:
            assert parse(value) > 0
        except ValueError as error:
            assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("size", "words"),
    [(1023, "1023 bytes"), (2**10, "1 KB"), (3 * 2**29, "1.5 GB"), (8 * 2**30, "8 GB"), (2**43, "8 TB"),
     (2**53, "8192 TB"), (15 * 2**29, "7.5 GB"), (2**34 + 2**29, "16 GB")],
)  # fmt: skip
def test_people_read_sizes_in_words(size, words):
    assert human_size(size) == words


@pytest.mark.parametrize(
    ("text", "cores"), [("500m", 0.5), ("2", 2), (2, 2), (0.25, 0.25), ("1m", 0.001), ("1024", 1024)]
)
def test_a_share_is_in_cores(text, cores):
    assert parse_cpu(text) == cores


@pytest.mark.parametrize("text", ["", "m", "0", "-1", "1025", "2 cores", "1e2", True, None, float("nan"),
                                  float("inf"), "٢", "0.0001", "1\n"])  # fmt: skip
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match="number of cores"):
        parse_cpu(text)
