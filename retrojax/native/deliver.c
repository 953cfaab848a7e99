// Input from fixed synapses: an axon that spiked adds its weights to its targets. See engine/lazy/fixed.py.
#include "common.h"

typedef struct {
  const uint32_t *pending;
  const int32_t *axon;  // those that spiked, `count` of them
  const int32_t *first, *post, *units, *delay;
  const uint8_t *short_delay;  // instead of `delay`, if given
  int each_units, each_delay;
  int64_t count, slot, neurons, receptors, turns;
  int32_t start;
  int32_t *waiting;
} Job;

// The first of the slots from `low` to `high` whose target is `wanted` or above; free slots, -1, lie behind all others.
static inline int64_t reach(const int32_t *post, int64_t low, int64_t high, uint32_t wanted) {
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if ((uint32_t)post[middle] < wanted) low = middle + 1; else high = middle;
  }
  return low;
}

static inline int64_t delay_of(const Job *j, int64_t s) {
  int64_t place = j->each_delay ? s : 0;
  return j->short_delay ? j->short_delay[place] : j->delay[place];
}

// Slots `from` to `to`, at turn `turn` of the ring and their delay. A negative weight goes to the last receptor.
static inline void add(const Job *j, int64_t turn, int64_t from, int64_t to) {
  const int32_t *post = j->post, *units = j->units;
  int64_t second = (j->receptors - 1) * j->neurons;  // from a neuron's excitation to its inhibition
  int64_t later = turn + delay_of(j, 0);
  int32_t *row = j->waiting + (later >= j->turns ? later - j->turns : later) * j->receptors * j->neurons;
  if (j->each_units && !j->each_delay) {
    for (int64_t s = from; s < to; s++) row[(units[s] < 0 ? second : 0) + post[s]] += units[s];
    return;
  }
  for (int64_t s = from; s < to; s++) {
    int32_t u = units[j->each_units ? s : 0];
    if (j->each_delay) {
      later = turn + delay_of(j, s);
      row = j->waiting + (later >= j->turns ? later - j->turns : later) * j->receptors * j->neurons;
    }
    row[(u < 0 ? second : 0) + post[s]] += u;
  }
}

// A part adds to a range of neurons of its own, so that no two parts ever add to the same number.
static void add_part(void *p, int part, int parts) {
  const Job *j = (const Job *)p;
  uint32_t low = (uint32_t)cut(j->neurons, part, parts), high = (uint32_t)cut(j->neurons, part + 1, parts);
  for (int64_t k = 0; k < j->count; k++) {
    int64_t begin = j->first[j->axon[k]] * j->slot, end = j->first[j->axon[k] + 1] * j->slot;
    int64_t from = part ? reach(j->post, begin, end, low) : begin, to = reach(j->post, from, end, high);
    for (uint32_t bits = j->pending[j->axon[k]]; bits; bits &= bits - 1) {
      int64_t turn = ((int64_t)j->start + __builtin_ctz(bits)) % j->turns;
      add(j, turn < 0 ? turn + j->turns : turn, from, to);
    }
  }
}

// inputs: pending first post units delay start waiting(aliased); outputs: waiting
// Targets of an axon are in order, free slots last. No delay is longer than the ring of input.
XLA_FFI_Error *retrojax_deliver(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  XLA_FFI_Buffer *units = input(f, 3), *delay = input(f, 4), *waiting = output(f, 0);
  Job j = {.pending = IN(uint32_t, 0), .first = IN(int32_t, 1), .post = IN(int32_t, 2), .units = IN(int32_t, 3),
           .delay = IN(int32_t, 4), .each_units = units->rank > 0, .each_delay = delay->rank > 0,
           .slot = input(f, 2)->dims[1], .neurons = waiting->dims[3], .receptors = waiting->dims[2], .turns = waiting->dims[0] * waiting->dims[1],
           .start = *IN(int32_t, 5), .waiting = OUT(int32_t, 0)};
  j.short_delay = delay->dtype == XLA_FFI_DataType_U8 ? IN(uint8_t, 4) : NULL;
  int64_t axons = input(f, 0)->dims[0], work = 0;
  int32_t *axon = scratch(0, axons * sizeof(int32_t));
  if (!axon) return fail(f, "retrojax: no memory left to list spikes");
  for (int64_t a = 0; a < axons; a++) {
    if (!j.pending[a] || j.first[a] == j.first[a + 1]) continue;
    axon[j.count++] = (int32_t)a;
    work += (j.first[a + 1] - j.first[a]) * j.slot * __builtin_popcount(j.pending[a]);
  }
  j.axon = axon;
  // more parts than threads would only spend their time on finding where their targets begin
  int parts = parts_for(work, 4096), most = threads();
  in_parts(add_part, &j, parts < most ? parts : most);
  return NULL;
}
