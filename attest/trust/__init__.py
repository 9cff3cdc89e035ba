"""Who may say what: trust material as arguments, and signatures checked against it."""
