// From pending axons to their blocks, and a list of the synapses in them that have something pending, busiest first.
// See engine/lazy/collect.py.
#include "pending.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

typedef struct {
  Rows from[2];  // makers and cells
  const int32_t *first, *post, *ring;
  const uint32_t *fired;
  int32_t start, stop, sync, landing, begin;
  uint8_t *marks;
  int32_t *touched, *arrived, *arrivals;
  int32_t *block, *axon, *now, *since, *quiet;
  uint8_t *rows, *last;
  int32_t *target, *lane, *count, *events, *spike;
  int64_t slot, ring_size, arrivals1, blocks, lanes;
  int used;  // blocks chosen
  int32_t next, left, lost;
  struct Found *found;
  Landings *landings;  // of every block chosen, if landings are kept at all
  int32_t *histogram;         // of every part: synapses with so many events; later where the next of them goes
} Job;

// What the first round finds out about 16 slots in a row: pending spikes of their targets, all events before the touch,
// and in which slots there are one, two or any.
typedef struct Found {
  uint8_t newer[LANES], count[LANES];
  uint16_t one, two, busy;
} Found;

typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef int32_t Signed __attribute__((vector_size(4 * LANES)));
typedef uint8_t Bytes __attribute__((vector_size(LANES)));

// A bit per byte, each 0 or 255, as comparisons give them.
static inline uint16_t bits_of(Bytes bytes) {
#if defined(__SSE2__)
  return (uint16_t)_mm_movemask_epi8((__m128i)bytes);
#else
  uint16_t bits = 0;
  for (int k = 0; k < LANES; k++) bits |= (uint16_t)((bytes[k] & 1) << k);
  return bits;
#endif
}

static inline void note_busy(Found *f) {
  Bytes count;
  memcpy(&count, f->count, LANES);
  f->one = bits_of((Bytes)(count == 1)), f->two = bits_of((Bytes)(count == 2)), f->busy = bits_of((Bytes)(count != 0));
}

static inline Words bits_in(Words x) {
  x = x - (x >> 1 & 0x555555);
  x = (x & 0x333333) + (x >> 2 & 0x333333);
  x = (x + (x >> 4)) & 0x0f0f0f;
  return (x + (x >> 8) + (x >> 16)) & 0xff;
}

static inline Words words_at(const uint32_t *fired, Signed at) {
#if defined(__AVX512F__)
  return (Words)_mm512_i32gather_epi32((__m512i)at, fired, 4);
#else
  Words words;
  for (int k = 0; k < LANES; k++) words[k] = fired[at[k]];
  return words;
#endif
}

// A target's word holds how many spikes it has fired (its top byte) and in which steps of this block (a bit each); a
// synapse's mark how many it has seen. Hence what is pending, without a look at the spikes themselves.
// `steps`: of the block, so that one of a single step needs no count of the later ones.
static inline void search(const int32_t *post, const uint32_t *fired, uint8_t *marks, int step, int steps, int sync,
                          Found *f, uint8_t *last) {
  Signed target;
  memcpy(&target, post, sizeof target);
  Words real = (Words)(target >= 0), live = real & 0xff, word;
  target &= (Signed)real;  // a free slot, -1, reads the word of neuron 0 and then ignores it
  word = words_at(fired, target);
  // with a sync everything up to the end of the block is an event; else what falls on the step itself is not
  uint32_t after = sync ? 0 : ((1u << steps) - 1) & ~((2u << step) - 1);
  Bytes seen;
  memcpy(&seen, marks, LANES);
  Words here = sync ? word ^ word : word >> step & 1, later = after ? bits_in(word & after) : word ^ word;
  Words total = word >> 24, newer = (total - __builtin_convertvector(seen, Words)) & live;
  Words count = (newer - later - here) & live;
  Bytes mark = __builtin_convertvector(total - later, Bytes), bits = __builtin_convertvector(here * POST, Bytes);
  Bytes pending = __builtin_convertvector(newer, Bytes), before = __builtin_convertvector(count, Bytes);
  memcpy(f->newer, &pending, LANES), memcpy(f->count, &before, LANES);
  memcpy(last, &bits, LANES), memcpy(marks, &mark, LANES);
  note_busy(f);
}

