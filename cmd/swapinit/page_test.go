//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/control"
)

// widest is a status at its widest usual.
func widest() *control.Status {
	ms, ready, left := int64(3541_000), int64(59_900), int64(26_800)
	all, third, open, idle, queued := 10000, 3333, 27315, 10012, 4096
	workers := make([]control.Worker, 128)
	for i := range workers {
		workers[i].Ready = i%32 != 0
	}
	return &control.Status{
		Generations: []control.Generation{
			{Generation: 7, State: "draining", Pid: 4194304, UptimeMS: ms, ReadyMS: &ready, Share: &third, Open: &open, Idle: &idle, Queued: &queued, Workers: workers,
				Command: []string{"/usr/local/bin/gunicorn", "--bind", "fd://3", "--workers", "4", "--access-logfile", "-", "shop.wsgi:application", "--graceful-timeout", "30"},
				SinceMS: 3200, LeftMS: &left, BusyMore: 17214, Busy: []busy.Conn{
					{Peer: "10.0.0.7:4711", AgeMS: 41_200, Why: "a request without an answer", Endpoint: "8080"},
					{Peer: "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535", AgeMS: 3100, Why: "2147483647 bytes not acknowledged by the client", Endpoint: "8080"},
				}},
			{Generation: 8, State: "active", Pid: 4194303, UptimeMS: ms, ReadyMS: &ready, Share: &all, Open: &open, Idle: &idle, Queued: &queued, Workers: workers,
				Command: []string{"/usr/local/bin/gunicorn", "shop.wsgi:application"},
				Status:  "Gunicorn arbiter booted; 128 workers; listening at unix:/run/gunicorn.sock, http://0.0.0.0:8080"},
		},
		Endpoints: []control.Endpoint{
			{Name: "8080", Address: "tcp://[::]:8080", Steered: true},
			{Name: "dns", Address: "udp://[::]:53", Reason: "only TCP and Unix endpoints can be steered"},
			{Name: "8443", Address: "tcp://[2001:db8:1234:5678:9abc:def0:1234:5678]:8443", Inherited: true, Adopted: true, Reason: "somebody listens on its address with 2 sockets of their own (SO_REUSEPORT), so the order of the sockets cannot be relied on"},
			{Name: "gunicorn.sock", Address: "unix:///run/application/with/a/very/long/path/that/nobody/would/want/to/type/gunicorn.sock?mode=0660", Steered: true},
		},
		Joined:   &control.Joined{Gate: "/gate/gate.sock", Role: "holder", AwayMS: &ms},
		Swap:     &control.RunningSwap{Generation: 9, Stage: "canary", SinceMS: 12_300, LeftMS: &left, Share: 2500},
		LastSwap: &control.LastSwap{Generation: 8, Reason: "not ready within 60s: it has neither written to SWAPINIT_READY_FD nor sent READY=1; set SWAPINIT_READY to what it does"},
	}
}

// fits fails unless each line has at most so many characters.
func fits(t *testing.T, page string, most int) {
	t.Helper()
	for line := range strings.Lines(page) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > most {
			t.Errorf("%d characters: %q", n, line)
		}
	}
}

func TestPageAtItsWidest(t *testing.T) {
	v := &verbRun{}
	golden(t, v.page(widest()), "status-80.txt")
	fits(t, v.page(widest()), 80)
	for _, columns := range []int{0, 10, 80, 81, 100, 150, 1000} {
		v.size = func() (int, int) { return columns, 0 }
		fits(t, v.page(widest()), max(80, columns))
	}
	v.size = func() (int, int) { return 150, 50 }
	golden(t, v.page(widest()), "status-150.txt")
	v = &verbRun{}
	golden(t, v.page(crowded()), "gate-80.txt")
	fits(t, v.page(crowded()), 80)
}

