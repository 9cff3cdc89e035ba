"""Names that are known to run code, or to reach files, processes or the network.

This table only says how bad an unlisted name is; it never makes one acceptable. A name that is
missing here is still not allowed (:mod:`attest.scan.allowlist` decides), so a gap costs the word
"malicious", not safety. Collected from CPython's library reference, from the public advisories of
picklescan, modelscan and fickling, and from the modules of torch, numpy and their neighbours that
call ``eval``, ``exec``, ``open``, a shell or another unpickler.

Benign checkpoints name classes of their frameworks, ``argparse.Namespace``, ``pathlib.PosixPath``,
``copyreg._reconstructor``: none of those is here.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MODULES: Final = _words("""
    IPython _aix_support _bootsubprocess _ctypes _frozen_importlib _frozen_importlib_external
    _imp _interpchannels _interpqueues _interpreters _osx_support _pickle _posixshmem
    _posixsubprocess _pyio _pyrepl _socket _sqlite3 _ssl _testcapi _testinternalcapi _thread
    _winapi _xxsubinterpreters aiohttp antigravity asyncio asyncore atexit bdb cPickle cProfile
    celery cffi cgi cgitb code codeop commands compileall concurrent.futures.process
    concurrent.futures.thread crypt ctypes curses dbhash dbm distutils
    django.utils.module_loading docker doctest ensurepip fabric faulthandler fcntl fickling
    fileinput ftplib gc gdbm getpass git hotshot http httplib httpx huggingface_hub hydra.utils
    idlelib ihooks imaplib imp importlib invoke ipykernel jinja2 jsonpickle jupyter_client
    lib2to3 linecache llvmlite logging.config logging.handlers mailbox mailcap mako marshal
    mimetypes mlflow mmap modulefinder msvcrt multiprocessing netrc new nntplib nose nt numexpr
    numpy.ctypeslib numpy.distutils numpy.f2py numpy.lib._datasource numpy.lib._npyio_impl
    numpy.lib.npyio numpy.testing os paramiko pdb pexpect pickle pickle5 pip pipes pkg_resources
    pkgutil plistlib plumbum popen2 poplib posix posixfile profile pstats pty py_compile pycuda
    pydantic.v1.utils pydoc pytest readline requests rlcompleter runpy setuptools shelve shlex
    shutil signal site smart_open smtpd smtplib socket socketserver sqlite3 ssl subprocess
    sympy.parsing sympy.utilities.lambdify symtable sys syslog tarfile telnetlib tempfile
    tensorflow.io tensorflow.raw_ops tensorflow.saved_model test threading timeit tkinter
    torch._dynamo.debug_utils torch._dynamo.guards torch._dynamo.repro torch._inductor
    torch.distributed.elastic torch.distributed.launch torch.distributed.launcher
    torch.distributed.rpc torch.distributed.run torch.hub torch.jit.frontend
    torch.jit.unsupported_tensor_ops torch.package torch.testing torch.utils.benchmark
    torch.utils.bottleneck torch.utils.collect_env torch.utils.cpp_extension
    torch.utils.file_baton torch.utils.hipify torch.utils.model_dump torch.utils.show_pickle tox
    trace tracemalloc tty turtle twisted unittest urllib urllib2 urllib3 venv virtualenv
    webbrowser werkzeug.utils winreg wsgiref xmlrpc xmlrpclib yaml zipapp zipfile zipimport
    zodbpickle
""")
"""Modules of which every name counts, and every module inside them."""

_BUILTINS: Final = """
    __import__ apply breakpoint compile delattr eval exec execfile exit globals help input locals
    open file quit raw_input reload setattr vars
