"""Ask a timestamp authority over HTTP (RFC 3161 section 3.4).

The answer is checked for belonging to the request and is otherwise as untrusted as any file:
:func:`attest.crypto.timestamp.verify_timestamp` judges it.

Nothing but HTTP(S) is spoken, redirects are refused (an authority's address is configuration, and
a redirect could lead anywhere), and size and total time are bounded. The environment's proxy
settings are followed.
"""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from attest.crypto.timestamp import build_request, check_response
from attest.errors import MalformedInput, TooLarge, Unavailable
from attest.limits import MAX_TIMESTAMP_BYTES

_QUERY: Final = "application/timestamp-query"
_REPLY: Final = "application/timestamp-reply"
_READ_BYTES: Final = 8192


def timestamper(
    url: str, *, timeout: float, opener: urllib.request.OpenerDirector | None = None
) -> Callable[[bytes], bytes]:
    """A function from a raw signature to a TSA's response about it, request and checks included.

    The function raises what :func:`request_timestamp` and
    :func:`attest.crypto.timestamp.check_response` raise.
    """

    def timestamp(signature: bytes) -> bytes:
        request = build_request(signature)
        response = request_timestamp(url, request.der, timeout=timeout, opener=opener)
        check_response(response, request)
        return response

    return timestamp


def request_timestamp(
    url: str,
    der_request: bytes,
    *,
    timeout: float,
    opener: urllib.request.OpenerDirector | None = None,
) -> bytes:
    """Send one TimeStampReq and return the body of the answer.

    Args:
        url: ``http`` or ``https``; the answer is signed, so plain HTTP is common here.
        der_request: from :func:`attest.crypto.timestamp.build_request`.
        timeout: seconds for everything: connecting, sending, and the whole answer.
        opener: for a special proxy or TLS set-up; must not follow redirects.

    Returns:
        The DER TimeStampResp, at most ``MAX_TIMESTAMP_BYTES``. Controlled by the server.

    Raises:
        ValueError: another scheme, or no host.
        MalformedInput: an answer of another content type.
        TooLarge: a longer answer.
        Unavailable: ``tsa-unavailable``: not reached, refused, or too slow.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address of a timestamp authority starts with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("the address of a timestamp authority must not hold a password")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        url, data=der_request, headers={"Content-Type": _QUERY, "Accept": _REPLY}, method="POST"
    )
    answer: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(_exchange(opener or _opener(), request, url, timeout))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            answer.put(error)

    # A socket's time-out is for each wait, and a server may drip headers for ever. So the exchange
    # runs in a thread that is left behind when time is up; it ends with the server or the process.
    threading.Thread(target=ask, name="timestamp", daemon=True).start()
    try:
        result = answer.get(timeout=timeout)
    except queue.Empty:
        raise _unavailable(url, "the answer took too long") from None
    if isinstance(result, BaseException):
        raise result
    return result


def _exchange(
    opener: urllib.request.OpenerDirector,
    request: urllib.request.Request,
    url: str,
    timeout: float,
) -> bytes:
    try:
        with opener.open(request, timeout=timeout) as response:
            return _body(response, url)
    except urllib.error.HTTPError as error:
        error.close()
        raise _unavailable(url, f"it answered with HTTP status {error.code}") from None
    except urllib.error.URLError as error:
        raise _unavailable(url, ascii(str(error.reason)[:200])) from None
    except (OSError, http.client.HTTPException) as error:
        raise _unavailable(url, type(error).__name__) from None


def _body(response: http.client.HTTPResponse, url: str) -> bytes:
    if response.headers.get_content_type() != _REPLY:
        raise MalformedInput(
            f"the answer is not of type {_REPLY}",
            where=url,
            hint="check the address of the timestamp authority",
            code="tsa-content-type",
        )
    body = bytearray()
    while chunk := response.read1(_READ_BYTES):
        body += chunk
        if len(body) > MAX_TIMESTAMP_BYTES:
            raise TooLarge(f"a timestamp has at most {MAX_TIMESTAMP_BYTES} bytes", where=url)
    return bytes(body)


def _opener() -> urllib.request.OpenerDirector:
    """Not ``build_opener``, which adds redirects, ftp:, file: and data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _unavailable(url: str, reason: str) -> Unavailable:
    return Unavailable(
        f"the timestamp authority cannot be used: {reason}",
        where=url,
        hint="try again later, use another authority, or sign without --tsa",
        code="tsa-unavailable",
    )
