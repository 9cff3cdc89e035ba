"""Shipped policies, as package data.

Holds nothing yet but its name and its place in the import contracts.
"""
