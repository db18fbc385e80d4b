"""Say early, and in one line, what the demo needs and does not find."""

from importlib.util import find_spec

from . import DemoError

EXTRAS = {"sklearn": "scikit-learn", "matplotlib": "matplotlib", "rich": "rich"}


def require_extras() -> None:
    """Raise `DemoError` if a package of the ``demo`` extra is not installed."""
    missing = [project for module, project in EXTRAS.items() if find_spec(module) is None]
    if missing:
        raise DemoError(
            f"the demo needs {' and '.join(missing)}; install with: pip install 'symsparse[demo]'"
        )
