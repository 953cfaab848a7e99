// Synapses that may have made a messenger since its last field step, busiest first; and what they made, handed over.
// See engine/lazy/stock.py.
#include "pending.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum {
  WINDOW = 12, // blocks looked at in one call, in multiples of what could be listed if every synapse were active
  SAMPLE = 128, // blocks that tell how many will do
  SOON = 24    // entries of a list between asking for what one needs and using it
};

typedef struct {
  int32_t block;
  uint16_t s;            // which of its slots
  uint8_t newer, count;  // spikes of its target that it has not seen; all its events
} Entry;

typedef struct {
  const int32_t *owner, *post, *ring, *touched, *arrived, *arrivals, *channel;
  const uint8_t *makers, *marks, *hot;
  const uint8_t *recent;     // of every neuron: 128 if it spiked in the window; of a free slot, before the first, 0
  const uint32_t *fired;
  int32_t start, stop, landing, begin;
  int32_t *lane, *since, *count, *events;
  uint8_t *stored;
  int64_t slot, ring_size, arrivals1, lanes, channels, reads, width, messengers;
  int blocks;                // looked at, then listed
  Entry *entry;              // active synapses; those of a part from where its blocks begin
  int32_t *active;           // of every block: how many of them
  int32_t *many;             // of every part: how many of them, those of listed blocks alone in the end
  int32_t *histogram;
} Job;

static inline const int32_t *own(const Job *j, int32_t axon) { return j->arrivals + axon * j->arrivals1; }

// Of sixteen slots, a bit each: those whose target spiked in the window or that are hot; all, if `every`; but no free one.
static inline uint32_t busy_of(const Job *j, const int32_t *post, const uint8_t *hot, int every) {
#if defined(__AVX2__)
  const int *recent = (const int *)j->recent;
  __m256i low = _mm256_loadu_si256((const __m256i *)post), high = _mm256_loadu_si256((const __m256i *)(post + 8));
  uint32_t none = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(low)) |
                  (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(high)) << 8;
  if (every) return ~none & 0xFFFF;
  __m256i a = _mm256_slli_epi32(_mm256_i32gather_epi32(recent, low, 1), 24);
  __m256i b = _mm256_slli_epi32(_mm256_i32gather_epi32(recent, high, 1), 24);
  uint32_t spiked = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(a)) |
                    (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(b)) << 8;
  __m128i cold = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)hot), _mm_setzero_si128());
  return (spiked | (~(uint32_t)_mm_movemask_epi8(cold) & 0xFFFF)) & ~none;
#else
  uint32_t busy = 0;
  for (int k = 0; k < LANES; k++) busy |= (uint32_t)((post[k] >= 0) & (every | (hot[k] != 0) | j->recent[post[k]] >> 7)) << k;
  return busy;
#endif
}

// Which synapses of this part are active, and how much each has to replay.
static void look_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  Landings l = {.n = 0};
  int64_t from = cut(j->blocks, part, parts);
  Entry *first = j->entry + from * j->slot, *e = first;
  for (int64_t b = from; b < cut(j->blocks, part + 1, parts); b++) {
    const Entry *before_block = e;
    int64_t block = j->begin + b;
    int32_t axon = j->owner[block], touched = j->touched[axon], before = j->stop + 1 - touched;
    // calcium that lands with its spike is seen by the touch, which leaves the synapse hot if need be
    int every = j->landing && j->arrived[axon] + j->landing > j->start;
    if (j->arrivals1 > 1) sort_landings(own(j, axon), j->arrivals1 - 1, j->landing, touched, &l);
    for (int64_t s = 0; s < j->slot; s += LANES) {
      const int32_t *post = j->post + block * j->slot + s;
      const uint8_t *marks = j->marks + block * j->slot + s;
      uint32_t busy = busy_of(j, post, j->hot + block * j->messengers * j->slot + s, every);
      for (int unused; busy; busy &= busy - 1) {
        int k = __builtin_ctz(busy);
        uint8_t newer = (uint8_t)((j->fired[post[k]] >> 24) - marks[k]), count = newer;
        if (l.n) count = (uint8_t)merge(j->ring, j->ring_size, post[k], newer, touched, before, &l, NULL, 0, &unused);
        *e++ = (Entry){(int32_t)block, (uint16_t)(s + k), newer, count};
      }
    }
    j->active[b] = (int32_t)(e - before_block);
  }
  j->many[part] = (int32_t)(e - first);
}

static void count_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  int32_t *histogram = j->histogram + part * 256;
  memset(histogram, 0, 256 * sizeof *histogram);
  const Entry *e = j->entry + cut(j->blocks, part, parts) * j->slot;
  for (int32_t k = 0; k < j->many[part]; k++) histogram[e[k].count]++;
}

