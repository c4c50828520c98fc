/* Streams, events and copies of the simulated GPU: a worker thread per stream. */

#define _GNU_SOURCE
#include "simulation.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned long changes;
static CUevent events;
static bool engine_busy[2]; /* the copy engines, up and down */
static long fail_after;
static CUresult fail_error;
static _Thread_local CUcontext running; /* whose kernel this worker runs */

/* ---- waiting ---- */

void announce(void)
{
    changes++;
    pthread_cond_broadcast(&changed);
}

void fault(CUcontext context, CUresult error)
{
    if (!context->error) {
        context->error = error;
        counters[FAULTS]++;
        if (settings[FAULTS_STAY])
            process_error = error;
    }
    announce();
}

/* A kernel may be a Python function, so nobody may wait for one with Python's own lock in hand.
 * pycuda lets go of it in the calls that it knows to wait, but cuMemFree and cuCtxDetach do too. */
static void *release_python(void)
{
    int (*check)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Check");
    void *(*save)(void) = (void *(*)(void))dlsym(RTLD_DEFAULT, "PyEval_SaveThread");
    return check && save && check() ? save() : NULL;
}

static void retake_python(void *state)
{
    void (*restore)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "PyEval_RestoreThread");
    if (state)
        restore(state);
}

/* For callers of the API. Lets go of both locks; the change that it waits for may be another. */
void wait_for_change(void)
{
    unsigned long seen = changes;
    pthread_mutex_unlock(&lock);
    void *python = release_python();
    pthread_mutex_lock(&lock);
    while (changes == seen)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    retake_python(python); /* before our lock, as everybody takes them */
    pthread_mutex_lock(&lock);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void sleep_us(long us)
{
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    if (us > 0)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &left, NULL);
}

void spend(enum setting us)
{
    pthread_mutex_lock(&lock);
    long spent = settings[us];
    pthread_mutex_unlock(&lock);
    sleep_us(spent);
}

/* ---- the worker ---- */

static bool halted(CUcontext context)
{
    return context->dead || context->error;
}

static unsigned long oldest(CUstream stream)
{
    return stream->first ? stream->first->sequence : ULONG_MAX;
}

/* The legacy stream waits for all earlier work of blocking streams, and they wait for its own. */
static bool behind_others(CUstream stream, unsigned long sequence)
{
    CUcontext context = stream->context;
    if (!stream->blocking)
        return false;
    if (stream != context->legacy)
        return context->legacy && oldest(context->legacy) < sequence;
    for (CUstream other = context->streams; other; other = other->next)
        if (other->blocking && oldest(other) < sequence)
            return true;
    return false;
}

static void release_event(CUevent event)
{
    if (--event->users == 0)
        free(event);
}

static bool reachable(CUcontext context, const operation *work)
{
    bool to_device = work->kind != COPY_DOWN, from_device = work->kind != COPY_UP;
    if (work->kind == FILL)
        return device_range(context, work->to, work->size);
    return (!to_device || device_range(context, work->to, work->size)) &&
           (!from_device || device_range(context, work->from, work->size));
}

static void fill(char *to, size_t size, unsigned value, unsigned value_bytes)
{
    for (size_t done = 0; done + value_bytes <= size; done += value_bytes)
        memcpy(to + done, &value, value_bytes); /* little end first */
}

/* The first half is read when the copy begins and the second when it ends, and all is written then:
 * bytes that were not there yet, or not any more, or are looked for too early, are found out. */
static void transfer(const operation *work, long us)
{
    size_t half = work->size / 2;
    char *early = malloc(half + 1);
    memcpy(early, work->from, half);
    sleep_us(us);
    memmove(work->to + half, work->from + half, work->size - half);
    memcpy(work->to, early, half);
    free(early);
}

/* A copy engine takes the oldest of the copies that have come to the head of their streams. */
static bool is_next(CUcontext context, const operation *work)
{
    for (CUstream stream = context->streams; stream; stream = stream->next)
        if (stream->first && stream->first->kind == work->kind &&
            stream->first->sequence < work->sequence)
            return false;
    return true;
}

