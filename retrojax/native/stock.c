// Synapses that may have made a messenger since its last field step, busiest first; and what they made, handed over.
// See engine/lazy/stock.py.
#include "pending.h"

enum {
  WINDOW = 12 // blocks looked at in one call, in multiples of what could be listed if every synapse were active
};

typedef struct {
  const int32_t *owner, *post, *ring, *touched, *arrived, *arrivals, *channel;
  const uint8_t *cells, *marks, *hot;
  const uint16_t *word;      // of every neuron: its spikes modulo 256, and above them whether it spiked in the window
  int32_t start, stop, landing, begin;
  int32_t *lane, *since, *count, *events;
  uint8_t *stored;
  int64_t slot, neurons, ring_size, arrivals1, lanes, channels, reads, width, messengers;
  int blocks;                // looked at, then listed
  struct Found *found;       // of sixteen slots in a row
  int32_t *active;           // of every block: synapses to list
  int32_t *histogram;
} Job;

typedef struct Found {
  uint8_t newer[LANES], count[LANES];
  uint32_t busy;
} Found;

static inline const int32_t *own(const Job *j, int32_t axon) { return j->arrivals + axon * j->arrivals1; }

// Which synapses of this part are active, and how much each has to replay.
static void look_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  Landings l = {.n = 0};
  for (int64_t b = cut(j->blocks, part, parts); b < cut(j->blocks, part + 1, parts); b++) {
    int64_t block = j->begin + b;
    int32_t axon = j->owner[block], touched = j->touched[axon], before = j->stop + 1 - touched, active = 0;
    // calcium that lands with its spike is seen by the touch, which leaves the synapse hot if need be
    uint8_t recent = j->landing && j->arrived[axon] + j->landing > j->start;
    if (j->arrivals1 > 1) sort_landings(own(j, axon), j->arrivals1 - 1, j->landing, touched, &l);
    for (int64_t s = 0; s < j->slot; s += LANES) {
      const int32_t *post = j->post + block * j->slot + s;
      const uint8_t *marks = j->marks + block * j->slot + s, *hot = j->hot + block * j->messengers * j->slot + s;
      Found *f = j->found + (b * j->slot + s) / LANES;
      uint8_t listed[LANES];
      uint16_t word[LANES];
      for (int k = 0; k < LANES; k++) word[k] = j->word[post[k] < 0 ? j->neurons : post[k]];
      for (int k = 0; k < LANES; k++) {
        f->newer[k] = f->count[k] = (uint8_t)(word[k] - marks[k]);
        listed[k] = (post[k] >= 0) & (recent | hot[k] | word[k] >> 8);
      }
      uint32_t busy = 0;
      for (int k = 0; k < LANES; k++) busy |= (uint32_t)listed[k] << k;
      f->busy = busy;
      active += __builtin_popcount(busy);
      for (int unused; l.n && busy; busy &= busy - 1) {
        int k = __builtin_ctz(busy);
        f->count[k] = (uint8_t)merge(j->ring, j->ring_size, post[k], f->newer[k], touched, before, &l, NULL, 0, &unused);
      }
    }
    j->active[b] = active;
  }
}

static void count_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  int32_t *histogram = j->histogram + part * 256;
  int64_t groups = j->slot / LANES;
  memset(histogram, 0, 256 * sizeof *histogram);
  for (int64_t g = cut(j->blocks, part, parts) * groups; g < cut(j->blocks, part + 1, parts) * groups; g++)
    for (uint32_t busy = j->found[g].busy; busy; busy &= busy - 1) histogram[j->found[g].count[__builtin_ctz(busy)]]++;
}

// Ask for the lines of a block that will be read.
static inline void fetch(const Job *j, int64_t b) {
  if (b >= j->blocks) return;
  for (int64_t s = 0; s < j->slot; s += LANES) {
    if (!j->found[(b * j->slot + s) / LANES].busy) continue;
    for (int64_t r = 0; r < j->reads; r++)
      __builtin_prefetch(j->cells + (((j->begin + b) * j->channels + j->channel[r]) * j->slot + s) * j->width, 1);
  }
}

