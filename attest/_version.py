"""The version as plain text: asking ``importlib.metadata`` costs 30 ms at every start."""

__version__ = "0.1.0"
