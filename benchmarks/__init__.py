"""`make bench`: what a call, a page, a start and a download cost here, next to what others make of the same.

Every figure is a ratio of medians taken in one interleaved run; see docs/benchmarks.md, which the run writes.
"""