static void list_part(void *p, int part, int parts) {
  Job *j = (Job *)p;
  int32_t *next = j->histogram + part * 256;
  Landings l = {.n = 0};
  for (int64_t b = cut(j->blocks, part, parts); b < cut(j->blocks, part + 1, parts); b++) {
    fetch(j, b + AHEAD);
    if (!j->active[b]) continue;
    int64_t block = j->begin + b;
    int32_t axon = j->owner[block], touched = j->touched[axon], before = j->stop + 1 - touched;
    if (j->arrivals1 > 1) sort_landings(own(j, axon), j->arrivals1 - 1, j->landing, touched, &l);
    for (int64_t s = 0; s < j->slot; s += LANES) {
      const Found *f = j->found + (b * j->slot + s) / LANES;
      for (uint32_t busy = f->busy; busy; busy &= busy - 1) {
        int k = __builtin_ctz(busy), count = f->count[k], unused;
        int32_t at = next[count]++, *out = j->events + at;
        int64_t lane = block * j->slot + s + k;
        j->lane[at] = (int32_t)lane, j->since[at] = touched, j->count[at] = count;
        for (int64_t r = 0; r < j->reads; r++) {
          const uint8_t *from = j->cells + ((block * j->channels + j->channel[r]) * j->slot + s + k) * j->width;
          copy_one(j->stored + (r * j->lanes + at) * j->width, from, j->width);
        }
        if (l.n) {
          merge(j->ring, j->ring_size, j->post[lane], f->newer[k], touched, before, &l, out, j->lanes, &unused);
          continue;
        }
        const int32_t *stamp = j->ring + j->post[lane] * j->ring_size + count - 1;
        for (int e = 0; e < count; e++, stamp--) out[e * j->lanes] = (*stamp - touched) * 4 + POST;
      }
    }
  }
}

// inputs: owner post ring fired touched arrived arrivals marks hot moment (start, stop, landing, block to begin with,
// messenger), cells, channels to read
// outputs: lane since count events sizes (synapses listed, whether blocks are left, where to go on) stored
XLA_FFI_Error *retrojax_stock(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  const int32_t *moment = IN(int32_t, 9);
  Job j = {.owner = IN(int32_t, 0), .post = IN(int32_t, 1), .ring = IN(int32_t, 2),
           .touched = IN(int32_t, 4), .arrived = IN(int32_t, 5), .arrivals = IN(int32_t, 6), .marks = IN(uint8_t, 7),
           
           .hot = IN(uint8_t, 8) + moment[4] * input(f, 8)->dims[2], .start = moment[0], .stop = moment[1], .landing = moment[2], .begin = moment[3],
           .lane = OUT(int32_t, 0), .since = OUT(int32_t, 1), .count = OUT(int32_t, 2), .events = OUT(int32_t, 3),
           .slot = input(f, 1)->dims[1], .neurons = input(f, 2)->dims[0], .ring_size = input(f, 2)->dims[1], .arrivals1 = input(f, 6)->dims[1],
           .lanes = output(f, 0)->dims[0], .messengers = input(f, 8)->dims[1], .cells = IN(uint8_t, 10),
           .channel = IN(int32_t, 11), .reads = input(f, 11)->dims[0], .channels = input(f, 10)->dims[1],
           .stored = OUT(uint8_t, 5), .width = width_of(input(f, 10))};
  int64_t all = input(f, 1)->dims[0], most = WINDOW * (j.lanes / j.slot), events = output(f, 3)->dims[0];
  j.blocks = (int)(all - j.begin < most ? all - j.begin : most);
  j.found = scratch(0, (j.blocks * j.slot / LANES + 1) * sizeof(Found));
  j.active = scratch(1, (j.blocks + 1) * sizeof(int32_t));
  j.histogram = scratch(2, MOST_PARTS * 256 * sizeof(int32_t));
  uint16_t *word = scratch(3, (j.neurons + 1) * sizeof *word);
  if (!j.found || !j.active || !j.histogram || !word) return fail(f, "retrojax: no memory left to find active synapses");
  const uint32_t *fired = IN(uint32_t, 3);
  for (int64_t n = 0; n < j.neurons; n++) word[n] = (uint16_t)(fired[n] >> 24 | (j.ring[n * j.ring_size] > j.start) << 8);
  word[j.neurons] = 0, j.word = word;
  in_parts(look_part, &j, parts_for(j.blocks * j.slot, 8192));
  int fits = 0;
  for (int64_t sum = 0; fits < j.blocks && (sum += j.active[fits]) <= j.lanes; fits++) {}
  j.blocks = fits;
  int parts = parts_for(j.blocks * j.slot, 8192);
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
  for (int64_t k = at; k < j.lanes && k < at + 8192; k++) j.lane[k] = (int32_t)(all * j.slot), j.since[k] = j.stop, j.count[k] = 0;
  return NULL;
}

