"""The table: one line for each comparison, printed as soon as it is known."""

from __future__ import annotations

from dataclasses import dataclass

_WIDTHS = (44, 11, 11, 34, 7, 8)
_HEADINGS = ("what", "ours", "other", "which other", "ratio", "target")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Attributes:
        what: what of ours was measured.
        ours, other: both figures with their unit.
        which: the other tool, or the limit.
        ratio: the two compared as the target asks, or None.
        target: in words, empty where there is none.
        met: whether the target is met; None where there is none or the other tool is not there.
    """

    what: str
    ours: str
    other: str = ""
    which: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


def heading() -> str:
    return _line(_HEADINGS) + "\n" + "-" * (sum(_WIDTHS) + len(_WIDTHS) + 6)


def line(row: Row, *, judge: bool = True) -> str:
    """One row; ``judge``: whether the sizes are large enough for a verdict."""
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    verdict = "" if row.met is None or not judge else "ok" if row.met else "MISSED"
    cells = (row.what, row.ours, row.other, row.which, ratio, row.target)
    return f"{_line(cells)} {verdict}".rstrip()


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(
        cell.rjust(width) if place in (1, 2, 4) else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    )


def rate(size: int, seconds: float) -> str:
    return f"{size / seconds / 1e9:.2f} GB/s"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


def speed(
    what: str, size: int, ours: float, other: float, which: str, at_least: float | None = None
) -> Row:
    """Both hashed ``size`` bytes in so many seconds; the ratio is that of the speeds."""
    ratio = other / ours
    return Row(
        what,
        rate(size, ours),
        rate(size, other),
        which,
        ratio,
        "" if at_least is None else f">= {at_least:.2f}",
        None if at_least is None else ratio >= at_least,
    )


def below(what: str, figure: str, measured: float, limit: float, shown: str) -> Row:
    """One figure under a limit; ``figure`` and ``shown`` are the two with their units."""
    return Row(
        what, figure, shown, "limit", measured / limit, f"< {shown.split()[0]}", measured < limit
    )
