/*
 * The same translations as bench/vtd.ts makes, in C: root and context entry, then second-stage tables of four levels,
 * or first-stage tables of four levels nested in second-stage ones, with the checks that the remapping unit makes
 * (access, presence, permission, reserved bits, width, interrupt range) and no cache of any kind.
 *
 * Prints one line per case: name, tab, nanoseconds per translation (median of rounds).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 15
#define BATCH 200000u
#define PAGES (1u << 18)
#define NESTED_PAGES (1u << 14)
#define BASE 0x100000000ull /* tables begin at 4 GiB */
#define TABLE_PAGES 4096u
#define HOST_WIDTH 48
#define SID 0x0310u

static uint64_t *memory;
static uint64_t next_page = BASE;

static uint64_t page(void) {
  next_page += 4096;
  return next_page - 4096;
}

/* The quadword at an aligned address, or NULL where there is no memory. */
static inline uint64_t *at(uint64_t address) {
  uint64_t index = address - BASE;
  return index < TABLE_PAGES * 4096ull ? &memory[index >> 3] : NULL;
}

#define RESERVED_HIGH ((((1ull << 52) - 1) & ~((1ull << HOST_WIDTH) - 1)) | 1ull << 62)
#define ADDRESS(entry) ((entry) & 0xFFFFFFFFFF000ull)

/* Returns 0 and the host address, or the reason code of a fault. */
static int second_stage(uint64_t top, uint64_t address, unsigned want, uint64_t *host) {
  uint64_t table = top, rights = 3;
  if (address >> 48) return 0x84;
  for (int level = 4;; level--) {
    int shift = 12 + 9 * (level - 1);
    uint64_t *entry = at(table + ((address >> shift) & 511) * 8);
    if (!entry) return level == 4 ? 0x7B : 0x78;
    uint64_t value = *entry;
    rights &= value;
    if (!(rights & want)) return rights ? (want == 2 ? 0x85 : 0x86) : 0x79;
    int leaf = level == 1 || (level <= 3 && (value & 0x80));
    uint64_t reserved = RESERVED_HIGH;
    if (!leaf) reserved |= level > 3 ? 0x880 : 0x800;
    else if (level > 1) reserved |= ((1ull << shift) - 1) & ~0xFFFull;
    if (value & reserved) return 0x7A;
    if (leaf) {
      *host = (ADDRESS(value) & ~((1ull << shift) - 1)) | (address & ((1ull << shift) - 1));
      return 0;
    }
    table = ADDRESS(value);
  }
}

static int nested(uint64_t first_top, uint64_t second_top, uint64_t address, int write, uint64_t *host) {
  uint64_t table = first_top, rights = 6;
  int64_t sign = (int64_t)address >> 47;
  if (sign != 0 && sign != -1) return 0x80;
  for (int level = 4;; level--) {
    int shift = 12 + 9 * (level - 1);
    uint64_t where;
    int reason = second_stage(second_top, table + ((address >> shift) & 511) * 8, 1, &where);
    if (reason) return reason == 0x79 || reason == 0x86 ? (level == 4 ? 0x75 : 0x76) : reason;
    uint64_t *entry = at(where);
    if (!entry) return level == 4 ? 0x73 : 0x70;
    uint64_t value = *entry;
    if (!(value & 1)) return 0x71;
    int leaf = level == 1 || (level <= 3 && (value & 0x80));
    uint64_t reserved = (((1ull << 52) - 1) & ~((1ull << HOST_WIDTH) - 1)) | 1ull << 63;
    if (level > 3) reserved |= 0x80;
    if (leaf && level > 1) reserved |= ((1ull << shift) - 1) & ~0x1FFFull;
    if (value & reserved) return 0x72;
    rights &= value;
    if (!(rights & 4)) return 0x81;
    if (write && !(rights & 2)) return 0x85;
    if (!(value & 0x20) || (leaf && write && !(value & 0x40))) return 0x90;
    if (leaf) {
      uint64_t guest = (ADDRESS(value) & ~((1ull << shift) - 1)) | (address & ((1ull << shift) - 1));
      return second_stage(second_top, guest, write ? 2 : 1, host);
    }
    table = ADDRESS(value);
  }
}

static int interrupt_range(uint64_t host) { return host >> 20 == 0xFEE; }

