"""Keys in security modules: a real SoftHSM2 token, and URIs that must not be guessed at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from attest.adapters.pkcs11 import Pkcs11Uri, open_pkcs11_signer
from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import load_public_key
from attest.crypto.signer import CertificateSigner, Signer
from attest.crypto.x509 import SanRule, verify_signing_chain
from attest.errors import MalformedInput, Unavailable, Unsupported, VerificationFailed
from tests.support import pki
from tests.support.hsm import CURVES, PIN, SoftHsm, make_soft_hsm

MESSAGE: list[bytes | memoryview] = [b"hello, ", memoryview(b"world")]
WHOLE = b"hello, world"


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    yield from make_soft_hsm(tmp_path_factory.mktemp("hsm"))


def unavailable(code: str):
    return pytest.raises(Unavailable, check=lambda error: error.code == code)


# What holds


@pytest.mark.parametrize("label", CURVES)
def test_signs_with_each_curve(hsm, label):
    with open_pkcs11_signer(hsm.uri(label), pin=PIN, module=hsm.module) as signer:
        typed: Signer = signer
        signature = typed.sign_parts(MESSAGE)
        assert signer.algorithm is KeyAlgorithm(label)
        assert signer.chain == ()
        public_pem = signer.public_key.pem
    load_public_key(public_pem).verify_parts(signature, [WHOLE])


def test_signs_often(hsm):
    """Short integers r and s, which come with leading zeroes, turn up among many signatures."""
    with open_pkcs11_signer(hsm.uri("p256"), pin=PIN, module=hsm.module) as signer:
        for number in range(300):
            signer.public_key.verify_parts(signer.sign_parts([b"%d" % number]), [b"%d" % number])


def test_key_by_identifier(hsm):
    uri = "pkcs11:token=attest-test;id=%02;type=private;manufacturer=SoftHSM%20project"
    with open_pkcs11_signer(uri, pin=PIN, module=hsm.module) as signer:
        assert signer.algorithm is KeyAlgorithm.ECDSA_P521


def test_module_and_pin_from_the_uri(hsm, tmp_path):
    (tmp_path / "pin").write_text(PIN + "\n")
    pins = (f"pin-value={PIN}", f"pin-source={tmp_path}/pin", f"pin-source=file:{tmp_path}/pin")
    for pin in (*pins, f"pin-source=file://{tmp_path}/pin"):
        uri = hsm.uri("p256", query=f"?module-path={hsm.module}&{pin}")
        with open_pkcs11_signer(uri, pin=None, module=None) as signer:
            signer.public_key.verify_parts(signer.sign_parts(MESSAGE), [WHOLE])


def test_two_keys_of_one_token_at_once(hsm):
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(open_pkcs11_signer(hsm.uri(each), pin=PIN, module=hsm.module))
            for each in ("p256", "p384")
        )
        for signer in (first, second, first):
            signer.public_key.verify_parts(signer.sign_parts(MESSAGE), [WHOLE])


def test_certificate_for_a_key_in_the_module(hsm):
    with open_pkcs11_signer(hsm.uri("p256"), pin=PIN, module=hsm.module) as signer:
        public = serialization.load_pem_public_key(signer.public_key.pem)
        made = pki.make_pki()
        leaf = made.intermediate.issue("signer", key=SimpleNamespace(public_key=lambda: public))
        certified = CertificateSigner(signer, [pki.der(leaf), pki.der(made.intermediate)])
        verified = verify_signing_chain(
            certified.chain,
            roots=made.roots,
            name_rule=SanRule("signer@example.org"),
            at=pki.NOON,
        )
        verified.public_key.verify_parts(certified.sign_parts(MESSAGE), [WHOLE])
        with pytest.raises(VerificationFailed):
            CertificateSigner(signer, made.chain)


def test_opened_again_after_closing(hsm):
    for _ in range(3):
        with open_pkcs11_signer(hsm.uri("p256"), pin=PIN, module=hsm.module) as signer:
            signer.sign_parts(MESSAGE)
    signer.close()


def test_no_pin_in_any_repr(hsm):
    assert PIN not in repr(Pkcs11Uri.parse(hsm.uri("p256", query=f"?pin-value={PIN}")))
    with open_pkcs11_signer(hsm.uri("p256"), pin=PIN, module=hsm.module) as signer:
        assert PIN not in repr(signer)
        assert signer.public_key.fingerprint in repr(signer)


# What the token refuses


def test_closed_session_cannot_sign(hsm):
    with open_pkcs11_signer(hsm.uri("p256"), pin=PIN, module=hsm.module) as signer:
        pass
    with unavailable("pkcs11-failed"):
        signer.sign_parts(MESSAGE)


def test_wrong_pin(hsm):
    with unavailable("wrong-pin") as caught:
        open_pkcs11_signer(hsm.uri("p256"), pin="0000-wrong", module=hsm.module)
    assert "0000-wrong" not in f"{caught.value!r}{caught.value.hint}"


def test_no_pin(hsm):
    with unavailable("pin-required"):
        open_pkcs11_signer(hsm.uri("p256"), pin=None, module=hsm.module)


def test_unknown_token(hsm):
    for uri in ("pkcs11:token=other;object=p256", "pkcs11:token=attest-test;model=X;object=p256"):
        with unavailable("pkcs11-token"):
            open_pkcs11_signer(uri, pin=PIN, module=hsm.module)


def test_unknown_key(hsm):
    with unavailable("pkcs11-key"):
        open_pkcs11_signer(hsm.uri("p224"), pin=PIN, module=hsm.module)


def test_two_keys_of_one_label(hsm):
    with hsm.session() as session:
        for identifier in (b"\x50", b"\x51"):
            hsm.generate(session, "secp256r1", "twin", identifier)
    with unavailable("pkcs11-key"):
        open_pkcs11_signer(hsm.uri("twin"), pin=PIN, module=hsm.module)
    with open_pkcs11_signer(hsm.uri("twin") + ";id=P", pin=PIN, module=hsm.module) as signer:
        signer.sign_parts(MESSAGE)


def test_public_key_that_belongs_to_another_private_key(hsm):
    """Signing must fail, not produce what nobody can verify."""
    from pkcs11 import Attribute

    with hsm.session() as session:
        public, _ = hsm.generate(session, "secp256r1", "mixed", b"\x60")
        public.destroy()
        other, _ = hsm.generate(session, "secp256r1", "mixed-other", b"\x61")
        other.copy({Attribute.LABEL: "mixed", Attribute.ID: b"\x60"})
    mixed = open_pkcs11_signer(hsm.uri("mixed"), pin=PIN, module=hsm.module)
    with mixed as signer, unavailable("pkcs11-key-mismatch"):
        signer.sign_parts(MESSAGE)


def test_private_key_without_its_public_key(hsm):
    with hsm.session() as session:
        public, _ = hsm.generate(session, "secp256r1", "lonely", b"\x70")
        public.destroy()
    with unavailable("pkcs11-key"):
        open_pkcs11_signer(hsm.uri("lonely"), pin=PIN, module=hsm.module)


def test_curve_outside_the_allow_list(hsm):
    with hsm.session() as session:
        hsm.generate(session, "secp256k1", "bitcoin", b"\x80")
    with pytest.raises(Unsupported):
        open_pkcs11_signer(hsm.uri("bitcoin"), pin=PIN, module=hsm.module)


def test_rsa_key(hsm):
    from pkcs11 import KeyType

    with hsm.session() as session:
        session.generate_keypair(KeyType.RSA, 2048, store=True, label="rsa", id=b"\x90")
    with pytest.raises(Unsupported):
        open_pkcs11_signer(hsm.uri("rsa"), pin=PIN, module=hsm.module)


# Modules


def test_failed_opening_leaves_no_login_behind(hsm):
    with unavailable("pkcs11-key"):
        open_pkcs11_signer(hsm.uri("none"), pin=PIN, module=hsm.module)
    with unavailable("wrong-pin"):
        open_pkcs11_signer(hsm.uri("p256"), pin="0000-wrong", module=hsm.module)


URI = "pkcs11:token=t;object=o"


def test_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with unavailable("extra-missing"):
        open_pkcs11_signer(URI, pin=PIN, module=__file__)


def test_module_that_does_not_exist(tmp_path):
    with unavailable("pkcs11-module"):
        open_pkcs11_signer(URI, pin=PIN, module=str(tmp_path / "none.so"))


def test_module_that_is_no_library(tmp_path):
    pytest.importorskip("pkcs11")
    module = tmp_path / "text.so"
    module.write_text("hello")
    with unavailable("pkcs11-failed"):
        open_pkcs11_signer(URI, pin=PIN, module=str(module))


@pytest.mark.parametrize(
    ("uri", "module"),
    [
        (URI, None),
        (URI, "libsofthsm2.so"),
        (URI, "./libsofthsm2.so"),
        (URI + "?module-path=libsofthsm2.so", None),
        (URI + "?module-path=/usr/lib/a.so", "/usr/lib/b.so"),
    ],
    ids=["none", "bare-name", "relative", "bare-name-in-uri", "two-modules"],
)
def test_module_that_is_not_named_once_and_absolutely(uri, module):
    with pytest.raises(MalformedInput):
        open_pkcs11_signer(uri, pin=PIN, module=module)


# PIN files


@pytest.mark.parametrize(
    ("content", "error"),
    [(None, Unavailable), (b"\xff\xfe", MalformedInput), (b"x" * 2000, MalformedInput)],
    ids=["missing", "not-utf8", "too-large"],
)
def test_unusable_pin_file(hsm, tmp_path: Path, content, error):
    if content is not None:
        (tmp_path / "pin").write_bytes(content)
    uri = hsm.uri("p256", query=f"?pin-source={tmp_path}/pin")
    with pytest.raises(error):
        open_pkcs11_signer(uri, pin=None, module=hsm.module)


@pytest.mark.parametrize("source", ["pin", "file:pin", "file://host/pin", "//pin", "https:/pin"])
def test_pin_source_that_is_not_an_absolute_path(hsm, source):
    with pytest.raises(MalformedInput):
        open_pkcs11_signer(
            hsm.uri("p256", query=f"?pin-source={source}"), pin=None, module=hsm.module
        )


# URIs


def test_parts_of_a_uri():
    uri = Pkcs11Uri.parse(
        "pkcs11:token=My%20token;serial=DECAFBAD;id=%00%ff;object=k%3B1;type=private"
        "?module-path=/opt/m.so&pin-source=/run/pin"
    )
    assert uri == Pkcs11Uri(
        token="My token",
        serial="DECAFBAD",
        manufacturer=None,
        model=None,
        label="k;1",
        key_id=b"\x00\xff",
        module_path="/opt/m.so",
        pin_source="/run/pin",
        pin_value=None,
    )


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "pkcs11:",
        "PKCS11:token=t;object=o",
        "http://token=t;object=o",
        "pkcs11:token=t",
        "pkcs11:object=o",
        "pkcs11:token=t;object=o;",
        "pkcs11:;token=t;object=o",
        "pkcs11:token=t;;object=o",
        "pkcs11:token=t;token=t;object=o",
        "pkcs11:token=t;object=o;slot-id=0",
        "pkcs11:token=t;object=o;x-mine=1",
        "pkcs11:token=t;object=o;type=public",
        "pkcs11:token=t;object",
        "pkcs11:token=t;object=o%2",
        "pkcs11:token=t;object=o%zz",
        "pkcs11:token=t;object=%ff",
        "pkcs11:token=t;object=o o",
        "pkcs11:token=t;object=ö",
        "pkcs11:token=t;object=a/b",
        "pkcs11:token=t;object=o\n",
        "pkcs11:token=t;object=o?",
        "pkcs11:token=t;object=o?&pin-value=1",
        "pkcs11:token=t;object=o?unknown=1",
        "pkcs11:token=t;object=o?pin-source=|cat",
        "pkcs11:token=t;object=o?pin-value=1&pin-value=2",
        "pkcs11:token=t;object=o?pin-value=1&pin-source=/p",
        "pkcs11:token=t;object=" + "o" * 5000,
    ],
)
def test_malformed_uri(uri):
    with pytest.raises(MalformedInput):
        Pkcs11Uri.parse(uri)


def test_malformed_uri_is_not_quoted_with_its_pin():
    with pytest.raises(MalformedInput) as caught:
        Pkcs11Uri.parse("pkcs11:token=t;object=o?pin-value=se same")
    assert "same" not in f"{caught.value!r}{caught.value.hint}"


@given(st.text(max_size=60).map(lambda text: "pkcs11:token=t;object=" + text))
def test_junk_in_a_uri_is_read_or_refused(uri):
    try:
        Pkcs11Uri.parse(uri)
    except MalformedInput:
        pass
