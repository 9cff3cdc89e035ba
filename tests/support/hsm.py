"""A SoftHSM2 token in a folder of its own, for tests of PKCS #11."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PIN = "4711-user"
_SECURITY_OFFICER_PIN = "0815-officer"
_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)
CURVES = {"p256": "secp256r1", "p384": "secp384r1", "p521": "secp521r1"}


@dataclass(frozen=True)
class SoftHsm:
    """An initialised token ``attest-test`` with keys ``p256``, ``p384`` and ``p521``."""

    module: str
    config: Path

    def uri(self, label: str, *, query: str = "") -> str:
        """The URI of one key."""
        return f"pkcs11:token=attest-test;object={label}{query}"

    def session(self) -> Any:
        """A read-write session, logged in."""
        import pkcs11

        token = pkcs11.lib(self.module).get_token(token_label="attest-test")
        return token.open(rw=True, user_pin=PIN)

    def generate(
        self, session: Any, curve: str, label: str, identifier: bytes, **knobs: Any
    ) -> tuple[Any, Any]:
        """A key pair on the token."""
        from pkcs11 import Attribute, KeyType
        from pkcs11.util.ec import encode_named_curve_parameters

        parameters = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
        )
        return parameters.generate_keypair(store=True, label=label, id=identifier, **knobs)


def make_soft_hsm(folder: Path) -> Iterator[SoftHsm]:
    """The token; SoftHSM reads its configuration when the library is initialised.

    Skips where SoftHSM2 or python-pkcs11 is missing, and says how to install it.
    """
    pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    module = next((each for each in _MODULES if Path(each).is_file()), None)
    tool = shutil.which("softhsm2-util")
    if module is None or tool is None:
        pytest.skip("SoftHSM2 is not here (apt-get install softhsm2)")
    tokens, config = folder / "tokens", folder / "softhsm2.conf"
    tokens.mkdir()
    config.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    previous = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(config)
    try:
        pins = ["--pin", PIN, "--so-pin", _SECURITY_OFFICER_PIN]
        command = [tool, "--init-token", "--free", "--label", "attest-test", *pins]
        subprocess.run(command, check=True, capture_output=True)
        hsm = SoftHsm(module, config)
        pkcs11.lib(module).reinitialize()
        with hsm.session() as session:
            for number, (label, curve) in enumerate(CURVES.items()):
                hsm.generate(session, curve, label, bytes([number]))
        yield hsm
        pkcs11.lib(module).finalize()
    finally:
        if previous is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = previous
