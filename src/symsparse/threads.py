"""How many threads kernels use: Numba's setting, under names of our own that load Numba when they are first called."""

import operator


def set_num_threads(n: int) -> None:
    """Set how many threads products and other large work may use from now on.

    Parameters
    ----------
    n : int
        From 1 to the number of threads that Numba started: the environment variable ``NUMBA_NUM_THREADS``, or the
        number of CPUs.

    Raises
    ------
    TypeError
        If n is no integer.
    ValueError
        If n is out of this range.

    Notes
    -----
    This is ``numba.set_num_threads``, so other Numba code follows it too. As there, it holds for calls from the Python
    thread that set it. Small work uses one thread whatever is set here. Results are the same at every run with
    the same number of threads, and differ between numbers of threads at most in rounding.

    Examples
    --------
    >>> import symsparse as ss
    >>> before = ss.get_num_threads()
    >>> ss.set_num_threads(1)
    >>> ss.get_num_threads()
    1
    >>> ss.set_num_threads(before)
    """
    most = _numba().config.NUMBA_NUM_THREADS
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(
            f"set_num_threads: the number of threads must be an integer, not {type(n).__name__}."
        ) from None
    if not 1 <= n <= most:
        raise ValueError(
            f"set_num_threads: {n} is not between 1 and the {most} threads that Numba started. Set the environment "
            "variable NUMBA_NUM_THREADS before the start for more."
        )
    _numba().set_num_threads(n)


def get_num_threads() -> int:
    """How many threads products and other large work may use; see `set_num_threads`.

    Returns
    -------
    int
        The number that was set, at first that of all threads.
    """
    return int(_numba().get_num_threads())


def _numba():
    import numba

    import symsparse.kernels  # noqa: F401  (loads TBB, before Numba chooses its threading layer)

    return numba
