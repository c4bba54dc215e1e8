/* Put in front of the C library of a program that builds components, so that it gives the same bytes each time: those that
 * keep a snapshot of an interpreter that has started keep its random seed and its time in it, too. A filter must not rely
 * on either anyway; the gateway has `random` and `clock`. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

ssize_t getrandom(void *bytes, size_t length, unsigned int flags) {
    (void)flags;
    memset(bytes, 0x5a, length);
    return (ssize_t)length;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return (int)syscall(SYS_clock_gettime, clock, now);
    /* The first of January 2026. */
    *now = (struct timespec){.tv_sec = 1767225600};
    return 0;
}
