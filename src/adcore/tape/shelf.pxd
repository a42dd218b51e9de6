"""Scratch memory of a pass: arrays of its own, zeroed, given back all at once."""

from libc.stdint cimport int32_t
from libc.string cimport memset

cdef extern from "ad_memory.h":
    enum:
        AD_MEMORY_LINE
    void *ad_take(size_t n) noexcept nogil
    void *ad_resize(void *memory, size_t keep, size_t n) noexcept nogil
    void ad_give_back(void *memory) noexcept nogil

cdef struct Shelf:
    void **newest           # blocks; each starts with where the one before is
    char *at                # what is free of the newest
    char *end
    size_t expected         # bytes of a block

cdef inline void shelf_init(Shelf *shelf, size_t expected) noexcept nogil:
    shelf.newest = NULL
    shelf.at = NULL
    shelf.end = NULL
    shelf.expected = expected

cdef inline void shelf_free(Shelf *shelf) noexcept nogil:
    cdef void **block
    while shelf.newest != NULL:
        block = shelf.newest
        shelf.newest = <void **>block[0]
        ad_give_back(block)

cdef inline void *shelf_take(Shelf *shelf, size_t n, size_t item) except NULL:
    """Room for n items, zeroed, from a cache line on."""
    cdef size_t bytes = (max(n, 1) * item + AD_MEMORY_LINE - 1) // AD_MEMORY_LINE * AD_MEMORY_LINE
    cdef void **block
    cdef char *found
    if bytes > <size_t>(shelf.end - shelf.at):
        block = <void **>ad_take(max(shelf.expected, bytes) + AD_MEMORY_LINE)
        if block == NULL:
            raise MemoryError(f"no memory for the {n} items that a pass needs")
        block[0] = shelf.newest
        shelf.newest = block
        shelf.at = <char *>block + AD_MEMORY_LINE
        shelf.end = shelf.at + max(shelf.expected, bytes)
    found = shelf.at
    shelf.at += bytes
    return found

cdef inline void *shelf_take_numbers(Shelf *shelf, size_t n) except NULL:
    """Room for n integers of 32 bits, each -1: no value, no place."""
    cdef int32_t *found = <int32_t *>shelf_take(shelf, n, sizeof(int32_t))
    memset(found, 255, n * sizeof(int32_t))
    return found
