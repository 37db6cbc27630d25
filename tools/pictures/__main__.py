"""Write the pictures, or some of them: `python -m tools.pictures [MODULE]…`."""

import sys

from tools.pictures.files import FOLDER, makers

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, module in makers().items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            for file, data in module.pictures().items():
                (FOLDER / file).write_bytes(data)
                print(f"docs/pictures/{file}")
