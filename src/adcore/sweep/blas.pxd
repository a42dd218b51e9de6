ctypedef void (*dgemm_fn)(char *, char *, int *, int *, int *, double *, double *, int *, double *, int *, double *, double *,
                          int *) noexcept nogil
ctypedef void (*sgemm_fn)(char *, char *, int *, int *, int *, float *, float *, int *, float *, int *, float *, float *,
                          int *) noexcept nogil
ctypedef void (*dgemv_fn)(char *, int *, int *, double *, double *, int *, double *, int *, double *, double *, int *) noexcept nogil

cdef dgemm_fn dgemm
cdef sgemm_fn sgemm
cdef dgemv_fn dgemv

cdef int load() except -1
cdef object found(str name)
cdef void *routine(dict api, str name) except NULL
