"""`postrider sandbox`: the stand-in for every provider, alone."""

from sandbox.command import sandbox
from streams.cli.options import new_app

app = new_app()
app.command(short_help="Stand in for every provider, alone.")(sandbox)
