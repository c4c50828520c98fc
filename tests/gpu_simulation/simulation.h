/* What the parts of the simulated GPU share: its objects, and the one lock that guards them. */
#pragma once

#include <cuda.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define DEVICES_MAX 8

enum kind { COPY_UP, COPY_DOWN, COPY_ACROSS, FILL, RECORD, WAIT, KERNEL };

typedef struct operation {
    struct operation *next;
    enum kind kind;
    unsigned long sequence; /* within the context: the order in which work was given to it */
    CUresult injected;      /* by sim_fail: what this operation ends with */
    char *to;
    const char *from;
    size_t size;
    unsigned value;       /* that FILL writes, */
    unsigned value_bytes; /* as a number of so many bytes */
    bool page_locked;     /* its host memory was, when it was enqueued */
    CUevent event;
    unsigned long ticket; /* which of the event's records is made, or waited for */
    void (*kernel)(void *);
    void *argument;
} operation;

struct CUctx_st {
    CUcontext next;
    CUdevice device;
    unsigned usage; /* cuCtxAttach and cuCtxDetach count */
    bool dead;
    CUresult error; /* sticky: once set, every call returns it until the context is destroyed */
    unsigned long sequence;
    int workers;
    CUstream streams, legacy; /* legacy: the stream that callers name 0; in the list once used */
};

struct CUstream_st {
    CUstream next;
    CUcontext context;
    bool blocking; /* takes turns with the legacy stream */
    bool closing;
    operation *first, *last; /* the first one is running */
    CUgraph capture;         /* that records what the stream is given; NULL: it runs */
    CUstreamCaptureMode capture_mode;
    pthread_t capture_thread;
    bool capture_broken;
};

struct CUevent_st {
    CUevent next;
    CUcontext context;
    unsigned flags;
    unsigned long recorded, done; /* the newest record enqueued, and reached */
    double time_ms;
    int users; /* operations that will still touch it, and its owner */
    CUgraph capture; /* in which it was recorded last; NULL: in none */
};

/* One lock for everything: no call holds it for long, and no order of locks can go wrong. */
extern pthread_mutex_t lock;

enum setting {
    COPY_US_PER_MIB,
    KERNEL_US,
    MEMORY_MIB,
    CAPABILITY,
    DEVICES,
    LAUNCH_US,   /* that a caller spends on a kernel, */
    GRAPH_US,    /* and on a graph of kernels */
    FAULTS_STAY, /* 1: a fault breaks the process: new contexts fail with it, too */
    UNCAPTURABLE, /* 1: kernels cannot be captured, as those of a plan with branches */
    PINS_STAY,   /* 1: the end of a context leaves its host memory locked */
    SETTINGS
};
extern long settings[SETTINGS];

enum counter {
    ALLOCATIONS_TOTAL,
    COPIES_DOWN,
    COPIES_UP,
    LAUNCHES,
    PAGEABLE_COPIES,
    FAULTS,
    LATE_FREES,
    CAPTURES,
    GRAPH_LAUNCHES,
    COUNTERS
};
extern long counters[COUNTERS];

/* Of libcuda.c. */
extern CUcontext contexts;
CUresult current(CUcontext *context);
bool device_range(CUcontext context, const void *start, size_t size);
bool host_range_locked(const void *start, size_t size);
extern CUresult process_error; /* with FAULTS_STAY: what every call fails with */

/* Of streams.c; all are called with the lock held, and hold it when they return. */
void fault(CUcontext context, CUresult error);
void announce(void);
void wait_for_change(void);
bool is_idle(CUcontext context);
bool uses_host_range(CUcontext context, const char *start, size_t size);
void stop_streams(CUcontext context);
CUstream find_stream(CUcontext context, CUstream handle);
void enqueue(CUstream stream, operation work);
long count_streams(void);
long count_events(void);

CUresult sim_launch(CUstream stream, void (*kernel)(void *), void *argument);
void sim_pause(void);
void spend(enum setting us); /* alone without the lock */

/* Of graphs.c; with the lock held. */
CUresult break_capture(CUstream stream, CUresult error);
CUresult record(CUstream stream, operation work);
CUresult check_captures(void);
CUresult check_legacy(CUcontext context);
void free_graphs(CUcontext context);
long count_graphs(void);

#define WAIT_UNTIL(condition) \
    while (!(condition))      \
    wait_for_change()
