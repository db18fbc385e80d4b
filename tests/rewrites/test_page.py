"""docs/rewrites.md is what the docstrings of the registered rewrites say."""

import pytest

from tests.rewrites.page import EXAMPLES, PAGE, before_and_after, documentation, page, registered


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make rewrites`"


def test_every_rewrite_says_what_it_does():
    found = registered()
    assert len(found["symsparse_algebra"]) >= 6
    for section in found.values():
        for name, rewriter in section.items():
            assert documentation(rewriter), name
    for name, rewriter in found["symsparse_algebra"].items():
        assert "=" in documentation(rewriter).split("\n\n")[0], f"{name} does not begin with its identity"


@pytest.mark.parametrize(
    "name", [n for n in EXAMPLES if f"symsparse_{n}" in registered()["symsparse_algebra"]]
)
def test_examples_change(name):
    before, after = before_and_after(EXAMPLES[name](), f"symsparse_{name}")
    assert before != after
