/*
 * The protocol of shared tables, by itself: three address spaces, two levels, two slots in each table.
 *
 * A has two threads; B, its child, has one, and so has C, which a fork of either brings to life. Every thread does a few actions out of:
 * store or load through a CPU that remembers what it walked through, give back a page or a whole slot, fork, exit. One more process walks
 * from an object to the entries of a page. All interleavings are checked, without a bound on preemptions. What happens under a lock is one
 * step, unless a processor, a lockless count or whoever holds only the other lock could see a part of it.
 *
 * Transitions have the names of the functions they stand for: add_share, release_table, copy_entries (core/quire/table/tree.cc), unshare
 * (table/unshare.cc), Gather_finish (tlb/gather.cc), Zap_detach, Zap_leaf (space/zap.cc), ForkCopy_share (space/fork.cc), fault,
 * write_private, finish_leaf (space/fault.cc), destroy (space/address_space.cc), for_each_table (object/memory_object.h).
 *
 * Asserted: I1, I3, I4 and I6 when all is quiet; I3 and I7 at every access of a CPU; R13 and R24 in the walk. Each NO_... switch takes one
 * guard away, and the check must fail then (models/check.py). What is not here: zero tables, forks that copy, more levels, running out of
 * memory.
 */

#define SPACES 3
#define SLOTS 2
#define CPUS 5     /* A's two, B's, C's, and one of A that only keeps what it has read */
#define KEEPER 4
#define TABLES 6   /* numbered from 1 */
#define FRAMES 6   /* numbered from 1 */
#define NONE 0
#define NOWHERE 255

/* How many actions each thread does; how many pages stores go to. The set-up decides what is explored: models/check.py. */
#ifndef OPS_A1
#define OPS_A1 1
#endif
#ifndef OPS_A2
#define OPS_A2 1
#endif
#ifndef OPS_B
#define OPS_B 1
#endif
#ifndef OPS_C
#define OPS_C 1
#endif
#ifndef PAGES
#define PAGES 2
#endif

#define at(m, i) ((m) * SLOTS + (i))

/* Upper entries: the table that slot i of m's root names, and W. */
byte root[SPACES * SLOTS];
bit root_w[SPACES * SLOTS];
/* Leaf tables: share count, entries and their W, lock; whether and since when the object of page 0 knows them. */
byte share[TABLES + 1];
byte entry[(TABLES + 1) * SLOTS];
bit entry_w[(TABLES + 1) * SLOTS];
bit table_lock[TABLES + 1];
bit in_use[TABLES + 1];
bit attached[TABLES + 1];
byte sequence[TABLES + 1];
byte next_sequence = 1;
/* Frames: leaf entries that name them. Not known to core: which spaces may see what is in them. */
byte leaves[FRAMES + 1];
byte readers_of[FRAMES + 1];
/* Spaces: the lock of the space, the lock of its root, leaves being replaced. */
byte holders[SPACES]; /* NOWHERE: held exclusively */
bit root_lock[SPACES];
byte replacing[SPACES];
bit alive[SPACES];
bit born; /* C */
/* CPUs: one page and one upper entry remembered, and whether an access is under way. */
byte tlb_page[CPUS], tlb_frame[CPUS];
bit tlb_w[CPUS];
byte psc_slot[CPUS], psc_table[CPUS];
bit psc_w[CPUS];
bit in_access[CPUS];
/* The walk marks the entries of page 0 that it meets; copies of a marked entry are marked. */
bit mark[TABLES + 1];

byte running = 0;
bit second_thread_runs = 1;

#define first_cpu(m) (m == 0 -> 0 : m + 1)
#define last_cpu(m) (m == 0 -> 1 : m + 1)
#define upper(m, page) at(m, (page) / SLOTS)
#define leaf(t, page) at(t, (page) % SLOTS)

inline lock_shared(m) { atomic { holders[m] != NOWHERE -> holders[m]++ } }
inline unlock_shared(m) { holders[m]-- }
inline lock_exclusive(m) { atomic { holders[m] == 0 -> holders[m] = NOWHERE } }
inline unlock_exclusive(m) { holders[m] = 0 }

