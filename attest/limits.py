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

# Scanning: grades and pickles.

MAX_SCAN_DEPTH: Final = 8
"""Containers inside containers while scanning. A zip in a tar in a gzip makes 3."""

MAX_SCAN_UNPACKED_BYTES: Final = 4096 * MIB
"""Bytes that one compressed member or stream may unpack to while it is scanned."""

MAX_SCAN_RATIO: Final = 1000
"""Unpacked size over packed size of one compressed member. Deflate cannot exceed 1 032; sparse
weights reach a few hundred."""

MAX_SCAN_MEMBERS: Final = 1_000_000
"""Members of one container. A model of 10^5 tensors makes as many members in a torch zip."""

MAX_PICKLE_OPERATIONS: Final = 20_000_000
"""Operations of one pickle stream. A tensor of a state dict takes about 60: 300 000 tensors."""

MAX_PICKLE_STACK: Final = 10_000_000
"""Values on the stack of one pickle stream since the last mark. Lists are pickled in batches of
1 000, a tuple all at once."""

MAX_PICKLE_MADE: Final = 5_000_000
"""Containers and results of calls that one pickle stream makes, dictionaries counted twice and
calls three times: each is about 80 bytes. A tensor of a state dict takes about 11."""

MAX_PICKLE_MEMO: Final = 10_000_000
"""Memo entries of one pickle stream; pickling memoizes every container and string once."""

MAX_PICKLE_MARKS: Final = 10_000
"""Marks open at once. CPython pickles no deeper than its recursion limit (1 000 by default)."""

MAX_PICKLE_STREAMS: Final = 1_000
"""Pickles one after another in one file."""

MAX_PICKLE_FACTS: Final = 1_000_000
"""Tensors, and values looked at on the way to them, that are reported of one pickle."""

MAX_PICKLE_TEXT_BYTES: Final = 4 * KIB
"""Bytes of one string, number or name that are looked at. Longer strings are passed over unread (a
tensor name or a dtype never is), a longer module name is refused."""

MAX_SITE_LIST_BYTES: Final = 4 * MIB
"""Bytes of a site's additions to the scanner's allow-list."""

MAX_PICKLE_HITS: Final = 256
"""Hits kept of one pickle stream, each distinct (code, name) once; the worst are kept."""

# Claims

MAX_CLAIM_BYTES: Final = 11 * MIB
"""Bytes of one claim's statement: 15 MiB in base64, which leaves room for the signatures around it
in a line of ``MAX_JSON_BYTES``."""

MAX_CLAIMS: Final = 1_000_000
"""Lines of one claims file."""

MAX_PRINCIPALS: Final = 4096
"""People and services whose claims count, in one judgement."""

# -- bills of materials --------------------------------------------------------------------------

MAX_BOM_BYTES: Final = 256 * MIB
"""Bytes of a CycloneDX BOM that is read. 100 000 components of a container image take 60 MB."""

MAX_BOM_TEXT: Final = 64 * KIB
"""Characters of one text from outside that goes into a BOM; a longer one is left out and told."""

MAX_BOM_VERSION: Final = 1024
"""Characters of a component's version, by CycloneDX's own schema."""

MAX_BOM_URL: Final = 4096
"""Characters of one URL from outside that goes into a BOM."""

MAX_BOM_PROBLEMS: Final = 100
"""Problems of one BOM that are named; looking for more of them ends there."""

MAX_LICENCE_EXPRESSION: Final = 4096
"""Characters of an SPDX licence expression. The parser recurses with the depth of parentheses."""

MAX_LICENCE_TERMS: Final = 200
"""Licences, operators and parentheses of an SPDX expression: its parser is quadratic in them."""

MAX_LICENCE_TEXT_BYTES: Final = MIB
"""Bytes of a licence file that is compared with known texts. AGPL-3.0 has 35 kB."""

MAX_CARD_BYTES: Final = 4 * MIB
"""Bytes of a README.md whose front matter is read."""