// Copy the blocks of this part, and count the events of their synapses.
static void count_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  int32_t *histogram = j->histogram + part * 256;
  memset(histogram, 0, 256 * sizeof *histogram);
  int32_t one = 0, two = 0;
  int64_t slot = j->slot;
  int64_t from = cut(j->used, part, parts), to = cut(j->used, part + 1, parts);
  for (int64_t b = from; b < to; b++) {
    for (int a = 0; b + AHEAD < to && a < 2; a++) fetch_block(&j->from[a], j->block[b + AHEAD]);
    int32_t touched = j->since[b], before = j->now[b] + j->sync - touched;
    uint8_t *to_row = j->rows;
    for (int a = 0; a < 2; a++) {
      const Rows *r = &j->from[a];
      for (int64_t c = 0; c < r->channels; c++, to_row += j->blocks * r->bytes)
        copy_lines(to_row + b * r->bytes, block_of(r, j->block[b]) + c * r->bytes, r->bytes);
    }
    const Landings *l = j->landings ? j->landings + b : NULL;
    for (int64_t s = 0; s < slot; s += LANES) {
      int64_t lane = b * slot + s, place = j->block[b] * slot + s;
      const int32_t *post = j->post + place;
      Found *f = j->found + lane / LANES;
      memcpy(j->target + lane, post, LANES * 4);
      search(post, j->fired, j->marks + place, j->now[b] - j->start - 1, j->stop - j->start, j->sync, f, j->last + lane);
      for (int k = 0; l && l->n && k < LANES; k++) {
        int landed;
        if (post[k] < 0) continue;
        int count = merge(j->ring, j->ring_size, post[k], f->newer[k], touched, before, l, NULL, 0, &landed);
        f->count[k] = (uint8_t)count;
        if (!j->sync) j->last[lane + k] |= (uint8_t)landed;
      }
      if (l && l->n) note_busy(f);
      // nearly all have one or two, which are counted all at once: one by one, each would wait for the one before
      one += __builtin_popcount(f->one), two += __builtin_popcount(f->two);
      for (uint32_t more = f->busy & ~(f->one | f->two); more; more &= more - 1)
        histogram[f->count[__builtin_ctz(more)]]++;
      for (uint32_t busy = f->busy; busy; busy &= busy - 1)
        __builtin_prefetch(j->ring + post[__builtin_ctz(busy)] * j->ring_size, 0, 2);
    }
  }
  histogram[1] += one, histogram[2] += two;
}

// Ask for the spikes of the targets of a block that will be read.
static inline void fetch(const Job *j, int64_t b) {
  for (int64_t first = b * j->slot; first < (b + 1) * j->slot; first += LANES)
    for (uint32_t busy = j->found[first / LANES].busy; busy; busy &= busy - 1)
      __builtin_prefetch(j->ring + j->target[first + __builtin_ctz(busy)] * j->ring_size);
}

// Where the events of a part's synapses go: places in the order and arrays of the list. What is written here is never
// read here: `restrict` keeps the pointers in registers.
typedef struct List {
  int32_t *restrict next, *restrict lanes, *restrict counts, *restrict events, *restrict spikes;
  const int32_t *restrict ring, *restrict target;
  int64_t stride, size;
} List;

// One synapse with `count` events, all of them spikes of its target.
static inline void list_one(const List *l, int32_t at, int32_t lane, int newer, int count, int32_t touched) {
  const int32_t *stamp = l->ring + l->target[lane] * l->size + newer - 1;
  l->lanes[at] = lane, l->counts[at] = count;
  if (l->spikes) l->spikes[at] = newer - 1;
  for (int e = 0; e < count; e++) l->events[at + e * l->stride] = (stamp[-e] - touched) * 4 + POST;
}

// List the synapses of a block that have events, each at its place in the order; all of them are spikes of the target.
static void list_spikes(const Found *found, int64_t slot, int64_t b, int32_t touched, List l) {
  int32_t one = l.next[1], two = l.next[2];
  for (int64_t first = b * slot; first < (b + 1) * slot; first += LANES) {
    const Found *f = found + first / LANES;
    for (uint32_t busy = f->one; busy; busy &= busy - 1) {
      int k = __builtin_ctz(busy);
      list_one(&l, one++, (int32_t)first + k, f->newer[k], 1, touched);
    }
    for (uint32_t busy = f->two; busy; busy &= busy - 1) {
      int k = __builtin_ctz(busy);
      list_one(&l, two++, (int32_t)first + k, f->newer[k], 2, touched);
    }
    for (uint32_t busy = f->busy & ~(f->one | f->two); busy; busy &= busy - 1) {
      int k = __builtin_ctz(busy), count = f->count[k];
      list_one(&l, l.next[count]++, (int32_t)first + k, f->newer[k], count, touched);
    }
  }
  l.next[1] = one, l.next[2] = two;
}