/* Used inside steps. */
inline new_table(t) {
  t = 1;
  do
  :: in_use[t] -> t++
  :: else -> break
  od;
  in_use[t] = 1; share[t] = 1; attached[t] = 0; mark[t] = 0; sequence[t] = 0;
  entry[at(t, 0)] = NONE; entry[at(t, 1)] = NONE; entry_w[at(t, 0)] = 0; entry_w[at(t, 1)] = 0
}

inline new_frame(f, m) {
  f = 1;
  do
  :: leaves[f] != 0 -> f++
  :: else -> break
  od;
  leaves[f] = 1; readers_of[f] = 1 << m
}

/* ---- the processor ---- */

/*
 * A use of frame f by space m: I7, it was not freed and nobody else's secret is in it. A store: I3, nobody else sees it; and no CPU of m
 * still has another frame for the page (P2, "leaf to other frame").
 */
inline check_use(m, page, f, is_write) {
  assert(leaves[f] != 0);
  assert((readers_of[f] >> m) & 1);
  if
  :: is_write ->
    n = 0;
    do
    :: n < SPACES * SLOTS ->
      if
      :: n / SLOTS != m && alive[n / SLOTS] && root[n] != NONE -> assert(entry[at(root[n], 0)] != f && entry[at(root[n], 1)] != f)
      :: else
      fi;
      n++
    :: else -> break
    od;
    n = 0;
    assert(m != 0 || tlb_page[KEEPER] != page || tlb_frame[KEEPER] == f)
  :: else
  fi
}

/* One instruction of m's program. Sets faulted; what was remembered for the page is forgotten then. */
inline access(cpu, m, page, is_write) {
  d_step {
    faulted = 0;
    if
    :: tlb_page[cpu] == page && (tlb_w[cpu] || !is_write) -> check_use(m, page, tlb_frame[cpu], is_write)
    :: else ->
      /* The upper entry, remembered or read. */
      in_access[cpu] = 1;
      if
      :: psc_slot[cpu] == page / SLOTS
      :: else -> psc_slot[cpu] = page / SLOTS; psc_table[cpu] = root[upper(m, page)]; psc_w[cpu] = root_w[upper(m, page)]
      fi
    fi
  };
  if
  :: in_access[cpu] ->
    d_step {
      if
      :: psc_table[cpu] == NONE -> faulted = 1
      :: else ->
        assert(in_use[psc_table[cpu]]); /* I7: a walk stays in tables */
        n = leaf(psc_table[cpu], page);
        if
        :: entry[n] == NONE || (is_write && !(psc_w[cpu] && entry_w[n])) -> faulted = 1
        :: else ->
          tlb_page[cpu] = page; tlb_frame[cpu] = entry[n]; tlb_w[cpu] = psc_w[cpu] && entry_w[n];
          check_use(m, page, tlb_frame[cpu], is_write)
        fi;
        n = 0
      fi;
      if
      :: faulted -> forget(cpu)
      :: else
      fi;
      in_access[cpu] = 0
    }
  :: else
  fi
}

inline forget(cpu) {
  tlb_page[cpu] = NOWHERE; tlb_frame[cpu] = NONE; tlb_w[cpu] = 0; psc_slot[cpu] = NOWHERE; psc_table[cpu] = NONE; psc_w[cpu] = 0
}

/* What a CPU remembers of slot i is forgotten, between two of its instructions. */
inline flush_cpu(cpu, i) {
  atomic {
    !in_access[cpu] ->
    if
    :: tlb_page[cpu] != NOWHERE && tlb_page[cpu] / SLOTS == i -> tlb_page[cpu] = NOWHERE; tlb_frame[cpu] = NONE; tlb_w[cpu] = 0
    :: else
    fi;
#ifndef NO_FLUSH_OF_UPPER_ENTRIES
    if
    :: psc_slot[cpu] == i -> psc_slot[cpu] = NOWHERE; psc_table[cpu] = NONE; psc_w[cpu] = 0
    :: else
    fi
#endif
  }
}

