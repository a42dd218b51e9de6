"""NumPy's names, differentiated wherever they are called: ``import adcore.numpy as np``.

Plain ``import numpy as np`` is as good in all code that adcore records; this namespace also serves code that no
rebinding of names reaches. Outside of recordings its functions are NumPy's own.
"""

import sys

from ..front import namespaces

__getattr__, __dir__ = namespaces.of_numpy(sys.modules[__name__], "numpy")
