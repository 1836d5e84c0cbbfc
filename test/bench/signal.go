package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// apart is the time between two signals: each finds everybody asleep.
const apart = time.Millisecond

func measureSignal(ctx context.Context, b *bench) ([]metric, error) {
	m := metric{Name: nameSignal, How: "from kill(2) at the init to the child, which waits in sigtimedwait(2)", Unit: "us"}
	boxes, err := b.all(ctx)
	defer killAll(boxes)
	if err != nil {
		return nil, err
	}
	for round := range b.rounds.signals {
		if round%20 == 0 {
			b.progress.show("signal", round, b.rounds.signals)
		}
		for _, p := range b.peers {
			pause(ctx, apart)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			x := boxes[p.name]
			begin := now()
			if err := syscall.Kill(x.Pid(), syscall.SIGUSR1); err != nil {
				return nil, err
			}
			end, err := readTime(x.out)
			if err != nil {
				return nil, fmt.Errorf("%s: no signal came through: %w", p.name, err)
			}
			m.add(p.name, float64(end-begin)/1e3)
		}
	}
	return []metric{m}, nil
}
