/* A CUDA driver library for machines without a GPU: just what pycuda and the engine need of it.
 *
 * Device memory is host memory, and a stream is a thread (streams.c). It is strict where a GPU is
 * merely likely to fail: fresh memory is garbage, a copy outside of a block breaks the context.
 * Here: devices, contexts, memory of the device, page-locked memory of the host. */

#define _GNU_SOURCE
#include "simulation.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define DEPTH_MAX 16
#define FRESH 0xAB
#define FREED 0xDD

typedef struct block { /* of device memory */
    struct block *next;
    CUcontext context;
    char *start;
    size_t size;
} block;

typedef struct pin { /* page-locked host memory: whole pages */
    struct pin *next;
    CUcontext context;
    char *start, *given; /* given: by the caller of cuMemHostRegister */
    size_t size;
    bool owned; /* by cuMemHostAlloc */
} pin;

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
long settings[SETTINGS] = {[MEMORY_MIB] = 2048, [CAPABILITY] = 89, [DEVICES] = 1};
long counters[COUNTERS];
CUresult process_error;
CUcontext contexts; /* live ones. The structs of dead ones are kept, so that no handle dangles. */

static bool initialised;
static block *blocks;
static pin *pins;
static CUcontext primary[DEVICES_MAX];
static _Thread_local CUcontext stack[DEPTH_MAX];
static _Thread_local int depth;

/* ---- devices ---- */

