"""CSV as spreadsheets read and write it: no cell is a formula, a byte order mark is welcome, lines count. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hub_ext.errors import InvalidInput

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_QUOTE = "'"
_SEPARATORS = ",;\t"
_LONGEST_HEADER = 10_000


@dataclass(frozen=True)
class Row:
    """A row below the header.

    Attributes:
        line: Line of the file that it begins at, from 1.
        cells: Text of each cell by the name of its column.
    """

    line: int
    cells: dict[str, str]


def neutral(text: str) -> str:
    """Return a cell that no spreadsheet calculates; `plain` is its inverse.

    Args:
        text: What the cell says.
    """
    return _QUOTE + text if text.startswith(_QUOTE) or text.lstrip().startswith(_FORMULA) else text


def plain(text: str) -> str:
    """Return what a cell says that `neutral` may have made.

    Args:
        text: The cell as it stands in a file.
    """
    rest = text.removeprefix(_QUOTE)
    return rest if rest != text and neutral(rest) == text else text


def lines_of(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Yield rows as a file, in UTF-8; every cell is made neutral.

    Args:
        rows: The header first.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for row in rows:
        writer.writerow([neutral(cell) for cell in row])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def read(stream: Iterable[bytes], columns: Sequence[str], ignored: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the rows of a file, each with its line.

    Commas, semicolons or tabs stand between cells, as the header has them; columns may have any order.

    Args:
        stream: Its lines.
        columns: Names of the columns that there must be.
        ignored: Names of those that may be there, and say nothing.

    Raises:
        InvalidInput: If it is no such file; names the line, and the column where there is one.
    """
    lines = _decoded(stream)
    header = next(lines, "")
    separator = max(_SEPARATORS, key=header[:_LONGEST_HEADER].count)
    reader = csv.reader(_with(header, lines), delimiter=separator, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_header(names, columns, ignored)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row(line, cells, names)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput.of("file", f"is not CSV: {error}", line=reader.line_num) from None


def _with(first: str, others: Iterator[str]) -> Iterator[str]:
    yield first
    yield from others


def _row(line: int, cells: list[str], names: list[str]) -> Row:
    if len(cells) != len(names):
        raise InvalidInput.of("file", f"has {len(cells)} cells where the header has {len(names)}", line=line)
    return Row(line, {name: plain(cell.strip()) for name, cell in zip(names, cells, strict=True)})


def _decoded(stream: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            hint = "Save it as CSV in UTF-8."
            raise InvalidInput.of("file", "is not UTF-8", line=number, hint=hint) from None


def _check_header(names: list[str], columns: Sequence[str], ignored: Sequence[str]) -> None:
    missing = [name for name in columns if name not in names]
    unknown = [name for name in names if name not in (*columns, *ignored)]
    twice = sorted({name for name in names if names.count(name) > 1})
    words = [f"lacks the column {name}" for name in missing]
    words += [f"has the column {name[:40]!r}, which is not known" for name in unknown[:5]]
    words += [f"has the column {name} twice" for name in twice if name not in unknown]
    if words:
        hint = f"The columns are {', '.join(columns)}."
        raise InvalidInput.of(
            (missing or unknown or twice)[0][:40], f"the header {'; it '.join(words)}", line=1, hint=hint
        )
