// What is pending at a synapse: spikes of its target that it has not seen, and calcium of its axon's spikes under way.
#ifndef RETROJAX_PENDING_H
#define RETROJAX_PENDING_H

#include "common.h"

enum { LANDED = 1, POST = 2, NEVER = 1 << 28, MOST_LANDINGS = 63 };

typedef struct Landings {
  int n;
  int32_t due[MOST_LANDINGS + 1];
} Landings;

// Landings that rows have not seen, in steps since `touched`, in order. `own`: number of spikes so far, then the times of
// the last ones, `size` of them at most.
static inline void sort_landings(const int32_t *own, int64_t size, int32_t landing, int32_t touched, Landings *l) {
  l->n = 0;
  for (int64_t k = 0; k < size; k++) {
    int32_t due = own[1 + k] + landing - touched;
    if (k >= own[0] || due <= 0) continue;
    int at = l->n++;
    for (; at > 0 && l->due[at - 1] > due; at--) l->due[at] = l->due[at - 1];
    l->due[at] = due;
  }
  l->due[l->n] = NEVER;
}

// The events of a synapse before `before`: spikes of its target from the `newer`-th newest on, and landings. `size`: spikes
// that a neuron remembers. Written every `stride` words if `out` is given. Returns their number, and in `on_time` whether a landing falls on `before`.
static inline int merge(const int32_t *ring, int64_t size, int32_t target, int newer, int32_t touched, int32_t before,
                        const Landings *l, int32_t *out, int64_t stride, int *on_time) {
  int count = 0, landing = 0;
  for (;;) {
    int32_t post = newer > 0 ? ring[target * size + newer - 1] - touched : NEVER, land = l->due[landing];
    int32_t when = post < land ? post : land;
    int32_t bits = (land == when ? LANDED : 0) | (post == when ? POST : 0);
    if (when >= before) {
      *on_time = land == before ? LANDED : 0;
      return count;
    }
    if (out) out[count * stride] = when * 4 + bits;
    count++;
    if (bits & POST) newer--;
    if (bits & LANDED) landing++;
  }
}

#endif