/* A whole untranslated read in legacy mode. */
static int translate(uint64_t root, unsigned sid, uint64_t address, uint64_t *host) {
  uint64_t *entry = at(root + (sid >> 8) * 16);
  if (!entry) return 0x08;
  if (!(entry[0] & 1)) return 0x01;
  if ((entry[0] & 0xFFE) || entry[0] >> HOST_WIDTH || entry[1]) return 0x0A;
  uint64_t *context = at((entry[0] & ~0xFFFull) + (sid & 0xFF) * 16);
  if (!context) return 0x09;
  uint64_t low = context[0], high = context[1];
  if (!(low & 1)) return 0x02;
  if ((low & 0xFF0) || low >> HOST_WIDTH || (high & 0x80) || high >> 24) return 0x0B;
  if ((high & 7) != 2 || (low & 0xC)) return 0x03;
  int reason = second_stage(low & ~0xFFFull, address, 1, host);
  if (reason) return reason;
  return interrupt_range(*host) ? 0x0E : 0;
}

static void map(uint64_t top, uint64_t number, uint64_t frame, uint64_t bits) {
  uint64_t table = top;
  for (int level = 4; level > 1; level--) {
    uint64_t *entry = at(table + ((number >> 9 * (level - 1)) & 511) * 8);
    if (!*entry) *entry = page() | bits;
    table = ADDRESS(*entry);
  }
  *at(table + (number & 511) * 8) = frame << 12 | bits;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static uint64_t order[PAGES], nested_order[NESTED_PAGES];

static void shuffle(uint64_t *items, uint32_t count) {
  uint32_t random = 12345;
  for (uint32_t i = count - 1; i > 0; i--) {
    random = random * 1103515245u + 12345u;
    uint32_t j = random % (i + 1);
    uint64_t kept = items[i];
    items[i] = items[j];
    items[j] = kept;
  }
}

int main(void) {
  memory = calloc(TABLE_PAGES, 4096);
  if (!memory) return 1;
  const uint64_t first = (16ull << 30) >> 12, frames = (8ull << 30) >> 12;
  uint64_t root = page(), context = page(), top = page();
  *at(root + (SID >> 8) * 16) = context | 1;
  at(context + (SID & 0xFF) * 16)[0] = top | 1;
  at(context + (SID & 0xFF) * 16)[1] = 7 << 8 | 2;
  for (uint32_t i = 0; i < PAGES; i++) {
    map(top, first + i, frames + i, 3);
    order[i] = first + i;
  }
  shuffle(order, PAGES);

  uint64_t first_top = page(), second_top = page();
  for (uint32_t i = 0; i < NESTED_PAGES; i++) {
    map(first_top, first + i, first + i, 0x67);
    nested_order[i] = first + i;
  }
  for (uint32_t i = 0; i < NESTED_PAGES; i++) map(second_top, first + i, frames + i, 3);
  for (uint64_t p = BASE >> 12; p < next_page >> 12; p++) map(second_top, p, p, 3);
  shuffle(nested_order, NESTED_PAGES);

  static const char *const names[] = {"miss, in order", "miss, shuffled", "nested 4x4, cold"};
  uint64_t sum = 0, host = 0;
  for (int which = 0; which < 3; which++) {
    double samples[ROUNDS];
    for (int round = -3; round < ROUNDS; round++) {
      double start = now();
      for (uint32_t i = 0; i < BATCH; i++) {
        uint32_t n = (uint32_t)(round + 3) * BATCH + i;
        int reason = which == 0   ? translate(root, SID, (first + (n & (PAGES - 1))) << 12, &host)
                     : which == 1 ? translate(root, SID, order[n & (PAGES - 1)] << 12, &host)
                                  : nested(first_top, second_top, nested_order[n & (NESTED_PAGES - 1)] << 12, 1, &host);
        if (reason) return fprintf(stderr, "%s: fault %02Xh\n", names[which], reason), 1;
        sum += host;
      }
      if (round >= 0) samples[round] = (now() - start) / BATCH;
    }
    qsort(samples, ROUNDS, sizeof *samples, ascending);
    printf("%s\t%.2f\n", names[which], samples[ROUNDS / 2]);
  }
  return sum == 0;
}
