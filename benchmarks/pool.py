"""The processes of the contenders, and how they are spoken to."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from benchmarks.contenders import CONTENDERS

ROOT = Path(__file__).parents[1]
THREAD_VARIABLES = "OMP OPENBLAS MKL NUMBA NUMEXPR VECLIB RAYON".split()
LONGEST = 240  # seconds a contender may take to answer


def environment(threads: int) -> dict[str, str]:
    """This environment, with every library held to so many threads."""
    limits = {f"{name}_NUM_THREADS": str(threads) for name in THREAD_VARIABLES}
    limits["MKL_DYNAMIC"] = limits["OMP_DYNAMIC"] = "FALSE"
    limits["KMP_BLOCKTIME"] = "0"  # idle threads that spin would steal the others' turn
    limits["OMP_WAIT_POLICY"] = "PASSIVE"
    limits["JAX_PLATFORMS"] = "cpu"
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}


class Process:
    """One worker. It is started when first asked, and anew after it died or took too long."""

    def __init__(self, module: str, threads: int, log: Path) -> None:
        self.module, self.threads, self.log = module, threads, log
        self.child: subprocess.Popen | None = None
        self.versions: dict[str, str] = {}
        self.absent: str | None = None

    def ask(self, seconds: float = LONGEST, **command) -> dict:
        """Send a command and wait for its answer; `failed` or `absent` in the answer says why there is none."""
        if self.absent:
            return {"absent": self.absent}
        if self.child is None:
            greeting = self._start()
            if "versions" not in greeting:
                self.stop()
                self.absent = greeting.get("absent")
                return greeting
            self.versions = greeting["versions"]
        assert self.child is not None
        with contextlib.suppress(BrokenPipeError):  # then no answer will come, which is said below
            self.child.stdin.write(json.dumps(command) + "\n")
            self.child.stdin.flush()
        return self._answer(seconds)

    def _start(self) -> dict:
        command = [sys.executable, "-m", "benchmarks.worker", self.module, str(self.threads)]
        with self.log.open("a") as log:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
            self.child = subprocess.Popen(command, **pipes, text=True, env=environment(self.threads))
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, args=(self.child.stdout, self.lines), daemon=True)
        self.reader.start()
        return self._answer(LONGEST)

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.put(line)
        lines.put("")

    def _answer(self, seconds: float) -> dict:
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            self.stop()
            return {"failed": f"no answer in {seconds:.0f} s"}
        if not line:
            code = self.child.wait()
            self.stop()
            return {"failed": f"its process ended with code {code}"}
        return json.loads(line)

    def stop(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.reader.join()
            with contextlib.suppress(BrokenPipeError):
                self.child.stdin.close()
            self.child.stdout.close()
            self.child = None


class Pool:
    """All workers of a run at one thread count; with more than one thread, ours with a single thread too."""

    def __init__(self, threads: int, log: Path, only: list[str] | None = None) -> None:
        wanted = [name for name in CONTENDERS if not only or name in only or name == "scipy"]
        processes: dict[str, Process] = {}
        self.members: dict[
            str, tuple[Process, str]
        ] = {}  # contender as reported: its process, its name there
        for name in wanted:
            module = CONTENDERS[name][0]
            if module not in processes:
                processes[module] = Process(module, threads, log)
            self.members[name] = processes[module], name
        self.processes = list(processes.values())
        if threads > 1 and "symsparse" in wanted:
            single = Process("symsparse_", 1, log)
            self.members["symsparse, 1 thread"] = single, "symsparse"
            self.processes.append(single)

    def ask(self, contender: str, **command) -> dict:
        process, name = self.members[contender]
        return process.ask(contender=name, **command)

    def limit(self, name: str, **command) -> dict:
        """Ask SciPy's process for `stream` or `peak`."""
        return self.members["scipy"][0].ask(contender=name, **command)

    @property
    def versions(self) -> dict[str, str]:
        return {name: version for process in self.processes for name, version in process.versions.items()}

    def forget(self) -> None:
        for process in self.processes:
            if process.child is not None:
                process.ask(do="forget")

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *error) -> None:
        for process in self.processes:
            process.stop()
