from libc.stdint cimport int32_t, int64_t, uint8_t
from adcore.plan.loops cimport Tiling
from adcore.plan.pool cimport Pool
from adcore.tape.program cimport Program

cdef struct Choice:         # an axis to cut, and what it is worth
    int32_t axis            # class of the union-find
    int64_t length, tile, saved

cdef class Tiler:
    cdef Program old
    cdef Program out
    cdef Tiling tiling
    cdef int32_t *node          # first node of a value's dimensions
    cdef int32_t *parent        # union-find over dimensions
    cdef int32_t *axis          # of a value: the dimension that is cut, -1: none, -2: more than one
    cdef uint8_t *state
    cdef uint8_t *memory        # of a member: it lives in memory between groups
    cdef uint8_t *escapes       # of a member: somebody outside needs it
    cdef uint8_t *split         # an accumulation whose sum a loop has made already
    cdef int32_t *level
    cdef int32_t *reads_low     # first and last level at which a loop reads a value from outside
    cdef int32_t *reads_high
    cdef int32_t *new           # old value -> new value
    cdef int32_t *tile          # old value -> new value of one tile
    cdef int32_t *slice         # old value from outside -> the view that reads one tile of it
    cdef int32_t *whole         # old value -> the new array that collects its tiles, or the running sum
    cdef Pool lines             # step, carried, origin of each new value

    cdef int32_t find(self, int32_t node) noexcept
    cdef void unite(self, int32_t x, int32_t i, int32_t y, int32_t j) noexcept
    cdef int64_t dim(self, int32_t value, int64_t k) noexcept
    cdef int64_t stride(self, int32_t value, int64_t axis) noexcept
    cdef int64_t bytes(self, int32_t value) noexcept
    cdef int64_t stretch(self, int32_t value) noexcept
    cdef void relate(self, int32_t value) noexcept
    cdef void relate_map(self, int32_t space_of, int32_t dense, const int64_t *map) noexcept
    cdef bint cuts_map(self, int32_t space_of, int32_t dense, const int64_t *map, bint may_vanish) noexcept
    cdef bint fits(self, int32_t value) noexcept
    cdef bint outside(self, int32_t value) noexcept
    cdef int classify(self, const int32_t *list_, Py_ssize_t n, int32_t axis) except -1
    cdef void postpone(self, const int32_t *list_, Py_ssize_t n) noexcept
    cdef void read_at(self, int32_t value, int32_t level) noexcept
    cdef int weigh(self, const int32_t *list_, Py_ssize_t n, Choice *choice) except -1
    cdef int process(self, const int32_t *list_, Py_ssize_t n, int depth) except -1
    cdef int64_t length_of(self, const int32_t *list_, Py_ssize_t n, int32_t axis) noexcept
    cdef int divide(self, const int32_t *list_, Py_ssize_t n, const Choice *choice, int32_t *parts, int depth) except -1
    cdef int loop(self, const int32_t *list_, Py_ssize_t n, const Choice *choice) except -1
    cdef int body(self, const int32_t *list_, Py_ssize_t n, int64_t offset, int64_t length, int64_t move) except -1
    cdef int32_t cut_shape(self, int32_t value, int64_t length) except -1
    cdef int32_t piece(self, int32_t value, int64_t offset, int64_t length, int64_t move) except -1
    cdef int32_t piece_of_view(self, int32_t value, int64_t offset, int64_t length, int64_t move) except -1
    cdef int32_t cut_map(self, int32_t space_of, int32_t dense, const int64_t *map, int64_t length) except -1
    cdef int32_t emit(self, int32_t source, int op, int dtype, int nargs, int32_t x1, int32_t x2, int32_t x3,
                      int32_t shape, int32_t param, int64_t step=*, bint carried=*) except -1
    cdef int32_t copy(self, int32_t value) except -1
    cdef Tiling finished(self)

cdef Tiling tile(Program program)
