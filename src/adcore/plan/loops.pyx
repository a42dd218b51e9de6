"""Loops of a plan: a program whose instructions partly run tile by tile (made by ``tiles``).

Invariant: what a loop reads from outside does not change while it runs, and nothing outside reads what it
leaves before its last tile.
"""

from cpython.mem cimport PyMem_RawFree

from adcore.plan.pool cimport pool_free, pool_init


cdef class Tiling:
    """A program with its loops, and what moves in them."""

    def __cinit__(self):
        pool_init(&self.loops, sizeof(LoopSpan))

    def __dealloc__(self):
        pool_free(&self.loops)
        PyMem_RawFree(self.step)
        PyMem_RawFree(self.carried)
        PyMem_RawFree(self.origin)
