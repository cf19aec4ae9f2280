"""How it is wired: configuration, topics, the runner, the worker process, the command line."""
