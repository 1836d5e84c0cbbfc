package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const nameEndurance = "endurance"

// What is promised, and by when it has to be done, see enduranceTime.
const (
	enduranceSwaps       = 1000
	enduranceConnections = 1_000_000
	enduranceLimit       = 30 * time.Minute
)

// enduranceTime is by when it has to be done: in proportion to what is asked for, and never
// less than for what is promised, as a few swaps take their time, too.
func enduranceTime(swaps, connections int) time.Duration {
	times := max(1, float64(swaps)/enduranceSwaps, float64(connections)/enduranceConnections)
	return time.Duration(times * float64(enduranceLimit))
}

// endurance swaps a server that dies at once on TERM, under load, until both
// numbers are reached. The swaps are spread over the connections, so that the
// load meets all of them.
func endurance(ctx context.Context, b *bench) (*table, error) {
	swaps, connections := b.swapsOr(enduranceSwaps), enduranceConnections
	if b.connections > 0 {
		connections = b.connections
	}
	limit := enduranceTime(swaps, connections)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it takes longer than %v", limit))
	defer cancel()
	s, err := b.open(contender{kind: steered, server: abrupt})
	if err != nil {
		return nil, err
	}
	defer s.close()
	load, err := s.enter("load", fmt.Sprint(loadClients))
	if err != nil {
		return nil, err
	}
	defer load.close()
	now, err := load.order("go")
	done, begin := 0, time.Now()
	for err == nil && ctx.Err() == nil && (done < swaps || now.Requests < connections) {
		if done < swaps && now.Requests >= connections/swaps*done {
			if err = s.swap(); err != nil {
				err = fmt.Errorf("swap %d: %w", done+1, err)
				break
			}
			done++
		} else {
			pause(ctx, 20*time.Millisecond)
		}
		now, err = load.order("count")
		b.progress.show(fmt.Sprintf("endurance: %d connections, %d failed; swaps", now.Requests, now.Failed), done, swaps)
	}
	pause(ctx, apartSwaps) // the end of the last swap
	if last, stopped := load.order("stop"); stopped == nil {
		now = last
	} else {
		err = errors.Join(err, stopped)
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return enduranceTable(now, done, time.Since(begin)), err
}

func enduranceTable(c count, swaps int, took time.Duration) *table {
	t := &table{Name: nameEndurance,
		How:     fmt.Sprintf("swapinit, steered; a server that dies at once on TERM; %d clients, a connection for each request, answers after 5 ms", loadClients),
		Columns: []string{"swaps", "new connections", "failed", "of these refused", "reset", "cut off", "timed out", "connections a second", "slowest answer", "took"}}
	t.Rows = [][]string{{fmt.Sprint(swaps), fmt.Sprint(c.Requests), fmt.Sprint(c.Failed), fmt.Sprint(c.Refused), fmt.Sprint(c.Reset), fmt.Sprint(c.Cut), fmt.Sprint(c.Timeout),
		fmt.Sprintf("%.0f", float64(c.Requests)/max(c.Running.Seconds(), 1e-3)), c.Slowest.Round(time.Millisecond).String(), took.Round(time.Second).String()}}
	if len(c.Errors) > 0 {
		t.Notes = append(t.Notes, "the first errors: "+strings.Join(c.Errors, "; "))
	}
	return t
}
