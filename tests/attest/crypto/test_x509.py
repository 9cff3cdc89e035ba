"""Signing certificates: what is accepted, and each refusal named after the certificate's defect."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.crypto.keys import PublicKey
from attest.crypto.path import load_certificates, parse_certificate
from attest.crypto.x509 import (
    NameRule,
    SanRule,
    SubjectRule,
    VerifiedCertificate,
    verify_signing_chain,
)
from attest.errors import (
    AttestError,
    MalformedInput,
    OutsideValidity,
    TooLarge,
    TrustUnavailable,
    Unsupported,
    UntrustedIdentity,
    VerificationFailed,
)
from attest.limits import MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES, MAX_CHAIN_LENGTH
from tests.support import pki
from tests.support.fixtures import fixture
from tests.support.pki import END, NOON, START, Entity, Pki, der

SAN = SanRule("signer@example.org")
SUBJECT = SubjectRule("CN=signer,O=Example")
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def good() -> Pki:
    return pki.make_pki()


def verify(
    *chain: Entity,
    root: Entity,
    rule: NameRule = SAN,
    at: datetime = NOON,
    legacy: bool = False,
) -> VerifiedCertificate:
    return verify_signing_chain(
        [der(each) for each in chain],
        roots=[root.certificate],
        name_rule=rule,
        at=at,
        legacy=legacy,
    )


def refused(error: type[AttestError], code: str, *chain: Entity, **arguments) -> None:
    with pytest.raises(error) as caught:
        verify(*chain, **arguments)
    assert caught.value.code == code
    assert type(caught.value) is error


# What holds


def test_ordinary_chain(good):
    verified = verify(good.leaf, good.intermediate, root=good.root)
    assert verified.public_key == PublicKey(good.leaf.key.public_key())
    assert verified.subject == "CN=signer,O=Example"
    assert verified.sans == ("signer@example.org",)
    assert (verified.not_before, verified.not_after) == (START, END)
    assert verified.fingerprint == good.leaf.certificate.fingerprint(hashes.SHA256()).hex()
    assert verified.root_fingerprint == good.root.certificate.fingerprint(hashes.SHA256()).hex()


def test_chain_with_its_root_and_in_any_order(good):
    verify(good.leaf, good.root, good.intermediate, root=good.root)
    verify(good.leaf, good.intermediate, good.intermediate, root=good.root)


def test_leaf_directly_under_the_root(good):
    verify(good.root.issue("signer"), root=good.root)


def test_intermediate_given_as_root_is_an_anchor(good):
    verify(good.leaf, root=good.intermediate)


@pytest.mark.parametrize("leaf_curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
@pytest.mark.parametrize("ca", ["rsa", "p256", "p521", "ed25519"])
def test_every_mix_of_issuer_and_leaf_keys(ca, leaf_curve):
    keys = {
        "rsa": pki.rsa_key(3072),
        "p256": pki.ec_key(ec.SECP256R1()),
        "p521": pki.ec_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    root = pki.issue("root", ca=True, key=keys[ca])
    verify(root.issue("signer", key=pki.ec_key(leaf_curve)), root=root)


@pytest.mark.parametrize(("san", "text"), pki.every_san(), ids=lambda value: str(value)[:20])
def test_each_kind_of_alternative_name(good, san, text):
    leaf = good.intermediate.issue("signer", sans=[x509.DNSName("other.example"), san])
    verified = verify(leaf, good.intermediate, root=good.root, rule=SanRule(text))
    assert verified.sans == ("other.example", text)


def test_subject_rule_reads_escapes_and_spaces(good):
    leaf = good.intermediate.issue("Release, Team")
    chain = (leaf, good.intermediate)
    verify(*chain, root=good.root, rule=SubjectRule(r"CN=Release\, Team,O=Example"))


@pytest.mark.parametrize("at", [START, END], ids=["first-second", "last-second"])
def test_validity_is_inclusive(good, at):
    verify(good.leaf, good.intermediate, root=good.root, at=at)


def test_expired_cross_certificate_does_not_hide_the_good_path(good):
    expired = good.root.issue(
        "issuing CA", ca=True, key=good.intermediate.key, not_after=NOON - MINUTE
    )
    verify(good.leaf, expired, good.intermediate, root=good.root)
    verify(good.leaf, good.intermediate, expired, root=good.root)


def test_leaf_without_basic_constraints(good):
    leaf = good.intermediate.issue("signer", basic_constraints=False)
    verify(leaf, good.intermediate, root=good.root)


# Time


def test_expired_leaf(good):
    leaf = good.intermediate.issue("signer", not_after=NOON - MINUTE)
    arguments = {"root": good.root}
    refused(OutsideValidity, "certificate-expired", leaf, good.intermediate, **arguments)
    verify(leaf, good.intermediate, root=good.root, at=NOON - MINUTE)


def test_not_yet_valid_leaf(good):
    leaf = good.intermediate.issue("signer", not_before=NOON + MINUTE)
    refused(OutsideValidity, "certificate-not-yet-valid", leaf, good.intermediate, root=good.root)


def test_expired_intermediate():
    root = pki.issue("root", ca=True)
    intermediate = root.issue("issuing CA", ca=True, not_after=NOON - MINUTE)
    leaf = intermediate.issue("signer")
    refused(OutsideValidity, "certificate-expired", leaf, intermediate, root=root)


def test_expired_root():
    root = pki.issue("root", ca=True, not_after=NOON - MINUTE)
    refused(OutsideValidity, "certificate-expired", root.issue("signer"), root=root)


def test_time_without_zone_is_a_mistake_of_the_caller(good):
    with pytest.raises(ValueError, match="time zone"):
        verify(good.leaf, good.intermediate, root=good.root, at=NOON.replace(tzinfo=None))


# Names


def test_wrong_alternative_name(good):
    for name in ("signer@example.com", "Signer@example.org", "*@example.org", "signer"):
        refused(
            UntrustedIdentity, "name-mismatch",
            good.leaf, good.intermediate, root=good.root, rule=SanRule(name),
        )  # fmt: skip


@pytest.mark.parametrize("dn", ["CN=signer", "O=Example,CN=signer", "CN=Signer,O=Example"])
def test_wrong_subject(good, dn):
    refused(
        UntrustedIdentity, "name-mismatch",
        good.leaf, good.intermediate, root=good.root, rule=SubjectRule(dn),
    )  # fmt: skip


def test_common_name_is_not_an_alternative_name(good):
    refused(
        UntrustedIdentity, "name-mismatch",
        good.leaf, good.intermediate, root=good.root, rule=SanRule("signer"),
    )  # fmt: skip


def test_other_name_that_is_no_utf8_text_matches_nothing(good):
    kind = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
    octets, truncated = b"\x04\x01a", b"\x0c\x02\xc3\x28"
    odd = [x509.OtherName(kind, octets), x509.OtherName(kind, truncated)]
    leaf = good.intermediate.issue("signer", sans=[*odd, x509.DNSName("b")])
    verified = verify(leaf, good.intermediate, root=good.root, rule=SanRule("b"))
    assert verified.sans == ("b",)


def test_name_with_nul_byte_does_not_match_its_beginning(good):
    leaf = good.intermediate.issue("signer", sans=[x509.DNSName("good.example\0.evil.example")])
    refused(
        UntrustedIdentity, "name-mismatch",
        leaf, good.intermediate, root=good.root, rule=SanRule("good.example"),
    )  # fmt: skip


def test_no_name_rule(good):
    for rule in cast(Any, (None, "signer@example.org")):
        with pytest.raises(TypeError):
            verify(good.leaf, good.intermediate, root=good.root, rule=rule)


@pytest.mark.parametrize("dn", ["", "signer", "CN", "/CN=signer"])
def test_rule_that_is_no_name(dn):
    with pytest.raises(ValueError, match=r"distinguished name|empty"):
        SubjectRule(dn)
    with pytest.raises(ValueError, match="empty"):
        SanRule("")


def test_missing_alternative_name_needs_the_legacy_switch(good):
    leaf = good.intermediate.issue("signer", sans=[])
    chain = (leaf, good.intermediate)
    refused(VerificationFailed, "no-alternative-name", *chain, root=good.root, rule=SUBJECT)
    verify(*chain, root=good.root, rule=SUBJECT, legacy=True)
    refused(UntrustedIdentity, "name-mismatch", *chain, root=good.root, legacy=True)


# Usage


def test_tls_server_certificate(good):
    leaf = good.intermediate.issue("signer", usages=[pki.SERVER_AUTH])
    for legacy in (False, True):
        refused(
            VerificationFailed, "wrong-extended-key-usage",
            leaf, good.intermediate, root=good.root, legacy=legacy,
        )  # fmt: skip


@pytest.mark.parametrize(
    "usages",
    [
        [],
        [pki.ANY_USAGE],
        [pki.CODE_SIGNING, pki.ANY_USAGE],
        [pki.CODE_SIGNING, pki.SERVER_AUTH],
        [pki.TIME_STAMPING],
    ],
    ids=["none", "any", "code-signing-and-any", "code-signing-and-tls", "timestamping"],
)
def test_wrong_extended_key_usage(good, usages):
    leaf = good.intermediate.issue("signer", usages=usages)
    arguments = {"root": good.root}
    refused(VerificationFailed, "wrong-extended-key-usage", leaf, good.intermediate, **arguments)


@pytest.mark.parametrize("bits", [[], ["content_commitment"], ["key_encipherment"]], ids=str)
def test_leaf_that_may_not_sign(good, bits):
    leaf = good.intermediate.issue("signer", key_usage=bits)
    refused(VerificationFailed, "wrong-key-usage", leaf, good.intermediate, root=good.root)


def test_leaf_marked_as_ca_needs_the_legacy_switch(good):
    for knobs in ({"ca": True}, {"key_usage": ["digital_signature", "key_cert_sign"]}):
        profile = {"key_usage": ["digital_signature"], "usages": [pki.CODE_SIGNING]}
        profile["sans"] = [x509.RFC822Name("signer@example.org")]
        leaf = good.intermediate.issue("signer", **(profile | knobs))
        refused(VerificationFailed, "leaf-is-ca", leaf, good.intermediate, root=good.root)
        verify(leaf, good.intermediate, root=good.root, legacy=True)


def test_leaf_with_its_issuers_name_needs_the_legacy_switch(good):
    leaf = good.intermediate.issue("issuing CA")
    refused(VerificationFailed, "leaf-is-self-issued", leaf, good.intermediate, root=good.root)
    verify(leaf, good.intermediate, root=good.root, legacy=True)


def test_rsa_leaf(good):
    leaf = good.intermediate.issue("signer", key=pki.rsa_key())
    for legacy in (False, True):
        refused(
            Unsupported, "unsupported-key",
            leaf, good.intermediate, root=good.root, legacy=legacy,
        )  # fmt: skip


# Issuers


def test_leaf_as_issuer(good):
    forged = good.leaf.issue("signer")
    chain = (forged, good.leaf, good.intermediate)
    refused(VerificationFailed, "issuer-not-ca", *chain, root=good.root)


def test_issuer_without_basic_constraints():
    root = pki.issue("root", ca=True)
    intermediate = root.issue("issuing CA", ca=True, basic_constraints=False)
    leaf = intermediate.issue("signer")
    refused(VerificationFailed, "issuer-not-ca", leaf, intermediate, root=root)


def test_path_longer_than_an_issuer_allows(good):
    below = good.intermediate.issue("third CA", ca=True)
    chain = (below.issue("signer"), below, good.intermediate)
    refused(VerificationFailed, "path-length-exceeded", *chain, root=good.root)


def test_path_longer_than_the_root_allows():
    root = pki.issue("root", ca=True, path_length=0)
    intermediate = root.issue("issuing CA", ca=True)
    leaf = intermediate.issue("signer")
    refused(VerificationFailed, "path-length-exceeded", leaf, intermediate, root=root)
    verify(root.issue("signer"), root=root)


@pytest.mark.parametrize("bits", [["digital_signature"], []], ids=["other-usage", "no-usage"])
def test_issuer_that_may_not_sign_certificates(bits):
    root = pki.issue("root", ca=True)
    intermediate = root.issue("issuing CA", ca=True, key_usage=bits)
    leaf = intermediate.issue("signer")
    refused(VerificationFailed, "wrong-key-usage", leaf, intermediate, root=root)


def test_root_without_key_usage_as_openssl_makes_it():
    root = pki.issue("root", ca=True, key_usage=[])
    verify(root.issue("signer"), root=root)
    denied = pki.issue("root", ca=True, key_usage=["crl_sign"])
    refused(VerificationFailed, "wrong-key-usage", denied.issue("signer"), root=denied)


def test_issuer_restricted_to_tls():
    root = pki.issue("root", ca=True)
    intermediate = root.issue("issuing CA", ca=True, usages=[pki.SERVER_AUTH])
    leaf = intermediate.issue("signer")
    refused(VerificationFailed, "wrong-extended-key-usage", leaf, intermediate, root=root)
    for usages in ([pki.CODE_SIGNING], [pki.ANY_USAGE]):
        allowed = root.issue("issuing CA", ca=True, usages=usages)
        verify(allowed.issue("signer"), allowed, root=root)


# Critical extensions

PRIVATE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.7"), b"\x05\x00")
CONSTRAINTS = x509.NameConstraints([x509.DNSName("example.org")], None)


@pytest.mark.parametrize("place", ["leaf", "intermediate", "root"])
@pytest.mark.parametrize(
    ("value", "critical"),
    [(PRIVATE, True), (CONSTRAINTS, True), (CONSTRAINTS, False)],
    ids=["unknown", "name-constraints", "name-constraints-not-critical"],
)
def test_extension_that_is_not_understood(place, value, critical):
    odd: dict[str, Any] = {"extensions": [(value, critical)]}
    root = pki.issue("root", ca=True, **(odd if place == "root" else {}))
    intermediate = root.issue("CA", ca=True, **(odd if place == "intermediate" else {}))
    leaf = intermediate.issue("signer", **(odd if place == "leaf" else {}))
    refused(Unsupported, "unknown-critical-extension", leaf, intermediate, root=root)
    refused(Unsupported, "unknown-critical-extension", leaf, intermediate, root=root, legacy=True)


def test_unknown_extension_that_is_not_critical(good):
    leaf = good.intermediate.issue("signer", extensions=[(PRIVATE, False)])
    verify(leaf, good.intermediate, root=good.root)


# Strength


def test_certificate_signed_over_sha1():
    root = pki.issue("root", ca=True, key=pki.rsa_key())
    leaf = root.issue("signer")
    weak = Entity(resigned_over_sha1(leaf.certificate, root), leaf.key)
    refused(Unsupported, "weak-signature-hash", weak, root=root)
    refused(Unsupported, "weak-signature-hash", weak, root=root, legacy=True)


def resigned_over_sha1(certificate: x509.Certificate, issuer: Entity) -> x509.Certificate:
    """The library refuses to make one; so the bytes are put together by hand."""
    from asn1crypto import x509 as asn1_x509
    from cryptography.hazmat.primitives.asymmetric import padding

    encoding = serialization.Encoding.DER
    copy = asn1_x509.Certificate.load(certificate.public_bytes(encoding))
    copy["tbs_certificate"]["signature"] = {"algorithm": "sha1_rsa"}
    copy["signature_algorithm"] = {"algorithm": "sha1_rsa"}
    signed = copy["tbs_certificate"].dump(force=True)
    copy["signature_value"] = issuer.key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    return x509.load_der_x509_certificate(copy.dump(force=True))


def test_self_signature_of_the_root_proves_nothing_and_may_be_old():
    root = pki.issue("root", ca=True, key=pki.rsa_key())
    old = Entity(resigned_over_sha1(root.certificate, root), root.key)
    verify(root.issue("signer"), root=old)


def test_first_reason_is_the_one_reported():
    root = pki.issue("root", ca=True)
    expired = root.issue("CA", ca=True, not_after=NOON - MINUTE)
    no_ca = root.issue("CA", key=expired.key)
    leaf = expired.issue("signer")
    refused(OutsideValidity, "certificate-expired", leaf, expired, no_ca, root=root)
    refused(VerificationFailed, "issuer-not-ca", leaf, no_ca, expired, root=root)


def test_issuer_with_short_rsa_key():
    root = pki.issue("root", ca=True, key=pki.rsa_key(1024))
    refused(Unsupported, "weak-key", root.issue("signer"), root=root)


def test_issuer_with_foreign_curve():
    root = pki.issue("root", ca=True, key=pki.ec_key(ec.SECP256K1()))
    refused(Unsupported, "unsupported-key", root.issue("signer"), root=root)


# Trust


def test_no_roots(good):
    with pytest.raises(TrustUnavailable):
        verify_signing_chain(good.chain, roots=[], name_rule=SAN, at=NOON)


def test_other_root(good):
    refused(
        UntrustedIdentity, "untrusted-issuer",
        good.leaf, good.intermediate, root=pki.issue("other root", ca=True),
    )  # fmt: skip


def test_other_root_of_the_same_name(good):
    refused(
        UntrustedIdentity, "untrusted-issuer",
        good.leaf, good.intermediate, good.root, root=pki.issue("root", ca=True),
    )  # fmt: skip


def test_missing_intermediate(good):
    refused(UntrustedIdentity, "untrusted-issuer", good.leaf, root=good.root)


def test_root_in_the_chain_is_not_trusted_for_being_there(good):
    mine = pki.make_pki()
    chain = (mine.leaf, mine.intermediate, mine.root)
    refused(UntrustedIdentity, "untrusted-issuer", *chain, root=good.intermediate)


def test_self_signed_leaf_is_no_anchor_even_when_given_as_root():
    leaf = pki.issue("signer")
    for legacy in (False, True):
        refused(UntrustedIdentity, "untrusted-issuer", leaf, root=leaf, legacy=legacy)


def test_leaf_given_as_root(good):
    refused(UntrustedIdentity, "untrusted-issuer", good.leaf, root=good.leaf)


def test_tampered_leaf(good):
    spoiled = bytearray(der(good.leaf))
    spoiled[-1] ^= 1
    with pytest.raises(UntrustedIdentity):
        verify_signing_chain(
            [bytes(spoiled), der(good.intermediate)], roots=good.roots, name_rule=SAN, at=NOON
        )


# Hostile bytes


@pytest.mark.parametrize(
    "chain",
    [
        lambda pki: [],
        lambda pki: pki.chain * MAX_CHAIN_LENGTH,
        lambda pki: [b""],
        lambda pki: [b"junk"],
        lambda pki: [pki.chain[0][:-1]],
        lambda pki: [pki.chain[0] + b"\0"],
        lambda pki: [pki.chain[0], b"\x30\x80"],
        lambda pki: [pki.chain[0], b"\0" * (1 << 17)],
    ],
    ids=["none", "too-many", "empty", "junk", "truncated", "trailing", "indefinite", "too-large"],
)
def test_malformed_chain(good, chain):
    with pytest.raises(MalformedInput):
        verify_signing_chain(chain(good), roots=good.roots, name_rule=SAN, at=NOON)


def test_certificate_that_is_too_large(good):
    padding = x509.UnrecognizedExtension(PRIVATE.oid, b"\0" * MAX_CERTIFICATE_BYTES)
    leaf = good.intermediate.issue("signer", extensions=[(padding, False)])
    with pytest.raises(TooLarge):
        verify(leaf, good.intermediate, root=good.root)


def test_repeated_extension(good):
    """RFC 5280 section 4.2; a parser that takes the first and one that takes the last differ."""
    twin = x509.ObjectIdentifier("1.3.6.1.4.1.99999.8")
    odd = [(PRIVATE, False), (x509.UnrecognizedExtension(twin, b"\x05\x00"), False)]
    leaf = der(good.intermediate.issue("signer", extensions=odd))
    doubled = leaf.replace(b"\x86\x8d\x1f\x08", b"\x86\x8d\x1f\x07")
    assert doubled != leaf
    with pytest.raises(MalformedInput):
        verify_signing_chain([doubled], roots=good.roots, name_rule=SAN, at=NOON)


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_negative_serial_number(good, action):
    """The library only warns about it."""
    leaf = der(good.leaf)
    version_3_and_tag = bytes.fromhex("a0 03 02 01 02 02")
    serial = leaf.index(version_3_and_tag) + len(version_3_and_tag) + 1
    negative = leaf[:serial] + bytes([leaf[serial] | 0x80]) + leaf[serial + 1 :]
    with warnings.catch_warnings(), pytest.raises(MalformedInput):
        warnings.simplefilter(action)
        verify_signing_chain([negative], roots=good.roots, name_rule=SAN, at=NOON)


def test_maze_of_cross_certificates_is_bounded():
    """Nine CAs that all bear one name and key: every path is signed, none ends at the root."""
    key = pki.ec_key()
    mirror = pki.issue("mirror", ca=True, key=key)
    maze = [mirror.issue("mirror", ca=True, key=key) for _ in range(MAX_CHAIN_LENGTH - 1)]
    leaf = mirror.issue("signer")
    root = pki.issue("root", ca=True)
    refused(VerificationFailed, "chain-too-complex", leaf, *maze, root=root)


# Files of certificates


def test_pem_file_with_text_between_blocks(good):
    text = b"# our CA\n" + pki.pem(good.root) + b"\nissuer=...\n" + pki.pem(good.intermediate)
    assert load_certificates(text) == (good.root.certificate, good.intermediate.certificate)


def test_malformed_pem_files(good):
    block = pki.pem(good.root)
    cases = {
        "empty": b"",
        "text": b"hello",
        "der": der(good.root),
        "truncated": block[:-40],
        "junk-inside": block[:40] + b"!!" + block[42:],
        "public-key-beside": PublicKey(good.root.key.public_key()).pem + block,
        "public-key": PublicKey(good.root.key.public_key()).pem,
        "unreadable-second": block
        + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }
    for name, text in cases.items():
        with pytest.raises(MalformedInput):
            pytest.fail(f"{name} was read: {load_certificates(text)}")


def test_private_key_in_a_certificate_file_is_named_and_not_shown(good):
    with pytest.raises(MalformedInput) as caught:
        load_certificates(pki.pem(good.root) + good.root.key_pem)
    assert caught.value.code == "private-key-given"
    assert good.root.key_pem.splitlines()[1].decode() not in repr(caught.value)


def test_too_many_certificates(good):
    with pytest.raises(TooLarge):
        load_certificates(pki.pem(good.root) * (MAX_CERTIFICATES + 1))


# The first model-signing tools

UPSTREAM = SubjectRule("CN=intermediate-ca")


def upstream(at: datetime = NOON, rule: NameRule = UPSTREAM, legacy: bool = True):
    def read(name: str) -> x509.Certificate:
        path = fixture("oms/mt/keys/certificate", f"{name}.pem")
        return load_certificates(path.read_bytes())[0]

    chain = [read("signing-key-cert"), read("int-ca-cert")]
    return verify_signing_chain(
        [each.public_bytes(serialization.Encoding.DER) for each in chain],
        roots=[read("ca-cert")],
        name_rule=rule,
        at=at,
        legacy=legacy,
    )


def test_upstream_certificates_verify_with_the_legacy_switch_and_subject():
    verified = upstream()
    assert verified.subject == "CN=intermediate-ca"
    assert verified.sans == ()


def test_upstream_certificates_without_the_legacy_switch():
    with pytest.raises(VerificationFailed) as caught:
        upstream(legacy=False)
    assert caught.value.code == "leaf-is-ca"


def test_upstream_certificates_with_a_name_they_do_not_carry():
    with pytest.raises(UntrustedIdentity):
        upstream(rule=SanRule("intermediate-ca"))


def test_upstream_certificates_outside_their_validity():
    with pytest.raises(OutsideValidity):
        upstream(at=datetime.fromisoformat("2025-05-01T00:00:00+00:00"))
    with pytest.raises(OutsideValidity):
        upstream(at=datetime.fromisoformat("2036-01-01T00:00:00+00:00"))


# Properties

PKI = pki.make_pki()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(PKI.chain[0]) - 1), st.integers(1, 255))
def test_one_changed_byte_of_the_leaf_is_refused(position, change):
    leaf = bytearray(PKI.chain[0])
    leaf[position] ^= change
    with pytest.raises(AttestError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verify_signing_chain([bytes(leaf), PKI.chain[1]], roots=PKI.roots, name_rule=SAN, at=NOON)


@given(st.binary(max_size=300))
def test_junk_is_no_certificate(junk):
    for text in (junk, b"-----BEGIN CERTIFICATE-----\n" + junk + b"\n-----END CERTIFICATE-----\n"):
        with pytest.raises(AttestError):
            load_certificates(text)


@pytest.mark.parametrize(
    "san",
    [
        x509.DNSName("release@example.org"),
        x509.UniformResourceIdentifier("release@example.org"),
        x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x0c\x13release@example.org"),
    ],
    ids=["dns", "uri", "other"],
)
def test_alternative_name_of_another_type(good, san):
    leaf = good.intermediate.issue("signer", sans=[x509.DNSName("other.example"), san])
    with pytest.raises(UntrustedIdentity):
        verify(leaf, good.intermediate, root=good.root, rule=SanRule("release@example.org"))


def test_name_whose_string_type_does_not_fit(good):
    broken = pki.der(good.leaf).replace(b"\x0c\x06signer", b"\x03\x06signer")
    assert broken != pki.der(good.leaf)
    with pytest.raises(MalformedInput):
        parse_certificate(broken)
