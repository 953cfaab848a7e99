// Spikes of a block into the rings of their neurons, newest first; and the input of that block out of its ring.
// And from spikes to the axons they arrive at, after the axonal delay. See engine/lazy/block.py.
#include "common.h"

// inputs: spiked seen read step synced here, then aliased: fired ring before waiting
// outputs: short, then the aliased four
XLA_FFI_Error *retrojax_note(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  const uint8_t *spiked = IN(uint8_t, 0), *seen = IN(uint8_t, 1);
  const int32_t *read = IN(int32_t, 2);
  int32_t step = *IN(int32_t, 3), synced = *IN(int32_t, 4);
  uint8_t *runs_short = OUT(uint8_t, 0), *before = OUT(uint8_t, 3);
  uint32_t *word = OUT(uint32_t, 1);
  int32_t *ring = OUT(int32_t, 2);
  int64_t steps = input(f, 0)->dims[0], neurons = input(f, 0)->dims[1], size = output(f, 2)->dims[1];
  int64_t traces = input(f, 1)->dims[1], reads = output(f, 3)->dims[0];
  int64_t width = width_of(output(f, 3)), room = size - steps;
  *runs_short = 0;
  XLA_FFI_Buffer *waiting = output(f, 4);
  int64_t turn = waiting->dims[1] * waiting->dims[2] * waiting->dims[3];
  memset((int32_t *)waiting->data + *IN(int32_t, 5) * turn, 0, turn * sizeof(int32_t));
  int32_t *who = scratch(4, (neurons + 8) * sizeof *who);
  if (!who) return fail(f, "retrojax: no memory left to note spikes");
  for (int64_t n = 0; n < neurons; n++) word[n] &= 0xff000000u;
  for (int64_t l = 0; l < steps; l++) {
    const uint8_t *fired = spiked + l * neurons;
    int64_t n = 0, count = 0;
    while (n < neurons) {
      uint64_t eight;
      if (n + 8 <= neurons && (memcpy(&eight, fired + n, 8), !eight)) { n += 8; continue; }
      int64_t stop = n + 8 <= neurons ? n + 8 : neurons;
      for (; n < stop; n++) {
        if (!fired[n]) continue;
        who[count++] = (int32_t)n;
        __builtin_prefetch(ring + n * size, 1);
      }
    }
    for (int64_t k = 0; k < count; k++) {
      n = who[k];
      // spikes that everything has seen are left to fall out, so only the recent ones move up
      int64_t kept = 0;
      int32_t *own_ring = ring + n * size;
      while (kept < size - 1 && own_ring[kept] > synced) kept++;
      memmove(own_ring + 1, own_ring, kept * sizeof *own_ring);
      *own_ring = step + 1 + (int32_t)l;
      for (int64_t r = 0; r < reads; r++) {
        uint8_t *own = before + (r * neurons + n) * size * width;
        memmove(own + width, own, kept * width);
        copy_one(own, seen + ((l * traces + read[r]) * neurons + n) * width, width);
      }
      word[n] = (word[n] + (1u << 24)) | 1u << l;
      if (kept >= room) *runs_short = 1;  // the next block might push out one that is pending
    }
  }
  return NULL;
}

// inputs: fired outside first turns (where to write, the two blocks of the past that arrive, by how many steps the first
// of them is late, steps of a block), then aliased: history; outputs: history, pending, blocks of pending axons
XLA_FFI_Error *retrojax_send(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  const uint32_t *fired = IN(uint32_t, 0), *outside = IN(uint32_t, 1);
  const int32_t *first = IN(int32_t, 2), *turns = IN(int32_t, 3);
  uint32_t *history = OUT(uint32_t, 0), *pending = OUT(uint32_t, 1);
  int64_t neurons = input(f, 0)->dims[0], sources = input(f, 1)->dims[0], axons = neurons + sources;
  uint32_t *here = history + turns[0] * axons;
  for (int64_t n = 0; n < neurons; n++) here[n] = fired[n] & 0xffffffu;
  memcpy(here + neurons, outside, sources * sizeof *here);
  const uint32_t *late = history + turns[1] * axons, *later = history + turns[2] * axons;
  int shift = turns[3], back = turns[4] - shift;
  uint32_t mask = (1u << turns[4]) - 1;
  if (shift) for (int64_t a = 0; a < axons; a++) pending[a] = (late[a] << shift | later[a] >> back) & mask;
  else memcpy(pending, late, axons * sizeof *pending);
  int32_t left = 0;
  for (int64_t a = 0; a < axons;) {
    uint64_t eight[4];  // few axons spike
    if (a + 8 <= axons && (memcpy(eight, pending + a, 32), !(eight[0] | eight[1] | eight[2] | eight[3]))) { a += 8; continue; }
    for (int64_t stop = a + 8 < axons ? a + 8 : axons; a < stop; a++) left += pending[a] ? first[a + 1] - first[a] : 0;
  }
  *OUT(int32_t, 2) = left;
  return NULL;
}
