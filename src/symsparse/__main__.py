"""The command line: ``python -m symsparse [--version] {info,warmup,demo,bench}``."""

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from symsparse.bench import BenchError
from symsparse.demo import DemoError
from symsparse.warmup import WarmupError

USAGE_ERROR = 2
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; ``--help`` shows the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: error: {message}\n")


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"not a whole number: {text!r}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, but is {value}")
        return value

    return parse


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number, zero or more, but is {value}")
    return value


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = _Parser(prog="symsparse", description="A symbolic sparse-matrix compiler for Python.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="{info,warmup,demo,bench}")
    commands.add_parser("info", help="print versions, threads and the backends found")
    warmup = commands.add_parser(
        "warmup",
        help="compile the kernels before they are needed",
        description="Compile the kernels that usual graphs run into Numba's cache on disk, once for all processes. "
        "Without it each kernel is compiled when a graph first needs it. Takes a minute or two.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    warmup.add_argument(
        "--dtype",
        nargs="+",
        choices=("float64", "float32"),
        default=["float64", "float32"],
        help="of the values",
    )
    warmup.add_argument(
        "--index-dtype", nargs="+", choices=("int32", "int64"), default=["int32"], help="of the indices"
    )
    demo = commands.add_parser(
        "demo",
        help="train a sparse text classifier",
        description="Train multinomial logistic regression on bags of words, by gradient descent with momentum. By "
        "default the words are those of the docstrings of the installed scientific Python packages. Compare it with "
        "scikit-learn and SciPy.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    source = demo.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, metavar="FILE", help="an svmlight file (.gz and .bz2 too)")
    source.add_argument(
        "--text", type=Path, metavar="FOLDER", help="a folder with a subfolder of text files per class"
    )
    demo.add_argument(
        "--seed", type=_whole(0), default=0, metavar="N", help="seed of the split and of the batches"
    )
    demo.add_argument(
        "--epochs", type=_whole(1), default=30, metavar="N", help="passes over the training documents"
    )
    demo.add_argument("--batch", type=_whole(1), default=256, metavar="N", help="documents per step")
    demo.add_argument(
        "--rate", type=_number, default=10.0, metavar="X", help="first step size; it falls to zero linearly"
    )
    demo.add_argument("--l2", type=_number, default=1e-5, metavar="X", help="weight of the L2 penalty")
    demo.add_argument(
        "--output", type=Path, default=Path("demo-output"), metavar="FOLDER", help="where pictures go"
    )
    bench = commands.add_parser(
        "bench",
        help="time the kernels on a matrix of your own",
        description="Time the kernels on the matrix in a Matrix Market file, beside SciPy, and draw a roofline. "
        "Results are compared with SciPy's first.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    bench.add_argument("file", type=Path, metavar="FILE.mtx", help="a Matrix Market file (.gz and .bz2 too)")
    bench.add_argument("--columns", type=_whole(1), default=32, metavar="N", help="columns of dense matrices")
    bench.add_argument(
        "--threads", type=_whole(1), metavar="N", help="threads that symsparse uses; all by default"
    )
    bench.add_argument(
        "--seconds", type=_number, default=1.0, metavar="X", help="how long each kernel is timed, about"
    )
    bench.add_argument(
        "--output", type=Path, default=Path("bench-output"), metavar="FOLDER", help="where the picture goes"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for input that cannot be used, 130 when interrupted."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        if options.version:
            from symsparse.info import version

            print(f"symsparse {version()}")
        elif options.command == "info":
            from symsparse.info import info

            print(info())
        elif options.command == "warmup":
            from symsparse.warmup import show_bar, warmup

            print(warmup(options.dtype, options.index_dtype, show_bar))
        elif options.command == "demo":
            from symsparse.demo.extras import require_extras

            require_extras()
            from symsparse.demo.job import run

            run(options)
        elif options.command == "bench":
            from symsparse.bench.job import run as run_bench

            run_bench(options)
        else:
            parser.error("choose a command: info, warmup, demo or bench (--help says more)")
        sys.stdout.flush()
    except (DemoError, BenchError, WarmupError) as error:
        print(f"symsparse {options.command}: error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except MemoryError:
        print(f"symsparse {options.command}: error: not enough memory for this data", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as in `| head`; nobody is there to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
