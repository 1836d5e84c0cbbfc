package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// What a process may have more than after its warm-up, when nothing goes on, however long
// it has lived: no descriptor; some threads, as the runtime keeps those that it once needed
// at a time; some memory, as the heap has holes. An init gives back what it does not use
// soon after a swap. A gate leaves it to the runtime, which collects when there are 4 MiB.
const (
	moreThreads  = 4
	moreAnon     = 3072 // KiB
	moreAnonGate = 4096 // KiB
)

// givenBack is longer than an init waits after a swap until it gives memory back.
const givenBack = 3 * time.Second

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
func (u usage) within(warm usage, anon int) bool {
	return u.fds <= warm.fds && u.threads <= warm.threads+moreThreads && u.anon <= warm.anon+anon
}

// meter watches what one swapinit holds from its warm-up on.
type meter struct {
	box    *box
	anon   int // how much more memory it may have
	warm   bool
	before usage
	after  usage
}

// spare reports whether it has more descriptors than after the warm-up. A connection that
// was just closed is gone soon, and a socket that an overlap has left is used by the next
// generation.
func (m *meter) spare() (bool, error) {
	u, err := usageOf(m.box.Pid())
	return m.warm && u.fds > m.before.fds, err
}

// measure is called when nothing goes on, for the first time after the warm-up.
func (m *meter) measure(t *totals) (err error) {
	if !m.warm {
		pause(m.box.ctx, givenBack)
		m.before, err = usageOf(m.box.Pid())
		m.after, m.warm = m.before, true
		return err
	}
	err = poll(m.box.ctx, "descriptors, threads and memory to be as after the warm-up", func() (_ bool, err error) {
		m.after, err = usageOf(m.box.Pid())
		return m.after.within(m.before, m.anon), err
	})
	if err != nil {
		return fmt.Errorf("%s: %w: %v, after the warm-up %v", m.box.name, err, m.after, m.before)
	}
	t.grew(m.before, m.after)
	return nil
}

func (m *meter) String() string {
	return fmt.Sprintf("%s: %v; %v", m.box.name, m.before, m.after)
}