CUresult cuInit(unsigned flags)
{
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    initialised = settings[DEVICES] > 0;
    pthread_mutex_unlock(&lock);
    return initialised ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version)
{
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

static CUresult check_device(CUdevice device)
{
    if (!initialised)
        return CUDA_ERROR_NOT_INITIALIZED;
    return device >= 0 && device < settings[DEVICES] ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetCount(int *count)
{
    *count = (int)settings[DEVICES];
    return initialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    *device = ordinal;
    return check_device(ordinal);
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    snprintf(name, (size_t)size, "Simulated GPU");
    return check_device(device);
}

CUresult cuDeviceGetPCIBusId(char *id, int size, CUdevice device)
{
    snprintf(id, (size_t)size, "0000:%02X:00.0", (unsigned)device + 1);
    return check_device(device);
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
    *major = (int)settings[CAPABILITY] / 10;
    *minor = (int)settings[CAPABILITY] % 10;
    return check_device(device);
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device)
{
    *bytes = (size_t)settings[MEMORY_MIB] << 20;
    return check_device(device);
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    switch ((int)attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
        *value = (int)settings[CAPABILITY] / 10;
        break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
        *value = (int)settings[CAPABILITY] % 10;
        break;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
        *value = 2;
        break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
        *value = 1;
        break;
    default:
        *value = 0;
    }
    return check_device(device);
}

/* ---- contexts ---- */

/* The caller's context, and whether it can be used. With the lock held. */
CUresult current(CUcontext *context)
{
    *context = depth ? stack[depth - 1] : NULL;
    if (!initialised)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!*context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (process_error)
        return process_error;
    return (*context)->dead ? CUDA_ERROR_CONTEXT_IS_DESTROYED : (*context)->error;
}

static bool is_live(CUcontext context)
{
    CUcontext each = contexts;
    while (each && each != context)
        each = each->next;
    return each && !each->dead;
}

static CUresult push(CUcontext context)
{
    if (depth == DEPTH_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

static CUcontext make_context(CUdevice device)
{
    CUcontext context = calloc(1, sizeof *context);
    *context = (struct CUctx_st){.next = contexts, .device = device, .usage = 1};
    return contexts = context;
}

static void free_pin(pin **link)
{
    pin *gone = *link;
    *link = gone->next;
    if (gone->owned)
        munmap(gone->start, gone->size);
    free(gone);
}

static void free_block(block **link)
{
    block *gone = *link;
    *link = gone->next;
    memset(gone->start, FREED, gone->size);
    free(gone->start);
    free(gone);
}

/* Everything that a context owns goes with it; what its streams had not begun is dropped. */
static void destroy(CUcontext context)
{
    stop_streams(context);
    free_graphs(context);
    for (block **link = &blocks; *link;)
        if ((*link)->context == context)
            free_block(link);
        else
            link = &(*link)->next;
    for (pin **link = &pins; *link;)
        if ((*link)->context == context && !settings[PINS_STAY])
            free_pin(link);
        else
            link = &(*link)->next;
    CUcontext *link = &contexts;
    while (*link != context)
        link = &(*link)->next;
    *link = context->next;
    if (depth && stack[depth - 1] == context)
        depth--;
}

CUresult cuCtxCreate(CUcontext *context, CUctxCreateParams *how, unsigned flags, CUdevice device)
{
    (void)how;
    (void)flags;
    pthread_mutex_lock(&lock);
    CUresult result = process_error ? process_error : check_device(device);
    if (!result)
        result = push(*context = make_context(device));
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuCtxDestroy(CUcontext context)
{
    pthread_mutex_lock(&lock);
    CUresult result = is_live(context) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
    if (!result)
        destroy(context);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuCtxAttach(CUcontext *context, unsigned flags)
{
    pthread_mutex_lock(&lock);
    CUresult result = flags ? CUDA_ERROR_INVALID_VALUE : current(context);
    if (!result)
        (*context)->usage++;
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuCtxDetach(CUcontext context)
{
    pthread_mutex_lock(&lock);
    bool is_current = depth && stack[depth - 1] == context;
    CUresult result = is_current && is_live(context) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
    if (!result && --context->usage == 0)
        destroy(context);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuCtxPushCurrent(CUcontext context)
{
    pthread_mutex_lock(&lock);
    CUresult result = process_error       ? process_error
                      : is_live(context) ? push(context)
                                         : CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuCtxPopCurrent(CUcontext *context)
{
    if (!depth)
        return CUDA_ERROR_INVALID_CONTEXT;
    depth--;
    if (context)
        *context = stack[depth];
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context)
{
    if (depth)
        depth--;
    return context ? cuCtxPushCurrent(context) : CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
    *context = depth ? stack[depth - 1] : NULL;
    return initialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result)
        *device = context->device;
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version)
{
    (void)context;
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result)
        result = check_captures();
    if (!result) {
        WAIT_UNTIL(is_idle(context) || context->error || context->dead);
        result = current(&context);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    pthread_mutex_lock(&lock);
    CUresult result = check_device(device);
    if (!result && primary[device])
        primary[device]->usage++;
    else if (!result)
        primary[device] = make_context(device);
    if (!result)
        *context = primary[device];
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    pthread_mutex_lock(&lock);
    CUresult result = check_device(device);
    if (!result && !primary[device])
        result = CUDA_ERROR_INVALID_CONTEXT;
    if (!result && --primary[device]->usage == 0) {
        destroy(primary[device]);
        primary[device] = NULL;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- device memory ---- */

static size_t allocated(CUdevice device)
{
    size_t sum = 0;
    for (block *each = blocks; each; each = each->next)
        if (device < 0 || each->context->device == device)
            sum += each->size;
    return sum;
}

bool device_range(CUcontext context, const void *start, size_t size)
{
    const char *first = start;
    for (block *each = blocks; each; each = each->next)
        if (each->context == context && first >= each->start &&
            first < each->start + each->size && size <= (size_t)(each->start + each->size - first))
            return true;
    return false;
}

CUresult cuMemGetInfo(size_t *left, size_t *total)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result) {
        size_t used = allocated(context->device);
        *total = (size_t)settings[MEMORY_MIB] << 20;
        *left = used < *total ? *total - used : 0;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static CUresult allocate(CUcontext context, CUdeviceptr *start, size_t size)
{
    size_t used = allocated(context->device), total = (size_t)settings[MEMORY_MIB] << 20;
    void *memory;
    if (!size)
        return CUDA_ERROR_INVALID_VALUE;
    if (used > total || size > total - used || posix_memalign(&memory, 512, size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    block *fresh = malloc(sizeof *fresh);
    *fresh = (block){.next = blocks, .context = context, .start = memory, .size = size};
    blocks = fresh;
    memset(memory, FRESH, size);
    counters[ALLOCATIONS_TOTAL]++;
    *start = (CUdeviceptr)memory;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *start, size_t size)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result)
        result = check_captures();
    if (!result)
        result = allocate(context, start, size);
    pthread_mutex_unlock(&lock);
    return result;
}

static block **find_block(CUcontext context, CUdeviceptr start)
{
    block **link = &blocks;
    while (*link && ((*link)->start != (char *)start || (*link)->context != context))
        link = &(*link)->next;
    return link;
}

/* Waits for all work of the context, as CUDA does. */
CUresult cuMemFree(CUdeviceptr start)
{
    CUcontext context;
    if (!start)
        return CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result)
        result = check_captures();
    if (!result) {
        WAIT_UNTIL(is_idle(context) || context->error || context->dead);
        result = current(&context);
    }
    if (!result && !*find_block(context, start))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        free_block(find_block(context, start));
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- page-locked host memory ---- */

bool host_range_locked(const void *start, size_t size)
{
    const char *first = start;
    for (pin *each = pins; each; each = each->next)
        if (first >= each->start && first + size <= each->start + each->size)
            return true;
    return false;
}

static void add_pin(CUcontext context, char *start, size_t size, char *given)
{
    pin *fresh = malloc(sizeof *fresh);
    *fresh = (pin){pins, context, start, given ? given : start, size, !given};
    pins = fresh;
}

CUresult cuMemHostRegister(void *given, size_t size, unsigned flags)
{
    (void)flags;
    CUcontext context;
    char *start = (char *)((uintptr_t)given & ~(PAGE - 1));
    char *end = (char *)(((uintptr_t)given + size + PAGE - 1) & ~(PAGE - 1));
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result)
        result = check_captures();
    if (!result && (!given || !size))
        result = CUDA_ERROR_INVALID_VALUE;
    for (pin *each = pins; each && !result; each = each->next)
        if (start < each->start + each->size && end > each->start)
            result = CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    if (!result)
        add_pin(context, start, (size_t)(end - start), given);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemHostAlloc(void **start, size_t size, unsigned flags)
{
    (void)flags;
    CUcontext context;
    size_t rounded = (size + PAGE - 1) & ~(PAGE - 1);
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result && !size)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result) {
        int kind = MAP_PRIVATE | MAP_ANONYMOUS;
        *start = mmap(NULL, rounded, PROT_READ | PROT_WRITE, kind, -1, 0);
        result = *start == MAP_FAILED ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    }
    if (!result)
        add_pin(context, *start, rounded, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

static CUresult release_pin(char *given, bool owned)
{
    CUcontext context;
    pin **link = &pins;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    while (*link && ((*link)->given != given || (*link)->owned != owned))
        link = &(*link)->next;
    if (!result && !*link)
        result = owned ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (!result) {
        /* CUDA does not promise to wait here: memory that a copy still uses is lost to it. */
        if (uses_host_range((*link)->context, (*link)->start, (*link)->size))
            fault((*link)->context, CUDA_ERROR_ILLEGAL_ADDRESS);
        free_pin(link);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemHostUnregister(void *given)
{
    return release_pin(given, false);
}

CUresult cuMemFreeHost(void *start)
{
    return release_pin(start, true);
}

/* ---- errors ---- */

#define ERRORS(each)                                                                        \
    each(CUDA_SUCCESS, "no error")                                                          \
    each(CUDA_ERROR_INVALID_VALUE, "invalid argument")                                      \
    each(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")                                         \
    each(CUDA_ERROR_NOT_INITIALIZED, "initialization error")                                \
    each(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected")                        \
    each(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal")                               \
    each(CUDA_ERROR_INVALID_CONTEXT, "invalid device context")                              \
    each(CUDA_ERROR_ECC_UNCORRECTABLE, "uncorrectable ECC error encountered")               \
    each(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle")                              \
    each(CUDA_ERROR_NOT_READY, "device not ready")                                          \
    each(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered")            \
    each(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch timed out and was terminated")              \
    each(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed")                           \
    each(CUDA_ERROR_ILLEGAL_INSTRUCTION, "an illegal instruction was encountered")          \
    each(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address")                               \
    each(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,                                             \
         "operation not permitted when stream is capturing")                                \
    each(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,                                             \
         "operation failed due to a previous error during capture")                         \
    each(CUDA_ERROR_STREAM_CAPTURE_ISOLATION,                                               \
         "dependency created on uncaptured work in another stream")                         \
    each(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,                                                \
         "operation would make the legacy stream depend on a capturing blocking stream")    \
    each(CUDA_ERROR_CAPTURED_EVENT,                                                         \
         "operation not permitted on an event last recorded in a capturing stream")         \
    each(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD,                                            \
         "attempt to terminate a thread-local capture sequence from another thread")        \
    each(CUDA_ERROR_ILLEGAL_STATE,                                                          \
         "the operation cannot be performed in the present state")                          \
    each(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED,                                         \
         "part or all of the requested memory range is already mapped")                     \
    each(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED,                                             \
         "pointer does not correspond to a registered memory region")                       \
    each(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure")                            \
    each(CUDA_ERROR_NOT_SUPPORTED, "operation not supported")                               \
    each(CUDA_ERROR_UNKNOWN, "unknown error")

#define NAME_CASE(error, text) \
    case error:                \
        *name = #error;        \
        return CUDA_SUCCESS;

#define TEXT_CASE(error, sentence) \
    case error:                    \
        *text = sentence;          \
        return CUDA_SUCCESS;

CUresult cuGetErrorName(CUresult error, const char **name)
{
    switch ((int)error) {
        ERRORS(NAME_CASE)
    default:
        *name = NULL;
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    switch ((int)error) {
        ERRORS(TEXT_CASE)
    default:
        *text = "unrecognized error code";
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- for the tests ---- */

/* Frees what a library's object held. A real library frees it too, in whatever context is current
 * when its object goes: a mistake where that is another one, or where the context is gone. */
CUresult sim_free(CUcontext owner, CUdeviceptr start)
{
    if (depth && stack[depth - 1] == owner && !owner->dead)
        return cuMemFree(start);
    pthread_mutex_lock(&lock);
    counters[LATE_FREES]++;
    pthread_mutex_unlock(&lock);
    return CUDA_ERROR_INVALID_CONTEXT;
}

static void free_orphaned_pins(void)
{
    for (pin **link = &pins; *link;)
        if (!is_live((*link)->context))
            free_pin(link);
        else
            link = &(*link)->next;
}

/* Returns -1 where there is no such setting. */
int sim_set(const char *name, long value)
{
    static const char *names[SETTINGS] = {"copy_us_per_mib", "kernel_us", "memory_mib",
                                          "capability", "devices",
                                          "launch_us", "graph_us", "faults_stay",
                                          "uncapturable", "pins_stay"};
    for (int index = 0; index < SETTINGS; index++)
        if (!strcmp(name, names[index])) {
            bool fits = value >= 0 && (index != DEVICES || value <= DEVICES_MAX);
            pthread_mutex_lock(&lock);
            settings[index] = fits ? value : settings[index];
            if (index == FAULTS_STAY) /* in a broken process nothing can be freed in time */
                process_error = counters[LATE_FREES] = 0;
            if (index == PINS_STAY && !value)
                free_orphaned_pins();
            pthread_mutex_unlock(&lock);
            return fits ? 0 : -1;
        }
    return -1;
}

static long count(const char *name)
{
    static const char *names[COUNTERS] = {"allocations_total", "copies_dtoh", "copies_htod",
                                          "launches",          "pageable_copies", "faults",
                                          "late_frees",        "captures",
                                          "graph_launches"};
    long found = 0;
    for (int index = 0; index < COUNTERS; index++)
        if (!strcmp(name, names[index]))
            return counters[index];
    if (!strcmp(name, "contexts"))
        for (CUcontext each = contexts; each; each = each->next)
            found++;
    else if (!strcmp(name, "allocations"))
        for (block *each = blocks; each; each = each->next)
            found++;
    else if (!strcmp(name, "host_pins"))
        for (pin *each = pins; each; each = each->next)
            found++;
    else if (!strcmp(name, "allocated_bytes"))
        found = (long)allocated(-1);
    else if (!strcmp(name, "streams"))
        found = count_streams();
    else if (!strcmp(name, "events"))
        found = count_events();
    else if (!strcmp(name, "graphs"))
        found = count_graphs();
    else
        found = -1;
    return found;
}

/* Returns -1 where there is no such count. */
long sim_stat(const char *name)
{
    pthread_mutex_lock(&lock);
    long found = count(name);
    pthread_mutex_unlock(&lock);
    return found;
}
