/* Memory that grows with a program or with the arrays of a run.

   A block from AD_OWN_PAGES bytes on is mapped for itself, in pages of 2 MB where the system has them: the first touch of
   an ordinary page costs a page fault of 1 to 3 us in a virtual machine, more than most passes spend on the instructions that
   fit into it. Smaller blocks come from malloc. All are zeroed and start a cache line. */
#ifndef AD_MEMORY_H
#define AD_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#if defined(MADV_HUGEPAGE) && defined(MAP_ANONYMOUS)
#define AD_LARGE_PAGES 1
#endif
#endif

enum { AD_MEMORY_LINE = 64 };
#define AD_OWN_PAGES ((size_t)1 << 20)
#define AD_LARGE_PAGE ((size_t)1 << 21)

typedef struct {            /* stands before the memory */
    void *start;            /* what to free */
    size_t mapped;          /* bytes of its mapping; 0: from malloc */
} ad_memory_head;

static inline char *ad_memory_up(char *at, size_t to) { return at + (to - (uintptr_t)at % to) % to; }

/* Zeroed memory of n bytes; NULL where there is none. */
static void *ad_take(size_t n) {
    ad_memory_head head = {NULL, 0};
    char *at;
    if (n > SIZE_MAX / 2)
        return NULL;
#ifdef AD_LARGE_PAGES
    if (n >= AD_OWN_PAGES) {
        head.mapped = n + AD_MEMORY_LINE + 2 * AD_LARGE_PAGE;
        head.start = mmap(NULL, head.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (head.start == MAP_FAILED)
            return NULL;
        at = ad_memory_up((char *)head.start, AD_LARGE_PAGE);
        /* the last one in part: then small pages, so that no more than half of what is touched goes unused */
        madvise(at, (n + AD_LARGE_PAGE / 2) / AD_LARGE_PAGE * AD_LARGE_PAGE, MADV_HUGEPAGE);
        at += AD_MEMORY_LINE;
        ((ad_memory_head *)at)[-1] = head;
        return at;
    }
#endif
    head.start = calloc(1, n + 2 * AD_MEMORY_LINE);
    if (head.start == NULL)
        return NULL;
    at = ad_memory_up((char *)head.start + sizeof head, AD_MEMORY_LINE);
    ((ad_memory_head *)at)[-1] = head;
    return at;
}

static void ad_give_back(void *memory);

/* A block of n bytes with the first `keep` bytes of another one, which is given back; NULL, and nothing has changed, where there
   is no memory. */
static void *ad_resize(void *memory, size_t keep, size_t n) {
    void *found = ad_take(n);
    if (found != NULL && memory != NULL) {
        memcpy(found, memory, keep);
        ad_give_back(memory);
    }
    return found;
}

static void ad_give_back(void *memory) {
    ad_memory_head head;
    if (memory == NULL)
        return;
    head = ((ad_memory_head *)memory)[-1];
#ifdef AD_LARGE_PAGES
    if (head.mapped) {
        munmap(head.start, head.mapped);
        return;
    }
#endif
    free(head.start);
}

#endif
