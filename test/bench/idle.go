package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// rest is how long an init gets to come to rest after its start.
const rest = time.Second

// settled is how long it gets besides before its idleness is measured: Go
// programs tidy up after a start.
const settled = 4 * time.Second

// all runs one box for each init, with a child that waits for USR1, and has
// told by a time on stdout that it does.
func (b *bench) all(ctx context.Context) (map[string]*box, error) {
	boxes := map[string]*box{}
	for _, p := range b.peers {
		x, err := b.start(nil, p.argv(b.helper, "sigwait")...)
		if err == nil {
			boxes[p.name] = x
			_, err = readTime(x.out)
		}
		if err != nil {
			killAll(boxes)
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	pause(ctx, rest)
	return boxes, ctx.Err()
}

func killAll(boxes map[string]*box) {
	for _, x := range boxes {
		x.kill()
	}
}

// largeHost stands in for a host with so many CPUs. The Go runtime makes what it
// needs for each of them before the first line of the program runs.
const largeHost = "GOMAXPROCS=64"

func measureMemory(ctx context.Context, b *bench) ([]metric, error) {
	const how = " in /proc/PID/smaps_rollup, 5 s after the start"
	private := metric{Name: namePrivate, How: "Anonymous" + how, Unit: "KiB", Limit: limit{Max: 1280, Text: "1.25 MiB"}}
	large := metric{Name: nameLarge, How: "the same with " + largeHost + " in the environment", Unit: "KiB"}
	largeResident := metric{Name: nameLargeResident, How: "the same with " + largeHost + " in the environment", Unit: "KiB"}
	resident := metric{Name: nameResident, How: "Rss" + how, Unit: "KiB", Limit: limit{Max: 4352, Text: "4.25 MiB"}}
	for round := range b.rounds.windows {
		b.progress.show("rss", round, b.rounds.windows)
		boxes, err := b.all(ctx)
		if err != nil {
			return nil, err
		}
		if boxes[largeHost], err = b.start([]string{largeHost}, b.peers[0].argv(b.helper, "sigwait")...); err != nil {
			delete(boxes, largeHost)
			killAll(boxes)
			return nil, err
		}
		pause(ctx, rest+settled)
		own, all, err := memory(boxes[largeHost].Pid())
		if err != nil {
			killAll(boxes)
			return nil, err
		}
		large.add(us, own)
		largeResident.add(us, all)
		for _, p := range b.peers {
			own, all, err := memory(boxes[p.name].Pid())
			if err != nil {
				killAll(boxes)
				return nil, err
			}
			private.add(p.name, own)
			resident.add(p.name, all)
		}
		killAll(boxes)
	}
	return []metric{private, resident, large, largeResident}, nil
}

// memory is what a process has in memory, in KiB: what is its own, and all of it,
// pages of files included. The page tables are walked: the counters in
// /proc/PID/status (RssAnon, VmRSS) may be off by some pages for each CPU.
func memory(pid int) (private, resident float64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, 0, err
	}
	if private, err = field(data, "Anonymous"); err == nil {
		resident, err = field(data, "Rss")
	}
	return private, resident, err
}

// field finds the number after "name:".
func field(data []byte, name string) (float64, error) {
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if words := strings.Fields(value); key == name && len(words) > 0 {
			return strconv.ParseFloat(words[0], 64)
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

// measureWakeups watches all inits in the same windows: they do nothing, so
// they do not disturb each other.
func measureWakeups(ctx context.Context, b *bench) ([]metric, error) {
	m := metric{Name: nameWakeups, How: fmt.Sprintf("context switches of all threads in %v", b.rounds.window), Unit: "", Limit: limit{Max: 0, Zero: true, Text: "0 in most windows"}}
	boxes, err := b.all(ctx)
	defer killAll(boxes)
	if err != nil {
		return nil, err
	}
	pause(ctx, settled)
	for window := range b.rounds.windows {
		b.progress.show("wakeups", window, b.rounds.windows)
		before := map[string]float64{}
		for _, p := range b.peers {
			if before[p.name], err = switches(boxes[p.name].Pid()); err != nil {
				return nil, err
			}
		}
		pause(ctx, b.rounds.window)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for _, p := range b.peers {
			after, err := switches(boxes[p.name].Pid())
			if err != nil {
				return nil, err
			}
			m.add(p.name, after-before[p.name])
		}
	}
	return []metric{m}, nil
}

// switches counts the context switches of all threads so far.
func switches(pid int) (float64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		for _, kind := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			n, err := field(data, kind)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
