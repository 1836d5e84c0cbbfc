package pid1

import (
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/swapinit/swapinit/internal/file"
)

// processes tells whose the processes of our pid namespace are, by /proc alone.
// Its methods may be called from any goroutine but the loop's, which does not
// read files.
type processes struct {
	control string // our SWAPINIT_CONTROL, "" without one; fixed before the first child
}

// mark is what the environment with which a process was started says about
// whose it is.
type mark uint8

const (
	unmarked mark = iota
	marked        // by the generation that was asked for
	foreign       // by another one, or by an init below us, which numbers its own
)

// mark reads it. An environment that is empty says nothing, not even for later:
// so is that of a process in the middle of its exec. seen is false then, and
// where the kernel does not let us read (another uid and no CAP_SYS_PTRACE).
func (ps *processes) mark(pid, number int) (m mark, seen bool) {
	data, err := file.Read("/proc/" + itoa(pid) + "/environ")
	if err != nil || len(data) == 0 {
		return unmarked, false
	}
	env := strings.Split(string(data), "\x00")
	switch generation := lookup(env, "SWAPINIT_GENERATION"); {
	case lookup(env, "SWAPINIT_RESULT") != "":
		return foreign, true // a hook after the swap to it: it outlives one that has failed
	case generation == "":
		return unmarked, true
	case generation == itoa(number) && lookup(env, "SWAPINIT_CONTROL") == ps.control:
		return marked, true
	}
	return foreign, true
}

// roots are the numbers of a generation's main processes: those that live, and
// those that processes without a mark can still have as their group or session.
type roots struct{ mains, groups []int }

func (r *roots) add(w *worker, exists func(pid int) bool) {
	pid := w.pid()
	if pid != 0 && !w.ended.Load() {
		r.mains, r.groups = append(r.mains, pid), append(r.groups, pid)
		pid = 0
	}
	for _, old := range [...]int{pid, w.former} {
		if old != 0 && !exists(old) {
			r.groups = append(r.groups, old)
		}
	}
}

// in tells which pids are in the table.
func in(table []process) func(pid int) bool {
	return func(pid int) bool {
		for i := range table {
			if table[i].pid == pid {
				return true
			}
		}
		return false
	}
}

// members picks the processes of g out of the table: what descends from a main
// process while that lives, and what carries g's mark. Those without a mark (it
// cannot be read, or they have written a title over it) count if they are of the
// session or process group that a main process led: its number cannot have been
// given away as long as one of them has it, and if it leads a new life as a
// process, it counts for nothing. So does one that has a socket which g alone was given:
// php-fpm as a daemon has a session of its own and a title in place of the mark. marks is
// what earlier calls for g have learned.
func (ps *processes) members(g *generation, table []process, marks map[life]mark) []process {
	var r roots
	for _, w := range g.all() {
		r.add(w, in(table))
	}
	return r.pick(table, func(p process) mark {
		m, known := marks[p.life]
		if !known {
			if m, known = ps.mark(p.pid, g.number); known {
				if m == unmarked && g.sockets.heldBy(p) {
					m = marked
				}
				marks[p.life] = m
			}
		}
		return m
	})
}

// tree picks those of w alone, which no mark tells from others' of its
// generation.
func (w *worker) tree(table []process) []process {
	var r roots
	r.add(w, in(table))
	return r.pick(table, func(process) mark { return unmarked })
}

func (r *roots) pick(table []process, of func(process) mark) (found []process) {
	parent := parents(table)
	counts := func(p process) bool {
		m := of(p)
		return m == marked || m == unmarked && p.in(r.groups)
	}
	for _, p := range table {
		if p.dead() && p.ppid != os.Getpid() {
			continue
		}
		if descends(parent, p.pid, r.mains...) || counts(p) {
			found = append(found, p)
		}
	}
	return found
}

func parents(table []process) map[int]int {
	parent := make(map[int]int, len(table))
	for _, p := range table {
		parent[p.pid] = p.ppid
	}
	return parent
}

// in reports whether p is of the session or process group with one of the
// numbers.
func (p process) in(groups []int) bool {
	return slices.Contains(groups, p.sid) || slices.Contains(groups, p.pgrp)
}

// descends walks up from pid; the walk is bounded, as the table is no snapshot
// of one moment.
func descends(parent map[int]int, pid int, ancestors ...int) bool {
	for range len(parent) + 1 {
		if slices.Contains(ancestors, pid) {
			return true
		}
		up, ok := parent[pid]
		if !ok || up <= 0 {
			return false
		}
		pid = up
	}
	return false
}

// accepts reports whether a message may come from pid, whose uid the kernel has told;
// server is the one that the main process was started with. A helper that only
// reports (systemd-notify), and a process that forks itself into the background, have
// mostly gone before they can be looked at.
func (ps *processes) accepts(g *generation, pid int, uid, server uint32) bool {
	trusted := uid == 0 || uid == server || int(uid) == os.Getuid()
	for _, w := range g.all() {
		var main syscall.Stat_t
		trusted = trusted || !w.ended.Load() && procIsOurs() && syscall.Stat("/proc/"+itoa(w.pid()), &main) == nil && main.Uid == uid
	}
	return ps.belongs(g, pid, trusted)
}

// belongs reports whether pid is a process of g. What anybody could feign counts only
// if it is trusted: the mark in its environment, and that it has gone.
func (ps *processes) belongs(g *generation, pid int, trusted bool) bool {
	var r roots
	for _, w := range g.all() {
		r.add(w, func(pid int) bool { _, ok := readProcess(pid); return ok })
	}
	p, ok := readProcess(pid)
	if !ok {
		return trusted || slices.Contains(r.mains, pid)
	}
	parent := map[int]int{}
	for at := p; ok && at.ppid > 0 && parent[at.pid] == 0; at, ok = readProcess(at.ppid) {
		parent[at.pid] = at.ppid
	}
	if descends(parent, pid, r.mains...) {
		return true
	}
	if m, _ := ps.mark(pid, g.number); m == foreign || m == marked && trusted {
		return m == marked
	}
	return p.in(r.groups) || trusted && p.gone()
}

// ownSockets are those that a generation alone has ever had, by inode. They tell whose a
// process is that has one of them.
type ownSockets struct {
	mu     sync.Mutex
	inodes []uint64
}

// ownMost bounds them: endpoints are few, and those that a server makes are bounded.
const ownMost = 64

func (s *ownSockets) add(inode uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inode != 0 && len(s.inodes) < ownMost && !slices.Contains(s.inodes, inode) {
		s.inodes = append(s.inodes, inode)
	}
}

// heldBy reports whether p has one of them. A child that has just been forked has copies
// of all our descriptors: as long as it is our program it is nobody's.
func (s *ownSockets) heldBy(p process) bool {
	s.mu.Lock()
	inodes := slices.Clone(s.inodes)
	s.mu.Unlock()
	if len(inodes) == 0 {
		return false
	}
	ours, err := os.Readlink("/proc/self/exe")
	exe, failed := os.Readlink("/proc/" + itoa(p.pid) + "/exe")
	if err != nil || failed != nil || exe == ours {
		return false
	}
	held, _ := holds([]process{p}, inodes)
	return held
}
