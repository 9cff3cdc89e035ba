"""The command line of attest: load, call :mod:`attest.flow`, render, exit.

Nothing here decides anything about trust. The contract (verbs, exit codes, JSON) is
``docs/cli.md``; :mod:`attest_cli.exits` and :mod:`attest_cli.output` are its two halves.
"""