static void copy(CUcontext context, const operation *work)
{
    if (!reachable(context, work)) {
        fault(context, CUDA_ERROR_ILLEGAL_ADDRESS);
        return;
    }
    bool *busy = work->kind == COPY_UP     ? &engine_busy[0]
                 : work->kind == COPY_DOWN ? &engine_busy[1]
                                           : NULL;
    while (busy && (*busy || !is_next(context, work)) && !halted(context))
        pthread_cond_wait(&changed, &lock);
    if (halted(context))
        return;
    long us = busy ? (long)((double)settings[COPY_US_PER_MIB] * (double)work->size / (1 << 20)) : 0;
    if (busy)
        *busy = true;
    pthread_mutex_unlock(&lock);
    if (work->kind == FILL)
        fill(work->to, work->size, work->value, work->value_bytes);
    else
        transfer(work, us);
    pthread_mutex_lock(&lock);
    if (busy)
        *busy = false;
    counters[COPIES_UP] += work->kind == COPY_UP;
    counters[COPIES_DOWN] += work->kind == COPY_DOWN;
}

static void launch(CUcontext context, const operation *work)
{
    counters[LAUNCHES]++;
    pthread_mutex_unlock(&lock);
    running = context;
    work->kernel(work->argument);
    pthread_mutex_lock(&lock);
}

static void run(CUstream stream, operation *work)
{
    CUcontext context = stream->context;
    while (!halted(context) && (behind_others(stream, work->sequence) ||
                                (work->kind == WAIT && work->event->done < work->ticket)))
        pthread_cond_wait(&changed, &lock);
    if (halted(context))
        return;
    if (work->injected) {
        fault(context, work->injected);
    } else if (work->kind == RECORD) {
        if (work->event->done < work->ticket)
            work->event->done = work->ticket;
        work->event->time_ms = now_ms();
    } else if (work->kind == KERNEL) {
        launch(context, work);
    } else if (work->kind != WAIT) {
        copy(context, work);
    }
}

static void drop_first(CUstream stream)
{
    operation *work = stream->first;
    stream->first = work->next;
    if (!stream->first)
        stream->last = NULL;
    if (work->event)
        release_event(work->event);
    free(work);
    announce();
}

static void unlink_stream(CUstream stream)
{
    CUstream *link = &stream->context->streams;
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
}

static void *work_off(void *argument)
{
    CUstream stream = argument;
    CUcontext context = stream->context;
    pthread_mutex_lock(&lock);
    while (!context->dead) {
        if (stream->first) {
            run(stream, stream->first);
            drop_first(stream);
        } else if (stream->closing) {
            break;
        } else {
            pthread_cond_wait(&changed, &lock);
        }
    }
    while (stream->first)
        drop_first(stream);
    unlink_stream(stream);
    free(stream);
    context->workers--;
    announce();
    pthread_mutex_unlock(&lock);
    return NULL;
}

static CUstream make_stream(CUcontext context, bool blocking)
{
    pthread_t thread;
    CUstream stream = calloc(1, sizeof *stream);
    stream->context = context;
    stream->blocking = blocking;
    stream->next = context->streams;
    context->streams = stream;
    context->workers++;
    if (pthread_create(&thread, NULL, work_off, stream))
        abort(); /* a machine that has no thread left tells nothing about our code */
    pthread_detach(thread);
    return stream;
}

/* ---- queries ---- */

/* The stream that a caller means; NULL: the handle is not one of a live stream. */
CUstream find_stream(CUcontext context, CUstream handle)
{
    if (!handle || handle == CU_STREAM_LEGACY) {
        if (!context->legacy)
            context->legacy = make_stream(context, true);
        return context->legacy;
    }
    for (CUstream stream = context->streams; stream; stream = stream->next)
        if (stream == handle && !stream->closing)
            return stream;
    return NULL;
}

static CUevent *find_event(CUevent handle)
{
    CUevent *link = &events;
    while (*link && *link != handle)
        link = &(*link)->next;
    return link;
}

bool is_idle(CUcontext context)
{
    for (CUstream stream = context->streams; stream; stream = stream->next)
        if (stream->first)
            return false;
    return true;
}

static bool has_passed(CUcontext context, CUstream handle, unsigned long sequence)
{
    for (CUstream stream = context->streams; stream; stream = stream->next)
        if (stream == handle)
            return oldest(stream) > sequence;
    return true;
}

bool uses_host_range(CUcontext context, const char *start, size_t size)
{
    for (CUstream stream = context->streams; stream; stream = stream->next)
        for (operation *work = stream->first; work; work = work->next) {
            const char *host = work->kind == COPY_UP ? work->from : work->to;
            bool copies = work->kind == COPY_UP || work->kind == COPY_DOWN;
            if (copies && work->page_locked && host >= start && host < start + size)
                return true;
        }
    return false;
}

void stop_streams(CUcontext context)
{
    context->dead = true;
    announce();
    WAIT_UNTIL(context->workers == 0);
    context->legacy = NULL;
    for (CUevent *link = &events; *link;) {
        CUevent event = *link;
        if (event->context == context) {
            *link = event->next;
            release_event(event);
        } else {
            link = &event->next;
        }
    }
}