MAX_LISTED: Final = 1000
"""Base models, datasets, languages, tags or results of one model card that are carried."""

MAX_MODEL_CONFIG_BYTES: Final = 4 * MIB
"""Bytes of one configuration file of a model. ``config.json`` with label maps has 1 MB."""

# Packs and containers

MAX_PACK_FILES: Final = 10_000
"""Files in one pack: a signature, claims, keys and certificates need a few dozen."""

# -- firmware, datasets and scanner reports ------------------------------------------------------

MAX_PE_SECTIONS: Final = 512
"""Sections of a PE image. Windows loads 96; a UKI with several profiles has a dozen for each."""

MAX_PE_HEADER_BYTES: Final = MIB
"""Bytes before the first section of a PE image. Kernels have 4 KiB."""

MAX_CAPSULE_ITEMS: Final = 256
"""Drivers and payloads of one UEFI capsule."""

MAX_OS_RELEASE_BYTES: Final = 64 * KIB
"""Bytes of an os-release file."""

MAX_EMBEDDED_TEXT_BYTES: Final = 64 * KIB
"""Bytes of a short text inside an image (command line, kernel release, SBAT) that is shown."""

MAX_CROISSANT_FILES: Final = 100_000
"""FileObjects and FileSets of one Croissant description."""

MAX_CROISSANT_FIELDS: Final = 100_000
"""Record sets and fields, nested ones included, of one Croissant description."""

MAX_SCAN_REPORT_BYTES: Final = 64 * MIB
"""Bytes of a vulnerability scanner's report. Grype writes about 3 kB for each match."""

MAX_SCAN_FINDINGS: Final = 200_000
"""Findings of one scanner report."""

MAX_SCAN_TEXT: Final = 4096
"""Characters of an id, name or version in a scanner report, or of a field in a dataset's
description."""

MAX_TAR_EXTENSION_BYTES: Final = MIB
"""Bytes of a pax header or a long name in a tar archive."""

MAX_ZIP_DIRECTORY_BYTES: Final = 256 * MIB
"""Bytes of a zip's central directory: 10^6 members with names of 200 bytes."""

MAX_UNPACKED_MEMORY: Final = 512 * MIB
"""Bytes that a bz2, xz, gzip or zlib stream may unpack to: they are held in memory, since none of
these can be read by position."""

MAX_XZ_MEMORY: Final = 256 * MIB
"""Bytes of memory for the dictionary of an xz or lzma stream. ``xz -9`` needs 65 MiB."""

MAX_SCAN_READ_FACTOR: Final = 16
"""How often the bytes of a file may be read again through containers inside it. Every nesting reads
what is inside once more; overlapping members would read the same bytes without end."""

# Provenance, dataset cards, evaluations

MAX_PROVENANCE_BYTES: Final = 64 * MIB
"""Bytes of a file with attestations: many bundles, one per line, each of ``MAX_JSON_BYTES``."""

MAX_ATTESTATIONS: Final = 1000
"""Attestations in one file. A release workflow writes one per artifact."""

MAX_RESOURCES: Final = 250_000
"""Dependencies or byproducts of one provenance. A claim of 11 MiB holds 100 000 with digests."""

MAX_RESOURCE_DIGESTS: Final = 16
"""Digests of one dependency: one per algorithm in use."""

MAX_CLAIM_TEXT: Final = 4096
"""Characters of one text (URI, name, description) in a provenance, dataset card or evaluation."""

MAX_DATASET_ENTRIES: Final = 10_000
"""Sources, transformations, jurisdictions or uses of one dataset card."""

MAX_EVALUATIONS: Final = 10_000
"""Measured values of one evaluation. The whole of MMLU has 57 tasks of a few metrics."""

MAX_HARNESS_BYTES: Final = 64 * MIB
"""Bytes of an lm-evaluation-harness result or JUnit report. Without samples they have a few MB."""