inline flush(m, i) {
  flush_cpu(first_cpu(m), i);
  if
  :: m == 0 -> flush_cpu(1, i); flush_cpu(KEEPER, i)
  :: else
  fi
}

/* ---- table/tree.cc ---- */

/* A frame that no leaf entry names is free: no CPU may have it still (I7). */
inline drop_leaf(f) {
  assert(leaves[f] != 0);
  leaves[f]--;
  assert(leaves[f] != 0 || tlb_page[KEEPER] == NOWHERE || tlb_frame[KEEPER] != f)
}

inline add_share(t) { share[t]++ }

/* The decrement that reaches zero releases what the table names (I6); the object forgets it first (R24). */
inline release_table(t) {
#ifdef NO_DECISION_BY_THE_DECREMENT
  was_last = (share[t] == 1);
  share[t]--;
#else
  d_step { assert(share[t] != 0); share[t]--; was_last = (share[t] == 0) };
#endif
  if
  :: was_last ->
#ifndef NO_DETACHING_FIRST
    atomic { table_lock[t] == 0 -> attached[t] = 0 };
#endif
    d_step {
      assert(in_use[t]);
      n = 0;
      do
      :: n < SLOTS ->
        if
        :: entry[at(t, n)] != NONE -> drop_leaf(entry[at(t, n)])
        :: else
        fi;
        n++
      :: else -> break
      od;
      n = 0; was_last = 0
    };
    d_step { attached[t] = 0; in_use[t] = 0 }
  :: else
  fi
}

inline attach(t) {
#ifdef NO_ATTACHING_BEHIND
  sequence[t] = 1;
#else
  sequence[t] = next_sequence; next_sequence++;
#endif
  attached[t] = 1
}

inline copy_entry(from, to, j) {
  if
  :: entry[at(from, j)] != NONE -> leaves[entry[at(from, j)]]++; entry[at(to, j)] = entry[at(from, j)]
  :: else
  fi;
#ifndef NO_W_OFF_IN_THE_ORIGINAL
  entry_w[at(from, j)] = 0
#endif
}

inline copy_entries(from, to) {
  copy_entry(from, to, 0);
  copy_entry(from, to, 1);
  mark[to] = mark[from]
}

/* ---- tlb/gather.cc ---- */

inline Gather_finish(m, i) {
  if
  :: gathered_table != NONE || gathered_frame != NONE ->
#ifndef NO_FLUSH_BEFORE_RELEASE
    flush(m, i);
#endif
    if
    :: gathered_frame != NONE -> d_step { drop_leaf(gathered_frame); gathered_frame = NONE }
    :: else
    fi;
    if
    :: gathered_table != NONE -> release_table(gathered_table); gathered_table = NONE
    :: else
    fi;
#ifdef NO_FLUSH_BEFORE_RELEASE
    flush(m, i)
#endif
  :: else
  fi
}

/* ---- table/unshare.cc ---- */

/* Afterwards the entry has W, or there is none. */
inline unshare(m, i) {
#ifdef NO_SECOND_LOOK
  atomic { root_lock[m] == 0 -> root_lock[m] = 1; seen_w = 0 }; /* what the caller saw is believed */
#else
  atomic { root_lock[m] == 0 -> root_lock[m] = 1; e = root[at(m, i)]; seen_w = root_w[at(m, i)] };
#endif
  if
  :: e != NONE && !seen_w ->
#ifndef NO_LOCK_OF_THE_ORIGINAL
    atomic { table_lock[e] == 0 -> table_lock[e] = 1; was_last = (share[e] == 1) };
#else
    was_last = (share[e] == 1);
#endif
    if
    :: was_last ->
      d_step {
#ifdef NO_COUNT_UNCHANGED
        add_share(e);
#endif
        root_w[at(m, i)] = 1; was_last = 0
      }
    :: else ->
      d_step { new_table(t); copy_entries(e, t) };
      d_step {
        if
        :: i == 0 -> attach(t)
        :: else
        fi;
        root[at(m, i)] = t; root_w[at(m, i)] = 1; gathered_table = e; t = NONE
      }
    fi;
#ifndef NO_LOCK_OF_THE_ORIGINAL
    table_lock[e] = 0
#endif
  :: else
  fi;
  d_step { root_lock[m] = 0; e = NONE; seen_w = 0 }
}

