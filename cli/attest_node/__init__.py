"""The node's agent: enrols a machine and proves at every boot what it runs.

Holds nothing yet but its name and its place in the import contracts. A node verifies what it loads
with ``attest verify`` today.
"""
