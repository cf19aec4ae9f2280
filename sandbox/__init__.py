"""A stand-in that speaks the wire of every provider, for the demo, tests and load."""
