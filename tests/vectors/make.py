"""Make every vector of this folder: ``python -m tests.vectors.make`` in the repository root.

Nothing of the product is used, so a vector cannot repeat a defect of what it tests. All keys are
derived from labels below: they are public by construction and sign nothing but these files. Only
their public halves are stored. Everything comes out the same each time, ML-DSA signatures excepted
(they are randomised; an existing one that is still right is kept).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blake3 import blake3
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE = Path(__file__).parent
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
FILES = {
    "a-b.txt": b"sorts before the folder a/\n",
    "a.b.txt": b"so does this\n",
    "a/weights.bin": bytes(range(256)),
    "config.json": b'{"hidden": 8}\n',
    "empty.bin": b"",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}.txt": b"not ASCII\n",
}
SINGLE = {"fw.bin": b"firmware " * 10}

# Keys


@functools.cache
def private(name: str) -> Any:
    """The private key with this name, derived from it."""
    seed = hashlib.sha512(f"attest test vectors, never a secret: {name}".encode()).digest()
    if name.startswith("ed25519"):
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed[:32])
    if name.startswith("ml-dsa-65"):
        return mldsa.MLDSA65PrivateKey.from_seed_bytes(seed[:32])
    curve = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}[name[:4]]
    return ec.derive_private_key(int.from_bytes(seed[:31]), curve)


def public_pem(name: str) -> bytes:
    encoding = serialization.Encoding.PEM
    return private(name).public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def fingerprint(name: str) -> str:
    return hashlib.sha256(public_pem(name)).hexdigest()


def sign(name: str, message: bytes, hash_: hashes.HashAlgorithm | None = None) -> bytes:
    key = private(name)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        usual: dict[int, hashes.HashAlgorithm] = {384: hashes.SHA384(), 521: hashes.SHA512()}
        chosen = hash_ or usual.get(key.curve.key_size, hashes.SHA256())
        return key.sign(message, ec.ECDSA(chosen, deterministic_signing=True))
    return key.sign(message)


# Statements


def digest(content: bytes, algorithm: str = "sha256") -> str:
    if algorithm == "blake3":
        return blake3(content).hexdigest()
    return hashlib.new(algorithm, content).hexdigest()


def resources(
    files: Mapping[str, bytes] = FILES, algorithm: str = "sha256", sizes: bool = True
) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "digest": digest(files[name], algorithm),
            "algorithm": algorithm,
            **({"size": len(files[name])} if sizes else {}),
        }
        for name in sorted(files)
    ]


def shards(label: str, files: Mapping[str, bytes] = FILES) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{name}:{start}:{min(start + 100, len(content))}",
            "digest": digest(content[start : start + 100]),
            "algorithm": label,
        }
        for name, content in sorted(files.items())
        for start in range(0, len(content), 100)
    ]


def root(listed: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in listed)).hexdigest()


def tree(listed: Sequence[Mapping[str, Any]], algorithm: str = "sha256") -> str:
    suffix = "" if algorithm == "sha256" else f":{algorithm}"
    hasher = hashlib.sha256(f"attest-tree-v1{suffix}\n".encode())
    for each in sorted(listed, key=lambda entry: entry["name"]):
        name = each["name"].encode()
        hasher.update(struct.pack(">I", len(name)) + name + struct.pack(">Q", each["size"]))
        hasher.update(bytes.fromhex(each["digest"]))
    return hasher.hexdigest()


def statement(
    listed: Sequence[Mapping[str, Any]] | None = None,
    *,
    ours: bool = True,
    algorithm: str = "sha256",
    name: str = "model",
    **settings: Any,
) -> dict[str, Any]:
    """An OMS statement; ``ours`` carries a tree digest."""
    chosen = resources() if listed is None else listed
    digests = {"sha256": root(chosen)}
    if ours:
        suffix = "" if algorithm == "sha256" else f":{algorithm}"
        digests["attestTreeV1" + suffix] = tree(chosen, algorithm)
    serialization_ = {"method": "files", "hash_type": algorithm, "allow_symlinks": False}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": digests}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"serialization": {**serialization_, **settings}, "resources": list(chosen)},
    }


def changed(document: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A copy with one member replaced; ``...`` removes it."""
    copy = json.loads(json.dumps(document))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    if to is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = to
    return copy


# Signature files


def body(payload: Mapping[str, Any] | bytes) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def pae(payload: bytes, kind: str = IN_TOTO) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def by_key(name: str) -> dict[str, Any]:
    return {"publicKey": {"hint": fingerprint(name)}, "tlogEntries": []}


