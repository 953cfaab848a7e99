// Rows back into their blocks and responses on their way to the somata. See engine/lazy/block.py.
#include "common.h"

typedef struct {
  uint8_t *cells, *hot;
  const uint8_t *above;
  const int32_t *block, *now, *target, *units, *delay;
  const uint8_t *short_delay;
  int32_t *waiting;
  Frame *frame;  // holds the rows, an array per channel
  int32_t most, over;
  int64_t channels, used, neurons, turns, slot, bytes, flags;
  int each;
} Job;

// The first part adds the input, the others copy rows.
static void put_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  int64_t from = parts == 1 ? 0 : cut(j->used, part - 1, parts - 1), to = parts == 1 ? j->used : cut(j->used, part, parts - 1);
  for (int64_t b = part || parts == 1 ? from : to; b < to; b++) {
    if (b + AHEAD < to) fetch_block(j->cells + j->block[b + AHEAD] * j->channels * j->bytes, j->channels * j->bytes);
    uint8_t *cell = j->cells + j->block[b] * j->channels * j->bytes;
    for (int64_t c = 0; c < j->channels; c++)
      copy_lines(cell + c * j->bytes, (const uint8_t *)input(j->frame, 11 + (int)c)->data + b * j->bytes, j->bytes);
    if (j->flags) memcpy(j->hot + j->block[b] * j->flags, j->above + b * j->flags, j->flags);
  }
  for (int64_t b = part ? j->used : 0; b < j->used; b++) {
    const int32_t *target = j->target + b * j->slot, *units = j->units + b * j->slot;
    int64_t turn = (j->now[b] - 1) % j->turns, first = j->block[b] * j->slot;
    if (turn < 0) turn += j->turns;
    for (int64_t s = 0; s < j->slot; s++) {
      if (target[s] < 0) continue;
      if (units[s] > j->most || units[s] < -j->most) j->over = 1;
      int64_t step = turn + (j->each ? j->short_delay ? j->short_delay[first + s] : j->delay[first + s] : *j->delay);
      if (step >= j->turns) step -= j->turns;
      j->waiting[(step * 2 + (units[s] < 0)) * j->neurons + target[s]] += units[s];
    }
  }
}

// inputs: block now target units delay used most above cells(aliased) waiting(aliased) hot(aliased), then every channel
// outputs: over cells waiting hot
// No delay is longer than the ring of input.
XLA_FFI_Error *retrojax_put(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  XLA_FFI_Buffer *cells = output(f, 1), *waiting = output(f, 2), *delay = input(f, 4);
  Job j = {.cells = OUT(uint8_t, 1), .frame = f, .block = IN(int32_t, 0), .now = IN(int32_t, 1),
           .target = IN(int32_t, 2), .units = IN(int32_t, 3), .delay = IN(int32_t, 4), .waiting = OUT(int32_t, 2),
           .most = *IN(int32_t, 6),
           .channels = cells->dims[1], .used = *IN(int32_t, 5),
           .neurons = waiting->dims[3], .turns = waiting->dims[0] * waiting->dims[1], .slot = cells->dims[2],
           .bytes = cells->dims[2] * width_of(cells), .each = delay->rank > 0,
           .above = IN(uint8_t, 7), .hot = OUT(uint8_t, 3), .flags = output(f, 3)->dims[1] * cells->dims[2]};
  j.short_delay = delay->dtype == XLA_FFI_DataType_U8 ? IN(uint8_t, 4) : NULL;
  in_parts(put_part, &j, j.used * j.slot < 1024 ? 1 : 1 + parts_for(j.used * j.slot, 1024));
  *OUT(uint8_t, 0) = (uint8_t)j.over;
  return NULL;
}
