package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// zombies is how many there are in a round.
const zombies = 8000

var errNoNamespaces = errors.New("only a PID 1 of its own gets the zombies")

func measureZombies(ctx context.Context, b *bench) ([]metric, error) {
	if b.refused != nil {
		fmt.Fprintln(os.Stderr, "bench: the zombies are left out:", errNoNamespaces)
		return nil, nil
	}
	m := metric{Name: nameZombies, How: "from the end of their parent until the last is reaped", Unit: "ms", Limit: limit{Ratio: 1.25, Of: "tini", Text: "1.25 x tini"}}
	for round := range b.rounds.zombies {
		b.progress.show("zombies", round, b.rounds.zombies)
		for _, p := range b.peers {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			ms, err := b.zombiesOnce(p, zombies)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			m.add(p.name, ms)
		}
	}
	return []metric{m}, nil
}

func (b *bench) zombiesOnce(p peer, n int) (float64, error) {
	x, err := b.start(nil, p.argv(b.helper, "zombies", strconv.Itoa(n))...)
	if err != nil {
		return 0, err
	}
	begin, err := readTime(x.out)
	var end int64
	if err == nil {
		end, err = readTime(x.out)
	}
	if err != nil {
		// Why it said nothing is in its status.
		return 0, errors.Join(err, x.wait())
	}
	return float64(end-begin) / 1e6, x.wait()
}
