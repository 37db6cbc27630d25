"""Write the pages of docs/reference that come from the code: `python -m tools.reference`."""

import logging

from tools.reference.pages import REFERENCE, pages

if __name__ == "__main__":
    logging.disable()  # the answers include requests of which the guard warns
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
