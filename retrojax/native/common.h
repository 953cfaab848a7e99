// Shared by the data-movement primitives: XLA's C interface, arguments by position, and loops split over its threads.
//
// Nothing here computes biology. Every primitive moves or counts; `engine/lazy` holds the same in plain JAX, and both
// give the same bits.
#ifndef RETROJAX_COMMON_H
#define RETROJAX_COMMON_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xla/ffi/api/c_api.h"

#define MOST_THREADS 64
#define MOST_PARTS 64
#define LANES 16  // slots of a block come in as many

typedef XLA_FFI_CallFrame Frame;

static inline XLA_FFI_Buffer *input(Frame *f, int k) { return (XLA_FFI_Buffer *)f->args.args[k]; }
static inline XLA_FFI_Buffer *output(Frame *f, int k) { return (XLA_FFI_Buffer *)f->rets.rets[k]; }
#define IN(type, k) ((const type *)input(f, k)->data)
#define OUT(type, k) ((type *)output(f, k)->data)

// XLA asks every handler once which version it was compiled against; such a call carries no arguments.
static inline int is_query(Frame *f) {
  __typeof__(f->extension_start) e = f->extension_start;  // a type of another name from JAX 0.11 on
  if (!e || e->type != XLA_FFI_Extension_Metadata) return 0;
  XLA_FFI_Metadata *m = ((XLA_FFI_Metadata_Extension *)e)->metadata;
  m->api_version.major_version = XLA_FFI_API_MAJOR;
  m->api_version.minor_version = XLA_FFI_API_MINOR;
  return 1;
}

static inline XLA_FFI_Error *fail(Frame *f, const char *message) {
  XLA_FFI_Error_Create_Args a = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, NULL, message,
                                 XLA_FFI_Error_Code_RESOURCE_EXHAUSTED};
  return f->api->XLA_FFI_Error_Create(&a);
}

typedef void Part(void *job, int part, int parts);

// Runs `run(job, part, parts)` for every part, each once, in any order and thread, and waits for all (team.c).
void in_parts(Part *run, void *job, int parts);

// How many threads there are for that.
int threads(void);

// Into how many parts to cut `work`: few enough that one is worth its start, many enough that a late thread costs little.
static inline int parts_for(int64_t work, int64_t worth) {
  int64_t parts = work / worth;
  return parts < 1 ? 1 : parts > MOST_PARTS ? MOST_PARTS : (int)parts;
}

static inline int64_t cut(int64_t n, int part, int parts) { return n * part / parts; }

// Copies whole cache lines; slots come in `LANES`, so every channel of a block is one or more of them.
static inline void copy_lines(uint8_t *to, const uint8_t *from, int64_t bytes) {
  for (int64_t k = 0; k < bytes; k += 64) memcpy(to + k, from + k, 64);
}

static inline int64_t width_of(XLA_FFI_Buffer *b) { return b->dtype == XLA_FFI_DataType_F64 ? 8 : 4; }

// Packed rows: of every block, some channels one after another.
typedef struct Rows {
  uint8_t *at;
  int64_t channels, bytes;  // bytes of one channel of a block
} Rows;

static inline Rows rows_of(XLA_FFI_Buffer *b) {
  return (Rows){(uint8_t *)b->data, b->dims[1], b->dims[2] * width_of(b)};
}

static inline uint8_t *block_of(const Rows *r, int64_t block) { return r->at + block * r->channels * r->bytes; }

enum { AHEAD = 8 };  // blocks between asking for the lines of one and using them

static inline void fetch_block(const Rows *r, int64_t block) {
  const uint8_t *at = block_of(r, block);
  for (int64_t k = 0; k < r->channels * r->bytes; k += 64) __builtin_prefetch(at + k, 1);
}

static inline void copy_one(uint8_t *to, const uint8_t *from, int64_t width) {
  if (width == 4) *(uint32_t *)to = *(const uint32_t *)from; else *(uint64_t *)to = *(const uint64_t *)from;
}

// Memory that a thread keeps between calls.
static inline void *scratch(int which, size_t bytes) {
  static _Thread_local void *kept[8];
  static _Thread_local size_t size[8];
  if (size[which] < bytes) {
    free(kept[which]);
    kept[which] = malloc(bytes);
    size[which] = kept[which] ? bytes : 0;
  }
  return kept[which];
}

#endif
