/* Memory of large results, by way of NumPy's handlers of data memory (NEP 49).

   An optimiser drops one gradient and asks for the next. malloc would hand a block of a megabyte or more back to the system
   and take it anew, with a page fault for every page that the sweep then touches: as much time as the sweep. So the last few
   blocks are kept. An array owns its block like any other array of NumPy's, and may outlive everything here. */
#ifndef AD_RESULTS_H
#define AD_RESULTS_H

#include <numpy/arrayobject.h>
#include "ad_memory.h"

enum { AD_IDLE_RESULTS = 16 };
#define AD_IDLE_RESULT_BYTES ((size_t)256 << 20)

static struct {
    void *block[AD_IDLE_RESULTS];           /* the one that has lain idle for the longest first */
    int n;
    size_t bytes;
    char busy;                              /* who finds it set goes to the system instead of waiting: a fork may have cut
                                               off the thread that would reset it */
} ad_idle_results;

static inline int ad_idle_results_mine(void) { return !__atomic_test_and_set(&ad_idle_results.busy, __ATOMIC_ACQUIRE); }
static inline void ad_idle_results_done(void) { __atomic_clear(&ad_idle_results.busy, __ATOMIC_RELEASE); }

/* Bytes of a block; they stand one line before it. */
static inline size_t *ad_result_room(void *block) { return (size_t *)((char *)block - AD_MEMORY_LINE); }

static void *ad_idle_result_out(int k) {
    void *block = ad_idle_results.block[k];
    ad_idle_results.n--;
    ad_idle_results.bytes -= *ad_result_room(block);
    memmove(ad_idle_results.block + k, ad_idle_results.block + k + 1, (ad_idle_results.n - k) * sizeof block);
    return block;
}

/* An idle block of n bytes or up to a quarter more, the closest; NULL: none. */
static void *ad_recycled(size_t n) {
    size_t room, closest = n + n / 4 + 1;
    int k, best = -1;
    void *block = NULL;
    if (n < AD_OWN_PAGES || !ad_idle_results_mine()) return NULL;
    for (k = ad_idle_results.n - 1; k >= 0; k--) {
        room = *ad_result_room(ad_idle_results.block[k]);
        if (room >= n && room < closest) {
            closest = room;
            best = k;
        }
    }
    if (best >= 0) block = ad_idle_result_out(best);
    ad_idle_results_done();
    return block;
}

static void *ad_result_new(size_t n) {
    char *line = n > SIZE_MAX / 2 ? NULL : (char *)ad_take(n + AD_MEMORY_LINE);
    if (line == NULL) return NULL;
    *(size_t *)line = n;
    return line + AD_MEMORY_LINE;
}

static void ad_result_drop(void *block) { ad_give_back((char *)block - AD_MEMORY_LINE); }

static void ad_result_free(void *context, void *block, size_t bytes) {
    size_t n;
    (void)context, (void)bytes;
    if (block == NULL) return;
    n = *ad_result_room(block);
    if (n < AD_OWN_PAGES || n > AD_IDLE_RESULT_BYTES || !ad_idle_results_mine()) {
        ad_result_drop(block);
        return;
    }
    while (ad_idle_results.n == AD_IDLE_RESULTS || ad_idle_results.bytes + n > AD_IDLE_RESULT_BYTES)
        ad_result_drop(ad_idle_result_out(0));
    ad_idle_results.block[ad_idle_results.n++] = block;
    ad_idle_results.bytes += n;
    ad_idle_results_done();
}

static void *ad_result_malloc(void *context, size_t n) {
    void *block = ad_recycled(n);
    (void)context;
    return block != NULL ? block : ad_result_new(n);
}

static void *ad_result_calloc(void *context, size_t count, size_t each) {
    (void)context;
    return each && count > SIZE_MAX / each ? NULL : ad_result_new(count * each);
}

static void *ad_result_realloc(void *context, void *block, size_t n) {
    void *other = ad_result_malloc(context, n);
    if (block == NULL || other == NULL) return other;
    memcpy(other, block, n < *ad_result_room(block) ? n : *ad_result_room(block));
    ad_result_free(context, block, 0);
    return other;
}

/* Give back all idle blocks. */
static void ad_forget_idle_results(void) {
    if (!ad_idle_results_mine()) return;
    while (ad_idle_results.n) ad_result_drop(ad_idle_result_out(0));
    ad_idle_results_done();
}

static size_t ad_idle_result_bytes(void) { return ad_idle_results.bytes; }

static PyDataMem_Handler ad_results_handler = {
    "adcore", 1, {NULL, ad_result_malloc, ad_result_calloc, ad_result_realloc, ad_result_free}};

#endif
