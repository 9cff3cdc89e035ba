"""I/O beyond files, and optional packages: timestamp authorities, security modules, Sigstore.

The only room of the library that touches the outside world. Each adapter turns the errors of its
world into :class:`attest.errors.Unavailable` (or a more exact class), and decides nothing.
"""
