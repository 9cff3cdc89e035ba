"""A time-stamp authority of RFC 3161 for tests: honest by default, with a knob per lie.

::

    tsa = TimestampAuthority.make()
    response = tsa.respond(build_request(signature).der)
    with tsa.serve() as url: ...
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import pki

POLICY = "1.3.6.1.4.1.99999.1"
REPLY = "application/timestamp-reply"
_HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha512": hashes.SHA512()}
_STATUS = ("granted", "granted_with_mods", "rejection", "waiting")


@dataclass(frozen=True)
class TimestampAuthority:
    """A TSA with its own root.

    Attributes:
        root: the anchor.
        signer: an ECDSA certificate with its key.
        intermediates: certificates between them.
    """

    root: pki.Entity
    signer: pki.Entity
    intermediates: tuple[pki.Entity, ...] = ()

    @classmethod
    def make(cls, common_name: str = "Test TSA", **knobs: Any) -> TimestampAuthority:
        """Root and signer; ``knobs`` of :func:`tests.support.pki.issue` spoil the signer."""
        root = pki.issue(f"{common_name} root", ca=True)
        profile = {"usages": (pki.TIME_STAMPING,), "usages_critical": True, "sans": ()}
        return cls(root, root.issue(common_name, **(profile | knobs)))

    @property
    def roots(self) -> list[x509.Certificate]:
        return [self.root.certificate]

    def respond(
        self,
        request: bytes,
        *,
        status: str = "granted",
        content: bytes | None = None,
        embed: bool = True,
        extra_certificates: tuple[pki.Entity, ...] = (),
        certificate_id: str | None = "v2",
        identified: pki.Entity | None = None,
        identifiers: list[Any] | None = None,
        digest: str = "sha256",
        signers: int = 1,
        spoil_signature: bool = False,
        **info: Any,
    ) -> bytes:
        """A DER TimeStampResp.

        Args:
            content: TSTInfo bytes as they are, instead of :meth:`info` with the other knobs.
            embed: whether the token carries certificates.
            certificate_id: ``v1`` or ``v2`` of ESSCertID, or None for neither.
            identified: whose certificate ESSCertID names, instead of the signer's.
            identifiers: values of that attribute as they are, instead of one well-formed one.
            digest: hash of the CMS signature.
        """
        verdict = _sequence(core.Integer(_STATUS.index(status)).dump())
        if status not in ("granted", "granted_with_mods"):
            return _sequence(verdict)
        if content is None:
            content = self.info(request, **info)
        oid = core.ObjectIdentifier("1.2.840.113549.1.9.16.1.4").dump()
        octets = core.OctetString(content, explicit=0).dump()
        signer = self._signer_info(
            content, digest, certificate_id, identified, identifiers, spoil_signature
        )
        embedded = (self.signer, *self.intermediates, *extra_certificates) if embed else ()
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": digest}],
                "encap_content_info": cms.EncapsulatedContentInfo.load(_sequence(oid, octets)),
                "certificates": [_choice(each) for each in embedded],
                "signer_infos": [signer] * signers,
            }
        )
        token = cms.ContentInfo({"content_type": "signed_data", "content": signed})
        return _sequence(verdict, token.dump())

    def info(
        self,
        request: bytes,
        *,
        gen_time: datetime = pki.NOON,
        version: str = "v1",
        imprint: bytes | None = None,
        imprint_hash: str | None = None,
        nonce: int | None = None,
    ) -> bytes:
        """The signed TSTInfo in DER."""
        asked = tsp.TimeStampReq.load(request)
        given = asked["message_imprint"]
        algorithm = imprint_hash or given["hash_algorithm"]["algorithm"].native
        info = tsp.TSTInfo(
            {
                "version": version,
                "policy": POLICY,
                "message_imprint": {
                    "hash_algorithm": {"algorithm": algorithm},
                    "hashed_message": imprint or given["hashed_message"].native,
                },
                "serial_number": 1,
                "gen_time": gen_time,
                "nonce": asked["nonce"].native if nonce is None else nonce,
            }
        )
        return bytes(info.dump())

    def _signer_info(
        self,
        content: bytes,
        digest: str,
        certificate_id: str | None,
        identified: pki.Entity | None,
        identifiers: list[Any] | None,
        spoil_signature: bool,
    ) -> Any:
        attributes = [
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "message_digest", "values": [hashlib.new(digest, content).digest()]},
        ]
        named = pki.der(identified or self.signer)
        if certificate_id is not None:
            kind, hashed = {
                "v1": ("signing_certificate", hashlib.sha1(named)),
                "v2": ("signing_certificate_v2", hashlib.sha256(named)),
            }[certificate_id]
            honest = [{"certs": [{"cert_hash": hashed.digest()}]}]
            attributes.append({"type": kind, "values": identifiers or honest})
        signed_attributes = cms.CMSAttributes(attributes)
        signed = b"other bytes" if spoil_signature else signed_attributes.dump()
        certificate = asn1_x509.Certificate.load(pki.der(self.signer))
        return cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    "issuer_and_serial_number",
                    {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
                ),
                "digest_algorithm": {"algorithm": digest},
                "signed_attrs": signed_attributes,
                "signature_algorithm": {"algorithm": f"{digest}_ecdsa"},
                "signature": self.signer.key.sign(signed, ec.ECDSA(_HASHES[digest])),
            }
        )

    @contextlib.contextmanager
    def serve(self, **knobs: Any) -> Iterator[str]:
        """The authority at an ``http://127.0.0.1`` address; ``knobs`` of :meth:`respond`."""
        with serve(lambda request: (200, REPLY, self.respond(request, **knobs))) as url:
            yield url


@contextlib.contextmanager
def serve(answer: Callable[[bytes], tuple[int, str, bytes]]) -> Iterator[str]:
    """An HTTP server on 127.0.0.1 that answers a POST with (status, content type, body)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            status, content_type, body = answer(request)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            with contextlib.suppress(OSError):  # the client may have hung up
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def _choice(entity: pki.Entity) -> Any:
    return cms.CertificateChoices("certificate", asn1_x509.Certificate.load(pki.der(entity)))


def _sequence(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes(core.Sequence(contents=body).dump())