def by_chain(*chain: x509.Certificate) -> dict[str, Any]:
    ders = [each.public_bytes(serialization.Encoding.DER) for each in chain]
    listed = [{"rawBytes": b64(each)} for each in ders]
    return {"x509CertificateChain": {"certificates": listed}, "tlogEntries": []}


def bundle(
    payload: Mapping[str, Any] | bytes,
    key: str = "p256",
    *,
    material: dict[str, Any] | None = None,
    signature: bytes | None = None,
    kind: str = IN_TOTO,
) -> dict[str, Any]:
    data = body(payload)
    raw = sign(key, pae(data, kind)) if signature is None else signature
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": material or by_key(key),
        "dsseEnvelope": {
            "payload": b64(data),
            "payloadType": kind,
            "signatures": [{"sig": b64(raw), "keyid": ""}],
        },
    }


def envelope(payload: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    data = body(payload)
    listed = [{"sig": b64(sign(k, pae(data))), "keyid": fingerprint(k)} for k in keys]
    return {"payloadType": IN_TOTO, "payload": b64(data), "signatures": listed}


def resized(document: dict[str, Any], text: Callable[[str], str]) -> dict[str, Any]:
    """A bundle with the base64 text of its payload respelled."""
    return changed(
        document, "dsseEnvelope", "payload", to=text(document["dsseEnvelope"]["payload"])
    )


# Certificates

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
NAMES = {"root": 1, "ca": 2, "signer": 3, "expired": 4, "future": 5, "server": 6, "other": 7}


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"attest test vectors {text}")])


@functools.cache
def certificate(
    subject: str, issuer: str, key: str, start: datetime = START, end: datetime = END
) -> x509.Certificate:
    """A certificate of the vectors' authority; ``subject`` decides its profile."""
    ca = subject in ("root", "ca")
    usages = {"digital_signature": not ca, "key_cert_sign": ca, "crl_sign": ca}
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    bits = {**usages, **dict.fromkeys((*others, "encipher_only", "decipher_only"), False)}
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(private(key).public_key())
        .serial_number(NAMES[subject])
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**bits), critical=True)
    )
    if not ca:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if subject == "server" else None
        eku = x509.ExtendedKeyUsage([usage or ExtendedKeyUsageOID.CODE_SIGNING])
        mail = "other@example.org" if subject == "other" else "release@example.org"
        san = x509.SubjectAlternativeName([x509.RFC822Name(mail)])
        builder = builder.add_extension(eku, critical=False).add_extension(san, critical=False)
    signing = private("p384-root" if issuer == "root" else "p256-ca")
    hash_: Any = hashes.SHA384() if issuer == "root" else hashes.SHA256()
    return builder.sign(signing, hash_, ecdsa_deterministic=True)


def leaf(subject: str, **dates: datetime) -> dict[str, Any]:
    """Material with the chain of one of the leaves (all have the same key)."""
    return by_chain(certificate(subject, "ca", "p256-leaf", **dates), _ca())


def _ca() -> x509.Certificate:
    return certificate("ca", "root", "p256-ca")


# The vectors


@dataclass
class Vector:
    """One line of ``index.json``.

    Attributes:
        name: of the file, without suffix; for bad ones, its defect.
        content: of the file.
        why: what it shows.
        code: of the finding that decides; None where it must be accepted.
        keys: whose public keys must have signed; none means the certificate ``root.pem`` and
            ``release@example.org``.
        path: what is verified.
    """

    name: str
    content: Mapping[str, Any] | bytes
    why: str
    code: str | None = None
    keys: tuple[str, ...] = ("p256",)
    path: str = "model"
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return body(self.content)


