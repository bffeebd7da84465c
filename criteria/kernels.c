/* One pass through memory where torch's operations take several. kernels.py compiles this and says why.

   Every rounding is written out, fmaf where torch multiplies and adds at once: results are torch's, bit for bit. */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* torch.lerp. */
static inline float lerp(float start, float end, float weight)
{
    return weight < 0.5f ? fmaf(weight, end - start, start) : fmaf(weight - 1.0f, end - start, end);
}

/* Entries of a vector that are taken together: what a window's end reads stays in the cache for what comes after it. */
enum { BLOCK = 4096 };

/* What a step does to the statistics of a smoothed criterion, M, A and U of smoothing.py. A is NULL where no window closes, U also
   where there is none. */
typedef struct {
    float *mean, *average, *spread;
    float eta, share, fresh, bonus;
} Fold;

/* A step of AdamW, as torch's fused one takes it:
       first <- first + fresh (g - first);  second <- old second + squared g^2
       theta <- decay theta - size first / (sqrt(second) / root + epsilon) */
typedef struct {
    float *first, *second;
    float fresh, old, squared, decay, size, root, epsilon;
} AdamW;

/* A <- A + fresh (M - A), and with that one U <- U + bonus (|M - A| - U). */
static void close_window(int n, const float *restrict mean, float *restrict average, float fresh, float *restrict spread,
                         float bonus)
{
    for (int i = 0; i < n; i++)
        average[i] = lerp(average[i], mean[i], fresh);
    if (spread)
        for (int i = 0; i < n; i++)
            spread[i] = lerp(spread[i], fabsf(mean[i] - average[i]), bonus);
}

/* M + share (|g (theta - eta g)| - M); a share of 1 forgets M. */
static inline float towards(float mean, float theta, float g, float eta, float share)
{
    float importance = fabsf(fmaf(-eta, g, theta) * g);
    return share < 1.0f ? lerp(mean, importance, share) : importance;
}

static void watch(int n, float eta, float share, const float *restrict theta, const float *restrict g, float *restrict mean)
{
    for (int i = 0; i < n; i++)
        mean[i] = towards(mean[i], theta[i], g[i], eta, share);
}

static void watch_and_move(int n, float eta, float share, float *restrict theta, const float *restrict g, float *restrict mean,
                           AdamW a, float *restrict first, float *restrict second)
{
    for (int i = 0; i < n; i++) {
        mean[i] = towards(mean[i], theta[i], g[i], eta, share);
        first[i] = lerp(first[i], g[i], a.fresh);
        second[i] = fmaf(a.squared * g[i], g[i], a.old * second[i]);
        theta[i] = a.decay * theta[i] - a.size * first[i] / (sqrtf(second[i]) / a.root + a.epsilon);
    }
}

/* One step of a smoothed criterion, and, unless `a` is NULL, after it the optimizer's. */
void observe(int64_t n, int threads, const Fold *f, float *theta, const float *g, const AdamW *a)
{
    #pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < n; i += BLOCK) {
        int size = n - i < BLOCK ? n - i : BLOCK;
        if (f->average)
            close_window(size, f->mean + i, f->average + i, f->fresh, f->spread ? f->spread + i : NULL, f->bonus);
        if (a)
            watch_and_move(size, f->eta, f->share, theta + i, g + i, f->mean + i, *a, a->first + i, a->second + i);
        else
            watch(size, f->eta, f->share, theta + i, g + i, f->mean + i);
    }
}

/* out <- values where kept, +0.0 elsewhere: as bits, whatever the value was. `out` may be `values`. */
void gate(int64_t n, int threads, const int32_t *values, const bool *kept, int32_t *out)
{
    #pragma omp parallel for simd num_threads(threads)
    for (int64_t i = 0; i < n; i++)
        out[i] = values[i] & -(int32_t)kept[i];
}

/* Values looked at together: the bits of a word say which of them lie between. */
enum { RUN = 32 };

/* keep[i] <- values[i] > low. Indices of the values between low and high, both excluded, go to `places`, in order: part p of the
   values has room for `room` of them from places[p * room] on, and found[p] says how many there are, -1 that they were too many,
   and then `keep` is not whole. */
void look(int64_t n, int parts, const float *restrict values, float low, float high, bool *restrict keep, int64_t room,
          int64_t *restrict places, int64_t *restrict found)
{
    #pragma omp parallel for num_threads(parts)
    for (int part = 0; part < parts; part++) {
        int64_t i = n / parts * part, to = part + 1 < parts ? n / parts * (part + 1) : n, count = 0;
        int64_t *mine = places + part * room;
        for (; i < to && count + RUN <= room; i += RUN) {
            int run = i + RUN < to ? RUN : to - i;
            uint32_t between = 0;
            for (int j = 0; j < run; j++)
                keep[i + j] = values[i + j] > low;
            for (int j = 0; j < run; j++)
                between |= (uint32_t)((values[i + j] > low) & (values[i + j] < high)) << j;
            for (; between; between &= between - 1)
                mine[count++] = i + __builtin_ctz(between);
        }
        found[part] = i < to ? -1 : count;
    }
}
