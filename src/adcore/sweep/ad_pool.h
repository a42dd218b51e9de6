/* A pool of threads that run the parts of one job at a time.
 *
 * One pool serves the process. A job is a function and a number of parts; the caller and its helpers take the
 * parts one by one until none is left. A caller that finds the pool taken runs all parts itself, so jobs
 * that come from several threads, or from inside a part, neither wait nor ask for more threads than there are.
 *
 * `gate` holds all that a helper must see at once: the job's generation, how many helpers may still join, and how many
 * are at work. The fields of the job change only while nobody may join and nobody is at work.
 *
 * Helpers never touch Python and take no signals. After a job they look out for the next one for a moment, then
 * sleep. The child of a fork has no helpers; it makes new ones when it first needs them.
 */
#ifndef AD_POOL_H
#define AD_POOL_H

#include <stddef.h>
#include <stdint.h>

typedef void (*ad_part_fn)(void *job, int part, char *scratch);

#if defined(_WIN32)

static int ad_pool_workers(void) { return 0; }

static void ad_pool_run(ad_part_fn fn, void *job, int parts, int threads, size_t scratch_bytes, char *scratch) {
    for (int part = 0; part < parts; part++)
        fn(job, part, scratch);
    (void)threads, (void)scratch_bytes;
}

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    AD_WORKERS_MAX = 255,
    AD_SPIN_NS = 50000, /* how long a helper looks out for the next job before it sleeps */
    AD_STACK_BYTES = 2 << 20
};

#define AD_TICKET ((uint64_t)1 << 16)
#define AD_GENERATION ((uint64_t)1 << 32)
#define AD_AT_WORK(gate) ((gate) & (AD_TICKET - 1))
#define AD_TICKETS(gate) (((gate) & (AD_GENERATION - 1)) >> 16)
#define AD_NUMBER(gate) ((gate) >> 32)

#if defined(__x86_64__) || defined(__i386__)
#define AD_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define AD_PAUSE() __asm__ __volatile__("yield")
#else
#define AD_PAUSE() ((void)0)
#endif

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    int prepared;           /* fork handlers are installed */
    int taken;              /* a caller owns the pool */
    int workers, asleep;
    int waiting;            /* the caller sleeps until the helpers have left */
    uint64_t gate;
    ad_part_fn fn;
    void *job;
    int parts, next;
    size_t scratch_bytes;
} ad_pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static int64_t ad_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ad_pool_after_fork(void) {
    pthread_mutex_init(&ad_pool.lock, NULL);
    pthread_cond_init(&ad_pool.wake, NULL);
    pthread_cond_init(&ad_pool.done, NULL);
    ad_pool.taken = ad_pool.workers = ad_pool.asleep = ad_pool.waiting = 0;
    ad_pool.gate = 0;
}

/* Take parts until none is left. */
static void ad_pool_work(ad_part_fn fn, void *job, int parts, char *scratch) {
    int part;
    while ((part = __atomic_fetch_add(&ad_pool.next, 1, __ATOMIC_RELAXED)) < parts)
        fn(job, part, scratch);
}

/* The gate when it shows another job than number `seen`. */
static uint64_t ad_pool_await(uint64_t seen, int64_t until) {
    uint64_t gate;
    for (int spins = 1;; spins++) {
        gate = __atomic_load_n(&ad_pool.gate, __ATOMIC_ACQUIRE);
        if (AD_NUMBER(gate) != seen)
            return gate;
        AD_PAUSE();
        if (spins % 64 == 0 && ad_now() >= until)
            break;
    }
    pthread_mutex_lock(&ad_pool.lock);
    __atomic_fetch_add(&ad_pool.asleep, 1, __ATOMIC_SEQ_CST);
    while (AD_NUMBER(gate = __atomic_load_n(&ad_pool.gate, __ATOMIC_SEQ_CST)) == seen)
        pthread_cond_wait(&ad_pool.wake, &ad_pool.lock);
    __atomic_fetch_sub(&ad_pool.asleep, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&ad_pool.lock);
    return gate;
}

