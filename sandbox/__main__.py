"""`python -m sandbox`: the sandbox without the rest of postrider."""

import typer

from sandbox.command import sandbox

if __name__ == "__main__":
    typer.run(sandbox)
