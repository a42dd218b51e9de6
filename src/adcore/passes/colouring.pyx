"""Colourings of sparse patterns: which columns of a matrix can share one direction.

A pattern is CSR: the columns of row i are ``indices[indptr[i] : indptr[i + 1]]``. Greedy, in the order of the columns, which is
optimal for banded patterns.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

import numpy as np

cdef enum:
    MAX_PARTS = 256

ctypedef fused real:
    double
    float


def transposed(const int64_t[::1] indptr, const int32_t[::1] indices, int64_t columns):
    """The pattern by columns, and for each of its entries the place of that entry in the pattern by rows."""
    cdef int64_t rows = indptr.shape[0] - 1, n = indices.shape[0], i, k
    cdef int64_t[::1] first = np.zeros(columns + 1, dtype=np.int64)
    cdef int64_t[::1] fill
    cdef int32_t[::1] out = np.empty(n, dtype=np.int32)
    cdef int64_t[::1] places = np.empty(n, dtype=np.int64)
    for k in range(n):
        first[indices[k] + 1] += 1
    for k in range(columns):
        first[k + 1] += first[k]
    fill = np.array(first)
    for i in range(rows):
        for k in range(indptr[i], indptr[i + 1]):
            out[fill[indices[k]]] = <int32_t>i
            places[fill[indices[k]]] = k
            fill[indices[k]] += 1
    return np.asarray(first), np.asarray(out), np.asarray(places)


cdef int32_t first_free(int64_t[::1] forbidden, int64_t mark) noexcept nogil:
    cdef int32_t c = 0
    while forbidden[c] == mark:
        c += 1
    return c


def columns(const int64_t[::1] indptr, const int32_t[::1] indices, int64_t n, const uint8_t[::1] left_out):
    """A colour for each of n columns, so that no row has two entries of one colour; and how many colours.

    Rows that are ``left_out`` do not count.
    """
    cdef int32_t[::1] colour = np.full(n, -1, dtype=np.int32)
    cdef int64_t[::1] forbidden = np.full(n + 1, -1, dtype=np.int64)
    cdef int64_t j, k, r, q
    cdef int32_t count = 0
    by_column, rows_, _ = transposed(indptr, indices, n)
    cdef const int64_t[::1] first = by_column
    cdef const int32_t[::1] rows = rows_
    with nogil:
        for j in range(n):
            for k in range(first[j], first[j + 1]):
                r = rows[k]
                if left_out[r]:
                    continue
                for q in range(indptr[r], indptr[r + 1]):
                    if colour[indices[q]] >= 0:
                        forbidden[colour[indices[q]]] = j
            colour[j] = first_free(forbidden, j)
            count = max(count, colour[j] + 1)
    return np.asarray(colour), count


def star(const int64_t[::1] indptr, const int32_t[::1] indices, const uint8_t[::1] hub):
    """A star colouring of a symmetric pattern: neighbours differ, and no path of four vertices has two colours.

    Each hub gets a colour that nobody else has. Returns the colours and how many there are.

    References
    ----------
    A. H. Gebremedhin, F. Manne, A. Pothen, What color is your Jacobian?, *SIAM Review* 47(4), 2005, algorithm 4.1.
    """
    cdef int64_t n = indptr.shape[0] - 1, v, w, x, k, q, t
    cdef int32_t[::1] colour = np.full(n, -1, dtype=np.int32)
    cdef int64_t[::1] forbidden = np.full(n + 2, -1, dtype=np.int64)
    cdef int32_t count = 0
    with nogil:
        for v in range(n):
            if hub[v]:
                continue
            for k in range(indptr[v], indptr[v + 1]):
                w = indices[k]
                if w == v or hub[w]:
                    continue
                if colour[w] >= 0:
                    forbidden[colour[w]] = v
                for q in range(indptr[w], indptr[w + 1]):
                    x = indices[q]
                    if x == v or x == w or hub[x] or colour[x] < 0:
                        continue
                    if colour[w] < 0:
                        forbidden[colour[x]] = v        # v - w - x, w still to be coloured
                        continue
                    for t in range(indptr[x], indptr[x + 1]):
                        if indices[t] != w and indices[t] != x and not hub[indices[t]] and colour[indices[t]] == colour[w]:
                            forbidden[colour[x]] = v    # v - w - x - y, y coloured like w
                            break
            colour[v] = first_free(forbidden, v)
            count = max(count, colour[v] + 1)
        for v in range(n):
            if hub[v]:
                colour[v] = count
                count += 1
    return np.asarray(colour), count


def recovery(const int64_t[::1] indptr, const int32_t[::1] indices, const int32_t[::1] colour, int32_t count):
    """Where each entry of a symmetric pattern stands in the products with the sums of columns of one colour.

    Entry (i, j) is in row i under j's colour when no other entry of row i has that colour, else in row j under i's.
    """
    cdef int64_t n = indptr.shape[0] - 1, i, k
    cdef int64_t[::1] seen = np.full(count + 1, -1, dtype=np.int64)
    cdef int32_t[::1] times = np.zeros(count + 1, dtype=np.int32)
    cdef int32_t[::1] row = np.empty(indices.shape[0], dtype=np.int32)
    cdef int32_t[::1] column = np.empty(indices.shape[0], dtype=np.int32)
    cdef int32_t c
    with nogil:
        for i in range(n):
            for k in range(indptr[i], indptr[i + 1]):
                c = colour[indices[k]]
                if seen[c] != i:
                    seen[c] = i
                    times[c] = 0
                times[c] += 1
            for k in range(indptr[i], indptr[i + 1]):
                c = colour[indices[k]]
                if times[c] == 1:
                    row[k] = <int32_t>i
                    column[k] = c
                else:
                    row[k] = indices[k]
                    column[k] = colour[i]
    return np.asarray(row), np.asarray(column)


def collected(list parts, const int64_t[::1] places, real[::1] out):
    """out[k] = the element at ``places[k]`` of the flat arrays ``parts``, counted on from one to the next."""
    cdef Py_ssize_t n = len(parts), k, p
    cdef const real *start[MAX_PARTS]
    cdef int64_t[MAX_PARTS + 1] first
    cdef const real[::1] part
    cdef int64_t at
    if n > MAX_PARTS:
        raise ValueError(f"{n} parts, {MAX_PARTS} at the most")
    first[0] = 0
    for p in range(n):
        part = parts[p]
        first[p + 1] = first[p] + part.shape[0]
        start[p] = &part[0] - first[p] if part.shape[0] else NULL
    with nogil:
        p = 0
        for k in range(places.shape[0]):
            at = places[k]
            while at >= first[p + 1]:
                p += 1
            while at < first[p]:
                p -= 1
            out[k] = start[p][at]
