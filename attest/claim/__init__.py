"""Claims about artifacts: signed statements that lie beside the artifact, one per line."""
