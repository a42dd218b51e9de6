"""scipy.spatial.transform with adcore's derivatives."""

import sys

from ...front import namespaces

__getattr__, __dir__ = namespaces.of_scipy(sys.modules[__name__], "scipy.spatial.transform")
