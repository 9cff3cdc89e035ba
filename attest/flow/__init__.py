"""Use cases: what the command line, the node's agent and the server call."""