/* ---- space/fault.cc ---- */

/* A write fault. */
inline fault(m, page) {
  lock_shared(m);
  do
  :: atomic { root[upper(m, page)] == NONE && root_lock[m] == 0 ->
       new_table(t); root[upper(m, page)] = t; root_w[upper(m, page)] = 1; t = NONE }
  :: atomic { root[upper(m, page)] != NONE && !root_w[upper(m, page)] -> e = root[upper(m, page)] };
    unshare(m, page / SLOTS)
  :: root[upper(m, page)] != NONE && root_w[upper(m, page)] -> break
  od;
  write_private(m, page);
  Gather_finish(m, page / SLOTS);
  if
  :: g != NONE -> finish_leaf(m, page)
  :: else
  fi;
  unlock_shared(m)
}

/* A new page; the old one, if it is exclusive (I5); or a copy, read-only until everybody has forgotten the original. */
inline write_private(m, page) {
  t = root[upper(m, page)];
  do
  :: atomic {
      table_lock[t] == 0 ->
      f = entry[leaf(t, page)];
      if
      :: f == NONE ->
        new_frame(f, m);
        entry[leaf(t, page)] = f; entry_w[leaf(t, page)] = 1;
        if
        :: page / SLOTS == 0 && !attached[t] -> attach(t)
        :: else
        fi;
        seen_w = 1
      :: else ->
        if
        :: entry_w[leaf(t, page)] -> seen_w = 1
        :: !entry_w[leaf(t, page)] && leaves[f] == 1 ->
#ifndef NO_FLUSH_BEFORE_OVERTAKING
          if
          :: replacing[m] == 0 || flushed_for == f -> entry_w[leaf(t, page)] = 1; seen_w = 1
          :: else -> flushed_for = f
          fi
#else
          entry_w[leaf(t, page)] = 1; seen_w = 1
#endif
        :: !entry_w[leaf(t, page)] && leaves[f] != 1 ->
          new_frame(g, m);
          entry[leaf(t, page)] = g; gathered_frame = f; replacing[m]++; seen_w = 1;
#ifdef NO_READ_ONLY_PHASE
          entry_w[leaf(t, page)] = 1;
#endif
          if
          :: page == 0 -> mark[t] = 0
          :: else
          fi
        fi
      fi;
      f = NONE
    };
    if
    :: seen_w -> break
    :: else -> flush(m, page / SLOTS)
    fi
  od;
  skip;
  d_step { t = NONE; seen_w = 0; flushed_for = NONE }
}

inline finish_leaf(m, page) {
  atomic {
    table_lock[root[upper(m, page)]] == 0 ->
    if
    :: entry[leaf(root[upper(m, page)], page)] == g -> entry_w[leaf(root[upper(m, page)], page)] = 1
    :: else
    fi;
    g = NONE;
    replacing[m]--
  }
}

/* ---- space/zap.cc ---- */

inline Zap_detach(m, i) {
  d_step { gathered_table = root[at(m, i)]; root[at(m, i)] = NONE; root_w[at(m, i)] = 0 };
  Gather_finish(m, i)
}

/* A page: its table is unshared first; a table that becomes empty goes. */
inline Zap_leaf(m, page) {
  if
  :: root[upper(m, page)] != NONE ->
    if
    :: !root_w[upper(m, page)] -> e = root[upper(m, page)]; unshare(m, page / SLOTS)
    :: else
    fi;
    atomic {
      table_lock[root[upper(m, page)]] == 0 ->
      t = root[upper(m, page)];
      gathered_frame = entry[leaf(t, page)]; entry[leaf(t, page)] = NONE; entry_w[leaf(t, page)] = 0;
      if
      :: page == 0 -> mark[t] = 0
      :: else
      fi;
      if
      :: entry[at(t, 0)] == NONE && entry[at(t, 1)] == NONE -> attached[t] = 0; seen_w = 1
      :: else
      fi;
      t = NONE
    };
    Gather_finish(m, page / SLOTS);
    if
    :: seen_w -> seen_w = 0; Zap_detach(m, page / SLOTS)
    :: else
    fi
  :: else
  fi
}