def good() -> Iterator[Vector]:
    for curve in ("p256", "p384", "p521"):
        yield Vector(
            f"key-{curve}", bundle(statement(), curve), f"our form, {curve}", keys=(curve,)
        )
    yield Vector(
        "certificate",
        bundle(statement(), "p256-leaf", material=leaf("signer")),
        "leaf and issuing CA in the bundle, root given",
        keys=(),
    )
    yield Vector(
        "envelope-ed25519", envelope(statement(), "ed25519"), "not an OMS key", keys=("ed25519",)
    )
    hybrid = envelope(statement(), "p256", "ml-dsa-65")
    yield Vector(
        "envelope-hybrid", hybrid, "classical and post-quantum", keys=("p256", "ml-dsa-65")
    )
    yield Vector(
        "envelope-unknown-signer",
        envelope(statement(), "p256", "ed25519"),
        "a second signature by a key that nobody asked for",
    )
    bare = envelope(statement(), "p256", "ed25519")
    for entry in bare["signatures"]:
        del entry["keyid"]
    yield Vector(
        "envelope-without-keyids", bare, "keyid is optional", keys=("p256", "ed25519")
    )
    single = statement(resources(SINGLE), name="fw.bin")
    yield Vector("single-file", bundle(single), "named by its base name (spec)", path="fw.bin")
    dot = statement(
        [{**resources(SINGLE)[0], "name": "."}], ours=False, name="fw.bin", allow_symlinks=True
    )
    yield Vector("single-file-dot", bundle(dot), "named '.' (reference)", path="fw.bin")
    b3 = resources(algorithm="blake3")
    yield Vector("blake3", bundle(statement(b3, algorithm="blake3")), "BLAKE3 digests")
    b2 = resources(algorithm="blake2b", sizes=False)
    yield Vector(
        "blake2b", bundle(statement(b2, ours=False, algorithm="blake2b")), "reference only"
    )
    files = {name: content for name, content in FILES.items() if content}
    for name, label, size in (
        ("shards", "sha256", 100),
        ("shards-float", "sha256-sharded-100", 100.0),
    ):
        listed = shards(label, files)
        yield Vector(
            name,
            bundle(statement(listed, ours=False, method="shards", shard_size=size)),
            "byte ranges; the reference has none for an empty file, so it is not signed",
            path="model-without-empty",
        )
    parts = sorted(resources(sizes=False), key=lambda each: each["name"].split("/"))
    yield Vector(
        "path-part-order", bundle(statement(parts, ours=False)), "reference's order of names"
    )
    raw = b64(private("p256").public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ))
    old = {"publicKey": {"rawBytes": raw, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
    yield Vector("raw-bytes", bundle(statement(), material=old), "older signers give no hint")
    yield Vector("legacy-v0.2", legacy_bundle(FILES), "files are subjects; other PAE")
    strange = [{**each, "size": "about three", "chunks": 7} for each in resources(sizes=False)]
    yield Vector(
        "foreign-extra-fields",
        bundle(statement(strange, ours=False)),
        "size and chunks mean something else without a tree digest",
    )
    null = bundle(statement())
    null["dsseEnvelope"]["signatures"][0]["keyid"] = None
    yield Vector("keyid-null", null, "older signers")
    yield Vector(
        "without-tlog-entries",
        changed(bundle(statement()), "verificationMaterial", "tlogEntries", to=...),
        "optional for keys",
    )
    extra = changed(statement(), "predicate", "note", to={"x": [1, None, 2.5]})
    yield Vector("unknown-members", bundle(extra), "in-toto readers ignore what they do not know")
    spaced = json.dumps(statement(), indent=2).encode()
    yield Vector("pretty-payload", bundle(spaced), "white space is free")


def legacy_bundle(files: Mapping[str, bytes]) -> dict[str, Any]:
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": digest(files[name])}} for name in sorted(files)
        ],
        "predicateType": "https://model_signing/Digests/v0.1",
        "predicate": {"unused": "Unused, just passed due to API requirements"},
    }
    data = body(document)
    text = f"DSSEV1 {len(IN_TOTO)} {IN_TOTO} {len(data)} {data!r}"
    return bundle(data, signature=sign("p256", text.encode(), hashes.SHA256()))


