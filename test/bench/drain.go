package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	nameLook  = "one look of a drain"
	nameDrain = "CPU while draining"
)

// crowdSize is how many connections the predecessor has.
const crowdSize = 10_000

// drainWindow is how long PID 1 is looked at in a round.
const drainWindow = 2 * time.Second

// measureDrain lets a predecessor drain that has many connections, all open and
// idle, and waits for their end (gone): so it looks again and again.
func measureDrain(ctx context.Context, b *bench) ([]metric, error) {
	n, err := crowdFits()
	if err != nil {
		return nil, err
	}
	c := contender{kind: steered, server: graceful, env: []string{"SWAPINIT_DRAIN=gone", "SWAPINIT_DRAIN_TIMEOUT=0"}}
	s, err := b.open(c)
	if err != nil {
		return nil, err
	}
	defer s.close()
	looked, err := s.looks(n)
	if err != nil {
		return nil, err
	}
	crowd, err := s.enter("crowd", fmt.Sprint(n))
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	if _, err := crowd.line(); err != nil {
		return nil, fmt.Errorf("the crowd did not come: %w", err)
	}
	if _, err := s.ask(); err != nil {
		return nil, err
	}
	if err := s.wait(func() bool { return len(s.living) == 2 }); err != nil {
		return nil, err
	}
	pause(ctx, rest)
	m := metric{Name: nameDrain, How: fmt.Sprintf("of PID 1, with %d open connections; %v a round", n, drainWindow), Unit: "% of a CPU"}
	for round := range b.rounds.drains {
		b.progress.show("drain", round, b.rounds.drains)
		begin, before := time.Now(), cpu(s.Pid())
		pause(ctx, drainWindow)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		m.add(us, 100*float64(cpu(s.Pid())-before)/float64(time.Since(begin)))
	}
	// It really was the drain: it ends with the connections, and with it the
	// predecessor.
	if len(s.living) != 2 {
		return nil, fmt.Errorf("the predecessor went with %d connections open", n)
	}
	crowd.close()
	if err := s.wait(func() bool { return len(s.living) == 1 }); err != nil {
		return nil, fmt.Errorf("the predecessor stays without connections: %w", err)
	}
	return []metric{looked, m}, nil
}

// looks has one more process look, with as many connections.
func (s *site) looks(n int) (metric, error) {
	m := metric{Name: nameLook, How: fmt.Sprintf("swapinit's own code, in a process of its own, at %d open connections", n), Unit: "ms"}
	looker, err := s.enter("look", fmt.Sprint(n))
	if err != nil {
		return m, err
	}
	defer looker.close()
	line, err := looker.line()
	if err != nil {
		return m, fmt.Errorf("the looks failed: %w", err)
	}
	var took []time.Duration
	if err := json.Unmarshal(line, &took); err != nil {
		return m, err
	}
	for _, d := range took {
		m.add(us, float64(d.Microseconds())/1e3)
	}
	return m, nil
}

// crowdFits is how many connections the limit on open files allows: no process
// has more than one end of them.
func crowdFits() (int, error) {
	const others = 200
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Max < 2*others {
		return 0, fmt.Errorf("only %d files can be open", limit.Max)
	}
	return min(crowdSize, int(min(limit.Max, 1<<20))-others), nil
}

// cpu is the time that all threads of a process have run, in nanoseconds: the
// number of its clock is made of its pid, see clock_getcpuclockid(3).
func cpu(pid int) int64 {
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|2), &t) != nil {
		return 0
	}
	return t.Nano()
}
