"""Artifacts on disk: walk the tree, hash the files, compare them with a manifest."""