long count_streams(void)
{
    long count = 0;
    for (CUcontext context = contexts; context; context = context->next)
        for (CUstream stream = context->streams; stream; stream = stream->next)
            count += !stream->closing && stream != context->legacy;
    return count;
}

long count_events(void)
{
    long count = 0;
    for (CUevent event = events; event; event = event->next)
        count++;
    return count;
}

/* ---- work for streams ---- */

void enqueue(CUstream stream, operation work)
{
    CUcontext context = stream->context;
    operation *copy = malloc(sizeof *copy);
    bool can_fail = work.kind != RECORD && work.kind != WAIT;
    work.sequence = ++context->sequence;
    work.next = NULL; /* of a graph it has one */
    if (can_fail && fail_after > 0 && --fail_after == 0)
        work.injected = fail_error;
    *copy = work;
    if (stream->last)
        stream->last->next = copy;
    else
        stream->first = copy;
    stream->last = copy;
    announce();
}

/* Enqueue; with `wait`, also wait for it. */
static CUresult submit(CUstream handle, operation work, bool wait)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUstream stream = result ? NULL : find_stream(context, handle);
    if (!result && !stream)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result && stream == context->legacy)
        result = check_legacy(context);
    if (!result && wait && stream->capture)
        result = break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (!result && wait)
        result = check_captures();
    if (!result && work.size && stream->capture) {
        result = record(stream, work);
    } else if (!result && work.size) {
        enqueue(stream, work);
        unsigned long sequence = context->sequence;
        if (wait)
            WAIT_UNTIL(has_passed(context, stream, sequence) || halted(context));
        result = wait ? current(&context) : CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* CUDA stages what is not page-locked: the call ends no sooner than the copy. */
static CUresult submit_copy(CUstream stream, operation work, const void *host)
{
    pthread_mutex_lock(&lock);
    work.page_locked = host_range_locked(host, work.size);
    counters[PAGEABLE_COPIES] += !work.page_locked;
    pthread_mutex_unlock(&lock);
    return submit(stream, work, !work.page_locked);
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream)
{
    operation work = {.kind = COPY_UP, .to = (char *)to, .from = from, .size = size};
    return submit_copy(stream, work, from);
}

CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    operation work = {.kind = COPY_DOWN, .to = to, .from = (char *)from, .size = size};
    return submit_copy(stream, work, to);
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
    operation work = {.kind = COPY_ACROSS, .to = (char *)to, .from = (char *)from, .size = size};
    return submit(stream, work, false);
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t size)
{
    return submit(0, (operation){.kind = COPY_UP, .to = (char *)to, .from = from, .size = size}, true);
}

CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t size)
{
    operation work = {.kind = COPY_DOWN, .to = to, .from = (char *)from, .size = size};
    return submit(0, work, true);
}

CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    return cuMemcpyDtoDAsync(to, from, size, 0);
}

static CUresult set_memory(CUdeviceptr to, unsigned value, unsigned bytes, size_t n, CUstream stream)
{
    operation work = {.kind = FILL, .to = (char *)to, .size = n * bytes};
    work.value = value;
    work.value_bytes = bytes;
    return submit(stream, work, false);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream)
{
    return set_memory(to, value, 1, count, stream);
}

CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream)
{
    return set_memory(to, value, 2, count, stream);
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream)
{
    return set_memory(to, value, 4, count, stream);
}

CUresult cuMemsetD8(CUdeviceptr to, unsigned char value, size_t count)
{
    return set_memory(to, value, 1, count, 0);
}

CUresult cuMemsetD16(CUdeviceptr to, unsigned short value, size_t count)
{
    return set_memory(to, value, 2, count, 0);
}

CUresult cuMemsetD32(CUdeviceptr to, unsigned value, size_t count)
{
    return set_memory(to, value, 4, count, 0);
}

/* ---- streams ---- */

CUresult cuStreamCreate(CUstream *stream, unsigned flags)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result)
        *stream = make_stream(context, !(flags & CU_STREAM_NON_BLOCKING));
    pthread_mutex_unlock(&lock);
    return result;
}

enum demand { CLOSE, ASK, AWAIT };

