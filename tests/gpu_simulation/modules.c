/* Modules of the simulated GPU: a shared library of kernels that a C++ compiler has built.
 *
 * NAME_host runs a kernel, on an argument of NAME_size bytes, which is copied at the launch. */

#define _GNU_SOURCE
#include "simulation.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void kernel(const void *work, unsigned blocks, unsigned threads);

struct CUfunc_st {
    kernel *run;
    size_t size;
};

typedef struct launch { /* is never freed: a graph may run it at any time */
    kernel *run;
    unsigned blocks, threads;
    char work[];
} launch;

CUresult cuModuleLoad(CUmodule *module, const char *path)
{
    CUcontext context;
    pthread_mutex_lock(&lock);
    CUresult result = current(&context);
    pthread_mutex_unlock(&lock);
    if (!result)
        *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return result ? result : *module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

CUresult cuModuleUnload(CUmodule module)
{
    (void)module; /* stays: a graph may hold its kernels */
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    char symbol[100];
    snprintf(symbol, sizeof symbol, "%s_host", name);
    kernel *run = (kernel *)dlsym((void *)module, symbol);
    snprintf(symbol, sizeof symbol, "%s_size", name);
    const unsigned long *size = dlsym((void *)module, symbol);
    if (!run || !size)
        return CUDA_ERROR_NOT_FOUND;
    *function = malloc(sizeof **function);
    **function = (struct CUfunc_st){run, *size};
    return CUDA_SUCCESS;
}

static void run(void *argument)
{
    const launch *given = argument;
    given->run(given->work, given->blocks, given->threads);
    sim_pause();
}

CUresult cuLaunchKernel(CUfunction function, unsigned blocks, unsigned y, unsigned z,
                        unsigned threads, unsigned threads_y, unsigned threads_z, unsigned shared,
                        CUstream stream, void **arguments, void **extra)
{
    if (y != 1 || z != 1 || threads_y != 1 || threads_z != 1 || shared || extra)
        return CUDA_ERROR_NOT_SUPPORTED;
    launch *given = malloc(sizeof *given + function->size);
    *given = (launch){function->run, blocks, threads};
    memcpy(given->work, arguments[0], function->size);
    return sim_launch(stream, run, given);
}
