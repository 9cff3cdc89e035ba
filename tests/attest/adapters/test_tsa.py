"""The HTTP side of timestamps, against real servers on 127.0.0.1."""

from __future__ import annotations

import socket
import threading
import urllib.request

import pytest

from attest.adapters.tsa import request_timestamp, timestamper
from attest.crypto.timestamp import build_request, verify_timestamp
from attest.errors import MalformedInput, TooLarge, Unavailable, VerificationFailed
from attest.limits import MAX_TIMESTAMP_BYTES
from tests.support.tsa import REPLY, TimestampAuthority, serve

SIGNATURE = b"raw signature bytes"
TIMEOUT = 5.0


@pytest.fixture(scope="module")
def tsa() -> TimestampAuthority:
    return TimestampAuthority.make()


def test_timestamp_over_http_verifies(tsa):
    with tsa.serve() as url:
        response = timestamper(url, timeout=TIMEOUT)(SIGNATURE)
    verify_timestamp(response, message=SIGNATURE, roots=tsa.roots, at_most=None)


def test_replayed_answer(tsa):
    old = tsa.respond(build_request(SIGNATURE).der)
    with serve(lambda _: (200, REPLY, old)) as url, pytest.raises(VerificationFailed) as caught:
        timestamper(url, timeout=TIMEOUT)(SIGNATURE)
    assert caught.value.code == "timestamp-nonce-mismatch"


def test_refusing_authority(tsa):
    with tsa.serve(status="rejection") as url, pytest.raises(VerificationFailed):
        timestamper(url, timeout=TIMEOUT)(SIGNATURE)


def test_content_type_with_parameters_and_capitals():
    with serve(lambda _: (200, "Application/Timestamp-Reply; x=y", b"body")) as url:
        assert request_timestamp(url, b"request", timeout=TIMEOUT) == b"body"


def test_other_content_type():
    with serve(lambda _: (200, "text/html", b"<html>")) as url, pytest.raises(MalformedInput):
        request_timestamp(url, b"request", timeout=TIMEOUT)


def test_answer_that_is_too_large():
    body = b"x" * (MAX_TIMESTAMP_BYTES + 1)
    with serve(lambda _: (200, REPLY, body)) as url, pytest.raises(TooLarge):
        request_timestamp(url, b"request", timeout=TIMEOUT)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 500, 503])
def test_status_that_is_no_success_and_redirects(status):
    with serve(lambda _: (status, REPLY, b"body")) as url, unavailable() as caught:
        request_timestamp(url, b"request", timeout=TIMEOUT)
    assert str(status) in str(caught.value)


def test_nobody_listens():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with unavailable():
            request_timestamp(url, b"request", timeout=TIMEOUT)


@pytest.mark.timeout(20)
def test_silent_server():
    with socket.create_server(("127.0.0.1", 0)) as silent, unavailable():
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        request_timestamp(url, b"request", timeout=0.2)


@pytest.mark.timeout(20)
def test_server_that_drips():
    """Each wait is short enough; the whole is not."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {REPLY}\r\n\r\n".encode())
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with unavailable():
                url = f"http://127.0.0.1:{server.getsockname()[1]}/"
                request_timestamp(url, b"request", timeout=0.4)
        finally:
            stop.set()
            thread.join()


def test_answer_that_is_no_http():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"hello\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with unavailable():
            url = f"http://127.0.0.1:{server.getsockname()[1]}/"
            request_timestamp(url, b"request", timeout=TIMEOUT)
        thread.join()


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1/", "data:,x", "127.0.0.1", "http://", "http:///x", ""],
)
def test_address_that_is_not_http(url):
    with pytest.raises(ValueError, match="http"):
        request_timestamp(url, b"request", timeout=TIMEOUT)


@pytest.mark.parametrize("credentials", ["user:sesame", "sesame", ":sesame"])
def test_address_with_a_password(credentials):
    with pytest.raises(ValueError, match="password") as caught:
        request_timestamp(f"http://{credentials}@127.0.0.1/", b"request", timeout=TIMEOUT)
    assert "sesame" not in str(caught.value)


def test_opener_of_the_caller_is_used():
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.UnknownHandler())
    with serve(lambda _: (200, REPLY, b"body")) as url, unavailable() as caught:
        request_timestamp(url, b"request", timeout=TIMEOUT, opener=opener)
    assert "unknown url type" in str(caught.value)


def unavailable():
    return pytest.raises(Unavailable, check=lambda error: error.code == "tsa-unavailable")
