"""Options of the form ``NAME=VALUE``, and malformed option values as usage errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import click

from attest.errors import MalformedInput


def split_pair(option: str, text: str) -> tuple[str, str]:
    """Name and value.

    Raises:
        click.UsageError: one of them is missing.
    """
    name, separator, value = text.partition("=")
    if not separator or not name or not value:
        raise click.UsageError(f"{option} takes NAME=VALUE, not {text!r}")
    return name, value


def unique_pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Names and values; a name that is given twice would silently win once.

    Raises:
        click.UsageError.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, value = split_pair(option, text)
        if name in found:
            raise click.UsageError(f"{option} names {name!r} twice")
        found[name] = value
    return found


@contextlib.contextmanager
def option_value(option: str) -> Iterator[None]:
    """What is malformed inside came from the command line: a usage error about ``option``."""
    try:
        yield
    except MalformedInput as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise click.UsageError(f"{option}: {error}{hint}") from None


def json_value(option: str, text: str) -> Any:
    """A value written as JSON.

    Raises:
        click.UsageError: it is none; text needs its quotes.
    """
    from attest.codec import jsonstrict

    try:
        return jsonstrict.loads(text.encode("utf-8", "surrogateescape"), what="value")
    except MalformedInput as error:
        raise click.UsageError(
            f'{option}: {error.message}; values are JSON: 42, or "text" in quotes'
        ) from None