// Ask for what an entry will need.
static inline void fetch(const Job *j, const Entry *e) {
  for (int64_t r = 0; r < j->reads; r++)
    __builtin_prefetch(j->makers + ((e->block * j->channels + j->channel[r]) * j->slot + e->s) * j->width, 1);
  if (e->newer) __builtin_prefetch(j->ring + j->post[e->block * j->slot + e->s] * j->ring_size);
}

static void list_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  int32_t *next = j->histogram + part * 256;
  Landings l = {.n = 0};
  const Entry *e = j->entry + cut(j->blocks, part, parts) * j->slot, *end = e + j->many[part];
  int32_t known = -1;
  for (; e < end; e++) {
    if (e + SOON < end) fetch(j, e + SOON);
    int64_t lane = e->block * j->slot + e->s;
    int32_t axon = j->owner[e->block], touched = j->touched[axon], before = j->stop + 1 - touched;
    int32_t at = next[e->count]++, *out = j->events + at;
    int unused;
    j->lane[at] = (int32_t)lane, j->since[at] = touched, j->count[at] = e->count;
    for (int64_t r = 0; r < j->reads; r++) {
      const uint8_t *from = j->makers + ((e->block * j->channels + j->channel[r]) * j->slot + e->s) * j->width;
      copy_one(j->stored + (r * j->lanes + at) * j->width, from, j->width);
    }
    if (j->arrivals1 > 1 && axon != known)
      sort_landings(own(j, axon), j->arrivals1 - 1, j->landing, touched, &l), known = axon;
    if (l.n) {
      merge(j->ring, j->ring_size, j->post[lane], e->newer, touched, before, &l, out, j->lanes, &unused);
      continue;
    }
    const int32_t *stamp = j->ring + j->post[lane] * j->ring_size + e->count - 1;
    for (int n = 0; n < e->count; n++, stamp--) out[n * j->lanes] = (*stamp - touched) * 4 + POST;
  }
}

// As many blocks as can be listed, and of every part those of its entries that belong to them.
static int listable(Job *j, int parts) {
  int fits = 0;
  for (int64_t sum = 0; fits < j->blocks && (sum += j->active[fits]) <= j->lanes; fits++) {}
  for (int p = 0; p < parts; p++) {
    int64_t from = cut(j->blocks, p, parts), to = cut(j->blocks, p + 1, parts);
    if (to <= fits) continue;
    j->many[p] = 0;
    for (int64_t b = from; b < fits; b++) j->many[p] += j->active[b];
  }
  return fits;
}

// inputs: owner post ring fired touched arrived arrivals marks hot moment (start, stop, landing, block to begin with,
// messenger), makers, channels to read
// outputs: lane since count events sizes (synapses listed, whether blocks are left, where to go on) stored
XLA_FFI_Error *retrojax_stock(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  const int32_t *moment = IN(int32_t, 9);
  Job j = {.owner = IN(int32_t, 0), .post = IN(int32_t, 1), .ring = IN(int32_t, 2), .fired = IN(uint32_t, 3),
           .touched = IN(int32_t, 4), .arrived = IN(int32_t, 5), .arrivals = IN(int32_t, 6), .marks = IN(uint8_t, 7),
           .hot = IN(uint8_t, 8) + moment[4] * input(f, 8)->dims[2], .start = moment[0], .stop = moment[1],
           .landing = moment[2], .begin = moment[3], .lane = OUT(int32_t, 0), .since = OUT(int32_t, 1),
           .count = OUT(int32_t, 2), .events = OUT(int32_t, 3), .slot = input(f, 1)->dims[1],
           .ring_size = input(f, 2)->dims[1], .arrivals1 = input(f, 6)->dims[1], .lanes = output(f, 0)->dims[0],
           .messengers = input(f, 8)->dims[1], .makers = IN(uint8_t, 10), .channel = IN(int32_t, 11),
           .reads = input(f, 11)->dims[0], .channels = input(f, 10)->dims[1], .stored = OUT(uint8_t, 5),
           .width = width_of(input(f, 10))};
  int64_t all = input(f, 1)->dims[0], most = WINDOW * (j.lanes / j.slot), events = output(f, 3)->dims[0];
  int64_t neurons = input(f, 2)->dims[0];
  j.blocks = (int)(all - j.begin < most ? all - j.begin : most);
  j.entry = scratch(0, (j.blocks * j.slot + 1) * sizeof(Entry));
  j.active = scratch(1, (j.blocks + 1) * sizeof(int32_t));
  j.histogram = scratch(2, MOST_PARTS * 257 * sizeof(int32_t));
  uint8_t *recent = scratch(3, neurons + 5);  // four bytes are read at a time
  if (!j.entry || !j.active || !j.histogram || !recent) return fail(f, "retrojax: no memory left to find active synapses");
  *recent++ = 0, j.recent = recent, j.many = j.histogram + MOST_PARTS * 256;
  for (int64_t n = 0; n < neurons; n++) recent[n] = j.ring[n * j.ring_size] > j.start ? 128 : 0;
  if (j.blocks > 4 * SAMPLE) {
    int blocks = j.blocks;
    j.blocks = SAMPLE;
    look_part(&j, 0, 1);
    int64_t enough = j.lanes * SAMPLE / (j.many[0] + 1) + 8;
    j.blocks = enough < blocks ? (int)enough : blocks;
  }
  int parts = parts_for(j.blocks * j.slot, 8192);
  in_parts(look_part, &j, parts);
  int fits = listable(&j, parts);
  in_parts(count_part, &j, parts);
  int32_t at = 0;
  for (int64_t n = events; n >= 0; n--)
    for (int p = 0; p < parts; p++) {
      int32_t *place = j.histogram + p * 256 + n, here = *place;
      *place = at, at += here;
    }
  in_parts(list_part, &j, parts);
  int32_t *sizes = OUT(int32_t, 4);
  sizes[0] = at, sizes[1] = j.begin + fits < all, sizes[2] = j.begin + fits;
  // what pads the last tile lies past the last synapse
  for (int64_t k = at; k < j.lanes; k++) j.lane[k] = (int32_t)(all * j.slot), j.since[k] = j.stop, j.count[k] = 0;
  return NULL;
}

