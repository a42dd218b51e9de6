from libc.stdint cimport uint64_t


cdef bint is_frozen(object x) except -1
cdef bint equal(object x, object y) except -1


cdef class Names:
    cdef readonly object container      # a namespace, or a closure cell
    cdef public object keys             # None: all of them
    cdef readonly set unread            # whose values are not looked at
    cdef readonly set by_identity       # whose values must be the same objects, whatever these hold


cdef class Record:
    cdef int kind
    cdef bint direct
    cdef object value                   # what is watched
    cdef object chosen                  # names of the parts that count; None: all
    cdef object content                 # what it held, where it has no parts
    cdef list names
    cdef list parts                     # what it held
    cdef list numbers                   # the records of the parts, -1 where there is none
    cdef list more                      # records that go with it
    cdef uint64_t version

    cdef bint unchanged(self) except -1
    cdef bint names_unchanged(self) except -1


cdef class Snapshot:
    cdef list records
    cdef dict known                     # id of a value -> number of its record
    cdef list roots
    cdef list root_numbers
    cdef object look, found, plain

    cpdef int add(self, object value) except -1
    cpdef bint holds(self) except -1
    cdef bint unchanged(self) except -1
    cdef bint hold_values(self, list values) except -1
    cdef Py_ssize_t number(self, object value, bint direct) except -2
    cdef Record record(self, object value, bint direct)
    cdef int fill(self, Py_ssize_t start) except -1
    cdef bint matches(self, Py_ssize_t k, object now, set seen, int depth) except -1
    cdef bint agrees(self, Py_ssize_t k, object was, object now, set seen, int depth) except -1
    cdef tuple held(self, Record record, object value)


cdef class Token:
    cdef object value
    cdef bint frozen, empty
    cdef Snapshot snapshot

    cpdef bint holds(self, object value) except -1
