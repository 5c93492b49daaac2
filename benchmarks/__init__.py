"""Measure how fast thrive-async is, compared with the alternatives: `python -m benchmarks`.

Every figure is a ratio of medians of interleaved repeats within one run. Absolute times are shown, but not judged.
"""
