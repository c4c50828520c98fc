/* Findings of frames: components of their classes, measured, with both encodings of their masks.
 *
 * The same bits as find_defects_of_frames (inspect/findings.py) and encode_masks (wire/rle.py),
 * which are its reference and take over where it says TOO_MANY. It allocates nothing: all memory
 * is the caller's, so that its cost and its memory are bounded.
 */
#include <stdint.h>
#include <string.h>

enum { CLASSES_MAX = 8, TOO_MANY = -1, BLOCK_PX = 2, SIDE_MAX = 65536 };
enum { SEVERSTAL_CHARS_MAX = 22, COCO_CHARS_MAX = 14 }; /* of a run, and of the end of a mask */

typedef struct {
    int64_t bit, x, y, width, height, area;
    int64_t origin_x, origin_y;   /* from which the sums count */
    int64_t sum_x, sum_y;         /* of its pixels */
    int64_t prob_sum, prob_max;   /* of its pixels, 0 to 255 each */
    int64_t first_run, runs;      /* in run_starts and run_lengths */
    int64_t severstal, coco;      /* where its text ends; it begins where the one before ends */
    int64_t top, bottom;          /* likewise, in pairs of pixels */
    int64_t block;                /* rank of its first block, within its columns */
} Component;

typedef struct {
    int32_t bit, x, first, end; /* column; first line, and one past the last */
} Run;

typedef struct {
    int32_t runs_max, components_max;
    int32_t *open;       /* [CLASSES_MAX * pixels]: first line of the run that is not over yet */
    int32_t *counts;     /* [CLASSES_MAX * pixels + 1] */
    Run *unsorted, *run; /* [runs_max] */
    int32_t *parent;     /* [runs_max], and then the number of the run's component */
    int32_t *place, *order; /* [components_max] */
    Component *component;   /* [components_max] */
    int64_t *run_starts, *run_lengths; /* [runs_max] */
    int32_t *top, *bottom;             /* [2 * runs_max] */
    char *severstal;                   /* [SEVERSTAL_CHARS_MAX * runs_max] */
    char *coco;                        /* [COCO_CHARS_MAX * (runs_max + components_max)] */
} Memory;

typedef struct {
    const uint8_t *mask, *prob;
    int64_t lines, pixels, mask_stride, prob_stride, prob_class_stride;
    int64_t wanted;                   /* bits to look at */
    int64_t min_area[CLASSES_MAX];    /* by bit */
    int64_t defects_max;              /* of a bit */
} Frame;

enum { BLOCK_BYTES = 64 };

/* Whether two lines are equal in a whole block; without branches, so that it becomes a few wide
 * instructions: nearly all of a frame passes through here. */
static int is_equal(const uint8_t *a, const uint8_t *b)
{
    uint8_t differences = 0;
    for (int i = 0; i < BLOCK_BYTES; i++)
        differences |= a[i] ^ b[i];
    return !differences;
}

/* The runs down the columns, in the order in which they end; TOO_MANY or their number. */
static int32_t find_runs(const Frame *frame, const Memory *memory, const uint8_t *empty)
{
    const uint8_t *above = empty;
    const int64_t pixels = frame->pixels;
    const uint8_t wanted = (uint8_t)frame->wanted;
    int32_t count = 0;
    for (int64_t y = 0; y <= frame->lines; y++) {
        const uint8_t *line = y < frame->lines ? frame->mask + y * frame->mask_stride : empty;
        for (int64_t x0 = 0; x0 < pixels; x0 += BLOCK_BYTES) {
            const int64_t left = pixels - x0;
            const int64_t width = left < BLOCK_BYTES ? left : BLOCK_BYTES;
            if (width == BLOCK_BYTES && is_equal(line + x0, above + x0))
                continue;
            for (int64_t x = x0; x < x0 + width; x++) {
                unsigned changed = (line[x] ^ above[x]) & wanted;
                while (changed) {
                    const int bit = __builtin_ctz(changed);
                    changed &= changed - 1;
                    int32_t *open = memory->open + bit * pixels + x;
                    if (line[x] >> bit & 1) {
                        *open = (int32_t)y;
                        continue;
                    }
                    if (count == memory->runs_max)
                        return TOO_MANY;
                    memory->unsorted[count++] = (Run){bit, (int32_t)x, *open, (int32_t)y};
                }
            }
        }
        above = line;
    }
    return count;
}

