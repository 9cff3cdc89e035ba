"""Unsafe serialization: what a file would make its loader do, found without loading it."""
