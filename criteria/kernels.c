/* One pass through memory where torch's operations take several. kernels.py compiles this and says why.

   Every rounding is written out, fmaf where torch multiplies and adds at once: results are torch's, bit for bit. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* torch.lerp. */
static inline float lerp(float start, float end, float weight)
{
    return weight < 0.5f ? fmaf(weight, end - start, start) : fmaf(weight - 1.0f, end - start, end);
}

/* mean <- mean + share (|g (theta - eta g)| - mean); a share of 1 forgets the mean. */
void observe(int64_t n, int threads, const float *restrict theta, const float *restrict g, float eta, float share,
             float *restrict mean)
{
    #pragma omp parallel for simd num_threads(threads)
    for (int64_t i = 0; i < n; i++) {
        float importance = fabsf(fmaf(-eta, g[i], theta[i]) * g[i]);
        mean[i] = share < 1.0f ? lerp(mean[i], importance, share) : importance;
    }
}

/* average <- average + fresh (mean - average), and with that one spread <- spread + bonus (|mean - average| - spread).
   spread may be NULL. */
void close_window(int64_t n, int threads, const float *restrict mean, float *restrict average, float fresh,
                  float *restrict spread, float bonus)
{
    #pragma omp parallel for simd num_threads(threads)
    for (int64_t i = 0; i < n; i++) {
        average[i] = lerp(average[i], mean[i], fresh);
        if (spread)
            spread[i] = lerp(spread[i], fabsf(mean[i] - average[i]), bonus);
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
