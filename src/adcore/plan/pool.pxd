"""A growing C array of items of one size; the owner frees it."""

from libc.string cimport memset

from adcore.tape.shelf cimport ad_give_back, ad_resize

cdef struct Pool:
    char *data
    Py_ssize_t n, capacity, item

cdef inline void pool_init(Pool *pool, Py_ssize_t item) noexcept nogil:
    pool.data = NULL
    pool.n = 0
    pool.capacity = 0
    pool.item = item

cdef inline void pool_free(Pool *pool) noexcept nogil:
    ad_give_back(pool.data)
    pool.data = NULL
    pool.n = 0
    pool.capacity = 0

cdef inline void *pool_more(Pool *pool) except NULL:
    """Room for one more item, to be filled in by the caller."""
    if pool.n == pool.capacity:
        pool_add(pool, 1)
        pool.n -= 1
    pool.n += 1
    return pool.data + (pool.n - 1) * pool.item

cdef inline void *pool_add(Pool *pool, Py_ssize_t count) except NULL:
    """Room for count more items, zeroed; the pointer is valid until the next call."""
    cdef Py_ssize_t wanted = pool.n + count
    cdef Py_ssize_t target
    cdef char *moved
    if wanted > pool.capacity:
        target = wanted + wanted // 2 + 8
        moved = <char *>ad_resize(pool.data, pool.n * pool.item, target * pool.item)
        if moved == NULL:
            raise MemoryError("no memory for the plan")
        pool.data = moved
        pool.capacity = target
    moved = pool.data + pool.n * pool.item
    memset(moved, 0, max(count, 1) * pool.item if wanted < pool.capacity else count * pool.item)
    pool.n = wanted
    return moved