def bad_files() -> Iterator[Vector]:
    """Defects of the file itself."""
    whole = body(bundle(statement()))
    text = whole.decode()
    yield Vector("empty", b"", "no byte", "truncated")
    yield Vector("truncated", whole[:200], "ends in the middle", "truncated")
    yield Vector("truncated-by-one", whole[:-1], "last brace missing", "truncated")
    yield Vector("trailing-garbage", whole + b"{}", "two documents", "malformed-json")
    yield Vector("not-utf8", whole.replace(b"mediaType", b"media\xffype"), "", "not-utf8")
    yield Vector("byte-order-mark", b"\xef\xbb\xbf" + whole, "another spelling", "malformed-json")
    deep = b"[" * 5000 + b"]" * 5000
    yield Vector("nested", whole[:-1] + b', "x": ' + deep + b"}", "", "nested-too-deep")
    yield Vector("not-an-object", b"[]", "", "wrong-type")
    twice = text.replace('{"mediaType"', '{"mediaType": "x", "mediaType"', 1)
    yield Vector("duplicate-key-outer", twice.encode(), "which one counts?", "duplicate-key")
    inner = text.replace('"payloadType":', '"payloadType": "x", "payloadType":', 1)
    yield Vector("duplicate-key-envelope", inner.encode(), "", "duplicate-key")
    yield Vector("nan", whole[:-1] + b', "x": NaN}', "not JSON", "malformed-json")
    big = b"9" * 5000
    yield Vector("huge-integer", whole[:-1] + b', "x": ' + big + b"}", "", "number-out-of-range")
    yield Vector(
        "huge-fraction", whole[:-1] + b', "x": 1e999}', "infinity", "number-out-of-range"
    )
    surrogate = whole[:-1] + b', "x": "\\ud800"}'
    yield Vector("lone-surrogate", surrogate, "not Unicode", "not-utf8")
    for name, spell, why in (
        ("white-space", lambda t: t[:40] + "\n" + t[40:], "decoders skip it"),
        ("junk", lambda t: t[:40] + "!" + t[40:], "decoders skip it"),
        ("unused-bits", _unused_bits, "two spellings of one value"),
        ("url-safe", lambda t: "-_" + t[2:], "the other alphabet"),
        ("padding", lambda t: t.rstrip("=") + "=" * 5, "too much"),
        ("unpadded", lambda t: t.rstrip("=")[:-1], "too little"),
        ("empty", lambda t: "", "no payload"),
    ):
        document = resized(bundle(_padded()), spell)
        yield Vector(f"base64-{name}", document, why, "malformed-base64")
    other = changed(bundle(statement()), "mediaType", to="application/vnd.example+json")
    yield Vector("unknown-media-type", other, "", "unknown-media-type")
    yield Vector(
        "unknown-payload-type",
        bundle(statement(), kind="application/json"),
        "validly signed",
        "unknown-payload-type",
    )
    none = changed(bundle(statement()), "dsseEnvelope", "signatures", to=[])
    yield Vector("no-signature", none, "an empty list passes no check", "no-signature")
    two = bundle(statement())
    two["dsseEnvelope"]["signatures"] *= 2
    yield Vector("two-signatures", two, "a bundle carries one", "signature-count")
    for name, material, code in (
        ("no-material", {"tlogEntries": []}, "no-material"),
        ("two-materials", {**by_key("p256"), **leaf("signer")}, "ambiguous-material"),
        ("empty-hint-object", {"publicKey": {}}, "no-material"),
        ("empty-chain", by_chain(), "chain-length"),
        ("long-chain", by_chain(*[_ca()] * 11), "chain-length"),
    ):
        yield Vector(name, bundle(statement(), material=material), "", code)


def _padded() -> bytes:
    """A payload whose base64 ends in one ``=``: it has unused bits."""
    data = body(statement())
    return data + b" " * (-(len(data) + 1) % 3)


