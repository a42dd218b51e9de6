"""python setup.py build_ext --inplace"""

from Cython.Build import cythonize
from setuptools import Extension, setup

import adcore

kernels = [
    Extension("lennard_jones", ["lennard_jones.pyx"], include_dirs=[adcore.get_include()]),
    Extension("chain", ["chain.c"], include_dirs=[adcore.get_include()]),
]

setup(name="custom_kernel", ext_modules=cythonize(kernels, language_level=3))
