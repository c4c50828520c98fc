/* CUDA graphs of the simulated GPU: a stream that captures records its work, which is run later.
 *
 * What would break a capture on a real device breaks it here: a call that waits or allocates, the
 * legacy stream beside a blocking one, a dependency on work outside of the capture. A capture of
 * several streams is not simulated. */

#include "simulation.h"

#include <stdlib.h>

struct CUgraph_st { /* also what CUgraphExec points to */
    CUgraph next;
    CUcontext context;
    bool executable;
    operation *first, *last;
};

static CUgraph graphs;
static _Thread_local CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

static CUgraph make_graph(CUcontext context, bool executable)
{
    CUgraph graph = calloc(1, sizeof *graph);
    *graph = (struct CUgraph_st){.next = graphs, .context = context, .executable = executable};
    return graphs = graph;
}

static void append(CUgraph graph, operation work)
{
    operation *copy = malloc(sizeof *copy);
    work.next = NULL;
    *copy = work;
    if (graph->last)
        graph->last->next = copy;
    else
        graph->first = copy;
    graph->last = copy;
}

static CUgraph *find_graph(void *handle, bool executable)
{
    CUgraph *link = &graphs;
    while (*link && ((void *)*link != handle || (*link)->executable != executable))
        link = &(*link)->next;
    return link;
}

static void free_graph(CUgraph *link)
{
    CUgraph gone = *link;
    *link = gone->next;
    while (gone->first) {
        operation *work = gone->first;
        gone->first = work->next;
        free(work);
    }
    free(gone);
}

void free_graphs(CUcontext context)
{
    for (CUgraph *link = &graphs; *link;)
        if ((*link)->context == context)
            free_graph(link);
        else
            link = &(*link)->next;
}

long count_graphs(void)
{
    long count = 0;
    for (CUgraph graph = graphs; graph; graph = graph->next)
        count++;
    return count;
}

/* ---- while a stream captures ---- */

CUresult break_capture(CUstream stream, CUresult error)
{
    stream->capture_broken = true;
    return error;
}

CUresult record(CUstream stream, operation work)
{
    if (work.kind == KERNEL && settings[UNCAPTURABLE])
        return break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (stream->capture_broken)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    append(stream->capture, work);
    return CUDA_SUCCESS;
}

/* For calls that wait, ask or allocate: whether a capture forbids them, which then is broken. */
CUresult check_captures(void)
{
    CUresult result = CUDA_SUCCESS;
    for (CUcontext context = contexts; context; context = context->next)
        for (CUstream stream = context->streams; stream; stream = stream->next) {
            bool own = stream->capture && pthread_equal(stream->capture_thread, pthread_self());
            bool global = stream->capture_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
            bool forbids = own ? stream->capture_mode != CU_STREAM_CAPTURE_MODE_RELAXED
                               : global && thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
            if (stream->capture && forbids && thread_mode != CU_STREAM_CAPTURE_MODE_RELAXED)
                result = break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        }
    return result;
}

/* The legacy stream would have to wait for a blocking stream that captures. */
CUresult check_legacy(CUcontext context)
{
    CUresult result = CUDA_SUCCESS;
    for (CUstream stream = context->streams; stream; stream = stream->next)
        if (stream->capture && stream->blocking)
            result = break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    return result;
}

/* ---- the API ---- */

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    CUstreamCaptureMode before = thread_mode;
    thread_mode = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUstream stream = result ? NULL : find_stream(context, handle);
    if (!result && (!stream || stream == context->legacy))
        result = stream ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_ERROR_INVALID_HANDLE;
    if (!result && stream->capture)
        result = CUDA_ERROR_ILLEGAL_STATE;
    if (!result) {
        stream->capture = make_graph(context, false);
        stream->capture_mode = mode;
        stream->capture_thread = pthread_self();
        stream->capture_broken = false;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUstream stream = result ? NULL : find_stream(context, handle);
    *graph = NULL;
    if (!result && !stream)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result && !stream->capture)
        result = CUDA_ERROR_ILLEGAL_STATE;
    if (!result && stream->capture_mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
        !pthread_equal(stream->capture_thread, pthread_self()))
        result = break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    else if (!result && stream->capture_broken)
        result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!result) {
        *graph = stream->capture;
        counters[CAPTURES]++;
    } else if (result == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED) {
        free_graph(find_graph(stream->capture, false));
    }
    if (!result || result == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
        stream->capture = NULL;
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUstream stream = result ? NULL : find_stream(context, handle);
    if (!result && !stream)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result)
        *status = !stream->capture         ? CU_STREAM_CAPTURE_STATUS_NONE
                  : stream->capture_broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                           : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuGraphInstantiate(CUgraphExec *executable, CUgraph handle, unsigned long long flags)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUgraph source = *find_graph(handle, false);
    if (!result && (!source || flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result) {
        CUgraph copy = make_graph(source->context, true);
        for (operation *work = source->first; work; work = work->next)
            append(copy, *work);
        *executable = (CUgraphExec)copy;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle)
{
    CUcontext context;
    spend(GRAPH_US);
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    CUgraph graph = *find_graph(handle, true);
    CUstream stream = result ? NULL : find_stream(context, stream_handle);
    if (!result && (!graph || !stream || graph->context != context))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result && stream->capture)
        result = break_capture(stream, CUDA_ERROR_NOT_SUPPORTED);
    for (operation *work = result ? NULL : graph->first; work; work = work->next)
        enqueue(stream, *work);
    counters[GRAPH_LAUNCHES] += !result;
    pthread_mutex_unlock(&lock);
    return result;
}

static CUresult destroy_graph(void *handle, bool executable)
{
    pthread_mutex_lock(&lock);
    CUgraph *link = find_graph(handle, executable);
    CUresult result = *link ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (!result)
        free_graph(link);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuGraphDestroy(CUgraph graph)
{
    return destroy_graph(graph, false);
}

CUresult cuGraphExecDestroy(CUgraphExec executable)
{
    return destroy_graph(executable, true);
}