"""

_NAMES: Final = {
    module: _words(names)
    for module, names in {
        "argparse": "FileType",
        "bentoml": "load",
        "builtins": _BUILTINS,
        "__builtin__": _BUILTINS,
        "_io": "FileIO TextIOWrapper open open_code",
        "aiofiles": "open",
        "ast": "compile",
        "bz2": "BZ2File open",
        "click": "edit launch open_file",
        "cloudpickle": "load loads",
        "cloudpickle.cloudpickle": """
            _builtin_type _fill_function _gen_ellipsis _make_cell _make_function _make_skel_func
            _make_skeleton_class load loads subimport
        """,
        "cmd": "Cmd",
        "codecs": "open register",
        "concurrent.futures": "ProcessPoolExecutor ThreadPoolExecutor",
        "copyreg": "add_extension pickle",
        "copy_reg": "add_extension pickle",
        "cupy": "RawKernel RawModule fromfile load",
        "dataclasses": "_create_fn",
        "datasets": "load_dataset load_from_disk",
        "dill": "load loads load_module load_session",
        "dill._dill": """
            _create_code _create_function _create_typemap _eval_repr _import_module load loads
        """,
        "fire": "Fire",
        "flask": "render_template_string",
        "fsspec": "open",
        "fsspec.core": "open",
        "gensim.utils": "unpickle",
        "gettext": "c2py",
        "glob": "glob iglob",
        "gzip": "GzipFile open",
        "hickle": "load",
        "io": "FileIO TextIOWrapper open open_code",
        "joblib": "Memory Parallel dump load",
        "joblib.memory": "MemorizedFunc Memory",
        "joblib.numpy_pickle": "load",
        "keras.config": "enable_unsafe_deserialization",
        "keras.layers": "Lambda",
        "keras.models": "load_model",
        "keras.saving": "deserialize_keras_object load_model",
        "keras.src.layers.core.lambda_layer": "Lambda",
        "keras.src.saving": "deserialize_keras_object load_model",
        "keras.src.saving.saving_api": "load_model",
        "keras.src.saving.saving_lib": "load_model",
        "keras.src.saving.serialization_lib": """
            deserialize_keras_object enable_unsafe_deserialization
        """,
        "keras.src.utils.file_utils": "get_file",
        "keras.utils": "get_file",
        "keras.utils.data_utils": "get_file",
        "logging": "FileHandler",
        "lz4.frame": "open",
        "lzma": "LZMAFile open",
        "nltk.data": "load",
        "numpy": """
            DataSource fromfile fromregex genfromtxt load loadtxt memmap save savetxt savez
            savez_compressed source
        """,
        "numpy._core.memmap": "memmap",
        "numpy._core.multiarray": "fromfile",
        "numpy._core.records": "fromfile",
        "numpy.core.memmap": "memmap",
        "numpy.core.multiarray": "fromfile",
        "numpy.core.numeric": "fromfile load",
        "numpy.core.records": "fromfile",
        "numpy.lib.format": "open_memmap read_array write_array",
        "numpy.lib.utils": "info safe_eval source",
        "numpy.rec": "fromfile",
        "onnx": "load",
        "onnx.hub": "load",
        "onnxruntime": "InferenceSession",
        "operator": "call methodcaller",
        "_operator": "call methodcaller",
        "pandas": "eval read_csv read_hdf read_json read_parquet read_pickle",
        "pandas.core.computation.eval": "eval",
        "pandas.io.common": "get_handle",
        "pandas.io.pickle": "read_pickle to_pickle",
        "pathlib": "Path PosixPath WindowsPath PurePath",
        "pathlib._local": "Path PosixPath WindowsPath PurePath",
        "platform": "_syscmd_file _syscmd_uname _syscmd_ver popen",
        "random": "_test_generator",
        "ray": "init",
        "ruamel.yaml": "YAML load",
        "sched": "scheduler",
        "scipy.io": "loadmat",
        "scipy.weave": "inline",
        "skops.io": "load loads",
        "spacy": "load",
        "srsly": "pickle_loads",
        "sympy": "lambdify parse_expr preview sympify S",
        "sympy.core.sympify": "sympify",
        "sysconfig": "_main _init_posix",
        "tensorflow": "load_library load_op_library numpy_function py_function",
        "tensorflow.keras.models": "load_model",
        "tensorflow.keras.utils": "get_file",
        "tokenize": "open",
        "torch": "compile from_file load save",
        "torch.UntypedStorage": "from_file",
        "torch._C": "_jit_get_operation import_ir_module",
        "torch._classes": "load_library",
        "torch._ops": "load_library",
        "torch._utils": "_import_dotted_name",
        "torch._weights_only_unpickler": "Unpickler load",
        "torch.autograd.profiler": "load_nvprof",
        "torch.compiler": "load_cache_artifacts",
        "torch.cuda": "_compile_kernel",
        "torch.cuda.memory": "_dump_snapshot",
        "torch.distributed.distributed_c10d": "_tensor_to_object",
        "torch.export": "load",
        "torch.fx.graph_module": """
            _deserialize_graph_module _exec_with_source _forward_from_src reduce_graph_module
            reduce_package_graph_module
        """,
        "torch.fx.experimental.symbolic_shapes": "ShapeEnv",
        "torch.jit": "CompilationUnit load save script",
        "torch.jit._script": "CompilationUnit script",
        "torch.jit._serialization": "jit_module_from_flatbuffer load save",
        "torch.onnx": "export",
        "torch.onnx.utils": "export",
        "torch.serialization": """
            _legacy_load _load _open_file add_safe_globals load save safe_globals
        """,
        "torch.storage": "_load_from_bytes",
        "torch.utils._config_module": "ConfigModule",
        "torch.utils.data.datapipes.utils.decoder": "basichandlers",
        "torch.utils.model_zoo": "load_url",
        "torch.utils.tensorboard": "SummaryWriter",
        "tornado.template": "Template",
        "transformers": "pipeline",
        "transformers.dynamic_module_utils": "get_class_from_dynamic_module get_class_in_module",
        "types": "CodeType FunctionType LambdaType",
        "typing": "_eval_type",
        "uuid": "_get_command_stdout _popen",
        "zstandard": "open",
    }.items()
}
"""Single names of modules whose other names are ordinary."""

_ONLY_ATTRIBUTES: Final = frozenset(
    (
        *((module, name) for module in ("pathlib", "pathlib._local") for name in _NAMES["pathlib"]),
        ("torch.fx.experimental.symbolic_shapes", "ShapeEnv"),
        ("torch.utils._config_module", "ConfigModule"),
    )
)
"""Classes that are ordinary data and whose methods, named with a dot, are not."""

_INDIRECT_BUILTINS: Final = "filter getattr hasattr iter map memoryview property reduce type"

_INDIRECT: Final = {
    module: _words(names)
    for module, names in {
        "builtins": _INDIRECT_BUILTINS,
        "__builtin__": _INDIRECT_BUILTINS,
        "_codecs": "decode lookup",
        "codecs": "decode lookup",
        "contextlib": "ExitStack AsyncExitStack",
        "functools": "partial partialmethod reduce",
        "_functools": "partial reduce",
        "itertools": "accumulate starmap",
        "operator": "attrgetter itemgetter",
        "_operator": "attrgetter itemgetter",
        "types": "MethodType ModuleType new_class",
        "weakref": "finalize",
    }.items()
}
"""Names that turn other names into calls: by themselves neither harmful nor harmless."""

_INDIRECT_MODULES: Final = frozenset(("cloudpickle", "dill", "joblib.externals"))
"""Picklers that write code into the pickle."""

_MODULE_ALIASES: Final = _words("""
    _os _sys builtins ctypes importlib marshal multiprocessing nt os pickle posix pty runpy shutil
    socket subprocess sys threading
