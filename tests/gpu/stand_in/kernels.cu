// The inspection graph of the tests' tiny model, for cards without TensorRT.
//
// A 5x5 convolution over the frame at half its size, a sigmoid, enlarged to the frame and compared
// with the thresholds: what tests/gpu/conftest.py builds, and nothing else.

#define CLASSES 2
#define TAPS 5

struct Work {  // as stand_in_runtime.py packs it
    const unsigned char *frames;  // [n, lines, pixels]
    const float *thresholds;      // [classes]
    float *planes;                // scratch [n, classes, lines / 2, pixels / 2]
    unsigned char *mask;          // [n, lines, pixels]
    float *area, *peak;           // [n, classes]
    unsigned char *prob;          // [n, classes, lines, pixels]
    float weights[CLASSES * TAPS * TAPS];
    float gain, bias;
    int n, lines, pixels;
};

__device__ float brightness(const Work &work, int frame, int y, int x)
{
    int h = work.lines / 2, w = work.pixels / 2;
    if (y < 0 || x < 0 || y >= h || x >= w)
        return 0;  // the convolution pads with zeros
    const unsigned char *at = work.frames + ((long)frame * work.lines + 2 * y) * work.pixels + 2 * x;
    float sum = (float)at[0] + at[1] + at[work.pixels] + at[work.pixels + 1];
    return sum / 4 * work.gain + work.bias;
}

extern "C" __global__ void probabilities(Work work)
{
    int h = work.lines / 2, w = work.pixels / 2;
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= work.n * CLASSES * h * w)
        return;
    int x = index % w, y = index / w % h, plane = index / (w * h);
    if (!x && !y)
        work.area[plane] = work.peak[plane] = 0;
    float sum = 0;
    for (int dy = 0; dy < TAPS; dy++)
        for (int dx = 0; dx < TAPS; dx++)
            sum += work.weights[(plane % CLASSES * TAPS + dy) * TAPS + dx] *
                   brightness(work, plane / CLASSES, y + dy - TAPS / 2, x + dx - TAPS / 2);
    work.planes[index] = 1 / (1 + expf(-sum));
}

extern "C" __global__ void results(Work work)
{
    int h = work.lines / 2, w = work.pixels / 2;
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= work.n * work.lines * work.pixels)
        return;
    int x = index % work.pixels, y = index / work.pixels % work.lines;
    int frame = index / (work.pixels * work.lines);
    // Pixel centres at halves: three quarters of the nearer pixel; edges are repeated.
    int near_y = y / 2, far_y = min(max(y % 2 ? near_y + 1 : near_y - 1, 0), h - 1);
    int near_x = x / 2, far_x = min(max(x % 2 ? near_x + 1 : near_x - 1, 0), w - 1);
    unsigned bits = 0;
    for (int c = 0; c < CLASSES; c++) {
        int sums = frame * CLASSES + c;
        const float *plane = work.planes + (long)sums * h * w;
        float upper = .75f * plane[near_y * w + near_x] + .25f * plane[near_y * w + far_x];
        float lower = .75f * plane[far_y * w + near_x] + .25f * plane[far_y * w + far_x];
        float value = .75f * upper + .25f * lower;
        if (value >= work.thresholds[c]) {
            bits |= 1u << c;
            atomicAdd(work.area + sums, 1.f);
        }
        atomicMax((int *)work.peak + sums, __float_as_int(value));  // none is below 0
        work.prob[((long)sums * work.lines + y) * work.pixels + x] = rintf(value * 255);
    }
    work.mask[index] = bits;
}
