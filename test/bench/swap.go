package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// between is the time from the end of a swap to the next.
const between = 50 * time.Millisecond

// measureSwap swaps a server that is ready at once and ends at once, with no
// settle time and no drain, so that what is left is swapinit's:
//
//	HUP ──a──> exec of the successor ── its start ──> its line ──b──> TERM at the predecessor
//	           own part = a + b
func measureSwap(ctx context.Context, b *bench) ([]metric, error) {
	watch, err := watchOpen(b.server)
	if err != nil {
		return nil, err
	}
	defer watch.close()
	env := []string{"SWAPINIT_LISTEN=tcp4://127.0.0.1:18080", "SWAPINIT_SETTLE=0", "SWAPINIT_DRAIN=off", "SWAPINIT_READY=fd", "SWAPINIT_LOG=error"}
	x, err := b.start(env, b.peers[0].argv(b.server, "server")...)
	if err != nil {
		return nil, err
	}
	defer x.kill()
	if _, err := watch.next(); err != nil {
		return nil, fmt.Errorf("the first server: %w", err)
	}
	if _, err := readSaid(x.out, 1); err != nil {
		return nil, fmt.Errorf("the first server: %w", err)
	}
	exec := metric{Name: nameHUP, How: "the exec stage included, one TCP endpoint", Unit: "ms", Limit: limit{Max: 10, Text: "10 ms"}}
	own := metric{Name: nameSwap, How: "HUP to the successor's exec, and its ready line to the predecessor's TERM", Unit: "ms", Limit: limit{Max: 5, Text: "5 ms"}}
	for round := range b.rounds.swaps {
		b.progress.show("swap", round, b.rounds.swaps)
		pause(ctx, between)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		begin := now()
		if err := syscall.Kill(x.Pid(), syscall.SIGHUP); err != nil {
			return nil, err
		}
		at, err := watch.next()
		if err != nil {
			return nil, err
		}
		// Two processes say these, the successor after its line: TERM may be
		// said first.
		said, err := readSaid(x.out, 2)
		if err != nil {
			return nil, err
		}
		ready, term := said['R'], said['T']
		exec.add(us, float64(at-begin)/1e6)
		own.add(us, float64(at-begin+term-ready)/1e6)
	}
	return []metric{exec, own}, nil
}

// readSaid reads n things that servers say: a kind, then a time.
func readSaid(f *os.File, n int) (map[byte]int64, error) {
	said := map[byte]int64{}
	for range n {
		var data [9]byte
		_ = f.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(f, data[:]); err != nil {
			return nil, err
		}
		said[data[0]] = int64(binary.LittleEndian.Uint64(data[1:]))
	}
	if len(said) != n {
		return nil, errors.New("a server said the same thing twice")
	}
	return said, nil
}