MAX_JUNIT_DEPTH: Final = 16
"""Nesting of XML elements. testsuites, testsuite, testcase, properties, property make 5."""

MAX_JUNIT_ELEMENTS: Final = 1_000_000
"""XML elements of one JUnit report; a test takes 1 to 5."""

# -- headers of model files ----------------------------------------------------------------------

MAX_SAFETENSORS_HEADER_BYTES: Final = 100_000_000
"""Bytes of a safetensors header: the cap of the reference implementation."""

MAX_SAFETENSORS_TENSORS: Final = 500_000
"""Tensors of one safetensors file, which take about 1 kB each while the header is parsed. The
largest open models have 10^5, spread over a hundred files."""

MAX_TENSOR_RANK: Final = 64
"""Dimensions of one tensor. NumPy and torch end at 64."""

MAX_HEADER_ANOMALIES: Final = 32
"""Anomalies of one header that are named; the rest is counted."""

MAX_GGUF_HEADER_BYTES: Final = 256 * MIB
"""Bytes of metadata and tensor list of a GGUF file. Vocabularies of 262 144 tokens take 16 MB."""

MAX_GGUF_KEYS: Final = 65_536
"""Metadata entries of a GGUF file. Models have about 40."""

MAX_GGUF_ITEMS: Final = 8_000_000
"""Strings in all arrays of a GGUF file: they are walked one by one, at 5 million a second."""

MAX_GGUF_TENSORS: Final = 1_000_000
"""Tensors of a GGUF file."""

MAX_GGUF_STRING_BYTES: Final = 4 * MIB
"""Bytes of one GGUF string. Chat templates have up to 30 kB, embedded tokenizers more."""

MAX_GGUF_NAME_BYTES: Final = 65_535
"""Bytes of a metadata key or tensor name (GGUF specification)."""

MAX_GGUF_KEPT_ITEMS: Final = 64
"""Elements of a GGUF array that is kept as values; of longer ones the count is kept."""

MAX_GGUF_ALIGNMENT: Final = 65_536
"""Bytes that tensor data may be aligned to. The default is 32."""

MAX_PROTOBUF_FIELDS: Final = 8_000_000
"""Fields read from one protobuf file. An ONNX graph of 10^5 nodes has about 2 million."""

MAX_PROTOBUF_INLINE_BYTES: Final = MIB
"""Bytes of a length-delimited field that is held in memory; longer ones are read by position."""

MAX_ONNX_DEPTH: Final = 32
"""Subgraphs inside subgraphs (If, Loop, Scan). Exporters make 3."""

MAX_ONNX_TEXT_BYTES: Final = 64 * KIB
"""Bytes of a name, path, domain or producer in an ONNX or TensorFlow file."""

MAX_YAML_BYTES: Final = 8 * MIB
"""Bytes of a YAML document. The parser makes about 200 000 events a second."""

MAX_YAML_DEPTH: Final = 64
"""Nesting of a YAML document."""

MAX_YAML_EVENTS: Final = 1_000_000
"""Nodes of a YAML stream."""

MAX_YAML_EXPANSION: Final = 10_000_000
"""Nodes that a YAML document has once its aliases are followed."""

MAX_TEMPLATE_BYTES: Final = 256 * KIB
"""Bytes of a chat template. The longest in use have 30 kB."""

MAX_TEMPLATES_BYTES: Final = MIB
"""All chat templates of one file together."""

MAX_TEMPLATE_TOKENS: Final = 100_000
"""Tokens of a chat template."""

MAX_TEMPLATE_BRACKETS: Final = 20
"""Brackets inside brackets in a template. The parser recurses 15 frames for each."""

MAX_TEMPLATE_BLOCKS: Final = 48
"""Blocks inside blocks (if, for, macro) in a template. The parser recurses 4 frames for each."""

MAX_TEMPLATE_CHAIN: Final = 64
"""Signs, ``not`` and inline ``else`` in one tag of a template: the parser recurses on each."""

