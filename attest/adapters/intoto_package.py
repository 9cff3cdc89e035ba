"""What surrounds a call of the ``in-toto`` package: its objects, its messages, its log."""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
from collections.abc import Iterator
from typing import Any

from attest.codec.layouts import Layout, UnverifiedMetadata
from attest.errors import MalformedInput


def load_metadata(metadata: UnverifiedMetadata, what: str) -> Any:
    """The package's own object, from a copy of the parsed document, which it changes."""
    from in_toto.exceptions import InvalidMetadata
    from in_toto.models.metadata import Metadata
    from securesystemslib.exceptions import FormatError

    try:
        loaded = Metadata.from_dict(_copy(metadata))
        loaded.get_payload()
        if metadata.form == "metablock":
            loaded.signed.signable_bytes  # noqa: B018 - fractions have no canonical JSON
    except (FormatError, InvalidMetadata, ValueError, TypeError, KeyError) as error:
        raise MalformedInput(
            f"the {what} is not as in-toto wants it ({first_line(error)})",
            code="malformed-metadata",
        ) from None
    return loaded


def _copy(metadata: UnverifiedMetadata) -> dict[str, Any]:
    """A copy of what the package changes: of a layout anything, of a link its signatures."""
    document = metadata.document
    if isinstance(metadata.content, Layout):
        return copy.deepcopy(document)
    copied = {**document, "signatures": [dict(each) for each in document["signatures"]]}
    if "signed" in copied:
        copied["signed"] = dict(copied["signed"])
    return copied


def first_line(error: Exception) -> str:
    """The first line of the package's message, short."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the package's log of this thread off stderr, where its own handler writes it."""
    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    loggers = [logging.getLogger(name) for name in ("in_toto", "in_toto.verifylib")]
    for logger in loggers:
        logger.addFilter(elsewhere)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(elsewhere)
