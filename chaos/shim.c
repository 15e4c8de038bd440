/* Faults inside of a process, by LD_PRELOAD: syncs that fail, a clock that jumps, a death between two changes of files.

   What it does is said by a file that all processes map, CHAOS_CONTROL (chaos/shim.py writes it). It touches only
   files below CHAOS_FOLDER. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t clock_offset_ns;
    volatile int32_t syncs_fail;
    volatile int32_t changes_until_death; /* 0: nobody dies */
    volatile int32_t syncs_failed;        /* since the start */
};

static struct control nothing;
static struct control *control = &nothing;
static const char *folder;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("CHAOS_CONTROL");
    folder = getenv("CHAOS_FOLDER");
    int descriptor = path && folder ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return;
    void *mapped = mmap(NULL, sizeof nothing, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped != MAP_FAILED)
        control = mapped;
    close(descriptor);
}

static int is_below_folder(const char *path) {
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int sync_fails(int descriptor) {
    char link[64], path[4096];
    if (!control->syncs_fail)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    if (!is_below_folder(path))
        return 0;
    __sync_fetch_and_add(&control->syncs_failed, 1);
    errno = EIO;
    return 1;
}

int fsync(int descriptor) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return sync_fails(descriptor) ? -1 : real(descriptor);
}

int fdatasync(int descriptor) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return sync_fails(descriptor) ? -1 : real(descriptor);
}

static void die_if_it_is_time(const char *path) {
    if (control->changes_until_death > 0 && is_below_folder(path) &&
        __sync_fetch_and_sub(&control->changes_until_death, 1) == 1)
        kill(getpid(), SIGKILL);
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    die_if_it_is_time(to);
    return real(from, to);
}

int unlink(const char *path) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    die_if_it_is_time(path);
    return real(path);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    int64_t offset = control->clock_offset_ns;
    if (result == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t shifted = now->tv_sec * 1000000000LL + now->tv_nsec + offset;
        now->tv_sec = shifted / 1000000000LL;
        now->tv_nsec = shifted % 1000000000LL;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into)
        *into = exact.tv_sec;
    return exact.tv_sec;
}
