"""The logic of `make bench`: what is wrong is seen, what is absent is said, ratios and targets are right. No timing."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import __main__ as command, measure, pool, report, targets
from benchmarks.cases import KERNELS, Case, Operands, cases, cost
from benchmarks.contenders import CONTENDERS
from benchmarks.worker import Worker, Wrong, answer, compare, has_sorted_indices, same_pattern, save, saved

A = sp.csr_array(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, 1.0]]))


def with_zeros(matrix):
    """The same matrix with an explicit zero."""
    rows, columns = matrix.nonzero()
    entries = [*matrix[rows, columns], 0.0], ([*rows, 1], [*columns, 1])
    return sp.csr_array(sp.coo_array(entries, shape=matrix.shape))


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (np.ones(3), np.ones(3) * (1 + 1e-12)),
        (A, A),
        (A.tocsc(), A),
        (with_zeros(A), A),
        (A, with_zeros(A)),
        (np.float64(2), np.array(2.0)),
        (np.empty((0, 3)), np.empty((0, 3))),
        (sp.csr_array((3, 0)), sp.csr_array((3, 0))),
    ],
)
def test_right_results_pass(got, wanted):
    compare((got,), (wanted,), 1e-9)


@pytest.mark.parametrize(
    ("got", "wanted", "said"),
    [
        (np.array([1.0, 2.0, 1.0]), np.ones(3), "1 of 3 elements of result 0 are off, the first is 2, not 1"),
        (np.array([1.0, np.nan]), np.ones(2), "nan"),
        (np.ones(3)[::-1] * [1, 2, 3], np.ones(3) * [3, 1, 2], "3 of 3"),  # a permutation has the same sum
        (np.ones((2, 1)), np.ones(2), r"shape \(2, 1\), not \(2,\)"),
        (A.toarray(), A, "dense"),
        (A, A.toarray(), "sparse"),
        (A * 2, A, "3 of 3"),
        (sp.csr_array(A[:, [1, 0, 2]]), A, "off"),
        (sp.csr_array((3, 3)), A, "3 of 3"),
    ],
)
def test_wrong_results_do_not(got, wanted, said):
    with pytest.raises(Wrong, match=said):
        compare((got,), (wanted,), 1e-9)
    with pytest.raises(Wrong, match="1 results, not 2"):
        compare((got,), (wanted, wanted), 1e-9)


def test_values_are_compared_at_the_entries_of_either():
    a, b = same_pattern(sp.csr_array([[1.0, 0.0, 2.0]]), sp.csr_array([[0.0, 3.0, 2.0]]))
    assert (a.tolist(), b.tolist()) == ([1, 0, 2], [0, 3, 2])


@pytest.mark.parametrize("rows", [[[0, 2], [], [1]], [[], [], []], [[1], [0], []], [[], [0, 1, 2], [0]]])
def test_sorted_indices_are_seen(rows):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    indices = np.array([j for row in rows for j in row], dtype=np.int32)
    matrix = sp.csr_array((np.ones(len(indices)), indices, indptr), shape=(3, 3))
    assert has_sorted_indices(matrix)
    if [0, 2] in rows:
        matrix.indices[:2] = 2, 0
        assert not has_sorted_indices(matrix)


def test_results_are_kept_in_their_order(tmp_path):
    results = [np.float64(i) for i in range(11)] + [A]
    save(results, tmp_path / "kept")
    back = saved(tmp_path / "kept")
    assert [float(x) for x in back[:11]] == list(range(11))
    assert (back[11] != A).nnz == 0


@pytest.fixture
def matrices(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMSPARSE_BENCH_CACHE", str(tmp_path))
    return tmp_path


def test_scipy_has_every_kernel_and_agrees_with_dense_numpy(matrices):
    worker = Worker("scipy_", 1)
    folder = matrices / "reference"
    for kernel in KERNELS:
        case = {"kernel": kernel, "matrix": "e", "columns": 4}
        assert "bytes" in answer(
            worker, {"do": "reference", "contender": "scipy", "case": case, "path": str(folder)}
        )
        result, o = saved(folder), worker.operands
        dense = o.A.toarray()
        wanted = {
            "spmv": lambda o=o, a=dense: a @ o.x,
            "spmmT": lambda o=o, a=dense: a.T @ o.Z,
            "sddmm": lambda o=o, a=dense: a * (o.U @ o.V.T),
            "gram": lambda o=o, a=dense: a.T @ a,
            "add": lambda o=o, a=dense: a + o.B.toarray(),
            "scale": lambda o=o, a=dense: (o.z[:, None] * a * o.x)[a != 0],
            "factors": lambda o=o, a=dense: (((o.U @ o.V.T)[a != 0] - a[a != 0]) ** 2).sum(),
            "gradient": lambda o=o, a=dense: (2 * (a @ o.X) @ o.X.T)[a != 0],
        }.get(kernel)
        if wanted:
            got = result[0].toarray() if sp.issparse(result[0]) else result[0]
            np.testing.assert_allclose(got, wanted(), rtol=1e-12, atol=1e-12, err_msg=kernel)


def test_a_wrong_contender_is_caught_and_not_timed(matrices):
    worker, case = Worker("scipy_", 1), {"kernel": "spmv", "matrix": "e"}
    reference = str(matrices / "reference")
    answer(worker, {"do": "reference", "contender": "scipy", "case": case, "path": reference})
    build = {"do": "build", "contender": "scipy", "case": case, "reference": reference}
    assert answer(worker, dict(build))["seconds"] > 0
    (path,) = (matrices / "reference").iterdir()
    x = np.load(path)
    x[-1] += 1
    np.save(path, x)
    worker.forget()
    assert "1 of 10 elements" in answer(worker, dict(build))["wrong"]
    assert worker.functions == {}
    worker.module.BUILD["scipy"]["broken"] = lambda o: 1 / 0
    build["case"] = case | {"kernel": "broken"}
    assert answer(worker, dict(build)) == {"failed": "ZeroDivisionError: division by zero"}
    build["case"] = case | {"kernel": "nowhere"}
    assert answer(worker, dict(build)) == {"absent": "no such operation"}


def test_unsorted_products_are_refused(matrices, monkeypatch):
    worker, case = Worker("scipy_", 1), {"kernel": "spgemm", "matrix": "e"}
    reference = str(matrices / "reference")
    answer(worker, {"do": "reference", "contender": "scipy", "case": case, "path": reference})

    def reversed_rows(A):
        C = A.tocsc()[:, ::-1].tocsr()
        C.indices[:] = A.shape[1] - 1 - C.indices
        return sp.csr_array((C.data, C.indices, C.indptr), shape=A.shape)

    monkeypatch.setitem(worker.module.BUILD["scipy"], "spgemm", lambda o: lambda: reversed_rows(o.A @ o.A))
    build = {"do": "build", "contender": "scipy", "case": case, "reference": reference}
    assert answer(worker, build) == {"wrong": "indices are not sorted"}


def test_processes_take_turns_and_the_absent_are_said(matrices, monkeypatch):
    ghost = {"scipy": CONTENDERS["scipy"], "ghost": ("ghost", "ghost"), "twin": ("scipy_", "scipy")}
    monkeypatch.setattr(pool, "CONTENDERS", ghost)
    case = Case("spmv", "e")
    with pool.Pool(1, matrices / "log.txt") as workers:
        result = measure.measure(workers, case, 0.01)
        times = result["contenders"]["scipy"]
        assert len(times["wall"]) == len(times["cpu"]) == measure.FEWEST
        assert result["bytes"] == cost(Operands(case), None)[0]
        assert "not installed" in result["contenders"]["ghost"]["absent"]
        assert "KeyError" in result["contenders"]["twin"]["failed"]
        process = workers.members["scipy"][0]
        process.child.kill()
        assert process.ask(do="forget") == {"failed": "its process ended with code -9"}
        assert process.ask(do="forget") == {}  # started anew
        assert list((matrices / "reference").iterdir()) == []
    json.dumps(result)


def test_a_call_that_takes_too_long_is_given_up(matrices, monkeypatch):
    process = pool.Process("scipy_", 1, matrices / "log.txt")
    try:
        assert process.ask(do="forget") == {}
        assert process.ask(seconds=0.0, do="limit", contender="peak") == {"failed": "no answer in 0 s"}
        assert process.child is None
    finally:
        process.stop()


def test_batches_and_rounds():
    assert measure.calls_in_a_batch(1.0) == 1
    assert measure.calls_in_a_batch(0.001) == 20
    assert measure.calls_in_a_batch(0.0) == 10_000
    seconds = {"fast": 0.01, "like it": 0.05, "slow": 0.3, "hopeless": 1.5, "fast in a batch": 0.0005}
    assert measure.rounds_for({"fast": 0.01, "slow": 0.3, "hopeless": 1.5, "late": 0.9}, 2.0) == {
        "fast": 25,
        "slow": 3,
        "hopeless": 1,
        "late": 3,
    }
    # its batch lasts as long as any
    assert measure.rounds_for({"fast": 1e-6, "also": 0.01}, 4.0)["also"] == 25
    assert set(measure.rounds_for(seconds, 0.0).values()) <= {1, 2, 3, measure.FEWEST}


def timed(**contenders):
    """A result whose contenders have the given times, in ms."""
    figures = {
        name.replace("_", " "): {"cpu": [t / 1e3 for t in times], "wall": [t / 1e3 for t in times]}
        for name, times in contenders.items()
    }
    return {
        "name": "spmv a",
        "contenders": figures,
        "load": [0.0],
        "bytes": 1000,
        "flops": 100,
        "case": {"matrix": "a"},
    }


def test_the_best_peer_is_the_fastest_that_is_right():
    result = timed(
        symsparse=[2, 2], scipy=[6, 8], torch=[4, 20], torch_by_hand=[1, 1], stream=[1], mkl=[1, 1]
    )
    result["contenders"]["symsparse frozen"] = {"cpu": [1e-3], "wall": [1e-3]}
    result["contenders"]["mkl"]["failed"] = "later"
    result["contenders"]["jax"] = {"wrong": "3 of 4"}
    found = targets.ratio(result, "best peer", 1)
    assert (found.best, found.median, found.peer) == (
        2.0,
        3.5,
        "scipy",
    )  # torch by the best, scipy by the median
    assert targets.ratio(result, "torch", 1).median == 6.0
    assert targets.ratio(result, "jax", 1) is None
    assert targets.ratio(result, "own thread", 2) is None
    result["contenders"]["symsparse, 1 thread"] = {"cpu": [9], "wall": [3e-3]}
    assert targets.ratio(result, "own thread", 2).best == 1.5  # wall time
    del result["contenders"]["symsparse"]
    assert targets.ratio(result, "scipy", 1) is None


@pytest.mark.parametrize(
    ("best", "median", "verdict"),
    [
        (1.0, 1.2, "met"),
        (0.996, 1.0, "met"),
        (0.9, 1.1, "close"),
        (1.1, 0.9, "close"),
        (0.9, 0.99, "not met"),
    ],
)
def test_verdicts(best, median, verdict):
    assert targets.Ratio(best, median, "scipy").met(1.0) == verdict


def test_targets_speak_of_cases_and_contenders_that_exist():
    known = {case.name for case in cases()}
    assert len(known) == len(cases())
    for target in targets.TARGETS:
        assert set(target.cases) <= known
        assert target.against in {"best peer", "own thread", *CONTENDERS}
    assert set(targets.CALLS) <= set(CONTENDERS)
    assert {case.kernel for case in cases()} == set(KERNELS)


def record():
    known = timed(symsparse=[2, 3], scipy=[1, 4], stream=[10], peak=[10], mkl=[5, 6])
    known["contenders"]["stream"]["amount"] = known["contenders"]["peak"]["amount"] = 10_000
    known["contenders"]["torch"] = {"absent": "not installed (No module named 'torch')"}
    known["contenders"]["jax"] = {"wrong": "3 of 4 elements"}
    step = timed(symsparse=[1], scipy=[3]) | {"name": "softmax m", "case": {"matrix": "m"}}
    tiny = timed(symsparse=[0.0079], scipy=[3]) | {"name": "spmv e", "case": {"matrix": "e"}}
    lost = {"name": "spmv b", "failed": {"failed": "MemoryError: no"}}
    results = {result["name"]: result for result in (known, step, tiny, lost)}
    machine = {"cpu": "a CPU", "cpus": 2, "system": "Linux", "python": "3.13"}
    return {"machine": machine, "versions": {"scipy": "1"}, "date": "2030-01-01", "results": {"1": results}}


def test_the_page_says_what_was_found_and_what_was_not():
    page = report.text(record())
    assert "| A @ x, A.T @ x | spmv a | scipy | ≥ 1.0 | 0.50; 1.00 | close |" in page
    assert "| softmax regression step | softmax m | scipy | ≥ 2.5 | 3.00; 3.00 | met |" in page
    assert "| a call, 10 x 10 | spmv e, symsparse |  | ≤ 8 us | 7.9; 7.9 us | met |" in page
    assert "* torch: not installed (No module named 'torch') (spmv a)" in page
    assert "* jax: wrong: 3 of 4 elements (spmv a)" in page
    assert "MemoryError" in page
    assert "spmv b" not in report.targets_table(record()["results"]["1"], 1)


def test_compile_times_and_their_targets():
    ours = {"cold": 9.0, "warm": 0.7, "start": 2.0, "import": 0.05}
    page = report.text(record() | {"compile_time": {"symsparse": ours, "jax": {"failed": "no jax"}}})
    assert "| symsparse | 9.00 | 0.70 | 2.00 | 0.05 |" in page
    assert "| jax | failed: no jax |" in page
    assert "| compiling, empty cache | ≤ 8 s | 9.00 s | not met |" in page
    assert "| compiling, full cache | ≤ 0.8 s | 0.70 s | met |" in page


def test_lines_printed_during_a_run():
    results = record()["results"]["1"]
    assert report.line(results["spmv a"], 1).startswith(
        "spmv a: 2.5 ms, 0.50 (best), 1.00 (median) times as fast"
    )
    assert "[jax wrong: 3 of 4 elements]" in report.line(results["spmv a"], 1)
    assert "MemoryError" in report.line(results["spmv b"], 1)


def test_page_and_pictures_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    report.write(record(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "ratios-1.svg", "roofline-1.svg"}
    assert "![ratios-1.svg](ratios-1.svg)" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_cases_are_chosen_by_name():
    def names(*words, quick=False):
        return [case.name for case in command.chosen(list(words), quick)]

    assert names("spmv a") == ["spmv a", "spmv a f4"]
    assert names("softmax", "factors") == ["softmax m", "factors m"]
    assert len(names("* d")) == 15
    assert 10 < len(names(quick=True)) < 25
    assert names("nothing") == []


def test_command_refuses_what_is_not_there(capsys, tmp_path, monkeypatch):
    assert command.main(["--cases", "nothing"]) == 2
    assert command.main(["--report", "--json", str(tmp_path / "no.json")]) == 2
    assert "no case is called" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("result", "done"),
    [
        (None, False),
        ({"failed": {"failed": "MemoryError"}}, False),
        ({"contenders": {"scipy": {"wall": [1]}, "torch": {"absent": "no such operation"}}}, True),
        (
            {"contenders": {"scipy": {"wall": [1]}, "torch": {"failed": "its process ended with code -9"}}},
            False,
        ),
    ],
)
def test_what_need_not_run_again(result, done):
    assert command.done(result) is done


def test_a_run_goes_on_where_it_stopped(matrices, monkeypatch, capsys):
    monkeypatch.setattr(pool, "CONTENDERS", {"scipy": CONTENDERS["scipy"]})
    kept = matrices / "kept.json"
    arguments = ["--threads", "1", "--budget", "0.01", "--json", str(kept)]
    assert command.main(["--cases", "spmv e", *arguments]) == 0
    first = json.loads(kept.read_text())
    assert command.main(["--cases", "spmv e", "sum1 e", "--resume", *arguments]) == 0
    both = json.loads(kept.read_text())
    assert list(both["results"]["1"]) == ["spmv e", "sum1 e"]
    assert both["results"]["1"]["spmv e"] == first["results"]["1"]["spmv e"]
    assert "sum1 e" in capsys.readouterr().out
