"""What a user can set: ``symsparse.config``."""

import os
from configparser import ConfigParser

from pytensor.configparser import EnumStr, PyTensorConfigParser, parse_config_string


class Config(PyTensorConfigParser):
    """The settings of symsparse; used like ``pytensor.config``.

    Both are read when a function is compiled. The environment variable ``SYMSPARSE_FLAGS`` gives their values at the
    start, such as ``densify=warn,container=matrix``.

    Attributes
    ----------
    densify : {"allow", "warn", "raise"}
        What to do about a dense array of the full shape of a sparse matrix that a compiled function would form though
        no operation that the user wrote has it as its result; see `explain`, which lists such arrays. "warn" gives a
        `DensificationWarning`, "raise" a `DensificationError`, both with the user's line, the size, and what to write
        instead.
    container : {"array", "matrix"}
        Class of the matrices that compiled functions and ``get_value()`` hand out: ``csr_array`` and ``csc_array``, or
        for old code ``csr_matrix`` and ``csc_matrix``. Inside a graph, in constants and in shared variables values are
        always arrays. "array" costs nothing; "matrix" wraps each sparse output anew.

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.config.densify
    'allow'
    >>> with ss.config.change_flags(densify="raise"):
    ...     ss.config.densify
    'raise'
    """

    densify: str
    container: str


config = Config(parse_config_string(os.environ.get("SYMSPARSE_FLAGS", "")), ConfigParser(), ConfigParser())
config.add(
    "densify",
    "What to do about a dense form of a sparse matrix in a compiled function that the user did not ask for.",
    EnumStr("allow", ["warn", "raise"]),
    in_c_key=False,
)
config.add(
    "container",
    "Class of the sparse matrices that compiled functions and get_value() hand out.",
    EnumStr("array", ["matrix"]),
    in_c_key=False,
)
config.warn_unused_flags()
