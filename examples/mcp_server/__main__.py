"""Run the server: `python -m examples.mcp_server <issuer> <file with its keys>`; PORT sets the port."""

import os
import sys
from pathlib import Path

import uvicorn

from .app import create_app
from .settings import Settings

HOST = "127.0.0.1"


def main() -> None:
    """Serve until interrupted."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    _, issuer, keys = sys.argv
    port = int(os.environ.get("PORT", "8000"))
    settings = Settings(issuer=issuer, keys=Path(keys), resource=f"http://{HOST}:{port}/mcp")
    uvicorn.run(create_app(settings), host=HOST, port=port)


if __name__ == "__main__":
    main()
