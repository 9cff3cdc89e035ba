"""Keys: round trips, other programs' verdicts, and every malformed or foreign key by its defect."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import (
    LocalSigner,
    PublicKey,
    ecdsa_signature_from_raw,
    generate,
    load_private_key,
    load_public_key,
)
from attest.crypto.signer import CertificateSigner, Signer
from attest.errors import (
    AttestError,
    BadSignature,
    MalformedInput,
    NotCanonical,
    TooLarge,
    Unavailable,
    Unsupported,
    VerificationFailed,
)
from attest.limits import MAX_KEY_FILE_BYTES, MAX_SIGNATURE_BYTES
from tests.support import pki
from tests.support.fixtures import fixture

MESSAGE: list[bytes | memoryview] = [b"hello, ", memoryview(b"world")]
WHOLE = b"hello, world"
ECDSA = [each for each in KeyAlgorithm if each.oms]
PASSPHRASE = b"correct horse battery staple"

SIGNERS = {algorithm: generate(algorithm) for algorithm in KeyAlgorithm}


@pytest.fixture(params=list(KeyAlgorithm), ids=str)
def signer(request: pytest.FixtureRequest) -> LocalSigner:
    return SIGNERS[request.param]


def private_pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def run(command: list) -> None:
    subprocess.run(command, check=True, capture_output=True)


# What holds


def test_signature_verifies_however_the_parts_are_cut(signer):
    signature = signer.sign_parts(MESSAGE)
    signer.public_key.verify_parts(signature, [WHOLE])
    signer.public_key.verify_parts(signature, (WHOLE[i : i + 1] for i in range(len(WHOLE))))


def test_every_signer_satisfies_the_protocol(signer):
    typed: Signer = signer
    assert typed.algorithm is signer.public_key.algorithm
    assert typed.chain == ()


def test_empty_message_can_be_signed(signer):
    signer.public_key.verify_parts(signer.sign_parts([]), [b""])


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE], ids=["plain", "encrypted"])
def test_private_key_round_trip(signer, passphrase):
    pem = signer.to_pem(passphrase)
    assert (b"ENCRYPTED" in pem) == (passphrase is not None)
    again = load_private_key(pem, passphrase)
    assert again.public_key == signer.public_key
    signer.public_key.verify_parts(again.sign_parts(MESSAGE), [WHOLE])


def test_public_key_round_trip(signer):
    again = load_public_key(signer.public_key.pem)
    assert again == signer.public_key
    assert hash(again) == hash(signer.public_key)
    assert again.algorithm is signer.algorithm
    assert again != generate(signer.algorithm).public_key
    assert again != signer.public_key.pem


def test_fingerprint_is_sha256sum_of_the_file_as_written(signer):
    pem = signer.public_key.pem
    assert pem.endswith(b"-----END PUBLIC KEY-----\n")
    assert signer.public_key.fingerprint == hashlib.sha256(pem).hexdigest()


def test_fingerprint_does_not_depend_on_line_ends_or_white_space(signer):
    pem = b"\n  " + signer.public_key.pem.replace(b"\n", b"\r\n") + b"\r\n\t"
    assert load_public_key(pem).fingerprint == signer.public_key.fingerprint


def test_passphrase_is_ignored_where_the_key_is_not_encrypted(signer):
    again = load_private_key(signer.to_pem(None), b"for another key")
    assert again.public_key == signer.public_key


def test_ml_dsa_is_pure_with_empty_context_over_the_whole_message():
    for algorithm in (KeyAlgorithm.ML_DSA_65, KeyAlgorithm.ML_DSA_87):
        signer = SIGNERS[algorithm]
        key = serialization.load_pem_public_key(signer.public_key.pem)
        assert isinstance(key, mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey)
        key.verify(signer.sign_parts(MESSAGE), WHOLE)
        library_key = serialization.load_pem_private_key(signer.to_pem(None), None)
        assert isinstance(library_key, mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey)
        signer.public_key.verify_parts(library_key.sign(WHOLE), MESSAGE)
        with pytest.raises(BadSignature):
            signer.public_key.verify_parts(library_key.sign(WHOLE, b"context"), MESSAGE)


@pytest.mark.parametrize("algorithm", ECDSA, ids=str)
def test_ecdsa_hash_follows_from_the_curve(algorithm):
    signer = SIGNERS[algorithm]
    digest = hashlib.new(algorithm.hash, WHOLE).digest()
    signer.public_key.verify_digest(signer.sign_parts(MESSAGE), digest, algorithm.hash)


@pytest.mark.skipif(not shutil.which("openssl"), reason="the openssl command is not here")
@pytest.mark.parametrize("algorithm", ECDSA, ids=str)
def test_openssl_verifies_ours_and_we_verify_openssl(algorithm, tmp_path: Path):
    signer = SIGNERS[algorithm]
    names = ("key", "pub", "data", "ours", "theirs")
    key, pub, data, ours, theirs = (tmp_path / name for name in names)
    key.write_bytes(signer.to_pem(PASSPHRASE))
    pub.write_bytes(signer.public_key.pem)
    data.write_bytes(WHOLE)
    ours.write_bytes(signer.sign_parts(MESSAGE))
    digest = ["openssl", "dgst", f"-{algorithm.hash}"]
    run([*digest, "-verify", pub, "-signature", ours, data])
    passin = ["-passin", f"pass:{PASSPHRASE.decode()}"]
    run([*digest, "-sign", key, *passin, "-out", theirs, data])
    signer.public_key.verify_parts(theirs.read_bytes(), MESSAGE)


@pytest.mark.skipif(not shutil.which("openssl"), reason="the openssl command is not here")
def test_sec1_key_of_openssl_ecparam_is_read(tmp_path: Path):
    made = tmp_path / "key"
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", made]
    run(command)
    assert b"EC PRIVATE KEY" in made.read_bytes()
    assert load_private_key(made.read_bytes(), None).algorithm is KeyAlgorithm.ECDSA_P256


def test_legacy_p384_over_sha256_verifies_only_when_asked_for():
    key = ec.generate_private_key(ec.SECP384R1())
    public = PublicKey(key.public_key())
    signature = key.sign(WHOLE, ec.ECDSA(hashes.SHA256()))
    public.verify_digest(signature, hashlib.sha256(WHOLE).digest(), "sha256")
    with pytest.raises(BadSignature):
        public.verify_parts(signature, MESSAGE)


@pytest.mark.parametrize("name", ["p256", "p384", "p521"])
def test_fingerprint_of_fixture_keys(name):
    pem = fixture("oms/gen", f"{name}.pub").read_bytes()
    assert load_public_key(pem).fingerprint == hashlib.sha256(pem).hexdigest()


def test_text_around_the_block_is_allowed():
    """RFC 7468 section 2; certtool writes such files."""
    pem = fixture("oms/mt/keys/certificate/signing-key-pub.pem").read_bytes()
    block = pem[pem.index(b"-----BEGIN") :]
    assert load_public_key(pem).fingerprint == hashlib.sha256(block).hexdigest()
    signer = SIGNERS[KeyAlgorithm.ED25519]
    for text in (b"Key:\n" + signer.public_key.pem, signer.public_key.pem + b"end\n"):
        assert load_public_key(text) == signer.public_key
    assert load_private_key(b"Key:\n" + signer.to_pem(None), None).public_key == signer.public_key


def test_raw_ecdsa_becomes_strict_der():
    assert decode_dss_signature(ecdsa_signature_from_raw(b"\0\x01\0\x80")) == (1, 128)


# Bad signatures


def test_other_message(signer):
    with pytest.raises(BadSignature):
        signer.public_key.verify_parts(signer.sign_parts(MESSAGE), [b"hello, worle"])


def test_other_key(signer):
    other = generate(signer.algorithm).public_key
    with pytest.raises(BadSignature):
        other.verify_parts(signer.sign_parts(MESSAGE), MESSAGE)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: b"",
        lambda s: s[:-1],
        lambda s: s + b"\0",
        lambda s: bytes([s[0] ^ 1]) + s[1:],
        lambda s: s[:-1] + bytes([s[-1] ^ 1]),
        lambda s: b"\0" * len(s),
        lambda s: s * (MAX_SIGNATURE_BYTES // len(s) + 1),
    ],
    ids=["empty", "truncated", "trailing", "first-bit", "last-bit", "zeroes", "too-long"],
)
def test_spoiled_signature(signer, spoil):
    with pytest.raises(BadSignature):
        signer.public_key.verify_parts(spoil(signer.sign_parts(MESSAGE)), MESSAGE)


@pytest.mark.parametrize("algorithm", ECDSA, ids=str)
def test_ecdsa_second_encoding_of_the_same_integers(algorithm):
    signer = SIGNERS[algorithm]
    r, s = decode_dss_signature(signer.sign_parts(MESSAGE))
    size = (max(r.bit_length(), s.bit_length()) + 7) // 8 + 2
    integers = b"".join(b"\x02" + bytes([size]) + n.to_bytes(size) for n in (r, s))
    long_form = b"\x81" if len(integers) > 127 else b""
    padded = b"\x30" + long_form + bytes([len(integers)]) + integers
    raw = r.to_bytes(66) + s.to_bytes(66)
    for signature in (padded, raw):
        with pytest.raises(BadSignature, match="DER"):
            signer.public_key.verify_parts(signature, MESSAGE)


@pytest.mark.parametrize("raw", [b"", b"123"], ids=["empty", "odd"])
def test_raw_ecdsa_of_impossible_length(raw):
    with pytest.raises(BadSignature):
        ecdsa_signature_from_raw(raw)


def test_digest_of_another_length_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="32 bytes"):
        SIGNERS[KeyAlgorithm.ECDSA_P256].public_key.verify_digest(b"x", b"short", "sha256")


@pytest.mark.parametrize(
    ("algorithm", "hash_name"),
    [
        (KeyAlgorithm.ECDSA_P256, "sha1"),
        (KeyAlgorithm.ECDSA_P256, "md5"),
        (KeyAlgorithm.ED25519, "sha256"),
        (KeyAlgorithm.ML_DSA_87, "sha512"),
    ],
)
def test_digest_outside_the_allow_list(algorithm, hash_name):
    with pytest.raises(Unsupported):
        SIGNERS[algorithm].public_key.verify_digest(b"x", b"x" * 32, hash_name)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_junk_is_never_a_signature(junk):
    for algorithm in (KeyAlgorithm.ECDSA_P256, KeyAlgorithm.ED25519):
        with pytest.raises(BadSignature):
            SIGNERS[algorithm].public_key.verify_parts(junk, MESSAGE)


# Bad keys

GOOD = SIGNERS[KeyAlgorithm.ECDSA_P256].public_key.pem


def compressed() -> bytes:
    """P-256 SubjectPublicKeyInfo with a compressed point, which OpenSSL reads as the same key."""
    key = serialization.load_pem_public_key(GOOD)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    point = key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    der = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    return pem_of(der, "PUBLIC KEY")


def pem_of(der: bytes, label: str, width: int = 64) -> bytes:
    text = base64.b64encode(der).decode()
    lines = [text[i : i + width] for i in range(0, len(text), width)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def public_der() -> bytes:
    return serialization.load_pem_public_key(GOOD).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"junk",
        b"-----BEGIN PUBLIC KEY-----\n",
        GOOD[:60],
        GOOD * 2,
        GOOD.replace(b"END PUBLIC", b"END PRIVATE"),
        b"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        pem_of(b"\x30\x00", "PUBLIC KEY"),
        pem_of(public_der() + b"\0", "PUBLIC KEY"),
        pem_of(public_der(), "RSA PUBLIC KEY"),
        pem_of(public_der(), "SOMETHING"),
    ],
    ids=[
        "empty", "junk", "header-only", "truncated", "two-blocks", "labels-differ", "not-base64",
        "no-content", "not-spki", "trailing-byte", "rsa-label", "unknown-label",
    ],
)  # fmt: skip
def test_malformed_public_key(pem):
    with pytest.raises(MalformedInput):
        load_public_key(pem)


@pytest.mark.parametrize(
    "pem",
    [compressed(), pem_of(public_der(), "PUBLIC KEY", width=76)],
    ids=["compressed-point", "other-line-length"],
)
def test_second_spelling_of_a_public_key(pem):
    with pytest.raises(NotCanonical):
        load_public_key(pem)


def test_oversized_key_file():
    with pytest.raises(TooLarge):
        load_public_key(GOOD + b"\n" * MAX_KEY_FILE_BYTES)
    with pytest.raises(TooLarge):
        load_private_key(GOOD + b"\n" * MAX_KEY_FILE_BYTES, None)


def test_private_key_given_as_public_is_named_and_not_shown(signer):
    for passphrase in (None, PASSPHRASE):
        pem = signer.to_pem(passphrase)
        with pytest.raises(MalformedInput) as caught:
            load_public_key(pem)
        assert caught.value.code == "private-key-given"
        assert_no_secret(caught.value, pem)


def test_certificate_given_as_public_key():
    with pytest.raises(MalformedInput) as caught:
        load_public_key(pki.pem(pki.issue("root", ca=True)))
    assert caught.value.code == "certificate-given"


def test_public_key_given_as_private():
    with pytest.raises(MalformedInput):
        load_private_key(GOOD, None)


FOREIGN: dict[str, Any] = {
    "rsa": pki.rsa_key(),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "brainpool": ec.generate_private_key(ec.BrainpoolP256R1()),
    "p224": ec.generate_private_key(ec.SECP224R1()),
    "ed448": ed448.Ed448PrivateKey.generate(),
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate(),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_key_outside_the_allow_list(kind):
    key = FOREIGN[kind]
    with pytest.raises(Unsupported):
        load_public_key(public_pem(key.public_key()))
    with pytest.raises(Unsupported):
        load_private_key(private_pem(key), None)


def test_curve_that_the_library_does_not_know():
    named, unknown = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f")
    with pytest.raises(Unsupported):
        load_public_key(pem_of(public_der().replace(named, unknown), "PUBLIC KEY"))
    key = serialization.load_pem_private_key(SIGNERS[KeyAlgorithm.ECDSA_P256].to_pem(None), None)
    private_der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(Unsupported):
        load_private_key(pem_of(private_der.replace(named, unknown), "PRIVATE KEY"), None)


def test_unknown_key_algorithm_name():
    with pytest.raises(Unsupported):
        KeyAlgorithm.parse("rsa")
    assert KeyAlgorithm.parse("p256") is KeyAlgorithm.ECDSA_P256


def test_no_passphrase(signer):
    for passphrase in (None, b""):
        with pytest.raises(Unavailable) as caught:
            load_private_key(signer.to_pem(PASSPHRASE), passphrase)
        assert caught.value.code == "passphrase-required"


def test_wrong_passphrase(signer):
    pem = signer.to_pem(PASSPHRASE)
    with pytest.raises(Unavailable) as caught:
        load_private_key(pem, b"incorrect pony")
    assert caught.value.code == "wrong-passphrase"
    assert_no_secret(caught.value, pem, b"incorrect pony")


@pytest.mark.skipif(not shutil.which("openssl"), reason="the openssl command is not here")
def test_sec1_key_with_passphrase(tmp_path: Path):
    plain, locked = tmp_path / "plain", tmp_path / "locked"
    plain.write_bytes(SIGNERS[KeyAlgorithm.ECDSA_P384].to_pem(None))
    command = ["openssl", "ec", "-in", plain, "-aes128", "-passout", "pass:sesame", "-out", locked]
    run(command)
    pem = locked.read_bytes()
    assert b"Proc-Type" in pem
    assert load_private_key(pem, b"sesame").algorithm is KeyAlgorithm.ECDSA_P384
    for passphrase, code in ((None, "passphrase-required"), (b"x", "wrong-passphrase")):
        with pytest.raises(Unavailable) as caught:
            load_private_key(pem, passphrase)
        assert caught.value.code == code


def test_empty_passphrase_protects_nothing(signer):
    with pytest.raises(ValueError, match="protects nothing"):
        signer.to_pem(b"")


def test_malformed_private_key_is_not_shown(signer):
    pem = signer.to_pem(None).replace(b"M", b"N", 1)
    with pytest.raises(AttestError) as caught:
        load_private_key(pem, None)
    assert_no_secret(caught.value, pem)


def test_no_secret_in_any_repr(signer):
    shown = repr(signer) + str(signer) + repr(signer.public_key)
    assert signer.public_key.fingerprint in shown
    assert b"PRIVATE" not in shown.encode()


def assert_no_secret(error: AttestError, pem: bytes, passphrase: bytes = PASSPHRASE) -> None:
    shown = f"{error} {error!r} {error.hint} {error.where} {error.__cause__}".encode()
    assert passphrase not in shown
    assert not any(line in shown for line in pem.splitlines() if not line.startswith(b"-----"))


# Certificates of signers


def test_certificate_signer_presents_its_chain():
    made = pki.make_pki()
    signer = CertificateSigner(load_private_key(made.leaf.key_pem, None), made.chain)
    assert signer.chain == tuple(made.chain)
    signer.public_key.verify_parts(signer.sign_parts(MESSAGE), [WHOLE])
    assert signer.public_key.fingerprint in repr(signer)


def test_certificate_of_another_key():
    made = pki.make_pki()
    with pytest.raises(VerificationFailed) as caught:
        CertificateSigner(generate(KeyAlgorithm.ECDSA_P256), made.chain)
    assert caught.value.code == "certificate-key-mismatch"


@pytest.mark.parametrize("chain", [[], [b"junk"], [b""] * 11], ids=["none", "junk", "too-many"])
def test_certificate_signer_without_usable_chain(chain):
    with pytest.raises(MalformedInput):
        CertificateSigner(generate(KeyAlgorithm.ECDSA_P256), chain)


@given(st.binary(max_size=300), st.sampled_from(["PUBLIC", "PRIVATE", "ENCRYPTED PRIVATE"]))
def test_junk_is_no_key(junk, label):
    text = base64.b64encode(junk)
    for pem in (junk, f"-----BEGIN {label} KEY-----\n{text.decode()}\n-----END {label} KEY-----\n"):
        data = pem if isinstance(pem, bytes) else pem.encode()
        with pytest.raises(AttestError):
            load_public_key(data)
        with pytest.raises(AttestError):
            load_private_key(data, PASSPHRASE)
