"""The one place where untrusted bytes become objects.

Every parser here is bounded (see :mod:`attest.limits`), strict (one spelling per value, nothing
skipped, nothing left over) and raises only :class:`~attest.errors.MalformedInput` or
:class:`~attest.errors.Unsupported`. What it returns is *unverified*: its content is what somebody
claims until a signature over the original bytes has been checked.
"""