// The same where calcium of the axon's own spikes lands among them.
static void list_merged(const Job *j, int64_t b, int32_t *next) {
  int64_t slot = j->slot;
  int32_t touched = j->since[b], before = j->now[b] + j->sync - touched;
  for (int64_t first = b * slot; first < (b + 1) * slot; first += LANES) {
    const Found *f = j->found + first / LANES;
    for (uint32_t busy = f->busy; busy; busy &= busy - 1) {
      int k = __builtin_ctz(busy), unused;
      int64_t lane = first + k;
      int32_t at = next[f->count[k]]++;
      j->lane[at] = (int32_t)lane, j->count[at] = f->count[k];
      if (j->spike) j->spike[at] = f->newer[k] - 1;
      merge(j->ring, j->ring_size, j->target[lane], f->newer[k], touched, before, j->landings + b, j->events + at,
            j->lanes, &unused);
    }
  }
}

static void list_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  int32_t *next = j->histogram + part * 256;
  List l = {next, j->lane, j->count, j->events, j->spike, j->ring, j->target, j->lanes, j->ring_size};
  int64_t to = cut(j->used, part + 1, parts);
  for (int64_t b = cut(j->used, part, parts); b < to; b++) {
    if (b + 4 < to) fetch(j, b + 4);
    if (j->landings && j->landings[b].n) list_merged(j, b, next);
    else list_spikes(j->found, j->slot, b, j->since[b], l);
  }
}

// Note the spike of an axon at its synapses; and whether one is forgotten whose calcium is still under way.
static void arrive(Job *j, int64_t a, int32_t now) {
  j->arrived[a] = now;
  int32_t size = (int32_t)j->arrivals1 - 1, *own = j->arrivals + a * j->arrivals1;
  if (!size) return;
  int32_t *old = own + 1 + own[0] % size;
  if (own[0] >= size && *old + j->landing > now) j->lost = 1;
  *old = now, own[0]++;
}

// Axons with something to do, in order from `begin` on, with a sync `most` at most; their lines are asked for.
static int64_t find(const Job *j, const uint32_t *pending, int64_t axons, int32_t *found, int64_t most) {
  int64_t count = 0;
  for (int64_t a = j->begin; a < axons && !(j->sync && count == most); a++) {
    if (!j->sync) {
      uint64_t eight[4];
      while (a + 8 <= axons && (memcpy(eight, pending + a, 32), !(eight[0] | eight[1] | eight[2] | eight[3]))) a += 8;
      if (a >= axons) break;
    }
    if (j->sync ? j->touched[a] >= j->stop : !pending[a]) continue;
    found[count++] = (int32_t)a;
    __builtin_prefetch(j->first + a), __builtin_prefetch(j->touched + a, 1), __builtin_prefetch(j->arrived + a, 1);
  }
  return count;
}

// Choose axons in order while their blocks fit; take them off `pending`, and note when they were touched.
static void choose(Job *j, uint32_t *pending, int64_t axons, int32_t *found, int64_t most) {
  int again = 0;
  j->next = 0, j->left = 0;
  int64_t count = find(j, pending, axons, found, most);
  for (int64_t k = 0; k < count; k++) {
    int32_t a = found[k], from = j->first[a], to = j->first[a + 1];
    if (from == to) {
      pending[a] = 0;
      continue;
    }
    if (j->used + to - from > j->blocks) {
      j->next = a;
      for (; k < count; k++) again += j->first[found[k] + 1] - j->first[found[k]];
      break;
    }
    int32_t now = j->sync ? j->stop : j->start + 1 + __builtin_ctz(pending[a]), touched = j->touched[a];
    for (int32_t b = from; b < to; b++, j->used++) {
      j->block[j->used] = b, j->axon[j->used] = a, j->now[j->used] = now, j->since[j->used] = touched;
      j->quiet[j->used] = j->arrived[a];
      if (!j->landings) continue;
      if (b == from)
        sort_landings(j->arrivals + a * j->arrivals1, j->arrivals1 - 1, j->landing, touched, j->landings + j->used);
      else j->landings[j->used] = j->landings[j->used - 1];
    }
    j->touched[a] = now;
    if (!j->sync) {
      pending[a] &= pending[a] - 1;
      again += pending[a] ? to - from : 0;
      arrive(j, a, now);
    }
    for (int64_t s = 0; s < (to - from) * j->slot; s += 16) __builtin_prefetch(j->post + from * j->slot + s);
    for (int64_t s = 0; s < (to - from) * j->slot; s += 64) __builtin_prefetch(j->marks + from * j->slot + s);
  }
  if (j->sync && count == most) {  // there may be any number more
    if (!again) j->next = found[most - 1] + 1;
    again = INT32_MAX;
  }
  // a pass that went on where another stopped: axons before may have further spikes in this block
  for (int64_t a = 0; !j->sync && a < j->begin; a++) again += pending[a] ? j->first[a + 1] - j->first[a] : 0;
  j->left = again;
}

