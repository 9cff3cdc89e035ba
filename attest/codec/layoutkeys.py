"""Functionary keys inside an in-toto layout, by shape; whose they are, the layout's owner says.

Read are PEM keys for RSA, ECDSA and raw Ed25519 (as ``securesystemslib`` writes them), and GPG keys
for RSA and EdDSA. The keys themselves are loaded by whoever verifies with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.errors import MalformedInput, TooLarge, Unsupported

SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "rsa": (
        "rsassa-pss-sha256",
        "rsassa-pss-sha384",
        "rsassa-pss-sha512",
        "rsa-pkcs1v15-sha256",
        "rsa-pkcs1v15-sha384",
        "rsa-pkcs1v15-sha512",
    ),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ed25519": ("ed25519",),
}
"""Key type -> schemes. Older files write an ECDSA scheme as the type."""

GPG_METHODS: Final = {"rsa": "pgp+rsa-pkcsv1.5", "eddsa": "pgp+eddsa-ed25519"}
"""Type of a GPG key -> its method. DSA is not read."""

_GPG_VALUES: Final = {"rsa": {"e", "n"}, "eddsa": {"q"}}
_KEYID: Final = re.compile(r"[0-9a-f]{8,128}")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")


def check_keyid(keyid: str, where: str) -> None:
    """Refuse what is no keyid: its first 8 characters are part of file names.

    Raises:
        MalformedInput.
    """
    if not _KEYID.fullmatch(keyid):
        raise MalformedInput(
            "a keyid is 8 to 128 lower-case hexadecimal characters",
            where=where,
            code="malformed-keyid",
        )


def is_gpg(key: Mapping[str, Any]) -> bool:
    """Whether a key that was read is a GPG key."""
    return "method" in key


def read_keys(keys: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The functionary keys of a layout, by keyid, as they were parsed.

    Raises:
        MalformedInput: a key under another id than its own, or of another shape.
        Unsupported: another kind of key. TooLarge.
    """
    if len(keys) > limits.MAX_LAYOUT_KEYS:
        raise TooLarge(f"has {len(keys)} keys", where=where)
    return {
        keyid: _read_key(keyid, jsonstrict.typed(key, dict, where=f"{where}.{keyid[:16]}"), where)
        for keyid, key in keys.items()
    }


def _read_key(keyid: str, key: dict[str, Any], where: str) -> dict[str, Any]:
    check_keyid(keyid, where)
    place = f"{where}.{keyid[:16]}"
    if jsonstrict.member(key, "keyid", str, where=place) != keyid:
        raise MalformedInput(
            "is listed under another id than its own", where=place, code="keyid-mismatch"
        )
    if "method" in key or "type" in key:
        return _read_gpg(key, place, with_subkeys=True)
    kind = jsonstrict.member(key, "keytype", str, where=place)
    scheme = jsonstrict.member(key, "scheme", str, where=place)
    if scheme not in SCHEMES.get(kind, ()):
        raise Unsupported(
            f"keys of type {kind[:40]!r} with scheme {scheme[:40]!r} are not supported",
            where=place,
            code="unsupported-key",
        )
    value = jsonstrict.member(key, "keyval", dict, where=place)
    public = jsonstrict.member(value, "public", str, where=place)
    if len(public) > limits.MAX_KEY_FILE_BYTES:
        raise TooLarge("a key is too long", where=place)
    if jsonstrict.optional(value, "private", str, where=place):
        raise MalformedInput("holds a private key", where=place, code="private-key-given")
    if kind == "ed25519" and not (len(public) == 64 and _HEX.fullmatch(public)):
        raise MalformedInput("is no Ed25519 key", where=place, code="malformed-key")
    return key


def _read_gpg(key: dict[str, Any], where: str, *, with_subkeys: bool) -> dict[str, Any]:
    kind = jsonstrict.member(key, "type", str, where=where)
    if "keytype" in key or "scheme" in key:
        raise MalformedInput("is two kinds of key", where=where, code="malformed-key")
    if GPG_METHODS.get(kind) != jsonstrict.member(key, "method", str, where=where):
        raise Unsupported(
            f"GPG keys of type {kind[:40]!r} are not supported",
            where=where,
            hint="RSA and EdDSA are",
            code="unsupported-key",
        )
    jsonstrict.member(key, "hashes", list, where=where)
    value = jsonstrict.member(key, "keyval", dict, where=where)
    public = jsonstrict.member(value, "public", dict, where=where)
    if set(public) != _GPG_VALUES[kind] or not all(
        isinstance(each, str) and len(each) <= 8192 and _HEX.fullmatch(each)
        for each in public.values()
    ):
        raise MalformedInput("is no GPG key", where=where, code="malformed-key")
    for name in ("creation_time", "validity_period"):
        if (jsonstrict.optional(key, name, int, where=where) or 0) not in range(1 << 40):
            raise MalformedInput("is no time", where=f"{where}.{name}", code="bad-time")
    subkeys = jsonstrict.optional(key, "subkeys", dict, where=where) or {}
    if subkeys and (not with_subkeys or len(subkeys) > limits.MAX_SIGNATURES):
        raise MalformedInput("has too many subkeys", where=where, code="malformed-key")
    for keyid, subkey in subkeys.items():
        check_keyid(keyid, where)
        _read_gpg(jsonstrict.typed(subkey, dict, where=where), where, with_subkeys=False)
    return key
