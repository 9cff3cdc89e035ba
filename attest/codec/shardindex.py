"""Which shard files a sharded checkpoint says it has.

* ``*.index.json`` (safetensors, PyTorch): ``weight_map`` maps tensors to shard files;
* PyTorch DCP ``.metadata``: a pickle. It is never loaded; the names of its ``.distcp`` files are
  read off the string opcodes.
"""

from __future__ import annotations

import pickletools
import re
import warnings
from typing import Final

from attest.codec import jsonstrict
from attest.errors import MalformedInput

_DISTCP: Final = re.compile(r"__[0-9]{1,9}_[0-9]{1,9}\.distcp")


def parse_weight_map(data: bytes, *, where: str) -> frozenset[str]:
    """Shard file names of an index file, relative to its folder.

    Raises:
        MalformedInput.
    """
    document = jsonstrict.typed(jsonstrict.loads(data, what="index file"), dict, where=where)
    weights = jsonstrict.member(document, "weight_map", dict, where=where)
    return frozenset(
        jsonstrict.typed(name, str, where=f"{where}: weight_map") for name in weights.values()
    )


def parse_dcp_metadata(data: bytes, *, where: str) -> frozenset[str]:
    """``.distcp`` file names that a DCP metadata pickle mentions. Nothing is unpickled.

    Raises:
        MalformedInput: not a pickle.
    """
    names = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in strings that are not used here
            for opcode, argument, _ in pickletools.genops(data):
                if not isinstance(argument, str) or "UNICODE" not in opcode.name:
                    continue
                if _DISTCP.fullmatch(argument):
                    names.add(argument)
    except (ValueError, UnicodeDecodeError, KeyError, OverflowError):
        raise MalformedInput("is not a pickle", where=where, code="malformed-metadata") from None
    return frozenset(names)
