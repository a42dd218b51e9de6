"""numpy.linalg, differentiated wherever it is called."""

import sys

from ..front import namespaces

__getattr__, __dir__ = namespaces.of_numpy(sys.modules[__name__], "numpy.linalg")