""")
"""Modules that other modules hold as attributes (``torch.serialization.os``). Picklers never write
a module, so a name like this is not one that a pickler wrote."""

_CALLABLE_ALIASES: Final = _words("""
    Popen check_call check_output execfile exec_module getoutput getstatusoutput import_module
    popen run_module spawnl spawnle spawnlp spawnv spawnve unsafe_load
""")
"""Functions that are known by name, wherever they were imported to."""

_INDIRECT_ALIASES: Final = _words("eval exec system run_path load_library execWrapper")


def is_dangerous(module: str, name: str) -> bool:
    """Whether this name, or one that it goes through, is known to do harm when it is used.

    Args:
        module, name: as the file has them; dots in ``name`` lead through attributes.
    """
    parts = name.split(".")
    names = _NAMES.get(module)
    listed = names is not None and not names.isdisjoint((name, parts[0]))
    return (
        (listed and (module, name) not in _ONLY_ATTRIBUTES)
        or _within(module, _MODULES)
        or any(_is_telling(part, module) for part in parts)
    )


def is_indirect(module: str, name: str) -> bool:
    """Whether this name can turn other names into calls, or sounds as if it could."""
    first = name.split(".")[0]
    names = _INDIRECT.get(module)
    return (
        (names is not None and first in names)
        or first in _INDIRECT_ALIASES
        or _within(module, _INDIRECT_MODULES)
    )


def is_denied(module: str, name: str) -> bool:
    """Whether no list may allow this name: every builtin, and everything in this module."""
    builtin = module in ("builtins", "__builtin__")
    return builtin or is_dangerous(module, name) or is_indirect(module, name)


def _within(module: str, modules: frozenset[str]) -> bool:
    """Whether ``module`` is one of ``modules``, or inside one."""
    if module in modules:
        return True
    at = module.find(".")
    while at >= 0:
        if module[:at] in modules:
            return True
        at = module.find(".", at + 1)
    return False


def _is_telling(part: str, module: str) -> bool:
    """Whether an attribute of this name is never what a pickler wrote: a module, a well-known
    function, ``__builtins__`` or ``__globals__``. ``copyreg.__newobj__`` is what picklers write."""
    if len(part) > 4 and part.startswith("__") and part.endswith("__"):
        return module not in ("copyreg", "copy_reg")
    return part in _MODULE_ALIASES or part in _CALLABLE_ALIASES
