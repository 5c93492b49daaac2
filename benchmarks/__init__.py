"""How fast thrive-async is, side by side with what else one could write: `python -m benchmarks`.

Every figure is a ratio of medians of interleaved repeats within one run; absolute times are shown, never judged.
"""
