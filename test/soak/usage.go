package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// What a process may have more than after its warm-up, when nothing goes on: no
// descriptor; threads, as the runtime keeps those that it once needed at a time; memory,
// as its heap is laid out in other ways.
const (
	moreThreads = 4
	moreAnon    = 25600 // KiB
)

// usage is what a process holds.
type usage struct {
	fds, threads int
	anon         int // anonymous resident memory, KiB
}

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d KiB", u.fds, u.threads, u.anon)
}

func usageOf(pid int) (u usage, err error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return u, err
	}
	u.fds = len(entries)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch name {
		case "Threads":
			u.threads, err = strconv.Atoi(fields[0])
		case "RssAnon":
			u.anon, err = strconv.Atoi(fields[0])
		}
	}
	return u, err
}

// within reports whether u is no more than may be after the warm-up.
func (u usage) within(warm usage) bool {
	return u.fds <= warm.fds && u.threads <= warm.threads+moreThreads && u.anon <= warm.anon+moreAnon
}

// meter watches what one swapinit holds from its warm-up on.
type meter struct {
	box    *box
	warm   bool
	before usage
	after  usage
}

// measure is called when nothing goes on, for the first time after the warm-up. Connections
// that were just closed are gone when swapinit has seen it.
func (m *meter) measure(t *totals) error {
	first := !m.warm
	err := poll(m.box.ctx, "descriptors, threads and memory to be as after the warm-up", func() (_ bool, err error) {
		if m.after, err = usageOf(m.box.Pid()); err != nil {
			return false, err
		}
		if first {
			m.warm, m.before = true, m.after
		}
		return m.after.within(m.before), nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w: %v, after the warm-up %v", m.box.name, err, m.after, m.before)
	}
	t.grew(m.before, m.after)
	if os.Getenv("DBG") != "" {
		fmt.Fprintln(os.Stderr, "DBG", m)
	}
	return nil
}

func (m *meter) String() string {
	return fmt.Sprintf("%s: %v; %v", m.box.name, m.before, m.after)
}
