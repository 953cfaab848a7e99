// What field steps move: channels of all rows out and back, and deposits into voxels. See engine/lazy/field.py.
#include "common.h"

enum { SOON = 2 * LANES };  // slots between asking for a voxel and adding to it: a field fits no core's own cache

typedef struct {
  const int32_t *voxel, *units;
  int32_t *total, *apart;  // of the first part, and of all others
  int64_t slots, voxels;
  int parts;
} Deposit;

// Every part adds to an array of its own: no order of additions changes a sum of integers.
static void add_part(void *p, int part, int parts) {
  const Deposit *j = (const Deposit *)p;
  int32_t *sum = part ? j->apart + (part - 1) * j->voxels : j->total;
  memset(sum, 0, j->voxels * sizeof *sum);
  int64_t end = cut(j->slots / LANES, part + 1, parts) * LANES;
  for (int64_t s = cut(j->slots / LANES, part, parts) * LANES; s < end; s += LANES) {
    const int32_t *voxel = j->voxel + s, *units = j->units + s;
    int32_t any = 0;
    for (int k = 0; k < LANES; k++) any |= units[k];
    if (!any) continue;
    // nothing is added where nothing was made: that costs less than guessing where
    for (int k = 0; k < LANES; k++) {
      if (s + SOON < end) __builtin_prefetch(sum + voxel[k + SOON], 1);
      sum[voxel[k]] = (int32_t)((uint32_t)sum[voxel[k]] + (uint32_t)units[k]);
    }
  }
}

static void join_part(void *p, int part, int parts) {
  const Deposit *j = (const Deposit *)p;
  for (int k = 0; k < j->parts - 1; k++) {
    const int32_t *more = j->apart + k * j->voxels;
    for (int64_t v = cut(j->voxels, part, parts); v < cut(j->voxels, part + 1, parts); v++)
      j->total[v] = (int32_t)((uint32_t)j->total[v] + (uint32_t)more[v]);
  }
}

// inputs: voxel units; output: total by voxel
XLA_FFI_Error *retrojax_deposit(XLA_FFI_CallFrame *f) {
  if (is_query(f)) return NULL;
  XLA_FFI_Buffer *voxel = input(f, 0);
  Deposit j = {.voxel = IN(int32_t, 0), .units = IN(int32_t, 1), .total = OUT(int32_t, 0),
           .slots = voxel->dims[0] * voxel->dims[1], .voxels = output(f, 0)->dims[0]};
  // a part also clears and adds up all voxels, in order, which costs a quarter of as many deposits in any order
  int parts = parts_for(j.slots, j.voxels / 4 > 8192 ? j.voxels / 4 : 8192), most = threads();
  j.parts = parts < most ? parts : most;
  j.apart = scratch(0, (j.parts - 1) * j.voxels * sizeof(int32_t));
  if (j.parts > 1 && !j.apart) return fail(f, "retrojax: no memory left to add up deposits");
  in_parts(add_part, &j, j.parts);
  in_parts(join_part, &j, j.parts > 1 ? parts_for(j.voxels, 8192) : 1);
  return NULL;
}

typedef struct {
  const int32_t *channel;
  Frame *frame;
  uint8_t *cells;
  int64_t blocks, row, channels;  // bytes of one channel of a block
  int moved, back;
} Move;

static void move_part(void *p, int part, int parts) {
  const Move *m = (const Move *)p;
  for (int k = 0; k < m->moved; k++) {
    uint8_t *apart = m->back ? (uint8_t *)input(m->frame, 2 + k)->data : (uint8_t *)output(m->frame, 1 + k)->data;
    for (int64_t b = cut(m->blocks, part, parts); b < cut(m->blocks, part + 1, parts); b++) {
      uint8_t *here = m->cells + (b * m->channels + m->channel[k]) * m->row;
      if (m->back) copy_lines(here, apart + b * m->row, m->row);
      else copy_lines(apart + b * m->row, here, m->row);
    }
  }
}

static XLA_FFI_Error *move(Frame *f, int back) {
  XLA_FFI_Buffer *cells = output(f, 0);
  Move m = {.channel = IN(int32_t, 0), .frame = f, .cells = OUT(uint8_t, 0), .blocks = cells->dims[0],
            .row = cells->dims[2] * width_of(cells), .channels = cells->dims[1],
            .moved = (int)input(f, 0)->dims[0], .back = back};
  in_parts(move_part, &m, parts_for(m.blocks * m.row, 65536));
  return NULL;
}

// inputs: channels cells(aliased); outputs: cells, then every channel
XLA_FFI_Error *retrojax_lift(XLA_FFI_CallFrame *f) { return is_query(f) ? NULL : move(f, 0); }

// inputs: channels cells(aliased), then every channel; output: cells
XLA_FFI_Error *retrojax_lower(XLA_FFI_CallFrame *f) { return is_query(f) ? NULL : move(f, 1); }
