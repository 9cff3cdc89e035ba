"""Measurements against other tools and the hardware: ``make bench``, or ``python -m benchmarks``.

What is measured, and what the figures mean, is in ``docs/performance.md``. Nothing here is a test:
a missed target is printed, and fails nothing.
"""