/* ---- space/fork.cc ---- */

inline ForkCopy_share(m, c, i) {
  d_step { e = root[at(m, i)]; seen_w = root_w[at(m, i)] };
  if
  :: e != NONE ->
    atomic {
      root_lock[m] == 0 ->
      add_share(e);
      if
      :: seen_w -> root_w[at(m, i)] = 0
      :: else
      fi;
      root[at(c, i)] = e; root_w[at(c, i)] = 0
    }
  :: else
  fi;
  d_step { e = NONE; seen_w = 0 }
}

inline fork(m, c) {
#ifdef NO_EXCLUSIVE_LOCK_IN_FORK
  lock_shared(m);
#else
  lock_exclusive(m);
#endif
  ForkCopy_share(m, c, 0);
  ForkCopy_share(m, c, 1);
#ifndef NO_FLUSH_IN_FORK
  flush(m, 0);
  flush(m, 1);
#endif
  /* The child is what its parent is now. */
  d_step {
    alive[c] = 1;
    n = 0;
    do
    :: n < SLOTS * SLOTS ->
      if
      :: root[upper(c, n)] != NONE && entry[leaf(root[upper(c, n)], n)] != NONE ->
        f = entry[leaf(root[upper(c, n)], n)];
        readers_of[f] = readers_of[f] | (1 << c)
      :: else
      fi;
      n++
    :: else -> break
    od;
    n = 0; f = NONE
  };
#ifdef NO_EXCLUSIVE_LOCK_IN_FORK
  unlock_shared(m)
#else
  unlock_exclusive(m)
#endif
}

/* ---- space/address_space.cc ---- */

inline destroy(m, cpu) {
  d_step {
    alive[m] = 0;
    forget(cpu);
#ifndef NO_RETIRING_OF_ROOTS
    if
    :: m == 0 -> forget(KEEPER)
    :: else
    fi
#endif
  };
  d_step { e = root[at(m, 0)]; root[at(m, 0)] = NONE; root_w[at(m, 0)] = 0 };
  if
  :: e != NONE -> release_table(e)
  :: else
  fi;
  d_step { e = root[at(m, 1)]; root[at(m, 1)] = NONE; root_w[at(m, 1)] = 0 };
  if
  :: e != NONE -> release_table(e)
  :: else
  fi;
  e = NONE
}

/* ---- processes ---- */

inline select_page(page) {
  if
  :: page = 0
  :: page = 1
#if PAGES > 2
  :: page = 2
#endif
  fi
}

proctype Thread(byte cpu; byte m; byte ops) {
  byte e = NONE, t = NONE, f = NONE, g = NONE, n = 0, gathered_table = NONE, gathered_frame = NONE, flushed_for = NONE;
  bit faulted = 0, was_last = 0, seen_w = 0;
  byte page = 0;

  do
  :: ops == 0 -> break
  :: ops > 0 ->
    ops--;
    if
    /* A store, again after a fault; a load. */
    :: select_page(page);
      access(cpu, m, page, 1);
      if
      :: faulted -> fault(m, page); access(cpu, m, page, 1)
      :: else
      fi
    :: select_page(page); access(cpu, m, page, 0)
    :: lock_exclusive(m); Zap_leaf(m, 0); unlock_exclusive(m)
    :: lock_exclusive(m);
      if
      :: root[at(m, 0)] != NONE -> Zap_detach(m, 0)
      :: else
      fi;
      unlock_exclusive(m)
    :: atomic { m != 2 && !born -> born = 1 };
      fork(m, 2);
      atomic { running++; run Thread(3, 2, OPS_C) }
    :: m != 0 || (cpu == 0 && !second_thread_runs) -> destroy(m, cpu); ops = 0
    fi;
    d_step { page = 0; faulted = 0 }
  od;
  skip;
  d_step {
    if
    :: cpu == 1 -> second_thread_runs = 0
    :: else
    fi;
    running--
  }
}