/* Sort runs by bit, column and line: those of a column already are in the order of their lines. */
static void sort_runs(const Memory *memory, int32_t count, int64_t pixels)
{
    int32_t *counts = memory->counts;
    memset(counts, 0, sizeof *counts * (size_t)(CLASSES_MAX * pixels + 1));
    for (int32_t i = 0; i < count; i++)
        counts[memory->unsorted[i].bit * pixels + memory->unsorted[i].x + 1]++;
    for (int64_t key = 0; key < CLASSES_MAX * pixels; key++)
        counts[key + 1] += counts[key];
    for (int32_t i = 0; i < count; i++) {
        const Run run = memory->unsorted[i];
        memory->run[counts[run.bit * pixels + run.x]++] = run;
    }
}

static int32_t root(int32_t *parent, int32_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* Join runs of neighbouring columns that touch, also by a corner; the smallest number is root. */
static void join_runs(const Memory *memory, int32_t count)
{
    const Run *run = memory->run;
    int32_t *parent = memory->parent, other = 0;
    for (int32_t i = 0; i < count; i++)
        parent[i] = i;
    for (int32_t i = 0; i < count; i++) {
        /* `other` is the first run of the column before that may touch this one. */
        while (other < i && (run[other].bit != run[i].bit || run[other].x < run[i].x - 1))
            other++;
        while (other < i && run[other].x == run[i].x - 1 && run[other].end < run[i].first)
            other++;
        for (int32_t j = other; j < i && run[j].x == run[i].x - 1 && run[j].first <= run[i].end;
             j++) {
            const int32_t a = root(parent, i), b = root(parent, j);
            if (a < b)
                parent[b] = a;
            else
                parent[a] = b;
        }
    }
}

static void add_run(Component *component, const Run *run, const Frame *frame)
{
    const int64_t length = run->end - run->first;
    const int64_t right = run->x + 1, bottom = run->end;
    const uint8_t *prob = frame->prob + run->bit * frame->prob_class_stride +
                          run->first * frame->prob_stride + run->x;
    if (run->x + 1 - component->x > component->width)
        component->width = right - component->x;
    if (run->first < component->y) {
        component->height += component->y - run->first;
        component->y = run->first;
    }
    if (bottom - component->y > component->height)
        component->height = bottom - component->y;
    component->area += length;
    component->runs++;
    component->sum_x += (run->x - component->origin_x) * length;
    component->sum_y += (run->first + run->end - 1) * length; /* twice; made whole later */
    for (int64_t i = 0; i < length; i++, prob += frame->prob_stride) {
        component->prob_sum += *prob;
        if (*prob > component->prob_max)
            component->prob_max = *prob;
    }
}

/* All components in the order of their first runs; TOO_MANY or their number. Afterwards `parent`
 * has the number of each run's component. */
static int32_t measure(const Frame *frame, const Memory *memory, int32_t count)
{
    const Run *run = memory->run;
    int32_t *parent = memory->parent, found = 0;
    int64_t left = 0; /* where the span of columns begins that hold the bit without a hole */
    for (int32_t i = 0; i < count; i++) {
        if (i == 0 || run[i].bit != run[i - 1].bit || run[i].x > run[i - 1].x + 1)
            left = run[i].x;
        if (parent[i] == i) {
            if (found == memory->components_max)
                return TOO_MANY;
            memory->component[found] = (Component){
                .bit = run[i].bit, .x = run[i].x, .y = run[i].first, .origin_x = left};
            parent[i] = found++;
        } else {
            parent[i] = parent[parent[i]]; /* roots come first, and have their number by now */
        }
        add_run(memory->component + parent[i], run + i, frame);
    }
    return found;
}

/* The rank of each component's first block of 2 x 2 pixels, counted from its bit's first line. */
static void rank(const Memory *memory, int32_t runs, int32_t found)
{
    Component *component = memory->component;
    int64_t top[CLASSES_MAX];
    for (int bit = 0; bit < CLASSES_MAX; bit++)
        top[bit] = SIDE_MAX;
    for (int32_t i = 0; i < found; i++)
        if (component[i].y < top[component[i].bit])
            top[component[i].bit] = component[i].y;
    for (int32_t i = 0; i < found; i++) {
        component[i].origin_y = top[component[i].bit];
        component[i].sum_y = (component[i].sum_y -
                              2 * component[i].origin_y * component[i].area) / 2;
        component[i].block = INT64_MAX;
    }
    for (int32_t i = 0; i < runs; i++) {
        const Run *run = memory->run + i;
        Component *own = component + memory->parent[i];
        const int64_t block = (run->first - own->origin_y) / BLOCK_PX * SIDE_MAX +
                              (run->x - own->origin_x) / BLOCK_PX;
        if (block < own->block)
            own->block = block;
    }
}

static int comes_before(const Component *a, const Component *b)
{
    if (a->bit != b->bit)
        return a->bit < b->bit;
    if (a->origin_x != b->origin_x)
        return a->origin_x < b->origin_x;
    return a->block < b->block;
}

/* Choose the components that are large enough: `order` gets their numbers in order, `place` the place
 * of each there, or -1. Returns how many, or TOO_MANY where a bit has more than `defects_max`. */
static int32_t keep(const Frame *frame, const Memory *memory, int32_t found)
{
    Component *component = memory->component;
    int32_t *order = memory->order, kept = 0;
    int64_t of_bit[CLASSES_MAX] = {0};
    for (int32_t i = 0; i < found; i++) {
        memory->place[i] = -1;
        if (component[i].area < frame->min_area[component[i].bit])
            continue;
        if (++of_bit[component[i].bit] > frame->defects_max)
            return TOO_MANY;
        int32_t j = kept++; /* they are nearly in order */
        for (; j > 0 && comes_before(component + i, component + order[j - 1]); j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    int32_t first = 0;
    for (int32_t j = 0; j < kept; j++) {
        memory->place[order[j]] = j;
        component[order[j]].first_run = first;
        first += (int32_t)component[order[j]].runs;
    }
    return kept;
}

/* Bring the runs of the kept components together, in `unsorted`, and the components in order. */
static void gather(const Memory *memory, int32_t runs, int32_t kept)
{
    Component *component = memory->component;
    const int32_t *order = memory->order;
    for (int32_t j = 0; j < kept; j++)
        component[order[j]].runs = 0;
    for (int32_t i = 0; i < runs; i++) {
        Component *own = component + memory->parent[i];
        if (memory->place[memory->parent[i]] >= 0)
            memory->unsorted[own->first_run + own->runs++] = memory->run[i];
    }
    for (int32_t j = 0; j < kept; j++) { /* a permutation, cycle by cycle, in place */
        int32_t from = order[j];
        while (from < j)
            from = order[from];
        const Component swapped = component[j];
        component[j] = component[from];
        component[from] = swapped;
    }
}

static char *write_number(char *text, int64_t number)
{
    char digits[20];
    int length = 0;
    do
        digits[length++] = (char)('0' + number % 10);
    while (number /= 10);
    while (length)
        *text++ = digits[--length];
    return text;
}

/* As rleToString of pycocotools' maskApi.c: 5 bits a character, the low ones first. */
static char *write_count(char *text, int64_t value)
{
    for (;;) {
        const int64_t bits = value & 31;
        value >>= 5;
        const int is_last = value == (bits & 16 ? -1 : 0);
        *text++ = (char)(48 + bits + (is_last ? 0 : 32));
        if (is_last)
            return text;
    }
}

/* Add a pixel of a line to its spans; `*spans` is the number of numbers written. */
static void add_to_spans(int32_t *span, int64_t *spans, int64_t begin, int32_t x)
{
    if (*spans > begin && span[*spans - 1] == x)
        span[*spans - 1] = x + 1;
    else {
        span[(*spans)++] = x;
        span[(*spans)++] = x + 1;
    }
}

typedef struct {
    char *severstal, *coco;
    int64_t top, bottom;
} Written;

/* The runs of a component, numbered down the columns of the frame, its texts and its seams. */
static void write_component(const Frame *frame, const Memory *memory, Component *own, Written *to)
{
    const Run *run = memory->unsorted + own->first_run;
    int64_t *starts = memory->run_starts + own->first_run;
    int64_t *lengths = memory->run_lengths + own->first_run;
    const int64_t count = own->runs, tops = to->top, bottoms = to->bottom;
    int64_t runs = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t start = run[i].x * frame->lines + run[i].first;
        if (run[i].first == 0)
            add_to_spans(memory->top, &to->top, tops, run[i].x);
        if (run[i].end == frame->lines)
            add_to_spans(memory->bottom, &to->bottom, bottoms, run[i].x);
        if (runs && starts[runs - 1] + lengths[runs - 1] == start)
            lengths[runs - 1] += run[i].end - run[i].first;
        else {
            starts[runs] = start;
            lengths[runs++] = run[i].end - run[i].first;
        }
    }
    int64_t end = 0, gap_before = 0, length_before = 0; /* COCO writes differences to them */
    for (int64_t i = 0; i < runs; i++) {
        if (i)
            *to->severstal++ = ' ';
        to->severstal = write_number(to->severstal, starts[i] + 1);
        *to->severstal++ = ' ';
        to->severstal = write_number(to->severstal, lengths[i]);
        const int64_t gap = starts[i] - end;
        to->coco = write_count(to->coco, i > 1 ? gap - gap_before : gap);
        to->coco = write_count(to->coco, i ? lengths[i] - length_before : lengths[i]);
        gap_before = gap;
        length_before = lengths[i];
        end = starts[i] + lengths[i];
    }
    const int64_t rest = frame->lines * frame->pixels - end;
    if (rest)
        to->coco = write_count(to->coco, runs > 1 ? rest - gap_before : rest);
    own->runs = runs;
    own->severstal = to->severstal - memory->severstal;
    own->coco = to->coco - memory->coco;
    own->top = to->top;
    own->bottom = to->bottom;
}

/* The number of a frame's defects, or TOO_MANY; then nothing else that was written counts. */
static int32_t find(const Frame *frame, const Memory *memory, const uint8_t *empty)
{
    const int32_t runs = find_runs(frame, memory, empty);
    if (runs <= 0)
        return runs;
    sort_runs(memory, runs, frame->pixels);
    join_runs(memory, runs);
    const int32_t found = measure(frame, memory, runs);
    if (found == TOO_MANY)
        return TOO_MANY;
    rank(memory, runs, found);
    const int32_t kept = keep(frame, memory, found);
    if (kept <= 0)
        return kept;
    gather(memory, runs, kept);
    Written to = {memory->severstal, memory->coco, 0, 0};
    for (int32_t j = 0; j < kept; j++)
        write_component(frame, memory, memory->component + j, &to);
    return kept;
}

/* Find the defects of frames.
 *
 * Each frame has a memory, of which what is written for the caller is its own: `component`,
 * `run_starts`, `run_lengths`, `top`, `bottom`, `severstal` and `coco`. The rest may be shared.
 * `empty` is a line of `pixels` zeros. Writes the number of each frame's defects to `found`, or
 * TOO_MANY where a limit of the memory or of the frame is passed.
 * The 2 in its name goes up with every change of the structures above, of which finder.py has
 * copies, or of its arguments: a library of another version is not taken for this one.
 */
void stripwatch_findings_2(const Frame *frame, const Memory *memory, const uint8_t *empty,
                           int32_t *found, int32_t frames)
{
    for (int32_t i = 0; i < frames; i++)
        found[i] = find(frame + i, memory + i, empty);
}
