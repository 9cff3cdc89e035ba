"""What a file is, by its content.

Names are never believed: they only make a verdict stricter (a ``.safetensors`` that is something
else). A format is *known* here in one of three ways:

* ``data`` - its loaders read numbers, text or pictures and have no way to run what is in it;
* ``code`` - it is a program: machine code, bytecode, a script, a notebook;
* ``opaque`` - it is recognised, and its content is not examined: archives of other kinds, documents
  with active content, runtime formats that carry operators.

What is none of these is not clean either: a blob that nobody recognises was not scanned.
"""

from __future__ import annotations

import codecs
import enum
from dataclasses import dataclass
from typing import Final

from attest import limits
from attest.codec import protobuf
from attest.codec.reader import Source
from attest.errors import MalformedInput, Unsupported

HEAD: Final = 4 * limits.KIB
"""Bytes from the start that are looked at."""

_PIECE: Final = limits.MIB


class Nature(enum.Enum):
    """What a recognised format means for a verdict; see the module."""

    DATA = "data"
    CODE = "code"
    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class Known:
    """A recognised format."""

    format: str
    nature: Nature


def _known(nature: Nature, rows: dict[str, tuple[int, bytes]]) -> list[tuple[int, bytes, Known]]:
    return [(offset, magic, Known(name, nature)) for name, (offset, magic) in rows.items()]


