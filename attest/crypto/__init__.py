"""Keys, signatures, X.509 signing certificates and RFC 3161 timestamps.

Everything here judges bytes with :mod:`cryptography`; nothing here is a home-made primitive, and
nothing reads a clock: the judged time is an argument.
"""
