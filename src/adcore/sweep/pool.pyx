"""The process's pool of threads (``ad_pool.h``), and a clock."""

cdef extern from "ad_pool.h" nogil:
    """
    #if defined(_WIN32)
    #include <windows.h>
    static double ad_clock(void) {
        LARGE_INTEGER now, per_second;
        QueryPerformanceCounter(&now);
        QueryPerformanceFrequency(&per_second);
        return (double)now.QuadPart / (double)per_second.QuadPart;
    }
    #else
    #include <time.h>
    static double ad_clock(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec + 1e-9 * t.tv_nsec;
    }
    #endif
    """
    void ad_pool_run(ad_part_fn fn, void *job, int parts, int threads, size_t scratch_bytes, char *scratch) noexcept nogil
    int ad_pool_workers() noexcept nogil
    double ad_clock() noexcept nogil


cdef void parallel(ad_part_fn fn, void *job, int parts, int threads, size_t scratch_bytes, char *scratch) noexcept nogil:
    """fn(job, part, scratch) for every part, on at most so many threads; returns when all are done.

    The helpers have scratch of their own, of the given size. A caller that finds the pool at work for somebody
    else runs all parts itself.
    """
    ad_pool_run(fn, job, parts, threads, scratch_bytes, scratch)


cdef double clock_seconds() noexcept nogil:
    return ad_clock()


def workers():
    """How many helpers this process has made so far."""
    return ad_pool_workers()
