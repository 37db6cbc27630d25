"""The application that a server of `servers.py` runs: the framework whose name the environment has."""

import os

from adapters.answering import NOW, guard
from frameworks.faces import FRAMEWORKS
from frameworks.servers import FRAMEWORK

app = FRAMEWORKS[os.environ[FRAMEWORK]].make(guard(), lambda: NOW)
