from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from adcore.passes.affine cimport Map
from adcore.tape.program cimport Instr, Program


@final
cdef class Builder:
    cdef readonly Program out
    cdef int32_t line               # source line of what is emitted next
    cdef uint64_t *table            # hash table: upper half of an instruction's hash, then its value number and 1
    cdef int64_t table_size, table_used
    cdef int32_t[256] recent_maps
    cdef int32_t[64] recent_reals
    cdef dict calls                 # rule, dtype, shape, arguments: value, of rules whose equal calls are one
    cdef bint rewrites
    cdef Program source             # what copy_shape copied last, from where and where it is now
    cdef int32_t copied_from, copied_to

    cdef int32_t emit(self, uint16_t op, uint8_t dtype, uint8_t nargs, int32_t x1, int32_t x2, int32_t x3,
                      int32_t shape, int32_t param) except -1
    cdef int32_t elementwise(self, uint16_t op, uint8_t dtype, int32_t shape, int32_t x1, int32_t x2=*,
                             int32_t x3=*) except -1
    cdef int32_t view(self, uint8_t dtype, int32_t base, int32_t shape, int64_t offset,
                      const int64_t *strides) except -1
    cdef int32_t store(self, uint16_t op, uint8_t dtype, int32_t base, int32_t x, int32_t shape, int64_t offset,
                       const int64_t *strides) except -1
    cdef int32_t literal(self, double value) except -1
    cdef int32_t full(self, uint8_t dtype, int32_t scalar, int32_t shape) except -1
    cdef int32_t filled(self, uint8_t dtype, double value, int32_t shape) except -1
    cdef int32_t cast(self, int32_t value, uint8_t dtype) except -1
    cdef int32_t in_shape(self, int32_t value, int32_t shape, uint8_t dtype) except -1
    cdef int32_t add_map(self, int64_t offset, const int64_t *strides, int64_t ndim) except -1
    cdef int32_t copy_shape(self, Program source, int32_t shape) except -1
    cdef int32_t translate(self, Program source, int32_t value, const int32_t *new) except -1
    cdef int32_t rule_number(self, object rule) except -1
    cdef int32_t call(self, uint8_t dtype, int32_t first, int n, int32_t shape, object rule) except -1
    cdef list inline(self, Program program, list inputs)
    cdef bint number(self, int32_t value, double *number) noexcept
    cdef int64_t slot_of(self, const Instr *instr, uint64_t h, bint fresh) noexcept
    cdef void enter(self, Py_ssize_t value) noexcept
    cdef int start_from(self, Program program, Py_ssize_t expected) except -1
    cdef void remember_map(self, const Instr *instr) noexcept
    cdef int32_t without_factor(self, int32_t value, uint8_t dtype, double *factor) noexcept
    cdef int32_t scaled_product(self, uint16_t op, uint8_t dtype, int32_t shape, int32_t x1, int32_t x2) except -2
    cdef int32_t into_row(self, uint16_t op, uint8_t dtype, int32_t shape, int32_t scalar, int32_t product) except -2
    cdef int32_t sum_of_scaled(self, uint8_t dtype, int32_t x, int32_t shape, int64_t offset, const int64_t *strides) except -2
    cdef bint negates(self, const Instr *instr, uint8_t dtype) noexcept
    cdef int32_t matmul(self, uint8_t dtype, int32_t x1, int32_t x2, int32_t shape) except -1
    cdef int32_t version_read(self, int32_t base, int32_t shape, int64_t offset, const int64_t *strides,
                              Map *inner) noexcept
    cdef int32_t append(self, uint16_t op, uint8_t dtype, uint8_t nargs, int32_t x1, int32_t x2, int32_t x3,
                        int32_t shape, int32_t param) except -1
    cdef int grow_table(self) except -1
    cdef int32_t fold(self, uint16_t op, uint8_t dtype, int32_t shape, int32_t x1, int32_t x2, int32_t x3) except -2
    cdef int32_t logistic(self, uint8_t dtype, int32_t shape, const Instr *total) except -2
    cdef int32_t compose(self, uint8_t dtype, int32_t base, int32_t shape, int64_t offset,
                         const int64_t *strides) except -2
    cdef int32_t through_updates(self, uint8_t dtype, int32_t base, int32_t x, int64_t offset,
                                 const int64_t *strides, int depth) except -2
    cdef bint covers(self, int32_t base, int32_t x, int64_t offset, const int64_t *strides) noexcept
    cdef bint holds(self, int32_t base, int32_t x, int64_t offset, const int64_t *strides) noexcept
    cdef bint unread(self, int32_t value) noexcept
    cdef int32_t sum_of_full(self, uint8_t dtype, int32_t x, int32_t shape, int64_t offset,
                             const int64_t *strides) except -2