typedef struct {
  const int32_t *lane, *units, *voxel, *channel;
  const uint8_t *values, *still, *molecules;
  uint8_t *cells, *hot, *own;
  int32_t *total;
  int64_t listed, lanes, slot, channels, changes, width, messengers;
} Handed;

// The first part adds deposits, the others write to the synapses.
static void settle_part(void *p, int part, int parts) {
  Handed *h = (Handed *)p;
  for (int64_t k = part ? h->listed : 0; k < h->listed; k++) h->total[h->voxel[h->lane[k]]] += h->units[k];
  if (parts > 1 && part == 0) return;
  int64_t from = parts == 1 ? 0 : cut(h->listed, part - 1, parts - 1);
  int64_t to = parts == 1 ? h->listed : cut(h->listed, part, parts - 1);
  for (int64_t k = from; k < to; k++) {
    int64_t block = h->lane[k] / h->slot, s = h->lane[k] % h->slot;
    for (int64_t c = 0; c < h->changes; c++)
      copy_one(h->cells + ((block * h->channels + h->channel[c]) * h->slot + s) * h->width,
               h->values + (c * h->lanes + k) * h->width, h->width);
    h->hot[block * h->messengers * h->slot + s] = h->still[k];
    if (h->own) copy_one(h->own + h->lane[k] * h->width, h->molecules + k * h->width, h->width);
  }
}

// inputs: lane values channels still units molecules voxel numbers (synapses listed, messenger), then aliased: cells hot
// total own, the last with or without elements; outputs: the aliased four
XLA_FFI_Error *retrojax_settle(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  const int32_t *numbers = IN(int32_t, 7);
  Handed h = {.lane = IN(int32_t, 0), .values = IN(uint8_t, 1), .channel = IN(int32_t, 2), .still = IN(uint8_t, 3),
              .units = IN(int32_t, 4), .molecules = IN(uint8_t, 5), .voxel = IN(int32_t, 6), .listed = numbers[0],
              .cells = OUT(uint8_t, 0), .hot = OUT(uint8_t, 1) + numbers[1] * output(f, 1)->dims[2],
              .total = OUT(int32_t, 2), .own = output(f, 3)->dims[0] ? OUT(uint8_t, 3) : NULL,
              .lanes = input(f, 0)->dims[0], .slot = output(f, 0)->dims[2], .channels = output(f, 0)->dims[1],
              .changes = input(f, 2)->dims[0], .width = width_of(output(f, 0)), .messengers = output(f, 1)->dims[1]};
  in_parts(settle_part, &h, h.listed < 4096 ? 1 : 1 + parts_for(h.listed, 4096));
  return NULL;
}
