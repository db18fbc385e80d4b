"""What ``python -m symsparse info`` prints: versions, threads and the backends found."""

import importlib
import platform
from importlib import metadata
from importlib.util import find_spec

from symsparse._version import __version__

_LAYERS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}


def version() -> str:
    """Return the version of symsparse."""
    return __version__


def info() -> str:
    """Describe this installation, one fact a line, for bug reports."""
    facts = {"symsparse": version(), "python": f"{platform.python_version()} on {platform.platform()}"}
    facts |= {package: _version_of(package) for package in ("numpy", "scipy", "numba", "pytensor")}
    facts |= _threads()
    facts |= _backends()
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {fact}" for name, fact in facts.items())


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _threads() -> dict[str, str]:
    import numba

    import symsparse.kernels  # noqa: F401  (loads TBB, so that Numba finds it)

    available = [layer for layer, module in _LAYERS.items() if _imports(f"numba.np.ufunc.{module}")]
    return {
        "threading layers": ", ".join(available) or "none",
        "threading layer": _selected_layer(),
        "threads": f"{numba.get_num_threads()} of {numba.config.NUMBA_NUM_THREADS}",
    }


def _imports(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _selected_layer() -> str:
    """Start Numba's threads, as the first parallel call would, and name the layer they run on."""
    import numba

    from symsparse.kernels.threading import launch_threads

    try:
        launch_threads()
        return numba.threading_layer()
    except (AttributeError, ValueError) as error:
        return f"none ({str(error).splitlines()[0]})"


def _backends() -> dict[str, str]:
    import pytensor

    return {
        "backend numba": f"found, {_version_of('numba')}",
        "backend jax": "installed, not supported yet" if find_spec("jax") else "not installed",
        "backend c": f"found, {pytensor.config.cxx}" if pytensor.config.cxx else "no C++ compiler",
    }