_MAGICS: Final = [
    *_known(
        Nature.CODE,
        {
            "elf": (0, b"\x7fELF"),
            "java-class-or-mach-o": (0, b"\xca\xfe\xba\xbe"),
            "mach-o": (0, b"\xcf\xfa\xed\xfe"),
            "mach-o-32": (0, b"\xce\xfa\xed\xfe"),
            "mach-o-be": (0, b"\xfe\xed\xfa\xce"),
            "mach-o-64-be": (0, b"\xfe\xed\xfa\xcf"),
            "webassembly": (0, b"\0asm"),
            "dex": (0, b"dex\n0"),
            "llvm-bitcode": (0, b"BC\xc0\xde"),
            "lua-bytecode": (0, b"\x1bLua"),
            "script": (0, b"#!"),
            "script-bom": (0, b"\xef\xbb\xbf#!"),
        },
    ),
    *_known(
        Nature.OPAQUE,
        {
            "7z": (0, b"7z\xbc\xaf\x27\x1c"),
            "rar": (0, b"Rar!\x1a\x07"),
            "cab": (0, b"MSCF"),
            "ar": (0, b"!<arch>\n"),
            "zstd": (0, b"\x28\xb5\x2f\xfd"),
            "lz4": (0, b"\x04\x22\x4d\x18"),
            "lzip": (0, b"LZIP"),
            "lzop": (0, b"\x89LZO\0\r\n\x1a\n"),
            "compress": (0, b"\x1f\x9d"),
            "snappy": (0, b"\xff\x06\0\0sNaPpY"),
            "cpio": (0, b"07070"),
            "squashfs": (0, b"hsqs"),
            "pdf": (0, b"%PDF-"),
            "ole": (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            "sqlite": (0, b"SQLite format 3\0"),
            "tflite": (4, b"TFL3"),
            "executorch": (4, b"ET12"),
            "nsis": (4, b"\xef\xbe\xad\xdeNullsoftInst"),
            "xar": (0, b"xar!"),
        },
    ),
    *_known(
        Nature.DATA,
        {
            "png": (0, b"\x89PNG\r\n\x1a\n"),
            "jpeg": (0, b"\xff\xd8\xff"),
            "gif": (0, b"GIF8"),
            "tiff": (0, b"II*\0"),
            "flac": (0, b"fLaC"),
            "ogg": (0, b"OggS\0"),
            "mp3": (0, b"ID3"),
            "ttf": (0, b"\0\x01\0\0\0"),
            "otf": (0, b"OTTO\0"),
            "woff": (0, b"wOF"),
        },
    ),
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CODE_SUFFIXES: Final = _words(
    ".py .pyw .pyi .pyx .pxd .pyc .pyo .pyd .ipynb .so .dll .dylib .exe .com .scr .msi .sh .bash"
    " .zsh .fish .ps1 .psm1 .bat .cmd .vbs .js .mjs .cjs .ts .jar .class .rb .pl .pm .lua .php"
    " .c .cc .cpp .cu .cuh .h .hpp .rs .go .java .kt .r .jl .desktop .service .mk .cmake"
)
"""Names of programs. Text under such a name is code whatever it says."""

CODE_NAMES: Final = frozenset(
    ("makefile", "dockerfile", "cmakelists.txt", "jenkinsfile", "setup.cfg", "pyproject.toml")
)
"""Files that tools run when they find them."""

_TEXTS: Final = _words("json text yaml template empty")

_EXPECTED: Final[dict[str, frozenset[str]]] = {
    ".safetensors": _words("safetensors"),
    ".gguf": _words("gguf"),
    ".pb": _words("savedmodel tf-graph tf-meta-graph keras-metadata tf-fingerprint onnx"),
    ".onnx": _words("onnx"),
    ".npy": _words("npy"),
    ".npz": _words("npz zip"),
    ".keras": _words("keras-zip zip"),
    ".h5": _words("hdf5"),
    ".hdf5": _words("hdf5"),
    ".zip": _words("zip torch-zip torchscript-zip npz keras-zip"),
    ".png": _words("png"),
    ".jpg": _words("jpeg"),
    ".jpeg": _words("jpeg"),
    ".gif": _words("gif"),
    ".webp": _words("webp"),
    ".wav": _words("wav"),
    ".flac": _words("flac"),
    ".parquet": _words("parquet"),
    ".arrow": _words("arrow"),
    **dict.fromkeys(_words(".json .jsonl .txt .md .csv .tsv .yaml .yml .jinja"), _TEXTS),
}
"""What a loader that goes by the name expects."""

_PICKLE_SUFFIXES: Final = _words(
    ".bin .pt .pth .ckpt .pkl .pickle .p .joblib .dill .distcp .pt2 .t7 .pdparams .pdopt .mar .nemo"
)
"""Names under which loaders expect a pickle, or an archive of them."""

_NO_PICKLE: Final = _TEXTS | _words("png jpeg gif webp wav tiff flac ogg mp3 mp4 bmp ttf otf woff")
"""Formats that no file of such a name has."""

_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"


def suffix_of(name: str) -> str:
    """The last suffix of a file name, lower case, with its dot; empty if there is none."""
    base = name.rsplit("/", 1)[-1].rsplit("!", 1)[-1]
    stem, dot, last = base.rpartition(".")
    return f".{last.lower()}" if dot and stem else ""


def name_contradicts(name: str, format: str) -> bool:
    """Whether a loader that goes by the name would expect something else."""
    suffix = suffix_of(name)
    if suffix in _PICKLE_SUFFIXES:
        return format in _NO_PICKLE
    expected = _EXPECTED.get(suffix)
    return expected is not None and format not in expected


def is_lfs_pointer(head: bytes) -> bool:
    """Whether this is the note that Git leaves where a large file has not been fetched."""
    return head.startswith(_LFS_POINTER)


def is_code_name(name: str) -> bool:
    """Whether a text file of this name is a program."""
    base = name.rsplit("/", 1)[-1].lower()
    return suffix_of(name) in CODE_SUFFIXES or base in CODE_NAMES


def known_by_magic(head: bytes, source: Source) -> Known | None:
    """The format whose signature the content has, among those that are not examined further."""
    for offset, magic, known in _MAGICS:
        if head.startswith(magic, offset):
            return known
    for recognise in (_riff, _executable, _bytecode, _parquet, _arrow, _movie, _bitmap):
        found = recognise(head, source)
        if found is not None:
            return found
    return None


def _riff(head: bytes, source: Source) -> Known | None:
    kinds = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}
    if head[:4] == b"RIFF" and head[8:12] in kinds:
        return Known(kinds[head[8:12]], Nature.DATA)
    return None


def _executable(head: bytes, source: Source) -> Known | None:
    """DOS header whose field at 60 leads to a PE header (Windows program or UEFI image)."""
    if head[:2] != b"MZ" or len(head) < 64:
        return None
    at = int.from_bytes(head[60:64], "little")
    if at <= source.size - 4 and source.read(at, 4) == b"PE\0\0":
        return Known("pe", Nature.CODE)
    return None


def _bytecode(head: bytes, source: Source) -> Known | None:
    """CPython: a version number (3000 and up), CR LF, flags of two bits, and a code object."""
    if (
        len(head) < 17
        or head[2:4] != b"\r\n"
        or not 3000 <= int.from_bytes(head[:2], "little") < 4200
    ):
        return None
    flags = int.from_bytes(head[4:8], "little")
    return Known("python-bytecode", Nature.CODE) if flags < 4 and head[16] & 0x7F == 0x63 else None


_EXTENSION_TYPE: Final = b"arrow.py_extension_type"
"""Arrow's extension type whose metadata is a pickle (CVE-2023-47248)."""

_EXTENSION_NEEDLES: Final = (
    _EXTENSION_TYPE,
    b"YXJyb3cucHlfZXh0ZW5zaW9uX3R5c",
    b"Fycm93LnB5X2V4dGVuc2lvbl90eXBl",
    b"hcnJvdy5weV9leHRlbnNpb25fdHlwZ",
)
"""As it is, and in base64 (a parquet file carries its Arrow schema so) at all three alignments."""


def _parquet(head: bytes, source: Source) -> Known | None:
    if head[:4] != b"PAR1" or source.size < 12 or source.read(source.size - 4, 4) != b"PAR1":
        return None
    length = int.from_bytes(source.read(source.size - 8, 4), "little")
    if not 0 < length <= source.size - 12 or length > 64 * limits.MIB:
        return None
    footer = source.read(source.size - 8 - length, length)
    pickled = any(needle in footer for needle in _EXTENSION_NEEDLES)
    return Known(
        "arrow-pickle" if pickled else "parquet", Nature.OPAQUE if pickled else Nature.DATA
    )


def _arrow(head: bytes, source: Source) -> Known | None:
    """Arrow files, and streams of their messages, which data sets are kept in."""
    stream = head[:4] == b"\xff\xff\xff\xff" and 0 < int.from_bytes(head[4:8], "little") < 1 << 24
    if head[:8] != b"ARROW1\0\0" and not (stream and _has_schema(head)):
        return None
    pickled = contains(source, _EXTENSION_TYPE)
    return Known("arrow-pickle" if pickled else "arrow", Nature.OPAQUE if pickled else Nature.DATA)


def _has_schema(head: bytes) -> bool:
    """A flatbuffer root offset that is small and even follows the length of the first message."""
    root = int.from_bytes(head[8:12], "little")
    return 4 <= root <= 64 and root % 2 == 0


def _movie(head: bytes, source: Source) -> Known | None:
    length = int.from_bytes(head[:4], "big")
    is_movie = head[4:8] == b"ftyp" and 8 <= length <= 256 and head[8:12].isalnum()
    return Known("mp4", Nature.DATA) if is_movie else None


def _bitmap(head: bytes, source: Source) -> Known | None:
    is_bitmap = head[:2] == b"BM" and int.from_bytes(head[2:6], "little") == source.size
    return Known("bmp", Nature.DATA) if is_bitmap and head[6:10] == bytes(4) else None


def is_checkpoint_index(name: str, source: Source) -> bool:
    """The index of a TensorFlow checkpoint: a table whose footer ends in a fixed number."""
    magic = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
    return (
        suffix_of(name) == ".index"
        and source.size >= 48
        and source.read(source.size - 8, 8) == magic
    )


def is_text(source: Source) -> bool:
    """Whether all of it is UTF-8 without NUL. Read in pieces, of any size."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for offset in range(0, source.size, _PIECE):
            length = min(_PIECE, source.size - offset)
            piece = source.read(offset, length)
            if b"\0" in piece:
                return False
            decoder.decode(piece, final=offset + length == source.size)
    except UnicodeDecodeError:
        return False
    return True


def contains(source: Source, needle: bytes) -> bool:
    """Whether ``needle`` occurs anywhere."""
    kept = b""
    for offset in range(0, source.size, _PIECE):
        piece = kept + source.read(offset, min(_PIECE, source.size - offset))
        if needle in piece:
            return True
        kept = piece[-len(needle) + 1 :]
    return False


def is_sentencepiece(head: bytes, source: Source) -> bool:
    """A SentencePiece model: a protobuf message whose first field is the list of pieces.

    Every field is looked at: pieces (1), trainer (2), normalizer (3), self test (4), denormalizer
    (5), each a message; a piece has a text, a score and a type. Its loader compares strings.
    """
    if head[:1] != b"\x0a" or source.size > limits.MAX_SENTENCEPIECE_BYTES:
        return False
    try:
        pieces = 0
        for each in protobuf.fields(source):
            if each.number not in (1, 2, 3, 4, 5) or not isinstance(each.value, memoryview):
                return False
            if each.number == 1:
                pieces += 1
                if not _is_piece(each.value):
                    return False
    except (MalformedInput, Unsupported):
        return False
    return pieces > 0


def _is_piece(value: memoryview) -> bool:
    shapes = {(1, protobuf.BYTES), (2, protobuf.FIXED32), (3, protobuf.VARINT)}
    return all((each.number, each.wire_type) in shapes for each in protobuf.fields(value))
