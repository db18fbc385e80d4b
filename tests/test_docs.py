"""Every Python block in README and docs runs as it stands; the blocks of one page share their names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def python_blocks(page):
    """(number of lines above the block, code) for each fenced block marked as Python."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start(1)), match.group(1)


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES if any(python_blocks(p))])
def test_examples_run(page):
    namespace = {}
    for lines_above, code in python_blocks(page):
        exec(compile("\n" * lines_above + code, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in [*PAGES, ROOT / "CONTRIBUTING.md"]])
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_the_support_matrix_has_a_row_for_each_case_and_no_gap():
    from tests.ops.table import CASES

    page = (ROOT / "docs" / "support.md").read_text(encoding="utf-8")
    rows = {m[1]: m[2].split(" | ") for m in re.finditer(r"^\| `([^`]+)` \| (.*) \|$", page, re.MULTILINE)}
    assert list(rows) == sorted(case.name for case in CASES), "run `make support`"
    for case in CASES:
        _, *ran, _, forward, second = rows[case.name]
        assert all(cell == "✓" for cell in ran), case.name
        if case.gradient and not case.tolerance:
            assert forward == second == "✓", case.name
