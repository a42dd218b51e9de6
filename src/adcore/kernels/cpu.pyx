"""Which ISA levels this processor, and the operating system under it, can run."""

cdef extern from *:
    """
    /* 0: the compiler's default for this architecture; on x86-64 1: v3 (AVX2, FMA), 2: v4 (AVX-512). */
    static int ad_cpu_level(void) {
    #if defined(__x86_64__) && defined(__GNUC__)
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi")
              && __builtin_cpu_supports("bmi2")))
            return 0;
        return 1 + (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                    && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
                    && __builtin_cpu_supports("avx512vl"));
    #else
        return 0;
    #endif
    }
    """
    int ad_cpu_level() noexcept nogil


def level():
    """The highest level that runs here: 0 baseline, 1 v3, 2 v4."""
    return ad_cpu_level()
