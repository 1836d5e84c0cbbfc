package main

import (
	"context"
	"fmt"
	"os"
)

func measureSize(_ context.Context, b *bench) ([]metric, error) {
	m := metric{Name: nameSize, How: "stripped; tini and dumb-init need a libc besides", Unit: "KiB", Limit: limit{Max: 3.5 * 1024, Text: "3.5 MiB"}}
	for _, p := range b.peers {
		info, err := os.Stat(p.path)
		if err != nil {
			return nil, err
		}
		m.add(p.name, float64(info.Size())/1024)
	}
	return []metric{m}, nil
}

// measureStart runs /bin/true with and without an init. The same runs give two
// numbers: until all is over, the init's own end included, and until the child
// is executed, which is what a server that starts notices.
func measureStart(ctx context.Context, b *bench) ([]metric, error) {
	watch, err := watchOpen(b.nothing)
	if err != nil {
		return nil, err
	}
	defer watch.close()
	total, first := map[string][]float64{}, map[string][]float64{}
	for round := range b.rounds.start + 1 {
		b.progress.show("start", round, b.rounds.start)
		for _, p := range append([]peer{{}}, b.peers...) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			argv := []string{b.nothing}
			if p.name != "" {
				argv = p.argv(b.nothing)
			}
			end, exec, err := b.startOnce(watch, argv)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", argv[0], err)
			}
			if round > 0 { // the first one fills the caches
				total[p.name] = append(total[p.name], end)
				first[p.name] = append(first[p.name], exec)
			}
		}
	}
	m := metric{Name: nameStart, How: "`init /bin/true` less `/bin/true`, from exec to end", Unit: "ms"}
	c := metric{Name: nameExec, How: "in the same runs, from the init's exec to the child's", Unit: "ms", Limit: limit{Ratio: 2.5, Of: "tini", Text: "2.5 x tini"}}
	for _, p := range b.peers {
		m.add(p.name, less(total[p.name], total[""])...)
		c.add(p.name, less(first[p.name], first[""])...)
	}
	return []metric{m, c}, nil
}

// startOnce returns, in milliseconds from the exec of argv, its end and the
// exec of b.nothing.
func (b *bench) startOnce(watch *opened, argv []string) (end, exec float64, err error) {
	x, err := b.start(nil, argv...)
	if err != nil {
		return 0, 0, err
	}
	at, err := watch.next()
	if err != nil {
		x.kill()
		return 0, 0, err
	}
	if err := x.wait(); err != nil {
		return 0, 0, err
	}
	return float64(now()-x.begin) / 1e6, float64(at-x.begin) / 1e6, nil
}
