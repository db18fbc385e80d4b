"""Time the kernels on the user's own matrix, beside SciPy: ``python -m symsparse bench FILE.mtx``.

`matrixfile` reads the file, `kernels` says what is timed, `timing` lets both take turns and measures what the machine
can do, `roofline` draws the outcome, and `job` calls them in order. This package imports nothing heavy until `job` is
imported. How symsparse compares with other libraries is another matter, and is in ``benchmarks/``.
"""


class BenchError(Exception):
    """What the user gave cannot be used; the message is one line that says why."""