static void *ad_pool_helper(void *first) {
    uint64_t seen = (uint64_t)(uintptr_t)first, gate;
    int64_t until = ad_now() + AD_SPIN_NS;
    char *scratch = NULL, *aligned = NULL;
    size_t have = 0;
    for (;;) {
        gate = ad_pool_await(seen, until);
        seen = AD_NUMBER(gate);
        while (AD_TICKETS(gate) > 0 && AD_NUMBER(gate) == seen) {
            if (!__atomic_compare_exchange_n(&ad_pool.gate, &gate, gate - AD_TICKET + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                continue;
            if (ad_pool.scratch_bytes > have) {
                free(scratch);
                have = 0;
                scratch = malloc(ad_pool.scratch_bytes + 64);
                if (scratch != NULL) {
                    have = ad_pool.scratch_bytes;
                    aligned = scratch + (64 - (uintptr_t)scratch % 64);
                }
            }
            if (ad_pool.scratch_bytes <= have)
                ad_pool_work(ad_pool.fn, ad_pool.job, ad_pool.parts, aligned);
            __atomic_fetch_sub(&ad_pool.gate, 1, __ATOMIC_SEQ_CST);
            if (__atomic_load_n(&ad_pool.waiting, __ATOMIC_SEQ_CST)) {
                pthread_mutex_lock(&ad_pool.lock);
                pthread_cond_signal(&ad_pool.done);
                pthread_mutex_unlock(&ad_pool.lock);
            }
            until = ad_now() + AD_SPIN_NS;
            break;
        }
    }
    return NULL;
}

/* Have `wanted` helpers, or as many as the system grants. Only the owner of the pool calls this. */
static void ad_pool_grow(int wanted) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (wanted > AD_WORKERS_MAX)
        wanted = AD_WORKERS_MAX;
    if (ad_pool.workers >= wanted)
        return;
    if (!ad_pool.prepared) {
        if (pthread_atfork(NULL, NULL, ad_pool_after_fork) != 0)
            return;
        ad_pool.prepared = 1;
    }
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, AD_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (ad_pool.workers < wanted
           && pthread_create(&thread, &attributes, ad_pool_helper, (void *)(uintptr_t)AD_NUMBER(ad_pool.gate)) == 0)
        __atomic_fetch_add(&ad_pool.workers, 1, __ATOMIC_RELAXED);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* Close the gate and wait until every helper has left. */
static void ad_pool_finish(void) {
    __atomic_fetch_and(&ad_pool.gate, ~((AD_GENERATION - 1) & ~(AD_TICKET - 1)), __ATOMIC_SEQ_CST);
    for (int spins = 0; spins < 20000; spins++) {
        if (AD_AT_WORK(__atomic_load_n(&ad_pool.gate, __ATOMIC_ACQUIRE)) == 0)
            return;
        if (spins < 10000)
            AD_PAUSE();
        else if (spins % 100 == 0)
            sched_yield();
    }
    pthread_mutex_lock(&ad_pool.lock);
    __atomic_store_n(&ad_pool.waiting, 1, __ATOMIC_SEQ_CST);
    while (AD_AT_WORK(__atomic_load_n(&ad_pool.gate, __ATOMIC_SEQ_CST)) != 0)
        pthread_cond_wait(&ad_pool.done, &ad_pool.lock);
    __atomic_store_n(&ad_pool.waiting, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&ad_pool.lock);
}

static int ad_pool_workers(void) { return __atomic_load_n(&ad_pool.workers, __ATOMIC_RELAXED); }

/* Run fn(job, part, scratch) for every part, on at most `threads` threads, this one among them. Helpers have
 * scratch of their own. Returns when all parts are done. */
static void ad_pool_run(ad_part_fn fn, void *job, int parts, int threads, size_t scratch_bytes, char *scratch) {
    int helpers = (threads < parts ? threads : parts) - 1, missing, part, k;
    uint64_t number;
    if (helpers <= 0 || __atomic_exchange_n(&ad_pool.taken, 1, __ATOMIC_ACQUIRE)) {
        for (part = 0; part < parts; part++)
            fn(job, part, scratch);
        return;
    }
    ad_pool_grow(helpers);
    if (helpers > ad_pool.workers)
        helpers = ad_pool.workers;
    ad_pool.fn = fn;
    ad_pool.job = job;
    ad_pool.parts = parts;
    ad_pool.scratch_bytes = scratch_bytes;
    __atomic_store_n(&ad_pool.next, 0, __ATOMIC_RELAXED);
    number = (AD_NUMBER(ad_pool.gate) + 1) & 0xFFFFFFFF;
    __atomic_store_n(&ad_pool.gate, number << 32 | (uint64_t)helpers << 16, __ATOMIC_SEQ_CST);
    missing = helpers - (ad_pool.workers - __atomic_load_n(&ad_pool.asleep, __ATOMIC_SEQ_CST));
    if (missing > 0) {
        pthread_mutex_lock(&ad_pool.lock);
        for (k = 0; k < missing; k++)
            pthread_cond_signal(&ad_pool.wake);
        pthread_mutex_unlock(&ad_pool.lock);
    }
    ad_pool_work(fn, job, parts, scratch);
    ad_pool_finish();
    __atomic_store_n(&ad_pool.taken, 0, __ATOMIC_RELEASE);
}

#endif
#endif
