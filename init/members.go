package pid1

import (
	"os"
	"slices"
	"strings"
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
	data, err := os.ReadFile("/proc/" + itoa(pid) + "/environ")
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

func (r *roots) add(w *worker, table []process) {
	pid := w.pid()
	if pid != 0 && !w.ended.Load() {
		r.mains, r.groups = append(r.mains, pid), append(r.groups, pid)
		pid = 0
	}
	for _, old := range [...]int{pid, w.former} {
		if old != 0 && !slices.ContainsFunc(table, func(p process) bool { return p.pid == old }) {
			r.groups = append(r.groups, old)
		}
	}
}

// members picks the processes of g out of the table: what descends from a main
// process while that lives, and what carries g's mark. Those without a mark (it
// cannot be read, or they have written a title over it) count if they are of the
// session or process group that a main process led: its number cannot have been
// given away as long as one of them has it, and if it leads a new life as a
// process, it counts for nothing. marks is what earlier calls for g have learned.
func (ps *processes) members(g *generation, table []process, marks map[life]mark) []process {
	var r roots
	for _, w := range g.all() {
		r.add(w, table)
	}
	return r.pick(table, func(p process) mark {
		m, known := marks[p.life]
		if !known {
			if m, known = ps.mark(p.pid, g.number); known {
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
	r.add(w, table)
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

// belongs reports whether pid is a process of g. One that has gone is given the
// benefit of the doubt: the socket that it has written to is g's alone.
func (ps *processes) belongs(g *generation, pid int) bool {
	var mains []int
	for _, w := range g.all() {
		if main := w.pid(); main != 0 {
			mains = append(mains, main)
		}
	}
	sender, ok := readProcess(pid)
	if !ok {
		return true
	}
	parent := map[int]int{}
	for at := sender; ok && at.ppid > 0 && parent[at.pid] == 0; at, ok = readProcess(at.ppid) {
		parent[at.pid] = at.ppid
	}
	if descends(parent, pid, mains...) {
		return true
	}
	if m, _ := ps.mark(pid, g.number); m != unmarked {
		return m == marked
	}
	// Gone before it could be asked: a process that forks itself into the
	// background and ends is like that.
	return sender.in(mains) || sender.gone()
}
