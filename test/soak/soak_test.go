package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
	"github.com/swapinit/swapinit/test/pristine"
)

func TestMain(m *testing.M) {
	ns.Stage()
	pristine.Signals()
	flag.Parse()
	ns.Root()
	os.Exit(m.Run())
}

// needNamespaces skips the test where the kernel refuses them.
func needNamespaces(t *testing.T) {
	t.Helper()
	err := ns.Supported()
	if err != nil && strings.Contains(os.Getenv("SWAPINIT_TEST_REQUIRE"), "namespaces") {
		t.Fatalf("namespaces are required: %v", err)
	}
	if err != nil {
		t.Skipf("no namespaces: %v", err)
	}
}

// quick is a run that ends by its number of actions, on any machine.
func quick(kind string, actions int) options {
	return options{time: time.Hour, every: time.Hour, seed: 5, kind: kind, actions: actions}
}

// A few actions of each kind: nothing is lost, and all is counted.
func TestSoak(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	var out bytes.Buffer
	err := run(t.Context(), quick("all", 12), &out)
	var bad *violation
	if errors.As(err, &bad) {
		t.Log(bad.report())
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text := out.String()
	for _, want := range []string{"seed 5\n", "2 laps ended, 24 actions", ", 0 failed (0 refused, 0 reset, 0 cut, 0 late, 0 wrong)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// The counters count: a server that dies at once, and that nobody drains, loses requests.
func TestSoakNoticesLosses(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			needNamespaces(t)
			o := quick(kind, 1000)
			o.breaks = true
			var out bytes.Buffer
			err := run(t.Context(), o, &out)
			var bad *violation
			if !errors.As(err, &bad) {
				t.Fatalf("%v, want a violation\n%s", err, out.String())
			}
			defer os.RemoveAll(bad.soak.dir)
			text := bad.report()
			for _, want := range []string{"a request was lost", "seed 5, kind " + kind + ", lap 1", "the logs are in " + bad.lap.dir} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if bad.soak.totals.line(0) == "" || strings.Contains(out.String(), ", 0 failed (") {
				t.Errorf("nothing has failed:\n%s", out.String())
			}
			if _, err := os.Stat(bad.lap.dir + "/" + bad.lap.boxes[0].name + ".log"); err != nil {
				t.Errorf("the log is gone: %v", err)
			}
		})
	}
}

// What is done follows from the seed alone.
func TestSeedDecides(t *testing.T) {
	plan := func(kind string, seed uint64) string {
		var all []string
		for n := 1; n <= 3; n++ {
			r := source(seed, kind, n)
			l := &lap{soak: &soak{}, kind: kind, number: n}
			sc := newScene(l, r)
			acts := order(sc.acts(), r)
			all = append(all, l.about)
			for n := range 200 {
				a := choose(acts, n, r)
				all = append(all, a.name+" "+a.draw(r).text)
			}
		}
		return strings.Join(all, "\n")
	}
	for _, kind := range kinds {
		if plan(kind, 7) != plan(kind, 7) {
			t.Errorf("%s: two plans of one seed", kind)
		}
		if plan(kind, 7) == plan(kind, 8) {
			t.Errorf("%s: one plan of two seeds", kind)
		}
	}
	if plan(kinds[0], 7) == plan(kinds[1], 7) {
		t.Error("one plan of two kinds")
	}
}

// Each kind of action comes once before any comes twice.
func TestFirstEachOnce(t *testing.T) {
	r := source(3, "single", 1)
	sc := newScene(&lap{soak: &soak{}, kind: "single", number: 1}, r)
	acts := order(sc.acts(), r)
	seen := map[string]bool{}
	for n := range acts {
		seen[choose(acts, n, r).name] = true
	}
	if len(seen) != len(acts) {
		t.Errorf("%d of %d actions", len(seen), len(acts))
	}
}

// A process that holds more than after its warm-up is noticed.
func TestMeter(t *testing.T) {
	before := usage{fds: 10, threads: 8, anon: 3000}
	for _, tc := range []struct {
		name string
		now  usage
		ok   bool
	}{
		{"the same", before, true},
		{"less", usage{9, 7, 2000}, true},
		{"as much more as may be", usage{10, 8 + moreThreads, 3000 + moreAnon}, true},
		{"a descriptor", usage{11, 8, 3000}, false},
		{"threads", usage{10, 9 + moreThreads, 3000}, false},
		{"memory", usage{10, 8, 3001 + moreAnon}, false},
	} {
		if got := tc.now.within(before, moreAnon); got != tc.ok {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestPanicsInTheLog(t *testing.T) {
	for line, bad := range map[string]bool{
		`{"time":"x","level":"info","event":"swap.done","message":"swap to generation 2 done"}`: false,
		`{"time":"x","level":"error","event":"swap.failed","message":"it died"}`:                false,
		`{"time":"x","level":"error","event":"steer.failed","message":"cannot move"}`:           true,
		"panic: runtime error: index out of range":                                              true,
		"fatal error: concurrent map writes":                                                    true,
		"server: cannot bind":                                                                   false,
	} {
		l := &logReader{}
		_ = l.read([]byte(line + "\n"))
		if (l.wrong() != nil) != bad {
			t.Errorf("%q: %v", line, l.wrong())
		}
	}
}