typedef struct {
  const int32_t *lane, *units, *voxel, *channel;
  const uint8_t *values, *still, *molecules;
  uint8_t *makers, *hot, *own;
  int32_t *total;
  int64_t listed, lanes, slot, channels, changes, width, messengers, sums;
} Handed;

// The first part adds deposits, the others write to the synapses.
static void settle_part(void *p, int part, int parts) {
  Handed *h = (Handed *)p;
  for (int64_t k = part || !h->sums ? h->listed : 0; k < h->listed; k++) {
    if (k + 2 * SOON < h->listed) __builtin_prefetch(h->voxel + h->lane[k + 2 * SOON]);
    if (k + SOON < h->listed) __builtin_prefetch(h->total + h->voxel[h->lane[k + SOON]], 1);
    h->total[h->voxel[h->lane[k]]] += h->units[k];
  }
  int first = parts > 1 && h->sums;
  if (part < first) return;
  int64_t from = cut(h->listed, part - first, parts - first), to = cut(h->listed, part - first + 1, parts - first);
  for (int64_t k = from; k < to; k++) {
    int64_t block = h->lane[k] / h->slot, s = h->lane[k] % h->slot;
    for (int64_t c = 0; c < h->changes; c++)
      copy_one(h->makers + ((block * h->channels + h->channel[c]) * h->slot + s) * h->width,
               h->values + (c * h->lanes + k) * h->width, h->width);
    h->hot[block * h->messengers * h->slot + s] = h->still[k];
    if (h->own) copy_one(h->own + h->lane[k] * h->width, h->molecules + k * h->width, h->width);
  }
}

// inputs: lane values channels still units molecules voxel numbers (synapses listed, messenger), then aliased: makers hot
// total own, the last two with or without elements; outputs: the aliased four
XLA_FFI_Error *retrojax_settle(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  const int32_t *numbers = IN(int32_t, 7);
  Handed h = {.lane = IN(int32_t, 0), .values = IN(uint8_t, 1), .channel = IN(int32_t, 2), .still = IN(uint8_t, 3),
              .units = IN(int32_t, 4), .molecules = IN(uint8_t, 5), .voxel = IN(int32_t, 6), .listed = numbers[0],
              .makers = OUT(uint8_t, 0), .hot = OUT(uint8_t, 1) + numbers[1] * output(f, 1)->dims[2],
              .total = OUT(int32_t, 2), .own = output(f, 3)->dims[0] ? OUT(uint8_t, 3) : NULL,
              .lanes = input(f, 0)->dims[0], .slot = output(f, 0)->dims[2], .channels = output(f, 0)->dims[1],
              .changes = input(f, 2)->dims[0], .width = width_of(output(f, 0)), .messengers = output(f, 1)->dims[1],
              .sums = output(f, 2)->dims[0]};
  in_parts(settle_part, &h, h.listed < 4096 ? 1 : 1 + parts_for(h.listed, 4096));
  return NULL;
}
