/* Makes every fsync and fdatasync take SLOW_MICROSECONDS longer: a disk that is honest about durability.
 *
 *   cc -shared -fPIC -O2 -o slow_fsync.so slow_fsync.c -ldl
 *   LD_PRELOAD=./slow_fsync.so program
 *
 * The real call is made first, so that what the program relies on stays true.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

#define SLOW_MICROSECONDS 2000

typedef int (*sync_call)(int);

static int slowed(const char *name, int descriptor) {
    sync_call real = (sync_call)dlsym(RTLD_NEXT, name);
    int answer = real(descriptor);
    int kept = errno;
    struct timespec left = {0, SLOW_MICROSECONDS * 1000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    errno = kept;
    return answer;
}

int fsync(int descriptor) { return slowed("fsync", descriptor); }

int fdatasync(int descriptor) { return slowed("fdatasync", descriptor); }
