"""Every cap on untrusted input, in one place: name, unit, reason.

A parser that meets a cap raises :class:`attest.errors.TooLarge` before it allocates or computes in
proportion to the excess.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MAX_BUNDLE_BYTES: Final = 768 * MIB
"""Bytes of a signature file. 10^6 files with sizes and long names make about 400 MB."""

MAX_LEGACY_PAYLOAD_BYTES: Final = 32 * MIB
"""Bytes of a v0.2-era statement: its encoding escapes every byte before it is hashed."""

MAX_INSPECTED_CLAIMS_BYTES: Final = 16 * MIB
"""Bytes of a claims file that is shown: its unverified predicates are held as objects, which take
20 times as much."""

MAX_FOLLOWED_FOLDERS: Final = 100_000
"""Folders of an artifact when links are followed: a few links can multiply one without bound."""

MAX_ELEMENT_PARTS: Final = 1_000_000
"""Commas in one very large manifest entry. The chunk digests of a 10 TB file need 655 000."""

MAX_MANIFEST_ENTRIES: Final = 4_000_000
"""Entries (files or byte ranges) of one manifest: bounds memory at about 1 GiB."""

MAX_JSON_BYTES: Final = 16 * MIB
"""Bytes of any JSON document that is read whole (claims, index files, statements without files)."""

MAX_JSON_DEPTH: Final = 32
"""Nesting of any JSON document. The deepest format here (Sigstore bundle) needs 9."""

MAX_JSON_INTEGER_DIGITS: Final = 20
"""Digits of any JSON integer: 2^64 has 20. Python's conversion is quadratic beyond."""

MAX_MANIFEST_WINDOW_BYTES: Final = 64 * MIB
"""Bytes of one manifest entry. The chunk digests of a 10 TB file take 44 MB."""

MAX_NAME_BYTES: Final = 4096
"""Bytes of one file name inside a manifest, in UTF-8 (Linux PATH_MAX)."""

MAX_SIGNATURES: Final = 64
"""Signatures of one envelope."""

MAX_SIGNATURE_BYTES: Final = 16 * KIB
"""Bytes of one raw signature. ML-DSA-87 has 4 627, RSA-16384 has 2 048."""

MAX_KEY_FILE_BYTES: Final = 64 * KIB
"""Bytes of a PEM key file. An ML-DSA-87 private key has about 6.7 kB."""

MAX_CERTIFICATE_BYTES: Final = 64 * KIB
"""Bytes of one DER certificate."""

MAX_CERTIFICATES: Final = 256
"""Certificates in one PEM file of trusted roots."""

MAX_CHAIN_LENGTH: Final = 10
"""Certificates of one signer's chain, leaf and root included."""

MAX_TIMESTAMPS: Final = 16
"""RFC 3161 tokens beside one signature."""

MAX_TIMESTAMP_BYTES: Final = 64 * KIB
"""Bytes of one RFC 3161 response: the token and its certificates."""

MAX_IGNORE_PATHS: Final = 10_000
"""Entries of ``ignore_paths`` in a signature."""

MAX_TREE_DEPTH: Final = 256
"""Nesting of folders inside an artifact: stops loops that following links could make."""