/* A walk from the object of the page in `frame` to the entries that name it. */
proctype for_each_table(byte frame) {
  byte now = 0, t = 1, found = NONE;
  do
  :: d_step {
      found = NONE;
      t = 1;
      do
      :: t <= TABLES ->
        if
        :: attached[t] && sequence[t] > now && (found == NONE || sequence[t] < sequence[found]) -> found = t
        :: else
        fi;
        t++
      :: else -> break
      od;
      t = 1;
      if
      :: found != NONE -> now = sequence[found]
      :: else
      fi
    };
    if
    :: found == NONE -> break
    :: else
    fi;
    atomic {
      table_lock[found] == 0 ->
      if
#ifdef NO_SECOND_LOOK_AT_THE_ATTACHMENT
      :: entry[at(found, 0)] == frame ->
#else
      :: attached[found] && sequence[found] == now && entry[at(found, 0)] == frame ->
#endif
        assert(in_use[found] && leaves[frame] != 0); /* R24, R25 */
        mark[found] = 1
      :: else
      fi
    }
  od;
  skip;
  /* R13: whatever names the page now was met, or is a copy of what was. */
  d_step {
    t = 1;
    do
    :: t <= TABLES -> assert(!in_use[t] || share[t] == 0 || entry[at(t, 0)] != frame || mark[t]); t++
    :: else -> break
    od;
    t = 1;
    running--
  }
}

/* A with one page, forked once: B shares the table. All CPUs have read the page. */
init {
  byte t = 0, n = 0, count = 0;
  d_step {
    in_use[1] = 1; share[1] = 2; attached[1] = 1; sequence[1] = next_sequence; next_sequence++;
    entry[at(1, 0)] = 1; entry_w[at(1, 0)] = 1; leaves[1] = 1; readers_of[1] = 3;
    root[at(0, 0)] = 1; root[at(1, 0)] = 1;
    alive[0] = 1; alive[1] = 1;
    do
    :: n < CPUS ->
      if
      :: n != 3 -> tlb_page[n] = 0; tlb_frame[n] = 1; psc_slot[n] = 0; psc_table[n] = 1
      :: else -> tlb_page[n] = NOWHERE; psc_slot[n] = NOWHERE
      fi;
      n++
    :: else -> break
    od;
    n = 0
  };
  atomic {
#if OPS_A1
    running++; run Thread(0, 0, OPS_A1);
#endif
#if OPS_A2
    running++; run Thread(1, 0, OPS_A2);
#else
    second_thread_runs = 0;
#endif
#if OPS_B
    running++; run Thread(2, 1, OPS_B);
#endif
#ifdef WALK
    running++; run for_each_table(1);
#endif
  };
  running == 0;
  /* All is quiet. I1 and I6: shares are names, nothing unnamed is in use. I4: leaf entries are counted. */
  d_step {
    t = 1;
    do
    :: t <= TABLES ->
      count = 0;
      n = 0;
      do
      :: n < SPACES * SLOTS -> count = count + (root[n] == t); n++
      :: else -> break
      od;
      assert(count == (in_use[t] -> share[t] : 0));
      assert(!in_use[t] || count != 0);
      t++
    :: else -> break
    od;
    t = 1;
    do
    :: t <= FRAMES ->
      count = 0;
      n = 1;
      do
      :: n <= TABLES ->
        if
        :: in_use[n] -> count = count + (entry[at(n, 0)] == t) + (entry[at(n, 1)] == t)
        :: else
        fi;
        n++
      :: else -> break
      od;
      assert(count == leaves[t]);
      t++
    :: else -> break
    od;
    /* I3: W above a table only if nobody else names it; on a page below, only if it is mapped once. */
    n = 0;
    do
    :: n < SPACES * SLOTS ->
      if
      :: root[n] != NONE && root_w[n] ->
        assert(share[root[n]] == 1);
        assert(!entry_w[at(root[n], 0)] || leaves[entry[at(root[n], 0)]] == 1);
        assert(!entry_w[at(root[n], 1)] || leaves[entry[at(root[n], 1)]] == 1)
      :: else
      fi;
      n++
    :: else -> break
    od;
    n = 0; t = 0; count = 0
  }
}
