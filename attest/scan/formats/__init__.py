"""Scanners of single formats.

Each ``scan_<format>(source, rules, *, where)`` returns what it found; nothing found means that all
of it was read and is harmless. What cannot be read is an ``unscannable`` hit, never an exception;
only an I/O error gets out. Each ``looks_like_<format>(head, size, source)`` says by content whether
the scanner is the right one. :mod:`attest.scan.registry` lists them.
"""
