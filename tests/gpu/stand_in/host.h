/* Lets a C++ compiler build kernels.cu for the simulated GPU, which calls NAME_host. */
#include <algorithm>
#include <cmath>
#include <cstring>

#define __device__ static
#define __global__
using std::max;
using std::min;

static thread_local struct { int x; } blockIdx, blockDim, threadIdx;

static inline int __float_as_int(float value)
{
    int bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline void atomicAdd(float *at, float value)
{
    *at += value;
}

static inline void atomicMax(int *at, int value)
{
    *at = max(*at, value);
}

#define HOST_KERNEL(name)                                                                  \
    extern "C" const unsigned long name##_size = sizeof(Work);                             \
    extern "C" void name##_host(const void *work, unsigned blocks, unsigned threads)       \
    {                                                                                      \
        blockDim.x = (int)threads;                                                         \
        for (blockIdx.x = 0; blockIdx.x < (int)blocks; blockIdx.x++)                       \
            for (threadIdx.x = 0; threadIdx.x < (int)threads; threadIdx.x++)               \
                name(*(const Work *)work);                                                 \
    }
