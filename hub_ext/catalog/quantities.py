"""Sizes and processor shares as people and Kubernetes write them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_SUFFIXES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_SIZE = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,6})?)(k|M|G|T|Ki|Mi|Gi|Ti)?")
_MAXIMUM = 2**53
_CORES = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(m?)")
_MOST_CORES = 1024


def parse_size(value: object) -> int:
    """Return a size in bytes.

    Args:
        value: ``8Gi``, ``512Mi``, ``1.5G`` or a whole number of bytes (the suffixes of Kubernetes quantities).

    Raises:
        ValueError: If it is not a size, is not a whole number of bytes, or is beyond 2**53 bytes.
    """
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAXIMUM
    match = _SIZE.fullmatch(str(value) if whole or isinstance(value, str) else "")
    if not match:
        msg = "must be a size such as 512Mi or 8Gi"
        raise ValueError(msg)
    number = Decimal(match[1]) * _SUFFIXES[match[2] or ""]
    if number != int(number):
        msg = "must be a whole number of bytes"
        raise ValueError(msg)
    if not 0 < number <= _MAXIMUM:
        msg = "must be more than nothing and at most 8192Ti"
        raise ValueError(msg)
    return int(number)


def format_size(size: int) -> str:
    """Return a size in bytes as the shortest exact quantity (``8Gi``)."""
    for suffix in ("Ti", "Gi", "Mi", "Ki") if size else ():
        if size % _SUFFIXES[suffix] == 0:
            return f"{size // _SUFFIXES[suffix]}{suffix}"
    return str(size)


def human_size(size: int) -> str:
    """Return a size in bytes in words people use (``8 GB``; rounded, 1 GB = 2**30 bytes as memory is sold)."""
    value, unit = float(size), "bytes"
    for following in ("KB", "MB", "GB", "TB"):
        if value < 1024:
            break
        value, unit = value / 1024, following
    return f"{value:.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"


def parse_cpu(value: object) -> float:
    """Return a processor share in cores.

    Args:
        value: ``500m``, ``2``, ``0.5`` or a number.

    Raises:
        ValueError: If it is not a share between a thousandth of a core and 1024 cores.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MOST_CORES
    match = _CORES.fullmatch(str(value) if number or isinstance(value, str) else "")
    cores = float(match[1]) / (1000 if match and match[2] else 1) if match else 0.0
    if not 0.001 <= cores <= _MOST_CORES:
        msg = "must be a number of cores such as 0.5, 2 or 500m"
        raise ValueError(msg)
    return cores


def _size_text(value: Any) -> str:
    return format_size(parse_size(value))


Size = Annotated[str, BeforeValidator(_size_text)]
Cores = Annotated[float, BeforeValidator(parse_cpu), PlainSerializer(lambda cores: cores)]
