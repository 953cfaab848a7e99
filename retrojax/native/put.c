// Rows back into their blocks and responses on their way to the somata. See engine/lazy/block.py.
#include "common.h"

typedef struct {
  Rows into[2];  // makers and cells
  uint8_t *hot;
  const uint8_t *above;
  const int32_t *block, *now, *target, *units, *delay;
  const uint8_t *short_delay;
  int32_t *waiting;
  Frame *frame;  // holds the rows, an array per channel
  int32_t most, over;
  int64_t used, neurons, receptors, turns, slot, flags;
  int each;
} Job;

// Adds the input of `slot` synapses that share a delay: `row` holds the sums of that step, and those of inhibition stand
// `second` further on. Returns
// the largest input, by size: a free slot sends none. Without `restrict` every sum would be followed
// by reading all of the pointers again.
static uint32_t add_alike(int32_t *restrict row, const int32_t *restrict target, const int32_t *restrict units,
                          int64_t slot, int32_t second) {
  uint32_t most = 0;
  for (int64_t s = 0; s < slot; s++) {
    uint32_t size = units[s] < 0 ? -(uint32_t)units[s] : (uint32_t)units[s];
    most = size > most ? size : most;
  }
  for (int64_t s = 0; s < slot; s++)  // adding the nothing of free slots to one neuron would make a chain of sums
    if (target[s] >= 0) row[target[s] + (units[s] < 0 ? second : 0)] += units[s];
  return most;
}

// The same where every synapse has its own delay.
static uint32_t add_each(Job *j, int64_t block, int64_t turn, const int32_t *target, const int32_t *units) {
  uint32_t most = 0;
  for (int64_t s = 0, k = block * j->slot; s < j->slot; s++, k++) {
    uint32_t size = units[s] < 0 ? -(uint32_t)units[s] : (uint32_t)units[s];
    most = size > most ? size : most;
    int64_t step = turn + (j->short_delay ? j->short_delay[k] : j->delay[k]);
    if (target[s] < 0) continue;
    if (step >= j->turns) step -= j->turns;
    j->waiting[(step * j->receptors + (units[s] < 0 ? j->receptors - 1 : 0)) * j->neurons + target[s]] += units[s];
  }
  return most;
}

static void add_input(Job *j) {
  uint32_t most = 0;
  for (int64_t b = 0; b < j->used; b++) {
    const int32_t *target = j->target + b * j->slot, *units = j->units + b * j->slot;
    int64_t turn = (j->now[b] - 1) % j->turns;
    if (turn < 0) turn += j->turns;
    uint32_t here;
    if (j->each) {
      here = add_each(j, j->block[b], turn, target, units);
    } else {
      int64_t step = turn + *j->delay;
      if (step >= j->turns) step -= j->turns;
      here = add_alike(j->waiting + step * j->receptors * j->neurons, target, units, j->slot,
                       (int32_t)((j->receptors - 1) * j->neurons));
    }
    most = here > most ? here : most;
  }
  j->over = most > (uint32_t)j->most;
}

// The first part adds the input, the others copy rows.
static void put_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  if (!part) add_input(j);
  if (!part && parts > 1) return;
  int64_t from = parts == 1 ? 0 : cut(j->used, part - 1, parts - 1), to = parts == 1 ? j->used : cut(j->used, part, parts - 1);
  for (int64_t b = from; b < to; b++) {
    for (int a = 0; b + AHEAD < to && a < 2; a++) fetch_block(&j->into[a], j->block[b + AHEAD]);
    for (int a = 0, row = 12; a < 2; a++) {
      const Rows *r = &j->into[a];
      for (int64_t c = 0; c < r->channels; c++, row++) {
        const uint8_t *new = (const uint8_t *)input(j->frame, row)->data;
        copy_lines(block_of(r, j->block[b]) + c * r->bytes, new + b * r->bytes, r->bytes);
      }
    }
    if (j->flags) memcpy(j->hot + j->block[b] * j->flags, j->above + b * j->flags, j->flags);
  }
}

// inputs: block now target units delay used most above, then aliased: makers cells waiting hot; then every channel
// outputs: over, then the aliased four
// No delay is longer than the ring of input.
XLA_FFI_Error *retrojax_put(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  XLA_FFI_Buffer *cells = output(f, 2), *waiting = output(f, 3), *delay = input(f, 4);
  Job j = {.into = {rows_of(output(f, 1)), rows_of(cells)}, .frame = f, .block = IN(int32_t, 0), .now = IN(int32_t, 1),
           .target = IN(int32_t, 2), .units = IN(int32_t, 3), .delay = IN(int32_t, 4), .waiting = OUT(int32_t, 3),
           .most = *IN(int32_t, 6), .used = *IN(int32_t, 5),
           .neurons = waiting->dims[3], .receptors = waiting->dims[2], .turns = waiting->dims[0] * waiting->dims[1], .slot = cells->dims[2],
           .each = delay->rank > 0, .above = IN(uint8_t, 7), .hot = OUT(uint8_t, 4), .flags = output(f, 4)->dims[1] * cells->dims[2]};
  j.short_delay = delay->dtype == XLA_FFI_DataType_U8 ? IN(uint8_t, 4) : NULL;
  in_parts(put_part, &j, j.used * j.slot < 1024 ? 1 : 1 + parts_for(j.used * j.slot, 1024));
  *OUT(uint8_t, 0) = (uint8_t)j.over;
  return NULL;
}
