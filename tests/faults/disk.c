/* A disk that is full, broken or stalled, and a wall clock that is wrong, for one process: LD_PRELOAD.
 *
 * SEKISHO_FAULT_DIR   only files under this folder whose name contains ".db" are touched
 * SEKISHO_FAULT_FILE  64 bytes, mapped and read at every call: byte 0 is the disk, bytes 8 to 15 the wall clock
 *                     'o' all is well
 *                     'f' full:    writes end with ENOSPC
 *                     'e' broken:  writes and syncs end with EIO
 *                     'r' read-only: opening to write, and writes, end with EROFS, as on a card that the kernel gave up
 *                     'd' dawdling: every write takes 5 ms more, so that a kill falls between two of one commit
 *                     's' stalled: syncs do not come back before the byte changes
 *                     clock: seconds (int64, host order) added to what CLOCK_REALTIME says
 *
 * The symbols are those that libsqlite3, CPython and libc of Debian 12 import. Where the file is missing, all is well.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_BYTES 64
#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static const volatile unsigned char *control;
static char folder[4096];

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("SEKISHO_FAULT_FILE"), *under = getenv("SEKISHO_FAULT_DIR");
    if (!file || !under)
        return;
    if (!realpath(under, folder))
        return;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, CONTROL_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        control = at;
}

static char disk(int fd)
{
    if (!control || control[0] == 'o')
        return 'o';
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 'o';
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0 || !strstr(path, ".db"))
        return 'o';
    return (char)control[0];
}

static int refuses(int fd)
{
    char now = disk(fd);
    struct timespec moment = {0, 5000000};
    if (now == 'd')
        nanosleep(&moment, NULL);
    if (now == 'f')
        errno = ENOSPC;
    else if (now == 'e')
        errno = EIO;
    else if (now == 'r')
        errno = EROFS;
    return now == 'f' || now == 'e' || now == 'r';
}

static int stalls_or_breaks(int fd)
{
    struct timespec moment = {0, 2000000};
    while (disk(fd) == 's')
        nanosleep(&moment, NULL);
    if (disk(fd) != 'e')
        return 0;
    errno = EIO;
    return 1;
}

static int is_shut(const char *path, int flags)
{
    char whole[4096];
    if (!control || control[0] != 'r' || (flags & O_ACCMODE) == O_RDONLY || !realpath(path, whole))
        return 0;
    if (strncmp(whole, folder, strlen(folder)) != 0 || !strstr(whole, ".db"))
        return 0;
    errno = EROFS;
    return 1;
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) \
    { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return is_shut(path, flags) ? -1 : next(path, flags, mode); \
    }

OPENS(open)
OPENS(open64)

ssize_t write(int fd, const void *from, size_t count)
{
    NEXT(write);
    return refuses(fd) ? -1 : next(fd, from, count);
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t at)
{
    NEXT(pwrite);
    return refuses(fd) ? -1 : next(fd, from, count, at);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at)
{
    NEXT(pwrite64);
    return refuses(fd) ? -1 : next(fd, from, count, at);
}

int ftruncate64(int fd, off64_t size)
{
    NEXT(ftruncate64);
    return refuses(fd) ? -1 : next(fd, size);
}

int fsync(int fd)
{
    NEXT(fsync);
    return stalls_or_breaks(fd) ? -1 : next(fd);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    return stalls_or_breaks(fd) ? -1 : next(fd);
}

static int64_t offset_s(void)
{
    return control ? *(const volatile int64_t *)(control + 8) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    NEXT(clock_gettime);
    int outcome = next(clock, now);
    if (outcome == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += offset_s();
    return outcome;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    NEXT(gettimeofday);
    int outcome = next(now, zone);
    if (outcome == 0)
        now->tv_sec += offset_s();
    return outcome;
}

time_t time(time_t *where)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where)
        *where = now.tv_sec;
    return now.tv_sec;
}
