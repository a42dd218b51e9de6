cdef class Twin:
    cdef readonly object plain
    cdef bint sequences             # a list of arrays is an argument of the function's own
    cdef object __weakref__

    cdef object general(self, tuple args, dict kwargs)