// inputs: makers cells first post ring fired moment, then aliased: pending marks touched arrived arrivals
// outputs: block axon now since quiet rows target last lane count events spike sizes, then the aliased five
// `spike` may have no element; sizes: blocks used, synapses listed, blocks left, where to go on, landings lost
XLA_FFI_Error *retrojax_collect(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  const int32_t *moment = IN(int32_t, 6);
  Job j = {.from = {rows_of(input(f, 0)), rows_of(input(f, 1))}, .first = IN(int32_t, 2), .post = IN(int32_t, 3),
           .ring = IN(int32_t, 4), .fired = IN(uint32_t, 5), .start = moment[0], .stop = moment[1], .sync = moment[2], .landing = moment[3],
           .begin = moment[4], .marks = OUT(uint8_t, 14), .touched = OUT(int32_t, 15), .arrived = OUT(int32_t, 16),
           .arrivals = OUT(int32_t, 17), .block = OUT(int32_t, 0), .axon = OUT(int32_t, 1), .now = OUT(int32_t, 2),
           .since = OUT(int32_t, 3), .quiet = OUT(int32_t, 4), .rows = OUT(uint8_t, 5), .target = OUT(int32_t, 6),
           .last = OUT(uint8_t, 7), .lane = OUT(int32_t, 8), .count = OUT(int32_t, 9), .events = OUT(int32_t, 10),
           .slot = input(f, 1)->dims[2], .ring_size = input(f, 4)->dims[1], .arrivals1 = input(f, 11)->dims[1], .blocks = output(f, 0)->dims[0],
           .lanes = output(f, 8)->dims[0]};
  j.spike = output(f, 11)->dims[0] ? OUT(int32_t, 11) : NULL;
  int64_t axons = input(f, 7)->dims[0], most_events = output(f, 10)->dims[0];
  j.found = scratch(0, (j.lanes / LANES + 1) * sizeof(Found));
  j.landings = j.arrivals1 > 1 ? scratch(1, j.blocks * sizeof(Landings)) : NULL;
  j.histogram = scratch(2, MOST_PARTS * 256 * sizeof(int32_t));
  int32_t *found = scratch(4, (axons > j.blocks ? axons : j.blocks + 1) * sizeof *found);
  if (!j.found || !found || (j.arrivals1 > 1 && !j.landings) || !j.histogram)
    return fail(f, "retrojax: no memory left to sort pending synapses");
  choose(&j, OUT(uint32_t, 13), axons, found, j.blocks + 1);
  int parts = parts_for(j.used * j.slot, 1024);
  in_parts(count_part, &j, parts);
  int32_t at = 0;
  for (int64_t events = most_events; events > 0; events--)
    for (int p = 0; p < parts; p++) {
      int32_t *n = j.histogram + p * 256 + events, here = *n;
      *n = at, at += here;
    }
  in_parts(list_part, &j, parts);
  int32_t *sizes = OUT(int32_t, 12);
  sizes[0] = j.used, sizes[1] = at, sizes[2] = j.left, sizes[3] = j.next, sizes[4] = j.lost;
  for (int64_t b = j.used; b < j.blocks; b++)
    j.block[b] = j.now[b] = j.since[b] = j.quiet[b] = 0, j.axon[b] = (int32_t)axons;
  memset(j.target + j.used * j.slot, 0xff, (j.blocks - j.used) * j.slot * 4);
  // the tile that ends the list is padded with synapses that have no event
  int64_t stop = at + 4096 < j.lanes ? at + 4096 : j.lanes;
  for (int64_t k = at; k < stop; k++) j.lane[k] = 0, j.count[k] = 0;
  return NULL;
}