// What is told of each state of a generation, and of a swap; and in colours.
func TestPageOfStates(t *testing.T) {
	left := int64(61_000)
	of := func(g control.Generation) *control.Status {
		g.Command = []string{"/srv"}
		return &control.Status{Generations: []control.Generation{g}}
	}
	swapped := func(w control.RunningSwap) *control.Status { return &control.Status{Swap: &w} }
	for _, c := range []struct {
		s    *control.Status
		want string
	}{
		{of(control.Generation{State: "starting", SinceMS: 5}), ""},
		{of(control.Generation{State: "active", SinceMS: 5}), ""},
		{of(control.Generation{State: "active", SinceMS: 5, LeftMS: &left, BusyMore: 1}), "     active for 5 ms, 1m01s left, waits for 1 connection\n"},
		{of(control.Generation{State: "draining", SinceMS: 5}), "     draining for 5 ms\n"},
		{of(control.Generation{State: "draining", SinceMS: 5, BusyMore: 3}), "     draining for 5 ms, waits for 3 connections\n"},
		{of(control.Generation{State: "draining", SinceMS: 1500, Kept: true, LeftMS: &left}), "     kept for 1.5 s, 1m01s left\n"},
		{of(control.Generation{State: "stopping", SinceMS: 1500, LeftMS: &left}), "     stopping for 1.5 s, 1m01s left\n"},
		{of(control.Generation{State: "draining", Busy: []busy.Conn{{Peer: "[::1]:80", AgeMS: 12_000, Why: "open, idle"}, {Peer: "10.0.0.7:4711", AgeMS: 5, Why: "not accepted yet"}}}),
			"     draining for 0 ms, waits for 2 connections\n       [::1]:80       12.0 s  open, idle\n       10.0.0.7:4711  5 ms    not accepted yet\n"},
		{swapped(control.RunningSwap{Generation: 2, Stage: "starting", SinceMS: 1200, LeftMS: &left}), "swap: generation 2, starting for 1.2 s, 1m01s left\n"},
		{swapped(control.RunningSwap{Generation: 2, Stage: "canary", SinceMS: 1200, LeftMS: &left, Share: 50}), "swap: generation 2, canary with 0.5% for 1.2 s, 1m01s left\n"},
		{swapped(control.RunningSwap{Generation: 2, Stage: "asking", SinceMS: 1200}), "swap: generation 2, asking for 1.2 s\n"},
	} {
		page := (&verbRun{}).page(c.s)
		_, got, _ := strings.Cut(page, "\n")
		if c.s.Swap == nil {
			_, got, _ = strings.Cut(got, "     /srv\n")
		} else {
			got = strings.TrimPrefix(got, "\n")
		}
		if c.s.Swap == nil {
			c.want += "\n"
		}
		if got != c.want+"last swap: none\n" {
			t.Errorf("%q, want %q", got, c.want)
		}
		painted := (&verbRun{color: true}).page(c.s)
		for _, code := range []string{"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"} {
			painted = strings.ReplaceAll(painted, code, "")
		}
		if painted != page {
			t.Errorf("in colours it is %q", painted)
		}
	}
	painted := (&verbRun{color: true}).page(widest())
	for _, want := range []string{"\x1b[33m7    draining", "\x1b[32m8    active", "\x1b[33mswap: generation 9", "\x1b[31mlast swap: generation 8 failed"} {
		if !strings.Contains(painted, want) {
			t.Errorf("no %q in %q", want, painted)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct{ s, want string }{
		{"", "\n"},
		{"abc def", "abc def\n"},
		{"abc defghij", "abc\n  defghij\n"},
		{"abcdefghijk", "abcdefghij\n  k\n"},
		{"abcdefghij k", "abcdefghij\n  k\n"},
		{" abcdefghijklmnop", " abcdefghi\n  jklmnop\n"},
		{"abcdefghij ", "abcdefghij\n"},
		{"ab 漢字漢字", "ab\n  漢字漢字\n"},
		{"漢字漢字漢字", "漢字漢字漢\n  字\n"},
	} {
		p := page{width: 10}
		if p.wrap(0, "", c.s); p.out != c.want {
			t.Errorf("%q: %q", c.s, p.out)
		}
	}
}

// What is older than the holder and away is only counted: each deploy leaves one. The holder,
// and what is newer, are listed wherever they are.
func TestGateAway(t *testing.T) {
	s := &control.Status{Ready: true, Gate: &control.Gate{Holder: "c3", Members: []control.GateMember{
		{Container: "c5", Release: "v5", State: "away"},
		{Container: "c4", Release: "v4", State: "failed"},
		{Container: "c3", Release: "v3", State: "away"},
		{Container: "c2", Release: "v2", State: "retired"},
		{Container: "c1", Release: "v1", State: "away"},
		{Container: "c0", Release: "v0", State: "away"},
	}}}
	page := (&verbRun{}).page(s)
	for _, name := range []string{"v5", "v4", "v3", "v2"} {
		if !strings.Contains(page, name) {
			t.Errorf("%s is not listed:\n%s", name, page)
		}
	}
	if strings.Contains(page, "v1") || strings.Contains(page, "v0") || !strings.Contains(page, "\n2 older, away: status --json lists them\n") {
		t.Errorf("v1 and v0 are to be counted:\n%s", page)
	}
	// Without a holder nobody knows who is needed.
	s.Gate.Holder = ""
	if page := (&verbRun{}).page(s); strings.Contains(page, "older") || !strings.Contains(page, "v0") {
		t.Errorf("without a holder:\n%s", page)
	}
}

// crowded is a gate's status at its widest usual.
func crowded() *control.Status {
	id := strings.Repeat("8e5b7c1d2f30", 6)[:64]
	all, none, open, waited := 10000, 0, 27315, 12
	return &control.Status{Ready: true, Gate: &control.Gate{
		Members: []control.GateMember{
			{Container: id, Release: "registry.example.com/shop/web:2025-11-27.3", State: "holder", SinceMS: 86_400_000 * 12, Share: &all, Open: &open, Idle: &open, Queued: &none},
			{Container: id, Release: id, State: "superseded", SinceMS: 3541_000, Reason: "8e5b7c1d2f30 is newer"},
			{Container: "0123456789abcdef", Release: "v1", State: "failed", SinceMS: 59_900, Reason: "its server exited with status 3, 12 s after it had the traffic; docker logs 0123456789ab has more"},
		},
		LastTakeover: &control.Takeover{Container: id, Release: "registry.example.com/shop/web:2025-11-27.3", Predecessor: "0123456789abcdef", Reason: "its server exited with status 3", AgoMS: 61_000, Waited: &waited, Drained: &open, Reset: &none},
	}, Endpoints: widest().Endpoints}
}

// golden compares with a file of testdata.
func golden(t *testing.T, got, name string) {
	t.Helper()
	name = "testdata/" + name
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v; now it is\n%s", name, err, got)
	}
}
