"""Serve the website on loopback, over plain http: `make demo-flask`; PORT chooses another port."""

import os

from .app import create_app

app = create_app(SECURE=False)
port = int(os.environ.get("PORT", "8001"))
print(f"\n  http://127.0.0.1:{port}/  ada@example.com  {app.config['PASSWORD']}\n", flush=True)  # noqa: T201
print(f"  curl -H 'X-API-Key: {app.config['API_KEY']}' http://127.0.0.1:{port}/api/notes\n", flush=True)  # noqa: T201
app.run(port=port)
