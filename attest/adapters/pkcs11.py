"""Sign with a key that stays in a security module: PKCS #11 through ``python-pkcs11``.

::

    with open_pkcs11_signer("pkcs11:token=release;object=k1?pin-source=/run/pin", pin=None,
                            module="/usr/lib/softhsm/libsofthsm2.so") as signer:
        signature = signer.sign_parts(parts)

The key is named by a URI of RFC 7512, parsed strictly: what this module does not understand it
refuses, because ignoring a part of a name means signing with another key. Exactly one key must
match. The module only ever sees a digest (CKM_ECDSA), and every signature is verified before it
is handed out.

PINs: prefer ``pin-source``; a ``pin-value`` in the URI is visible in the process list. Neither is
ever part of a message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote_to_bytes

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import PublicKey, ecdsa_signature_from_raw
from attest.errors import BadSignature, MalformedInput, Unavailable, Unsupported
from attest.files import read_bounded

_MAX_URI: Final = 4096
_MAX_PIN_BYTES: Final = 1024
_PATH_NAMES: Final = ("token", "serial", "manufacturer", "model", "object", "id", "type")
_QUERY_NAMES: Final = ("module-path", "pin-source", "pin-value")
# RFC 7512 section 2.3, without "|" (a program as the source of a PIN) and a bare "&" in names.
_CHARACTER: Final = r"[A-Za-z0-9._~:\[\]@!$'()*+,=-]|%[0-9A-Fa-f]{2}"
_IN_PATH = re.compile(rf"([a-z-]+)=((?:{_CHARACTER})*)")
_IN_QUERY = re.compile(rf"([a-z-]+)=((?:{_CHARACTER}|[/?])*)")


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """A key's name inside security modules. Fields are None where the URI does not say.

    Attributes:
        token, serial, manufacturer, model: which token.
        label, key_id: which key on it (CKA_LABEL, CKA_ID).
        module_path: the PKCS #11 library. It is loaded and run: as trusted as this program.
        pin_source: file that holds the PIN.
        pin_value: the PIN. Secret; not in the repr.
    """

    token: str | None
    serial: str | None
    manufacturer: str | None
    model: str | None
    label: str | None
    key_id: bytes | None
    module_path: str | None
    pin_source: str | None
    pin_value: str | None = field(repr=False)

    @classmethod
    def parse(cls, uri: str) -> Pkcs11Uri:
        """Read a URI of RFC 7512.

        Raises:
            MalformedInput: bad syntax, an attribute that is unknown or given twice, no token, no
                key, or more than one source of the PIN.
        """
        if not uri.startswith("pkcs11:") or len(uri) > _MAX_URI:
            raise _malformed("it starts with pkcs11: and has at most 4096 characters")
        path, mark, query = uri.removeprefix("pkcs11:").partition("?")
        named = _attributes(path.split(";"), _IN_PATH, _PATH_NAMES)
        asked = _attributes(query.split("&"), _IN_QUERY, _QUERY_NAMES) if mark else {}
        if not {"token", "serial"} & named.keys():
            raise _malformed("it names no token (token= or serial=)")
        if not {"object", "id"} & named.keys():
            raise _malformed("it names no key (object= or id=)")
        if named.get("type", b"private") != b"private":
            raise _malformed("its type is not private")
        if {"pin-source", "pin-value"} <= asked.keys():
            raise _malformed("it has both pin-source and pin-value")
        return cls(
            token=_text(named, "token"),
            serial=_text(named, "serial"),
            manufacturer=_text(named, "manufacturer"),
            model=_text(named, "model"),
            label=_text(named, "object"),
            key_id=named.get("id"),
            module_path=_text(asked, "module-path"),
            pin_source=_text(asked, "pin-source"),
            pin_value=_text(asked, "pin-value"),
        )


class Pkcs11Signer:
    """An ECDSA key in a security module; made by :func:`open_pkcs11_signer`.

    Implements :class:`attest.crypto.signer.Signer`. A context manager: leaving it closes the
    session, after which it cannot sign.
    """

    def __init__(self, session: Any, key: Any, public_key: PublicKey, pin: str | None) -> None:
        self._session = session
        self._key = key
        self._pin = pin
        self.public_key = public_key

    @property
    def algorithm(self) -> KeyAlgorithm:
        return self.public_key.algorithm

    @property
    def chain(self) -> tuple[bytes, ...]:
        """A bare key has no certificates; see :class:`attest.crypto.signer.CertificateSigner`."""
        return ()

    def sign_parts(self, parts: Iterable[bytes | memoryview]) -> bytes:
        """The DER ECDSA signature of the concatenated ``parts``.

        Raises:
            Unavailable: ``pkcs11-failed``, or ``pkcs11-key-mismatch`` where the token's private key
                is not the one of the public key beside it.
        """
        from pkcs11 import Mechanism, PKCS11Error

        hash_name = self.algorithm.hash
        assert hash_name is not None
        hasher = hashlib.new(hash_name)
        for part in parts:
            hasher.update(part)
        digest = hasher.digest()
        try:
            raw = self._key.sign(digest, mechanism=Mechanism.ECDSA, pin=self._pin)
        except PKCS11Error as error:
            raise _failed("the security module did not sign", error) from None
        try:
            signature = ecdsa_signature_from_raw(raw)
            self.public_key.verify_digest(signature, digest, hash_name)
        except BadSignature:
            raise Unavailable(
                "the security module's signature does not verify with its own public key",
                hint="label and id of private and public key must belong to one key pair",
                code="pkcs11-key-mismatch",
            ) from None
        return signature

    def close(self) -> None:
        """Log out and close the session. Closing twice is harmless."""
        from pkcs11 import PKCS11Error

        session, self._session, self._pin = self._session, None, None
        if session is not None:
            try:
                session.close()
            except PKCS11Error as error:
                raise _failed("the session cannot be closed", error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Pkcs11Signer {self.algorithm} {self.public_key.fingerprint}>"


def open_pkcs11_signer(uri: str, *, pin: str | None, module: str | None) -> Pkcs11Signer:
    """Log in to the one token that ``uri`` names and find the one key.

    Several signers of one token share its login: close them in reverse order of opening.

    Args:
        uri: of RFC 7512, see :class:`Pkcs11Uri`.
        pin: the user PIN, instead of the URI's. None for neither: the token's own pin pad.
        module: absolute path of the PKCS #11 library, or None if the URI has ``module-path``.

    Raises:
        MalformedInput: the URI, or no absolute path of a module.
        Unavailable: ``extra-missing``, ``pkcs11-module``, ``pkcs11-token``, ``pkcs11-key``,
            ``pin-required``, ``wrong-pin`` or ``pkcs11-failed``.
        Unsupported: not an ECDSA key of the allow-list.
    """
    named = Pkcs11Uri.parse(uri)
    path = _module_path(named, module)
    try:
        import pkcs11
    except ImportError:
        raise Unavailable(
            "keys in security modules need the package python-pkcs11",
            hint="install it: pip install 'attest-toolkit[pkcs11]'",
            code="extra-missing",
        ) from None
    secret = pin if pin is not None else _pin(named)
    try:
        token = _token(pkcs11.lib(path), named)
        session = _login(token, secret)
        try:
            return _signer(session, named, secret)
        except BaseException:
            session.close()
            raise
    except pkcs11.PinIncorrect:
        raise Unavailable(
            "the PIN is wrong",
            hint="tokens lock themselves after a few wrong PINs: check before trying again",
            code="wrong-pin",
        ) from None
    except pkcs11.PKCS11Error as error:
        raise _failed("the security module cannot be used", error) from None


def _module_path(named: Pkcs11Uri, module: str | None) -> str:
    paths = {each for each in (module, named.module_path) if each is not None}
    if len(paths) != 1:
        raise MalformedInput(
            "two different PKCS #11 modules are given" if paths else "no PKCS #11 module is given",
            hint="name its library once, such as ?module-path=/usr/lib/softhsm/libsofthsm2.so",
            code="pkcs11-module",
        )
    path = paths.pop()
    # A bare name would be searched for in places that the caller did not name.
    if not Path(path).is_absolute():
        raise MalformedInput("the PKCS #11 module is not an absolute path", code="pkcs11-module")
    if not Path(path).is_file():
        raise Unavailable("the PKCS #11 module does not exist", where=path, code="pkcs11-module")
    return path


def _token(library: Any, named: Pkcs11Uri) -> Any:
    wanted = (named.token, named.serial, named.manufacturer, named.model)
    found = []
    for token in library.get_tokens():
        serial = token.serial.decode("utf-8", "replace")
        actual = (token.label, serial, token.manufacturer_id, token.model)
        if all(want in (None, has) for want, has in zip(wanted, actual, strict=True)):
            found.append(token)
    return _one(found, "tokens", "pkcs11-token")


def _login(token: Any, pin: str | None) -> Any:
    from pkcs11 import PROTECTED_AUTH, TokenFlag, UserAlreadyLoggedIn

    if pin is None and not token.flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH:
        raise Unavailable(
            "the token needs a PIN and none was given",
            hint="put it into a file that only you can read: ?pin-source=/path",
            code="pin-required",
        )
    try:
        return token.open(user_pin=PROTECTED_AUTH if pin is None else pin)
    except UserAlreadyLoggedIn:
        return token.open()


def _signer(session: Any, named: Pkcs11Uri, pin: str | None) -> Pkcs11Signer:
    from pkcs11 import Attribute, KeyType, ObjectClass

    name: dict[Any, Any] = {}
    if named.label is not None:
        name[Attribute.LABEL] = named.label
    if named.key_id is not None:
        name[Attribute.ID] = named.key_id
    private = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
    key = _one(list(session.get_objects(private | name)), "private keys", "pkcs11-key")
    if key.key_type != KeyType.EC:
        raise Unsupported(
            "the security module's key is not an ECDSA key",
            hint="keys in security modules are p256, p384 or p521",
            code="unsupported-key",
        )
    # By custom both halves of a key pair carry one CKA_ID, or else one label.
    pair = {Attribute.ID: key.id} if key.id else {Attribute.LABEL: key.label}
    public = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.KEY_TYPE: KeyType.EC}
    public_key = _public_key(_one(list(session.get_objects(public | pair)), "public keys"))
    return Pkcs11Signer(
        session, key, public_key, pin if key[Attribute.ALWAYS_AUTHENTICATE] else None
    )


def _public_key(public: Any) -> PublicKey:
    """The token's public key object as one of ours.

    CKA_EC_POINT is a DER OCTET STRING; some modules give the bare point (first byte 4 as well).
    """
    from cryptography.hazmat import asn1
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509 import ObjectIdentifier
    from pkcs11 import Attribute

    point = public[Attribute.EC_POINT]
    try:
        point = asn1.decode_der(bytes, point)
    except ValueError:
        pass  # some modules hand out the bare point, without the OCTET STRING that is asked for
    try:
        curve = ec.get_curve_for_oid(asn1.decode_der(ObjectIdentifier, public[Attribute.EC_PARAMS]))
        return PublicKey(ec.EllipticCurvePublicKey.from_encoded_point(curve(), point))
    except (ValueError, LookupError):
        raise Unsupported(
            "the security module's public key cannot be used", code="unsupported-key"
        ) from None


def _one(found: list[Any], what: str, code: str = "pkcs11-key") -> Any:
    if len(found) != 1:
        raise Unavailable(
            f"the PKCS #11 URI matches {len(found)} {what} instead of one",
            hint="list what there is: pkcs11-tool --module MODULE --list-objects",
            code=code,
        )
    return found[0]


def _pin(named: Pkcs11Uri) -> str | None:
    if named.pin_source is None:
        return named.pin_value
    source = named.pin_source.removeprefix("file:")
    if source.startswith("///"):
        source = source[2:]
    if not source.startswith("/") or source.startswith("//"):
        raise _malformed("its pin-source is not the absolute path of a file")
    content = read_bounded(Path(source), _MAX_PIN_BYTES, "PIN file")
    try:
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise MalformedInput("the PIN is not UTF-8 text", where=source) from None


def _attributes(
    texts: list[str], syntax: re.Pattern[str], known: tuple[str, ...]
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for text in texts:
        match = syntax.fullmatch(text)
        # The text itself may hold a PIN, so no message shows it.
        if match is None:
            raise _malformed("it is not a list of name=value with percent-encoding")
        if match[1] not in known:
            raise _malformed(f"attribute {match[1][:30]} is not supported")
        if match[1] in found:
            raise _malformed(f"attribute {match[1]} is given twice")
        found[match[1]] = unquote_to_bytes(match[2])
    return found


def _text(attributes: Mapping[str, bytes], name: str) -> str | None:
    try:
        return attributes[name].decode("utf-8") if name in attributes else None
    except UnicodeDecodeError:
        raise _malformed(f"attribute {name} is not UTF-8") from None


def _malformed(reason: str) -> MalformedInput:
    return MalformedInput(
        f"the PKCS #11 URI is not usable: {reason}",
        hint="example: pkcs11:token=release;object=k1?pin-source=/run/pin",
        code="malformed-pkcs11-uri",
    )


def _failed(what: str, error: Exception) -> Unavailable:
    # The class names the PKCS #11 return code; the text could quote attributes and paths.
    return Unavailable(
        f"{what} ({type(error).__name__})",
        hint="check the token with its vendor's tool, then try again",
        code="pkcs11-failed",
    )
