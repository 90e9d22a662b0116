/* A task that reports: waits until a file is there, then reports so many times a second over PROGRESSHUB_FD.
 *
 *   report FILE SECONDS PER_S CORE
 *
 * It keeps to one core, which is the clients'. What its pipe does not take at once, it waits for. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static unsigned long clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ul + t.tv_nsec;
}

int main(int count, char **words) {
    if (count < 5 || !getenv("PROGRESSHUB_FD")) return 2;
    int fd = atoi(getenv("PROGRESSHUB_FD")), per_s = atoi(words[3]);
    long number = atol(words[2]) * per_s;
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(atoi(words[4]), &cores);
    sched_setaffinity(0, sizeof cores, &cores);
    while (access(words[1], F_OK)) usleep(2000);
    unsigned long start_ns = clock_ns();
    for (long n = 1; n <= number; n++) {
        unsigned long due_ns = start_ns + n * (1000000000ul / per_s), now_ns = clock_ns();
        if (due_ns > now_ns) usleep((due_ns - now_ns) / 1000);
        char line[256];
        int size = snprintf(line, sizeof line,
                            "{\"current\":%ld,\"total\":100000000,\"unit\":\"bytes\",\"metadata\":{\"at\":\"ts=%lu\"}}\n", n,
                            clock_ns());
        if (write(fd, line, size) != size) return 1;
    }
    return 0;
}