MAX_HDF5_OBJECTS: Final = 200_000
"""Groups and datasets of an HDF5 file that are visited. A Keras model has 10 a layer."""

MAX_HDF5_MESSAGES: Final = 4_000_000
"""Header messages and links of an HDF5 file that are read."""

MAX_HDF5_READ_BYTES: Final = 512 * MIB
"""Bytes of headers, heaps and attributes of an HDF5 file that are read. Data is not."""

MAX_HDF5_ATTRIBUTE_BYTES: Final = 64 * MIB
"""Bytes of one HDF5 attribute: the architecture of a Keras model as JSON."""

MAX_KERAS_CONFIG_BYTES: Final = 64 * MIB
"""Bytes of the JSON that describes a Keras model."""

MAX_SCAN_JSON_BYTES: Final = 64 * MIB
"""Bytes of JSON beside a model that is parsed because it has keys that loaders act on. Tokenizers
of 262 144 tokens take 33 MB."""

MAX_SCAN_JSON_DEPTH: Final = 200
"""Nesting of JSON that is scanned. Loaders that recurse give up, or fall over, at about 1000."""

MAX_SCAN_JSON_NODES: Final = 2_000_000
"""Lists and objects in such JSON; each takes up to 230 bytes. A tokenizer has a list for each of
500 000 merges."""

MAX_SAVED_MODEL_NODES: Final = 2_000_000
"""Nodes of a TensorFlow graph, its function library included."""

MAX_SOURCE_BYTES: Final = 16 * MIB
"""Bytes of one source file inside a TorchScript archive."""

# Lineage and in-toto layouts

MAX_LINEAGE_EDGES: Final = 1_000_000
"""Steps of one lineage that are shown: claims of 10^4 outputs and 10^4 inputs make 10^8."""

MAX_LINEAGE_FILES: Final = 100_000
"""Claims files below the folders of one question."""

MAX_LINEAGE_TREE_DEPTH: Final = 256
"""Levels of a lineage that are drawn as a tree: each line is as long as its level is deep."""

MAX_LAYOUT_BYTES: Final = 32 * MIB
"""Bytes of one in-toto layout or link. One of 100 000 materials and as many products has 21 MB."""

MAX_LAYOUT_KEYS: Final = 1000
"""Functionary keys of one in-toto layout, and keys that may sign one step."""

MAX_LAYOUT_STEPS: Final = 1000
"""Steps of one in-toto layout."""

MAX_LAYOUT_DEPTH: Final = 8
"""Sublayouts inside sublayouts."""

MAX_LAYOUT_LINKS: Final = 10_000
"""Link files of one verification, sublayouts included."""

MAX_LAYOUT_LINK_BYTES: Final = 256 * MIB
"""Bytes of all link files of one verification."""

MAX_LAYOUT_RULE_WORK: Final = 50_000_000
"""Artifact rules times the artifacts that each is held against, in one verification."""

MAX_LAYOUT_MATERIALS: Final = 10_000
"""Materials that the claim of a layout's result names; more are counted."""

MAX_UNPACKED_STREAMS: Final = 100_000
"""Compressed streams that follow one another in one file. Block compression (bgzip) makes one for
64 KiB."""

MAX_NPY_HEADER_BYTES: Final = MIB
"""Bytes of the header of an npy file. NumPy itself reads 10 000 unless told otherwise."""

MAX_SENTENCEPIECE_BYTES: Final = 64 * MIB
"""Bytes of a SentencePiece model; those of large vocabularies have 5 MB."""

MAX_SCAN_HITS: Final = 500
"""Hits kept of one file, over all that is inside; beyond that only worse ones are."""

MAX_CONFIG_BYTES: Final = 16 * MIB
"""Bytes of a JSON file that is read for templates and names of code. Vocabularies may be larger;
they are text."""

MAX_SCAN_TOTAL_RATIO: Final = 32
"""Bytes that everything in a file may unpack to together, over its size, beyond 256 MiB."""
