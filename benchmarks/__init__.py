"""The speed of symsparse beside its peers: `make bench`.

`matrices` makes the data and `cases` says what is timed. Each of `contenders` runs in a process of its own (`worker`,
`pool`), since their thread pools do not share one well; they take turns, a batch of calls at a time (`measure`).
`targets` judges, `report` and `plots` write docs/benchmarks.
"""
