"""RFC 3161: real authorities' tokens, our own test authority's, and every lie it can tell."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import tsp
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.crypto.path import load_certificates, parse_certificate
from attest.crypto.timestamp import (
    VerifiedTime,
    build_request,
    check_about,
    check_response,
    verify_timestamp,
)
from attest.errors import (
    AttestError,
    BadSignature,
    DigestMismatch,
    MalformedInput,
    OutsideValidity,
    TooLarge,
    TrustUnavailable,
    Unsupported,
    UntrustedIdentity,
    VerificationFailed,
)
from attest.limits import MAX_TIMESTAMP_BYTES
from tests.support import pki
from tests.support.fixtures import fixture
from tests.support.pki import NOON
from tests.support.tsa import POLICY, TimestampAuthority

SIGNATURE = b"raw signature bytes"
MINUTE = timedelta(minutes=1)
PAST = datetime(2012, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def tsa() -> TimestampAuthority:
    return TimestampAuthority.make()


def respond(tsa: TimestampAuthority, **knobs) -> bytes:
    return tsa.respond(build_request(SIGNATURE).der, **knobs)


def verify(
    tsa: TimestampAuthority,
    *,
    message: bytes = SIGNATURE,
    roots: list[x509.Certificate] | None = None,
    at_most: datetime | None = None,
    **knobs,
) -> VerifiedTime:
    roots = tsa.roots if roots is None else roots
    return verify_timestamp(respond(tsa, **knobs), message=message, roots=roots, at_most=at_most)


def refused(error: type[AttestError], code: str, tsa: TimestampAuthority, **knobs) -> None:
    with pytest.raises(error) as caught:
        verify(tsa, **knobs)
    assert caught.value.code == code
    assert type(caught.value) is error


# What holds


def test_honest_token(tsa):
    verified = verify(tsa, at_most=NOON)
    assert verified == VerifiedTime(NOON, "CN=Test TSA,O=Example", POLICY)
    assert verified.time.tzinfo is not None


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_each_allowed_imprint(tsa, hash_name):
    imprint = hashlib.new(hash_name, SIGNATURE).digest()
    verify(tsa, imprint_hash=hash_name, imprint=imprint)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_each_form_of_certificate_identifier(tsa, version):
    verify(tsa, certificate_id=version)


def test_token_over_sha512(tsa):
    verify(tsa, digest="sha512")


def test_token_through_an_intermediate():
    root = pki.issue("TSA root", ca=True)
    intermediate = root.issue("TSA CA", ca=True, usages=[pki.TIME_STAMPING])
    signer = intermediate.issue(
        "TSA", usages=[pki.TIME_STAMPING], usages_critical=True, sans=[], key=pki.ec_key()
    )
    verify(TimestampAuthority(root, signer, (intermediate,)))


def test_token_without_certificates_needs_the_signers_beside_the_root(tsa):
    verify(tsa, embed=False, roots=[tsa.signer.certificate, *tsa.roots])
    refused(UntrustedIdentity, "timestamp-signer-unknown", tsa, embed=False)


def test_certificates_injected_beside_the_signers_change_nothing(tsa):
    other = TimestampAuthority.make("Impostor")
    verified = verify(tsa, extra_certificates=(other.signer, other.root))
    assert verified.tsa_subject == "CN=Test TSA,O=Example"


def test_verification_keeps_no_state(tsa):
    other = TimestampAuthority.make("Other TSA")
    for _ in range(2):
        verify(tsa)
        refused(UntrustedIdentity, "untrusted-issuer", tsa, roots=other.roots)
        verify(other)


@pytest.mark.skipif(not shutil.which("openssl"), reason="the openssl command is not here")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_openssl_agrees_that_the_test_authority_is_honest(tsa, tmp_path, version):
    data, token, root = (tmp_path / name for name in ("data", "token", "root"))
    data.write_bytes(SIGNATURE)
    token.write_bytes(respond(tsa, certificate_id=version))
    root.write_bytes(pki.pem(tsa.root))
    at = str(int(NOON.timestamp()))
    command = ["openssl", "ts", "-verify", "-data", data, "-in", token, "-CAfile", root]
    subprocess.run([*command, "-attime", at], check=True, capture_output=True)


# Time: the authority's chain is judged at genTime, not by the wall clock


def past_authority() -> TimestampAuthority:
    """Root and signer that expired years before these tests were written."""
    period = {"not_before": PAST, "not_after": PAST + timedelta(days=365)}
    root = pki.issue("old root", ca=True, **period)
    profile = {"usages": [pki.TIME_STAMPING], "usages_critical": True, "sans": []}
    return TimestampAuthority(root, root.issue("old TSA", **profile, **period))


def test_token_of_an_expired_authority_from_when_it_was_valid():
    old = past_authority()
    assert verify(old, gen_time=PAST + MINUTE).time == PAST + MINUTE


def test_token_dated_after_its_authority_expired():
    old = past_authority()
    end = PAST + timedelta(days=365)
    refused(OutsideValidity, "certificate-expired", old, gen_time=end + MINUTE)
    refused(OutsideValidity, "certificate-expired", old, gen_time=NOON)


def test_token_dated_before_its_authority_existed(tsa):
    refused(OutsideValidity, "certificate-not-yet-valid", tsa, gen_time=PAST)


def test_authority_that_is_valid_only_in_the_future():
    future = datetime(2090, 1, 1, tzinfo=UTC)
    period = {"not_before": future, "not_after": future + timedelta(days=9)}
    root = pki.issue("future root", ca=True, **period)
    profile = {"usages": [pki.TIME_STAMPING], "usages_critical": True, "sans": []}
    tsa = TimestampAuthority(root, root.issue("future TSA", **profile, **period))
    verify(tsa, gen_time=future + MINUTE)
    refused(OutsideValidity, "certificate-not-yet-valid", tsa, gen_time=NOON)


def test_root_expired_at_gen_time():
    root = pki.issue("root", ca=True, not_before=PAST, not_after=NOON - MINUTE)
    profile = {"usages": [pki.TIME_STAMPING], "usages_critical": True, "sans": []}
    tsa = TimestampAuthority(root, root.issue("TSA", **profile))
    refused(OutsideValidity, "certificate-expired", tsa)


def test_token_from_the_future(tsa):
    refused(OutsideValidity, "timestamp-in-future", tsa, at_most=NOON - MINUTE)
    verify(tsa, at_most=NOON)


def test_bound_without_time_zone_is_a_mistake_of_the_caller(tsa):
    with pytest.raises(ValueError, match="time zone"):
        verify(tsa, at_most=NOON.replace(tzinfo=None))


def test_bound_cannot_be_forgotten(tsa):
    with pytest.raises(TypeError):
        verify_timestamp(respond(tsa), message=SIGNATURE, roots=tsa.roots)  # type: ignore[call-arg]


# Content


def test_wrong_message(tsa):
    refused(DigestMismatch, "timestamp-mismatch", tsa, message=b"another signature")


def test_wrong_imprint(tsa):
    refused(DigestMismatch, "timestamp-mismatch", tsa, imprint=b"\0" * 32)


def test_imprint_cut_short(tsa):
    refused(DigestMismatch, "timestamp-mismatch", tsa, imprint=b"\0")


def test_imprint_over_sha1(tsa):
    refused(Unsupported, "unsupported-hash", tsa, imprint_hash="sha1", imprint=b"\0" * 20)


def test_signature_over_sha1(tsa):
    refused(Unsupported, "unsupported-hash", tsa, digest="sha1")


def test_signature_over_other_bytes(tsa):
    refused(BadSignature, "timestamp-bad-signature", tsa, spoil_signature=True)


def test_content_exchanged_under_a_signature(tsa):
    """The token says another time than the one that was signed."""
    token = respond(tsa)
    forged = token.replace(b"20260601120000Z", b"20250601120000Z")
    assert forged != token
    with pytest.raises(BadSignature):
        verify_timestamp(forged, message=SIGNATURE, roots=tsa.roots, at_most=None)


# Trust


def test_wrong_root(tsa):
    other = TimestampAuthority.make()
    refused(UntrustedIdentity, "untrusted-issuer", tsa, roots=other.roots)


def test_no_roots(tsa):
    with pytest.raises(TrustUnavailable):
        verify(tsa, roots=[])


def test_signers_own_certificate_is_no_anchor(tsa):
    with pytest.raises(TrustUnavailable):
        verify(tsa, roots=[tsa.signer.certificate])


def test_root_of_artifact_signers_does_not_cover_timestamps(tsa):
    refused(UntrustedIdentity, "untrusted-issuer", tsa, roots=pki.make_pki().roots)


@pytest.mark.parametrize(
    "knobs",
    [
        {"usages": [pki.CODE_SIGNING]},
        {"usages": []},
        {"usages": [pki.TIME_STAMPING], "usages_critical": False},
        {"usages": [pki.TIME_STAMPING, pki.CODE_SIGNING]},
        {"usages": [pki.TIME_STAMPING, pki.ANY_USAGE]},
        {"usages": [pki.ANY_USAGE]},
    ],
    ids=["code-signing", "none", "not-critical", "also-code-signing", "also-any", "any"],
)
def test_authority_with_wrong_extended_key_usage(knobs):
    tsa = TimestampAuthority.make(**knobs)
    refused(VerificationFailed, "wrong-extended-key-usage", tsa)


def test_authority_that_may_not_sign():
    tsa = TimestampAuthority.make(key_usage=["key_agreement"])
    refused(VerificationFailed, "wrong-key-usage", tsa)


def test_authority_of_a_ca_for_tls():
    root = pki.issue("root", ca=True)
    middle = root.issue("TLS CA", ca=True, usages=[pki.SERVER_AUTH])
    profile = {"usages": [pki.TIME_STAMPING], "usages_critical": True, "sans": []}
    tsa = TimestampAuthority(root, middle.issue("TSA", **profile), (middle,))
    refused(VerificationFailed, "wrong-extended-key-usage", tsa)


def test_certificate_identifier_of_another_certificate(tsa):
    """Same name and key, so that only ESSCertID can tell (RFC 3161 section 2.2)."""
    twin = tsa.root.issue(
        "Test TSA", key=tsa.signer.key, usages=[pki.TIME_STAMPING], usages_critical=True, sans=[]
    )
    for version in ("v1", "v2"):
        refused(
            UntrustedIdentity, "timestamp-signer-mismatch",
            tsa, identified=twin, certificate_id=version,
        )  # fmt: skip


@pytest.mark.parametrize(
    "identifiers",
    [
        [{"certs": []}],
        [{"certs": [{"cert_hash": b"1"}]}, {"certs": [{"cert_hash": b"2"}]}],
        [tsp.SigningCertificateV2.load(bytes.fromhex("3003020105"))],
    ],
    ids=["empty", "two-values", "unreadable"],
)
def test_malformed_certificate_identifier(tsa, identifiers):
    refused(MalformedInput, "malformed-timestamp", tsa, identifiers=identifiers)


def test_certificate_identifier_over_sha1(tsa):
    named = {"hash_algorithm": {"algorithm": "sha1"}, "cert_hash": b"\0" * 20}
    refused(Unsupported, "unsupported-hash", tsa, identifiers=[{"certs": [named]}])


def test_foreign_certificate_with_the_signers_serial_number(tsa):
    serial = tsa.signer.certificate.serial_number
    verify(tsa, extra_certificates=(pki.issue("other", ca=True, serial_number=serial),))


def test_second_certificate_of_the_signers_issuer_and_serial_number(tsa):
    twin = tsa.root.issue("twin", serial_number=tsa.signer.certificate.serial_number)
    refused(UntrustedIdentity, "timestamp-signer-unknown", tsa, extra_certificates=(twin,))


def test_no_certificate_identifier(tsa):
    refused(MalformedInput, "malformed-timestamp", tsa, certificate_id=None)


# Status and structure


@pytest.mark.parametrize("status", ["granted_with_mods", "rejection", "waiting"])
def test_status_that_is_not_granted(tsa, status):
    refused(VerificationFailed, "timestamp-not-granted", tsa, status=status)


def test_reason_of_a_refusal_is_escaped():
    response = tsp.PKIStatusInfo({"status": "rejection", "status_string": ["\x1b[2Jno"]}).dump()
    token = b"\x30" + bytes([len(response)]) + response
    with pytest.raises(VerificationFailed, match=r"\\x1b") as caught:
        verify_timestamp(token, message=SIGNATURE, roots=[], at_most=None)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("signers", [0, 2])
def test_not_exactly_one_signer(tsa, signers):
    refused(MalformedInput, "malformed-timestamp", tsa, signers=signers)


@pytest.mark.parametrize("content", [b"", b"junk", b"\x30\x00"], ids=["empty", "junk", "hollow"])
def test_content_that_is_no_tst_info(tsa, content):
    refused(MalformedInput, "malformed-timestamp", tsa, content=content)


def test_content_of_another_version(tsa):
    info = tsa.info(build_request(SIGNATURE).der)
    assert info.startswith(bytes([0x30, len(info) - 2, 2, 1, 1]))
    other = info[:4] + b"\x02" + info[5:]
    refused(MalformedInput, "malformed-timestamp", tsa, content=other)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: b"",
        lambda t: b"junk",
        lambda t: t[:-1],
        lambda t: t + b"\0",
        lambda t: bytes.fromhex("30053003020100"),
        lambda t: bytes.fromhex("3080") + t[4:] + b"\0\0",
        lambda t: tsp.TimeStampResp.load(t)["time_stamp_token"].dump(),
        lambda t: t.replace(
            bytes.fromhex("06092a864886f70d010702"),
            bytes.fromhex("06092a864886f70d010703"),
        ),
        lambda t: t.replace(
            bytes.fromhex("060b2a864886f70d0109100104a0"),
            bytes.fromhex("060b2a864886f70d0109100105a0"),
        ),
    ],
    ids=[
        "empty", "junk", "truncated", "trailing", "granted-without-token", "indefinite-length",
        "bare-token", "not-signed-data", "other-content-type",
    ],
)  # fmt: skip
def test_malformed_response(tsa, spoil):
    token = respond(tsa)
    assert spoil(token) != token
    with pytest.raises(MalformedInput):
        verify_timestamp(spoil(token), message=SIGNATURE, roots=tsa.roots, at_most=None)


def test_response_that_is_too_large(tsa):
    token = b"\x30\x84\x7f\xff\xff\xff" + b"\0" * MAX_TIMESTAMP_BYTES
    with pytest.raises(TooLarge):
        verify_timestamp(token, message=SIGNATURE, roots=tsa.roots, at_most=None)


HONEST = TimestampAuthority.make()
TOKEN = respond(HONEST)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.integers(1, 255))
def test_one_changed_byte_never_gives_another_time(position, change):
    """A change in an unsigned byte may go unnoticed; the proved time and authority may not move."""
    spoiled = TOKEN[:position] + bytes([TOKEN[position] ^ change]) + TOKEN[position + 1 :]
    try:
        verified = verify_timestamp(spoiled, message=SIGNATURE, roots=HONEST.roots, at_most=None)
    except AttestError:
        return
    assert verified == VerifiedTime(NOON, "CN=Test TSA,O=Example", POLICY)


# Asking


def test_answer_to_our_request(tsa):
    request = build_request(SIGNATURE)
    check_response(tsa.respond(request.der), request)
    asked = tsp.TimeStampReq.load(request.der)
    assert asked["nonce"].native == request.nonce
    assert asked["cert_req"].native is True
    assert asked["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha256"


def test_requests_have_fresh_nonces():
    assert len({build_request(SIGNATURE).nonce for _ in range(50)}) == 50


def test_nothing_to_timestamp():
    with pytest.raises(ValueError, match="nothing"):
        build_request(b"")


def test_answer_to_another_request(tsa):
    replayed = tsa.respond(build_request(SIGNATURE).der)
    with pytest.raises(VerificationFailed) as caught:
        check_response(replayed, build_request(SIGNATURE))
    assert caught.value.code == "timestamp-nonce-mismatch"


def test_answer_without_granting(tsa):
    request = build_request(SIGNATURE)
    with pytest.raises(VerificationFailed) as caught:
        check_response(tsa.respond(request.der, status="rejection"), request)
    assert caught.value.code == "timestamp-not-granted"


def test_answer_about_other_content(tsa):
    request = build_request(SIGNATURE)
    about_other = tsa.respond(request.der, imprint=b"\0" * 32)
    with pytest.raises(DigestMismatch):
        check_response(about_other, request)
    with pytest.raises(DigestMismatch):
        check_about(about_other, SIGNATURE)
    check_about(respond(tsa), SIGNATURE)


# Real authorities. Provenance and verdicts: the fixtures' README.


def real(name: str, message: bytes, chain: str = "ts_chain.pem") -> VerifiedTime:
    token = fixture("provenance/rfc3161", name)
    pem = token.with_name(chain).read_bytes()
    roots = load_certificates(pem) if b"-----BEGIN" in pem else (parse_certificate(pem),)
    return verify_timestamp(token.read_bytes(), message=message, roots=roots, at_most=None)


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("test_tsa/response.tsr", "2024-10-08T15:40:32+00:00"),
        ("test_tsa/response-injected-certs.tsr", "2024-10-08T15:40:32+00:00"),
        ("sigstage/response-sha256.tsr", "2025-05-09T11:58:55+00:00"),
        ("sigstage/response-sha384.tsr", "2025-05-09T11:58:55+00:00"),
        ("sigstage/response-sha512.tsr", "2025-05-09T11:58:56+00:00"),
        ("sigstage/response-no-embedded-cert.tsr", "2025-06-18T08:13:02+00:00"),
        ("identrust/issue-104.tsr", "2025-03-11T08:52:08+00:00"),
    ],
)
def test_real_token(name, time):
    verified = real(name, b"hello")
    assert verified.time == datetime.fromisoformat(time)
    assert "spoof" not in verified.tsa_subject.lower()


def test_real_token_of_an_authority_that_has_expired_since():
    payload = fixture("provenance/rfc3161/sigstore.mock/payload").read_bytes()
    assert real("sigstore.mock/response-expired.tsr", payload).time.year == 2023


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("sigstage/response-invalid-signature.tsr", BadSignature),
        ("test_tsa/other_response.tsr", UntrustedIdentity),
    ],
)
def test_real_token_that_is_bad(name, error):
    with pytest.raises(error):
        real(name, b"hello")
