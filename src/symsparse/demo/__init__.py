"""The main job: multinomial logistic regression on bags of words, written with symsparse.

Run it with ``python -m symsparse demo`` (or ``make demo``). One file per stage: `corpus` gathers docstrings, `data`
reads and splits, `model` is the part written with symsparse, `reference` holds its rivals, `pictures` and `report` show
the outcome, and `job` calls them in order. This package imports nothing heavy until `job` is imported.
"""


class DemoError(Exception):
    """What the user gave cannot be used; the message is one line that says why."""
