// Threads that help with one loop at a time. XLA's own pool sleeps between two calls of a block, and waking it costs more
// than the loops here take; these spin for a fraction of a millisecond before they sleep.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common.h"

enum { SPINS = 1 << 14, CLOSED = 1 << 30 };

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  _Atomic unsigned call;  // number of the loop to help with
  _Atomic int next, left, helping, asleep;
  Part *run;
  void *job;
  int parts, threads;
  _Atomic int most;  // threads that a loop may have
} team = {.most = MOST_THREADS, .next = CLOSED, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;  // one loop at a time; a second caller works alone

static inline void pause_a_little(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

static void take_parts(void) {
  for (int part; (part = atomic_fetch_add(&team.next, 1)) < team.parts;) {
    team.run(team.job, part, team.parts);
    atomic_fetch_sub_explicit(&team.left, 1, memory_order_release);
  }
}

static void *help(void *unused) {
  (void)unused;
  unsigned seen = 0;
  for (;;) {
    unsigned call;
    for (int k = 0; (call = atomic_load_explicit(&team.call, memory_order_acquire)) == seen && k < SPINS; k++)
      pause_a_little();
    if (call == seen) {
      pthread_mutex_lock(&team.lock);
      atomic_fetch_add(&team.asleep, 1);
      while ((call = atomic_load(&team.call)) == seen) pthread_cond_wait(&team.wake, &team.lock);
      atomic_fetch_sub(&team.asleep, 1);
      pthread_mutex_unlock(&team.lock);
    }
    seen = call;
    atomic_fetch_add(&team.helping, 1);  // the caller waits for those who came, not for those who are late
    if (atomic_load(&team.call) == call) take_parts();
    atomic_fetch_sub(&team.helping, 1);
  }
  return NULL;
}

static void forked(void) { team.threads = 1; }  // a child has none of the threads

static void start(void) {
  cpu_set_t mine;
  int count = sched_getaffinity(0, sizeof mine, &mine) ? 1 : CPU_COUNT(&mine);
  if (count > MOST_THREADS) count = MOST_THREADS;
  team.threads = 1;
  pthread_attr_t apart;
  pthread_attr_init(&apart);
  pthread_attr_setdetachstate(&apart, PTHREAD_CREATE_DETACHED);
  for (int k = 1; k < count; k++) {
    pthread_t thread;
    if (pthread_create(&thread, &apart, help, NULL)) break;
    team.threads++;
  }
  pthread_attr_destroy(&apart);
  pthread_atfork(NULL, NULL, forked);
}

int threads(void) {
  pthread_once(&once, start);
  int most = atomic_load(&team.most);
  return most < team.threads ? most : team.threads;
}

void limit_threads(int most) { atomic_store(&team.most, most < 1 ? 1 : most); }

void in_parts(Part *run, void *job, int parts) {
  if (parts == 1 || threads() == 1 || pthread_mutex_trylock(&busy)) {
    for (int part = 0; part < parts; part++) run(job, part, parts);
    return;
  }
  while (atomic_load(&team.helping)) pause_a_little();  // of the call before
  team.run = run, team.job = job, team.parts = parts;
  atomic_store(&team.left, parts);
  atomic_store(&team.next, 0);
  atomic_fetch_add(&team.call, 1);
  if (atomic_load(&team.asleep)) {
    pthread_mutex_lock(&team.lock);
    pthread_cond_broadcast(&team.wake);
    pthread_mutex_unlock(&team.lock);
  }
  take_parts();
  while (atomic_load_explicit(&team.left, memory_order_acquire)) pause_a_little();
  atomic_store(&team.next, CLOSED);  // a late helper finds nothing to take, whatever the next loop is
  pthread_mutex_unlock(&busy);
}
