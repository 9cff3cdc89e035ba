"""Small encoders of model files, so that tests need neither torch nor onnx nor h5py."""

from __future__ import annotations

import base64
import json
import struct
import zlib

# safetensors


def safetensors(tensors, data=b"", *, metadata=None, padding=b""):
    """A file of ``{name: (dtype, shape, begin, end)}``."""
    header = {} if metadata is None else {"__metadata__": metadata}
    for name, (dtype, shape, begin, end) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    return safetensors_raw(json.dumps(header).encode() + padding, data)


def safetensors_raw(header, data=b"", *, length=None):
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


# GGUF

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_FORMS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B",
          U64: "Q", I64: "q", F64: "d"}  # fmt: skip


def gguf_text(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(kind, value):
    if kind == STRING:
        return gguf_text(value)
    if kind == ARRAY:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(
            gguf_value(inner, item) for item in items
        )
    return struct.pack("<" + _FORMS[kind], value)


def gguf_entry(key, kind, value):
    return gguf_text(key) + struct.pack("<I", kind) + gguf_value(kind, value)


def gguf_tensor(name, shape, kind, offset):
    dims = b"".join(struct.pack("<Q", dimension) for dimension in shape)
    return gguf_text(name) + struct.pack("<I", len(shape)) + dims + struct.pack("<IQ", kind, offset)


def gguf(entries=(), tensors=(), data=b"", *, version=3, counts=None, alignment=32):
    """A file of ``(key, kind, value)`` and ``(name, shape, kind, offset)``; padded."""
    tensor_count, key_count = counts or (len(tensors), len(entries))
    out = b"GGUF" + struct.pack("<IQQ", version, tensor_count, key_count)
    out += b"".join(gguf_entry(*entry) for entry in entries)
    out += b"".join(gguf_tensor(*tensor) for tensor in tensors)
    return out + bytes(-len(out) % alignment) + data


def gguf_template(template):
    return gguf(
        [
            ("general.architecture", STRING, "llama"),
            ("tokenizer.chat_template", STRING, template),
        ]
    )


# Protocol Buffers


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def pb(*fields):
    """A message of ``(number, value)``: int is a varint, str and bytes are length-delimited."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


# ONNX


def onnx_tensor(name="w", dims=(4,), kind=1, *, raw=None, external=None, more=()):
    fields = [(1, dimension) for dimension in dims] + [(2, kind), (8, name)]
    if raw is not None:
        fields.append((9, raw))
    if external is not None:
        fields += [(13, pb((1, key), (2, value))) for key, value in external.items()]
        fields.append((14, 1))
    return pb(*fields, *more)


def onnx_node(op="Relu", domain="", attributes=()):
    fields = [(1, "x"), (2, "y"), (4, op)]
    fields += [(5, pb((1, "a"), *attribute)) for attribute in attributes]
    return pb(*fields, *([(7, domain)] if domain else []))


def onnx_graph(nodes=(), tensors=()):
    return pb(*((1, node) for node in nodes), (2, "g"), *((5, tensor) for tensor in tensors))


def onnx(nodes=None, tensors=(), *, opsets=(("", 17),), more=()):
    nodes = [onnx_node()] if nodes is None else nodes
    return pb(
        (1, 9),
        (2, "tests"),
        (7, onnx_graph(nodes, tensors)),
        *((8, pb((1, domain), (2, version))) for domain, version in opsets),
        *more,
    )


# TensorFlow


def tf_text_tensor(*texts):
    return pb((1, 7), (2, b""), *((8, text) for text in texts))


def tf_node(name, op, inputs=(), attributes=()):
    """Attributes are ``(key, AttrValue fields)``."""
    entries = [(5, pb((1, key), (2, pb(*value)))) for key, value in attributes]
    return pb((1, name), (2, op), *((3, one) for one in inputs), *entries)


def tf_const(name, *texts):
    return tf_node(name, "Const", (), [("value", [(8, tf_text_tensor(*texts))])])


def tf_function(name, nodes):
    return pb((1, pb((1, name))), *((3, node) for node in nodes))


def tf_graph(nodes=(), functions=()):
    library = pb(*((1, function) for function in functions))
    return pb(*((1, node) for node in nodes), (4, pb((1, 1482))), (2, library))


def saved_model(nodes=(), functions=(), *, assets=(), metadata=()):
    objects = pb(*((1, pb((4, pb((1, "_tf_keras_layer"), (3, text))))) for text in metadata))
    meta = pb(
        (1, pb((4, "serve"), (5, "2.15.0"))),
        (2, tf_graph(nodes, functions)),
        *((6, pb((2, name))) for name in assets),
        (7, objects),
    )
    return pb((1, 1), (2, meta))


def tf_save_functions():
    """What ``tf.saved_model.save`` of TensorFlow 2.15 puts into every model, in short."""
    save = [
        tf_node("StaticRegexFullMatch", "StaticRegexFullMatch", ["file_prefix"]),
        tf_const("Const", ".part"),
        tf_const("Const_1", "_temp/part"),
        tf_node("Select", "Select", ["StaticRegexFullMatch:output:0", "Const:output:0",
                                     "Const_1:output:0"]),
        tf_node("StringJoin", "StringJoin", ["file_prefix", "Select:output:0"]),
        tf_node("num_shards", "Const"),
        tf_node("ShardedFilename/shard", "Const"),
        tf_node("ShardedFilename", "ShardedFilename",
                ["StringJoin:output:0", "ShardedFilename/shard:output:0", "num_shards:output:0"]),
        tf_const("SaveV2/tensor_names", "variables/0/.ATTRIBUTES/VARIABLE_VALUE"),
        tf_const("SaveV2/shape_and_slices", ""),
        tf_node("SaveV2", "SaveV2", ["ShardedFilename:filename:0", "SaveV2/tensor_names:output:0",
                                     "SaveV2/shape_and_slices:output:0", "read"]),
        tf_node("MergeV2Checkpoints/checkpoint_prefixes", "Pack",
                ["ShardedFilename:filename:0", "^SaveV2"]),
        tf_node("MergeV2Checkpoints", "MergeV2Checkpoints",
                ["MergeV2Checkpoints/checkpoint_prefixes:output:0", "file_prefix"]),
        tf_node("Identity", "Identity", ["file_prefix", "^MergeV2Checkpoints"]),
    ]  # fmt: skip
    restore = [
        tf_const("RestoreV2/tensor_names", "variables/0/.ATTRIBUTES/VARIABLE_VALUE"),
        tf_node("RestoreV2", "RestoreV2", ["file_prefix", "RestoreV2/tensor_names:output:0"]),
    ]
    return [
        tf_function("__inference__traced_save_42", save),
        tf_function("__inference__traced_restore_43", restore),
    ]


# HDF5, made with h5py 3.16.0 (zlib, base64). See HDF5_NOTES for what is in each.

HDF5_NOTES = {
    "plain": "two groups with a dataset each, and the text attributes of a Keras 2 model",
    "latest": "the same with libver='latest': superblock 3, object headers 2, link messages",
    "userblock": "the same behind a user block of 512 bytes",
    "external": "an external link, a dataset in another file, a virtual dataset",
    "dense": "forty groups and attributes with libver='latest': dense storage",
    "lambda": "model_config with a Lambda layer",
    "weights": "groups and datasets, no model_config",
}


_HDF5 = {
    "plain": (
        "eNrtmc1O20AQgGedP4uWEtQeAlUryyeQKhQQlapeSNWk9aEqVekBqaoSExZq1XFU2wEqlDt9C448BkeOfRTe"
        "IF2vdx2vxY8IVAUy32Wys7Pj9WpmIs/+turvJidmJyBC1yEPZUgzEFjz6ljOt4QkQh4IeaRJfYHPVYS+LPwb"
        "uXh8KvRfPjcakfUgQ7KRilyPjCNW482nSK6r4QAnmmrn2r+oXxVycRiXtRGfOy0iLhvXD8ES8f0InoAOP6hv"
        "B80d6gdO12P6GUL4ynKSG7qSJ8WhiuuG/ia5v053k7rNdtfbcraB+4ML/R2k/GncX1XMl9hvHbxeZ4P6bL0u"
        "zWrK+kKSx7kz8/VPUc33y/J1fRZSu0TGPV9l3d4rqna7mf8P65rPlfn6Ki/isCjztZbkl86ie5c629/Dpmd3"
        "aBDpH5N4D4SQJIfS0t64OD+On6n5ce77l/7t+1+V929XP5DUBpX6xFhaWHy5UB2eg6yD+2bbtYOAH6D52jDX"
        "6M8e9ULHds0XhhnXLabfN6VBJ9Lzqhyw4dfs+jr1AppZ2vOcMDJeYmq7HTo7dsiKa2TtU7dn9vvf+n35HrUp"
        "zDkEQRAEQRAEQRAEOY+1j6t1wr7uZZ+unFf7ANk+iuxjVEuq3eFTYVcaz3OU9xzyQAjMxVKLFeK6A8RxnjGu"
        "8KXTxkrSn11+AMsDYVhg2mhe02KHuuhA5QgYsUUrs6O9WxBXJIkrawZzbRQuvReLwwz77GOK7Hdn6+/N9bv/"
        "V11r3cq6dj85XbnbEkEQBEGQ63ynGc/xTEbhLxev0l4="
    ),
    "latest": (
        "eNrr9HBx4+WS4mLm4GCAgf9QcEACwjeAik9xDLno7+ESxMTwWECAgWEhI0TYGCrNxcQAFBEVYmBBGAEDPPYM"
        "DMwMfAwiIMns1KLE4viy1KLizPw8BklGRgagaWAMMZGDgQlIskGYYAAS57EDGcELMSI3PyU1Jz45Py8tMx1o"
        "AgNWEzqQTADxeTRAJrAz8IBMyCvNTUotYhDggClxAKthhYfC5soXQRDfVoB8+4AJIqxHjG9NIE7lADqWoTw1"
        "Mz2jJD4vMTe1mEGYEeJEJkZGRqiBDDA6MQnoMhSwmCdku7+zhzeTEHK0wADIVROZISqNYFr89pe5gF3NyMDI"
        "qAI0HGgTVA3IpWCAwRdhYBRUsIeHgwk3g8l/oCJWoBeZuTiAljMzMkDTQgLMogUMgx7YpV+oxB18bDygqGAs"
        "vwJNxk/YbmYixfd5FvrH9/N/ZzNADmYTBOliy0msTC0ykIO6D1nQkA8ah1WWbFNpEd0JQzC6j7dv9SIc3Yeh"
        "wXGzc3sewygYBSMbuDv7+4ALGAFETcsAq31BFYueoameAaLQ6oDS1UrJOYnFxeBiTslKQSk4tbA0Na8kMzFH"
        "SUdBCVIxA8WrlWAKckHi4MKrGMiNRtfvkppXnIqmtTQvswSk2AgonJhcklmWWAJsMIBUF6XmlCrV1sbW1sL8"
        "4cA/GpejYBSMglEwCkbBKBgFo2AUjIJRMApGAX7wwX6o0gBeLwhy"
    ),
    "userblock": (
        "eNrtmc1u00AQgGedP6tQSAWHtAhk+YQEqtKqSIhLg0jAB0QR5VAJocQN22LhOMJ22qIq9/IWPfYxeuyRR+kb"
        "hPX+OFmrPyIFUfB8l8mOZybr1cxYHgMgeea703w5O7MwwxemCUWoiguGECOJ80hfK/+OlETKAymPDKUv8Ws1"
        "qa/K+FZBrE+l/v27ViuxHmVIN1pT/kgecVrP3yZyQ08HODF0O9/9RsO6lEvjvGxM+b9zMuOyeX0THJnft+Au"
        "mPCFhm7U3qFh5PUDpp8nhHtW09owtTopj1VcN443y+P1+p+o3+72gy1vG3g8uDDewUQ8g8ery+sV9tuEYNDb"
        "pCHzN5VZQ/MvpXVcOLNef5T1er+sXjcWYGKXSN7rVfXtvbJut5t5fjhX/F9Vr0+LMg/Lql4baX2ZLLt3qbf9"
        "OW4Hbo9Gif4OEXsghEw+/lLpbl5cH8f39fo49/4rf/b+f5VXL9Zek4kNav2Jsby49GSxPj4H1Qf37a7vRhE/"
        "QPuZZa/TrwMaxJ7r248tW/Qtpt+3lUEv0fOuHLHlh6x/kwYRzbgOAi9OjJeZ2u3G3o4bs+aaWIfUH9jD4cfh"
        "UN1H4zbWHIIgCIIgCIIgCIKcx/qbtSZhb/dqTlct6nOA7BxFzTHqFd3u8J60q+TzHNV3DnUgBB4KaQiF/NwB"
        "8jjPWNe465y1ms5nV27Aykgalpg2uW4YIqApJ1AFApaw6GR2tHcN8oqkeeXMY61Nw6XfxUSa4Zw9p6h5d7b/"
        "/r5599/qa51r2df+T05X/22JIAiCIMhV3tOsB3gm0/ATvkvSYg=="
    ),
    "external": (
        "eNrtlM1Kw0AQx2c/jGtAjJ6Kpx49GS/eFY3mIFikB48tphDwUGuK1Teob9BH8BEEX8CjT9GDL6Gb7GySjcWT"
        "FNH5QRhmMjuz+Wd2H+Pjk3V/24ccpUBCAHU+EGg1fKSHlqGdon3iNr5WvMPlurqp3xbGTzHevYiiev1mH+J/"
        "E0eHndxeoq/QvnI3z85h54f68nJyF0+mr3fCavke5jN1wO71qIeD8VV408+ySQLhQzX/b9Lk75X79kwdZn2s"
        "wxj2AccKXSd/Eyi7xCiygvvhnBfhVdgpfPMwmElXP2jUVdhXMPudfiOzt9T/3Wr812fp5hX6Zmk/GU6c+yXw"
        "XH09jGsNBlNRn5fvdbft5ALdTazt6i6M7gr7SWGlNvW20M297giuqxvzd1DqpBjLOISjr/rd6Y8l/ginR+dn"
        "zBwc55zFzQt1OE4Ht7vpPiQgamFzR1Z+UN419rwAbM7fX2zubIM0JwiCIAiCIAiCIIhl8wkm1lzU"
    ),
    "dense": (
        "eNrtmntQVHUUx8/e3YWVN8iC+AIEBbXHvpeXosRjdQRRyKlgREeNzJhEManEHoajlKhpPppGKpR840imDKFj"
        "hSFqqNPTsmZUVHwgjaDiaNu9v72XPXhyRisbae7vj/2d79nP/f3OPfd39t4fl8W2xGRPt95uSo0GpGYX29JH"
        "HVon+p/Luzp2rC1xPAeFbhwoALR+oALY6Ob4Osbd0XN+wuc6V/FgadwE+Bea6cjQdDEExzT2O5ojMHgKHlir"
        "q67f+hCEkJyRkQSTxJQrPAGuKpnVg4PrasE6mDL6zP0P/TCcmW1UQueiYm1phNiHdV2gUptW0PJ7tzgz4ZpN"
        "EAtCwV+7dmFSxQYFZHG88Zg3V9CNLpFU4ezKDBX70L++Qm0/3JrZLc7sAQ0tn5l8Zn+nzsbb0kEoMw58gNyf"
        "F6odWvpFAalXde0j73FGlTCP2BTsM4TvLSrJk7R786yETFsiqAVOuPVMjdyokeaQZrEZNp1NzuAp2KEQHwig"
        "a++cLx0K+Tmk2fKUDr/4K9/Zv9o0Iy4hc0wyqOuWB3PgytNecODsKiWEcYKpnF/uAqnMu1Bxwhcqmfne7er+"
        "sBoE0/1gTBjUMu/c5MJwOMdM09Zt4VDFgJzK1SYYxZueoGovsEAqG/flkkFW2MCA09cqk0HPvHXLWpJhCmMv"
        "ec9KgyJmRgzhzTA2rvbHpjSYybxx7e9mw0fMe+LMqWyIZyPcGBgzA/azcS/s73gBOpi53j9oFhxi7Pa80Nkw"
        "gI2wt2ribJjAzLTbhxbA48xMKfQsgbmMnTNpVylMZ2bw7MNr4SdHdt55ZB3omZm/SFEGWmYWld0ug2JmTmy0"
        "fQxaFs65pCWVsIJ5vb4rroaLLJwrQ3K+BC2bzaX15mGIZ8CtsvyjcJIBBxd8egxKGPDtxX4/QyPz9iwc9yvE"
        "Me/leWPaIYsdVt6UWPHPqoFVguZulXChh0NLz0OdzB2VcR+VoOpaCZF8v4KTPHmFNWGsEjTCovblPVMj83tJ"
        "30qzGEzxMY5KCODupRIiO2erFitnIHTt037bd4JVggY2KR1+u5133/R2h2eEY8IdjpqkQH/IQcTz7x8YAH6I"
        "uBKYHgZvISJi97ODYSI4iQ9G283wDSLWjhhihTcRsXX6nGFQr3ASap15OLRyTodH5ryRMB8RXgcKUuANRMyZ"
        "lpEG5YgwvqLOhBg0y6rglU+mumQNA7k9LLclOQQ5BDkEOQQ5BDkEOQQ5BDkEOYR7DSEhc1Qav32pQHuA2O3u"
        "WTvFnZtXfm+HERR4tGa5/LT/v2vi9rVY5bz+HZmvZcFm5BhU2pwPVrRCamyfFcEh5Fhf3lQEDWiX2NRwowgu"
        "o31k0o7JxeCHDllU+kQpDFc7HRVf1K+GNjxt+JY10IgcN2pPrYVt6JBPPqxdD4uQY40hqAK0aJNsONZcCVMQ"
        "sWNVwy6IRYPG/nF8DwSg0MtrX/8cLGhvvuftxnqIQYO+eOZkPRxHg760r+wITEKDxpdsOQ3Z6GzrNvZthgo0"
        "y9dBQy9BEBqjedy1VghAY7SMONsBLeiQXcs22TOyk67L21c5BDkEOQQ5hP/gxWoierHK/56vC1kZrgBlrtEM"
        "wdLfl3llWYCV1SUEqajFWEV7hMoPHd2msevf+b8Pws35mKaqVclbHoKabLCCj0Z6nTGCvUfoI8IIiiJQXwpF"
        "E6gfgYw6AvWnkJ5AwRQyECiEQkYChVLIRKABFDITKIxCFgKFU4hmfCCFaMYHUYhmPEJe8XK7e/0LbXdc21Ql"
        "v4oca4jWI3SuM4mh5aggDK1GjjC0GJWEobWoIgwtRTVhaCW6EIYWoithaB1qCEPLsAepVT1NtBuFaKbdKURT"
        "7UEhmmtPCtFke1GIZtubQjTdPhSi+falEE24H4VoxnvS+xHNuD+FaMa1FKIZD6AQzXgghWjGe1GIZjyIQjTj"
        "ve9a//gf62zn7YMVwOXqqkB6qONyjRc4p9BbFE5h8EHfmKqUTmFeonIKS67aKawjXZwiqo+rU0Tv9HQ+Sep1"
        "Zi+k9HuwMsR6I2Xci5VppA9S5q+wsqT4ImVtwCoq1Q+p6KNIGXQZPZHSf4+V4Wl/pIy/YGXK0SJlPoWVZVoA"
        "UtbzWEXNCEQqugUpoy6/L1L6NqwMc/shZbyJlamoP7n+fwLUm2lL"
    ),
    "lambda": (
        "eNrtmc1u00AQgHedP6tQSEUPaRHI8qlIqEpRKiEk1FRtwIeKIsqhEqoSJ92WqI4DcdK0qnIvz9ALRx6DI0ce"
        "pW8Q1ruzjtcqrUhBFDLfIWOPZ8br1cxEHn9y1l9MT81PkRDTJGmSJ3GGgPNIP1fXayApyFOQXwylz4hrBdDn"
        "Ib6VkufnoH/7plIJrYcJooUUlD8yiTiV1deh3NbTgXwzdDvPPWadIsilUV6Wx7zvDGRcMq9vEwfy+w6ZJSY5"
        "YB03qB6yTtBs+1w/R6nwzEe1YWp1kh2phG4Ub1rEa7V3mVdttP295j4R8cil8c5i8QwRrwjXc/zYJH6vVWcd"
        "7m8qs7Lmn4nqOHVhvX7P6vV+Vb1uz5PYKpFJr1fVt4+yul0/8f/hXPO+ql6fpiEPs6pey1F9mTy7+6y5/75b"
        "9d0WC0L9PSrXQCmNaigu3frl9fH1gV4fP33+3J99/l/l5drmBo0tUOtPnCeLS8uLxdE+nIE8sRueGwRiA+1n"
        "lr3FPvaY3226nv3YsmXf4voTWzTigB++S7psuK36rpsw3+v5jS5voaGDXepXVjnPuY3f8zz5u8MdlFW1e/xB"
        "xPJkrMFgZzDQnm/hLtYigiAIgiAIgiAIgmy92lyn/O1ezenyaX0OkJyjqDlGMafbfb4PdrnJ3Ef1nUNtCCUL"
        "UhpSAZ87CGznBecF4TpjrUTz2dItUhqCYYZrw+uGIQOaMIFKUWJJi1piRUc3IK9olFfOHNbaOFz5XUymGc7Z"
        "JxQ1707239837/5bfa12I/va/8n5yr8tEQRBEAS5znua9RD3ZBx+AD0+2bw="
    ),
    "weights": (
        "eNrr9HBx4+WS4mIAAQ4OBhYGAQZk8B8KIsRR+TD5BCjNCKU7oPQKJpg4I1hOAiouCDUfXV1IkKsrSPV/NACz"
        "5wErhEZ13SgYKcDD1TEAREdA+bD0dIIJVV1OYmVqkQGUNkSkSwcy7WVkYEZJvwLQFKjBjpr+CaXfGRwQmmM0"
        "KkfTL1I51sGKqq4crTz1oNDeYD9/F0YGJni6U2BGMx/Kz0ArXx8IoqrjEILQGiIjM/5g9RZ6ePFASxZGBl5g"
        "GEswlKdmpmeUxOcl5qYWg8SFGSFhyMgICUlYcQWjE5Ng4cwKCWtGGF8DQjNBBKDWAutnBhx8CbBWQQV7aFw7"
        "MJhwM5j8hypkBYqC5JmYIAZyQEs0ZsYHnKglGQxUDGh4Q9ItIzzddrCPliHkgw/2Q5seBaNgFIyCUTAKRgE1"
        "+q8LREjrvwqIjfZfR/uvmP1XDxHa9l9h/S70/ufQ73c5cA2FfheD6GjaJwcAAIWGkm8="
    ),
}


def hdf5(name):
    return zlib.decompress(base64.b64decode(_HDF5[name]))