static CUresult with_stream(CUstream handle, enum demand demand)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUstream stream = result ? NULL : find_stream(context, handle);
    if (!result && (!stream || (demand == CLOSE && stream == context->legacy)))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result && demand != CLOSE && stream->capture)
        result = break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (!result && demand != CLOSE && stream == context->legacy)
        result = check_legacy(context);
    if (!result && demand != CLOSE)
        result = check_captures();
    if (!result && demand == CLOSE) {
        stream->closing = true; /* what it holds is still done */
        announce();
    } else if (!result && demand == ASK) {
        result = stream->first ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
    } else if (!result) {
        unsigned long sequence = context->sequence;
        WAIT_UNTIL(has_passed(context, stream, sequence) || halted(context));
        result = current(&context);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuStreamDestroy(CUstream stream)
{
    return with_stream(stream, CLOSE);
}

CUresult cuStreamQuery(CUstream stream)
{
    return with_stream(stream, ASK);
}

CUresult cuStreamSynchronize(CUstream stream)
{
    return with_stream(stream, AWAIT);
}

/* ---- events ---- */

CUresult cuEventCreate(CUevent *event, unsigned flags)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result) {
        *event = calloc(1, sizeof **event);
        **event = (struct CUevent_st){.next = events, .context = context, .flags = flags, .users = 1};
        events = *event;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuEventDestroy(CUevent event)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUevent *link = find_event(event);
    if (!result && !*link)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result) {
        *link = event->next;
        release_event(event);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* Within a capture an event orders nothing: one stream is in order anyway. */
static CUresult capture_event(enum kind kind, CUevent event, CUstream stream)
{
    if (!stream->capture) /* would join the capture */
        return CUDA_ERROR_NOT_SUPPORTED;
    if (kind == RECORD)
        event->capture = stream->capture;
    else if (event->capture != stream->capture)
        return break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    return CUDA_SUCCESS;
}

static CUresult give_event(enum kind kind, CUevent event, CUstream handle)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUstream stream = result ? NULL : find_stream(context, handle);
    bool known = *find_event(event) && (kind == WAIT || event->context == context);
    if (!result && (!stream || !known))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result && (stream->capture || (kind == WAIT && event->capture))) {
        result = capture_event(kind, event, stream);
    } else if (!result && !(kind == WAIT && event->done >= event->recorded)) {
        event->capture = NULL;
        event->users++;
        event->recorded += kind == RECORD;
        enqueue(stream, (operation){.kind = kind, .event = event, .ticket = event->recorded});
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    return give_event(RECORD, event, stream);
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags)
{
    (void)flags;
    return give_event(WAIT, event, stream);
}

/* Whether the newest record is reached; after a wait, whether the one that was newest before is. */
static CUresult ask_event(CUevent event, bool wait)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    if (!result && !*find_event(event))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result && event->capture)
        result = CUDA_ERROR_CAPTURED_EVENT;
    if (!result)
        result = check_captures();
    if (!result) {
        unsigned long ticket = event->recorded;
        if (wait)
            WAIT_UNTIL(!*find_event(event) || event->done >= ticket || halted(context));
        result = current(&context);
        if (!result && !wait && event->done < ticket)
            result = CUDA_ERROR_NOT_READY;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuEventQuery(CUevent event)
{
    return ask_event(event, false);
}

CUresult cuEventSynchronize(CUevent event)
{
    return ask_event(event, true);
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    bool known = *find_event(start) && *find_event(end);
    if (!result && (!known || !start->recorded || !end->recorded ||
                    ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING)))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result && (start->done < start->recorded || end->done < end->recorded))
        result = CUDA_ERROR_NOT_READY;
    if (!result)
        *ms = (float)(end->time_ms - start->time_ms);
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- for the tests ---- */

/* Runs a function where a stream has come to it: a kernel. */
CUresult sim_launch(CUstream stream, void (*kernel)(void *), void *argument)
{
    operation work = {.kind = KERNEL, .size = 1, .kernel = kernel, .argument = argument};
    spend(LAUNCH_US);
    return submit(stream, work, false);
}

/* For kernels: whether all of it is device memory of the context that the kernel runs in. */
int sim_check(CUdeviceptr start, size_t size)
{
    pthread_mutex_lock(&lock);
    bool inside = running && device_range(running, (const void *)start, size);
    pthread_mutex_unlock(&lock);
    return inside;
}

/* For kernels: the context that the kernel runs in fails. */
void sim_fault(int error)
{
    pthread_mutex_lock(&lock);
    if (running)
        fault(running, (CUresult)error);
    pthread_mutex_unlock(&lock);
}

/* For kernels: takes the time that kernels are set to take. */
void sim_pause(void)
{
    spend(KERNEL_US);
}

/* The after-th copy, fill or launch from now on fails; 0: none. */
void sim_fail(int error, int after)
{
    pthread_mutex_lock(&lock);
    fail_error = (CUresult)error;
    fail_after = after;
    pthread_mutex_unlock(&lock);
}