def _unused_bits(text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert text.endswith("=") and not text.endswith("==")
    return text[:-2] + alphabet[alphabet.index(text[-2]) + 1] + "="


def bad_signatures() -> Iterator[Vector]:
    """Defects of signatures and signers."""
    tampered = changed(statement(), "predicate", "serialization", "allow_symlinks", to=True)
    honest = sign("p256", pae(body(statement())))
    yield Vector(
        "payload-tampered", bundle(tampered, signature=honest), "edited after", "bad-signature"
    )
    yield Vector("wrong-key", bundle(statement(), "p256-other"), "", "key-hint-mismatch")
    yield Vector(
        "wrong-hint",
        bundle(statement(), material=by_key("p256-other")),
        "right key, hint says another",
        "key-hint-mismatch",
    )
    yield Vector(
        "wrong-key-right-hint",
        bundle(statement(), "p256-other", material=by_key("p256")),
        "the hint is a claim",
        "bad-signature",
    )
    data = body(statement())
    for name, raw, why in (
        ("signature-over-payload", sign("p256", data), "no PAE"),
        ("signature-over-legacy-pae", sign("p256", b"DSSEV1" + pae(data)[6:]), "wrong PAE"),
        ("signature-not-der", bytes(64), "r and s are nothing"),
        ("signature-trailing-byte", honest + b"\0", "two encodings of one value"),
        ("signature-weaker-hash", sign("p256", pae(data), hashes.SHA384()), "hash of another"),
    ):
        yield Vector(name, bundle(statement(), signature=raw), why, "bad-signature")
    yield Vector(
        "ed25519-in-bundle",
        bundle(statement(), "ed25519"),
        "OMS knows ECDSA only",
        "unsupported-key",
        keys=("ed25519",),
    )
    legacy = legacy_bundle(FILES)
    yield Vector(
        "legacy-pae-over-v1",
        bundle(statement(), signature=_legacy_signature(body(statement()))),
        "the old PAE counts for old statements only",
        "bad-signature",
    )
    wrong = changed(legacy, "dsseEnvelope", "signatures", 0, "sig", to=b64(honest))
    yield Vector("legacy-wrong-signature", wrong, "", "bad-signature")
    second = envelope(statement(), "p256", "ed25519")
    second["signatures"][1]["sig"] = b64(bytes(64))
    both = ("p256", "ed25519")
    yield Vector(
        "second-signature-bad", second, "its keyid names a given key", "bad-signature", keys=both
    )
    anonymous = json.loads(json.dumps(second))
    for entry in anonymous["signatures"]:
        del entry["keyid"]
    yield Vector(
        "second-signature-bad-without-keyid", anonymous, "", "no-signature-by-key", keys=both
    )
    twice = envelope(statement(), "p256", "p256")
    yield Vector(
        "one-key-signs-twice", twice, "signatures are not signers", "no-signature-by-key", keys=both
    )
    yield Vector(
        "post-quantum-stripped",
        envelope(statement(), "p256"),
        "downgrade",
        "no-signature-by-key",
        keys=("p256", "ml-dsa-65"),
    )
    yield Vector(
        "bundle-for-two-keys", bundle(statement()), "", "no-signature-by-key", keys=both
    )
    yield Vector(
        "certificate-under-key-trust",
        bundle(statement(), "p256-leaf", material=leaf("signer")),
        "another kind of trust, though the key is given",
        "other-kind-of-signer",
        keys=("p256-leaf",),
    )
    yield Vector(
        "key-under-certificate-trust", bundle(statement()), "", "other-kind-of-signer", keys=()
    )
    yield from _bad_certificates()


def _bad_certificates() -> Iterator[Vector]:
    past = datetime(2026, 1, 1, tzinfo=UTC)
    later = datetime(2029, 1, 1, tzinfo=UTC)
    for name, material, code in (
        ("certificate-expired", leaf("expired", end=past), "certificate-expired"),
        ("certificate-not-yet-valid", leaf("future", start=later), "certificate-not-yet-valid"),
        ("certificate-tls-server", leaf("server"), "wrong-extended-key-usage"),
        ("certificate-wrong-name", leaf("other"), "name-mismatch"),
        (
            "certificate-without-issuer",
            by_chain(certificate("signer", "ca", "p256-leaf")),
            "untrusted-issuer",
        ),
        (
            "certificate-not-der",
            {"x509CertificateChain": {"certificates": [{"rawBytes": "AAAA"}]}},
            "malformed-certificate",
        ),
        (
            "certificate-of-a-ca",
            by_chain(_ca(), certificate("root", "root", "p384-root")),
            "leaf-is-ca",
        ),
    ):
        yield Vector(name, bundle(statement(), "p256-leaf", material=material), "", code, keys=())
    yield Vector(
        "certificate-of-another-key",
        bundle(statement(), "p256", material=leaf("signer")),
        "a certificate is no signature",
        "bad-signature",
        keys=(),
    )


def _legacy_signature(data: bytes) -> bytes:
    text = f"DSSEV1 {len(IN_TOTO)} {IN_TOTO} {len(data)} {data!r}"
    return sign("p256", text.encode(), hashes.SHA256())


def bad_statements() -> Iterator[Vector]:
    """Validly signed statements that must not be believed."""
    yield Vector(
        "statement-v0.1",
        bundle(changed(statement(), "_type", to="https://in-toto.io/Statement/v0.1")),
        "",
        "unsupported-statement-type",
    )
    slsa = changed(statement(), "predicateType", to="https://slsa.dev/provenance/v1")
    yield Vector("unknown-predicate-type", bundle(slsa), "", "unknown-predicate-type")
    spelled = body(statement()).replace(b"https://model_signing/s", b"https:\\/\\/model_signing/s")
    yield Vector("no-subject", bundle(changed(statement(), "subject", to=[])), "", "subject-count")
    both = changed(statement(), "subject", to=statement()["subject"] * 2)
    yield Vector("two-subjects", bundle(both), "which one is it about?", "subject-count")
    yield Vector("no-resources", bundle(statement([], ours=False)), "covers nothing", "no-resources")
    missing = changed(statement(), "predicate", "resources", to=...)
    yield Vector("resources-missing", bundle(missing), "", "no-resources")
    everything = statement([], ours=False, ignore_paths=["."])
    yield Vector(
        "ignores-everything", bundle(everything), "the signer decides nothing", "no-resources"
    )
    almost = statement(resources({"a-b.txt": FILES["a-b.txt"]}), ignore_paths=["."])
    yield Vector(
        "ignores-almost-everything", bundle(almost), "one file is signed", "file-uncovered"
    )
    yield Vector("unknown-method", bundle(statement(method="tree")), "", "unknown-method")
    md5 = statement(ours=False, hash_type="md5")
    yield Vector("unknown-hash", bundle(md5), "", "unsupported-hash")
    yield Vector(
        "escaped-predicate-type", bundle(spelled), "JSON that means the same is read", None
    )
    yield from _bad_digests()
    yield from _bad_names()
    yield from _bad_text()
    yield from _bad_ranges()


def _bad_digests() -> Iterator[Vector]:
    listed = resources()
    yield Vector("wrong-root", bundle(_with(sha256="00" * 32)), "tree digest is right", "wrong-root")
    yield Vector(
        "wrong-tree-digest",
        bundle(_with(attestTreeV1="00" * 32)),
        "root is right",
        "wrong-tree-digest",
    )
    swapped = [dict(each) for each in listed]
    swapped[0]["name"], swapped[1]["name"] = "a-a.txt", "a-c.txt"
    mixed = statement(swapped)
    mixed["subject"] = statement()["subject"]
    yield Vector(
        "renamed-resources", bundle(mixed), "the root stays, the tree does not", "wrong-tree-digest"
    )
    grown = [{**each, "size": each["size"] + 1} for each in listed]
    resized_ = statement(grown)
    resized_["subject"] = statement()["subject"]
    yield Vector("resized-resources", bundle(resized_), "", "wrong-tree-digest")
    yield Vector(
        "root-missing", bundle(_with(sha256=...)), "a tree digest alone is not OMS", "no-root-digest"
    )
    other = {"attestTreeV1:blake3": "00" * 32}
    yield Vector(
        "tree-digest-of-another-hash", bundle(_with(**other)), "unchecked", "algorithm-mismatch"
    )
    sizeless = statement(resources(sizes=False), ours=False)
    sizeless["subject"][0]["digest"]["attestTreeV1"] = tree(listed)
    yield Vector(
        "tree-digest-without-sizes", bundle(sizeless), "", "tree-digest-without-sizes"
    )
    one = [dict(each) for each in resources(sizes=False)]
    one[2]["algorithm"] = "blake3"
    yield Vector(
        "mixed-algorithms", bundle(statement(one, ours=False)), "", "algorithm-mismatch"
    )
    blake = statement(ours=False, hash_type="blake3")
    yield Vector(
        "algorithm-not-as-declared", bundle(blake), "same length, other hash", "algorithm-mismatch"
    )
    for name, text, code in (
        ("digest-upper-case", listed[0]["digest"].upper(), "malformed-digest"),
        ("digest-short", listed[0]["digest"][:-2], "malformed-digest"),
        ("digest-odd", listed[0]["digest"][:-1], "malformed-digest"),
        ("digest-with-space", " " + listed[0]["digest"], "malformed-digest"),
        ("digest-not-hex", "g" * 64, "malformed-digest"),
        ("digest-number", 7, "wrong-type"),
    ):
        document = changed(statement(), "predicate", "resources", 0, "digest", to=text)
        yield Vector(name, bundle(document), "", code)
    chunked = changed(statement(), "predicate", "resources", 2, "chunk_size", to=16 << 20)
    chunked = changed(chunked, "predicate", "resources", 2, "chunks", to=["00" * 32] * 2)
    yield Vector("chunks-do-not-fit", bundle(chunked), "two for 256 bytes", "malformed-chunks")
    gone = dict(FILES)
    gone["gone.txt"] = b"not on disk"
    yield Vector("extra-resource", bundle(statement(resources(gone))), "", "file-missing")
    del gone["gone.txt"], gone["config.json"]
    yield Vector("missing-resource", bundle(statement(resources(gone))), "", "file-extra")
    yield Vector(
        "other-content",
        bundle(statement(resources({**FILES, "config.json": b'{"hidden": 9}\n'}))),
        "same size",
        "file-changed",
    )
    legacy = json.loads(base64.b64decode(legacy_bundle(FILES)["dsseEnvelope"]["payload"]))
    legacy["subject"][0]["digest"]["md5"] = "00" * 16
    data = body(legacy)
    yield Vector(
        "legacy-second-digest",
        bundle(data, signature=_legacy_signature(data)),
        "a digest that nobody checks",
        "unsupported",
    )


def _with(**digests: Any) -> dict[str, Any]:
    """Our statement with other digests in its subject."""
    document = statement()
    for key, value in digests.items():
        if value is ...:
            del document["subject"][0]["digest"][key]
        else:
            document["subject"][0]["digest"][key] = value
    return document


def _bad_names() -> Iterator[Vector]:
    listed = resources(sizes=False)
    for name, text in (
        ("absolute", "/etc/passwd"),
        ("dot-dot", "../config.json"),
        ("dot-dot-inside", "a/../config.json"),
        ("dot-dot-last", "a/.."),
        ("dot", "./config.json"),
        ("empty", ""),
        ("double-slash", "a//weights.bin"),
        ("trailing-slash", "a/"),
        ("nul", "config.json\0.txt"),
        ("surrogate", "\ud800.txt"),
    ):
        more = [*listed, {**listed[0], "name": text}]
        code = "unsafe-name"
        yield Vector(f"name-{name}", bundle(statement(more, ours=False)), "", code)
    long = [*listed, {**listed[0], "name": "x" * 5000}]
    yield Vector("name-too-long", bundle(statement(long, ours=False)), "", "too-large")
    yield Vector(
        "name-duplicate",
        bundle(statement([*listed, listed[0]], ours=False)),
        "the last one wins elsewhere",
        "duplicate-name",
    )
    composed, apart = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"
    pair = [{**listed[0], "name": composed}, {**listed[1], "name": apart}]
    yield Vector(
        "name-collision",
        bundle(statement([*listed, *pair], ours=False)),
        "one file where file systems normalise",
        "colliding-names",
    )
    kelvin = [*listed, {**listed[0], "name": "K.txt"}, {**listed[1], "name": "\u212a.txt"}]
    yield Vector(
        "name-collision-ascii", bundle(statement(kelvin, ours=False)), "", "colliding-names"
    )
    decoy = [{**listed[0], "name": ".:a"}, *listed, {**listed[1], "digest": "00" * 32}]
    yield Vector(
        "name-duplicate-behind-dot-colon",
        bundle(statement(decoy, ours=False)),
        "a name like a single file's range turns no check off",
        "duplicate-name",
    )
    dotted = [{**listed[0], "name": "."}, *listed]
    yield Vector("name-dot-among-others", bundle(statement(dotted, ours=False)), "", "unsafe-name")


def _bad_text() -> Iterator[Vector]:
    """Payloads that two readers could read differently."""
    data = body(statement())
    subject = data.replace(b'"subject":', b'"subject": [], "subject":', 1)
    yield Vector("payload-duplicate-key", bundle(subject), "", "duplicate-key")
    inside = data.replace(b'"name": "a-b.txt"', b'"name": "x", "name": "a-b.txt"', 1)
    yield Vector("payload-duplicate-key-in-resource", bundle(inside), "", "duplicate-key")
    two = data.replace(b'"predicate":', b'"x": {"resources": []}, "predicate":', 1)
    yield Vector("payload-two-resource-lists", bundle(two), "", "ambiguous-manifest")
    listed = json.dumps(statement()["predicate"]["resources"])
    for number, text in enumerate(('"@cut@"', '"\\u0040cut@"')):
        moved = changed(statement(), "predicate", "resources", to="PLACE")
        forged = body({"x": {"resources": "LIST"}, **moved})
        forged = forged.replace(b'"LIST"', listed.encode()).replace(b'"PLACE"', text.encode())
        yield Vector(
            f"payload-resources-elsewhere-{number}",
            bundle(forged),
            "a text in place of the list, and the list where nobody looks",
            "ambiguous-manifest",
        )
    yield Vector("payload-truncated", bundle(data[:-40]), "", "truncated")
    yield Vector("payload-trailing", bundle(data + b"{}"), "", "malformed-json")
    yield Vector("payload-not-utf8", bundle(data.replace(b"model_", b"m\xff_")), "", "not-utf8")
    yield Vector("payload-not-json", bundle(b"hello"), "", "malformed-json")
    nan = data.replace(b'"size": 14', b'"size": NaN', 1)
    yield Vector("payload-nan", bundle(nan), "", "malformed-json")
    huge = data.replace(b'"size": 14', b'"size": ' + b"1" * 5000, 1)
    yield Vector("payload-huge-integer", bundle(huge), "", "number-out-of-range")
    negative = data.replace(b'"size": 14', b'"size": -1', 1)
    yield Vector("payload-negative-size", bundle(negative), "", "tree-digest-without-sizes")
    boolean = data.replace(b'"size": 14', b'"size": true', 1)
    yield Vector("payload-boolean-size", bundle(boolean), "", "tree-digest-without-sizes")
    deep = data.replace(b'"subject":', b'"x": ' + b"[" * 99 + b"]" * 99 + b', "subject":', 1)
    yield Vector("payload-nested", bundle(deep), "", "nested-too-deep")
    comma = data.replace(b"}]}}", b"},]}}")
    yield Vector("payload-trailing-comma", bundle(comma), "", "truncated")
    string = changed(statement(), "predicate", "resources", 1, to="a.b.txt")
    yield Vector("payload-resource-is-text", bundle(string), "", "wrong-type")


def _bad_ranges() -> Iterator[Vector]:
    files = {name: content for name, content in FILES.items() if content}
    listed = shards("sha256", files)
    weights = next(i for i, each in enumerate(listed) if each["name"].startswith("a/"))
    for name, spoiled, code in (
        ("ranges-gap", [*listed[:weights], *listed[weights + 1 :]], "file-changed"),
        ("ranges-end-missing", listed[: weights + 2] + listed[weights + 3 :], "file-changed"),
        ("ranges-overlap", [*listed, {**listed[weights], "name": "a/weights.bin:50:150"}],
         "file-changed"),
        ("ranges-backwards", [*listed, {**listed[0], "name": "a-b.txt:9:3"}], "malformed-range"),
        ("ranges-leading-zero", [*listed, {**listed[0], "name": "a-b.txt:00:3"}],
         "malformed-range"),
        ("ranges-other-digits", [*listed, {**listed[0], "name": "a-b.txt:0:\u0663"}],
         "malformed-range"),
        ("ranges-unsafe-name", [*listed, {**listed[0], "name": "../x:0:3"}], "unsafe-name"),
        ("ranges-colliding-names",
         [*listed, {**listed[0], "name": "\u00e9:0:3"}, {**listed[0], "name": "e\u0301:0:4"}],
         "colliding-names"),
    ):  # fmt: skip
        document = statement(spoiled, ours=False, method="shards", shard_size=100)
        yield Vector(name, bundle(document), "", code, path="model-without-empty")
    for name, size in (("shard-size-zero", 0), ("shard-size-fraction", 1.5)):
        document = statement(listed, ours=False, method="shards", shard_size=size)
        yield Vector(name, bundle(document), "", "malformed-input", path="model-without-empty")


def write() -> None:
    """Write everything below this folder."""
    for name, content in (("model", FILES), (".", SINGLE)):
        for relative, data in content.items():
            path = HERE / name / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for relative, data in FILES.items():
        path = HERE / "model-without-empty" / relative
        if data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    anchor = certificate("root", "root", "p384-root")
    (HERE / "root.pem").write_bytes(anchor.public_bytes(serialization.Encoding.PEM))
    index = []
    for folder, vectors in (
        ("good", good()),
        ("bad", (*bad_files(), *bad_signatures(), *bad_statements())),
    ):
        (HERE / folder).mkdir(exist_ok=True)
        for vector in vectors:
            place = "good" if vector.code is None else folder
            path = HERE / place / f"{vector.name}.sig"
            if not (path.exists() and _still_right(path, vector)):
                path.write_bytes(vector.data)
            index.append(
                {
                    "name": vector.name,
                    "file": f"{place}/{path.name}",
                    "want": "reject" if vector.code else "accept",
                    "code": vector.code,
                    "keys": [f"keys/{key}.pub" for key in vector.keys],
                    "path": vector.path,
                    "why": vector.why,
                }
            )
            for key in vector.keys:
                (HERE / "keys").mkdir(exist_ok=True)
                (HERE / "keys" / f"{key}.pub").write_bytes(public_pem(key))
    lines = ",\n ".join(json.dumps(entry) for entry in index)
    (HERE / "index.json").write_text(f"[\n {lines}\n]\n")
    print(f"{len(index)} vectors", file=sys.stderr)


def _still_right(path: Path, vector: Vector) -> bool:
    """Whether a stored file with a randomised signature may stay."""
    if "ml-dsa-65" not in vector.keys or vector.code is not None:
        return False
    stored, made = json.loads(path.read_bytes()), json.loads(vector.data)
    if [stored[k] for k in ("payload", "payloadType")] != [
        made[k] for k in ("payload", "payloadType")
    ] or stored["signatures"][0] != made["signatures"][0]:
        return False
    try:
        private("ml-dsa-65").public_key().verify(
            base64.b64decode(stored["signatures"][1]["sig"]),
            pae(base64.b64decode(stored["payload"])),
        )
    except InvalidSignature:
        return False
    return True


if __name__ == "__main__":
    write()
