"""A stand-in that speaks the wire of every provider, for the demo, tests and load.

It is the other side of the wire, so it shares no code with the pipeline: a mistake in
`channels/` cannot hide behind the same mistake here. `server.Sandbox` embeds it in a test,
`process.SandboxProcess` runs it beside a demo, `python -m sandbox` runs it alone.
"""
