package config

import (
	"errors"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

type (
	sigs    = []syscall.Signal
	sigMap  = map[syscall.Signal]syscall.Signal
	exitsOf = map[int]int
)

const (
	hup, intr, quit, kill = syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL
	usr1, usr2, term      = syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM
)

// get reads the field of a setting.
func get(t *testing.T, s *Settings, name string) any {
	t.Helper()
	for _, r := range table(s) {
		if r.Name == Prefix+name {
			return reflect.ValueOf(r.field).Elem().Interface()
		}
	}
	t.Fatalf("no setting %s", name)
	return nil
}

func TestDefaults(t *testing.T) {
	want := &Settings{
		Export:          Names{"systemd", "server-starter", "einhorn"},
		SwapSignals:     sigs{hup, usr2},
		Ready:           "auto",
		ReadyTimeout:    60 * time.Second,
		Settle:          time.Second,
		RetireTimeout:   30 * time.Second,
		StopSignals:     sigs{term},
		LeftoverTimeout: 5 * time.Second,
		MaxGenerations:  3,
		Steer:           "auto",
		Adopt:           "auto",
		Drain:           "idle",
		DrainTimeout:    30 * time.Second,
		IdleAfter:       time.Second,
		CanaryBy:        "random",
		Workers:         1,
		Batch:           "all",
		Strategy:        "overlap",
		Respawn:         "auto",
		HookTimeout:     time.Minute,
		Control:         "auto",
		Log:             "info",
		LogFormat:       "text",
		Color:           "auto",
		Command:         []string{"nginx", "-g", "daemon off;"},
	}
	var empty []string // an empty value is as good as none
	for _, r := range table(new(Settings)) {
		if !r.emptyMeans {
			empty = append(empty, r.Name+"=")
		}
	}
	for _, environ := range [][]string{nil, empty} {
		if got := mustLoad(t, environ, want.Command); !reflect.DeepEqual(got, want) {
			t.Errorf("Load(%q)\n got %+v\nwant %+v", environ, got, want)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{"SWAPINIT_LITSEN=:80", `SWAPINIT_LITSEN=":80": no such setting, did you mean SWAPINIT_LISTEN?`},
		{"SWAPINIT_listen=:80", `did you mean SWAPINIT_LISTEN?`},
		{"SWAPINIT_STOPSIGNAL=INT", `did you mean SWAPINIT_STOP_SIGNAL?`},
		{"SWAPINIT_LOGLEVEL=debug", `SWAPINIT_LOGLEVEL="debug": no such setting`},
		{"SWAPINIT_READY_TIMEOUTS=5s", `did you mean SWAPINIT_READY_TIMEOUT?`},
		{"SWAPINIT_XYZZY_PLUGH_QUUX=1", `no such setting, the nearest is SWAPINIT_`},
		{"SWAPINIT_=", `SWAPINIT_="": no such setting`},
		{"SWAPINIT_LOG\x1b[31m=1", `"SWAPINIT_LOG\x1b[31m"="1"`},
		{"SWAPINIT_" + strings.Repeat("A", 5000) + "=" + strings.Repeat("\n", 5000), "no such setting"},
	} {
		_, err := Load([]string{"PATH=/bin", c.entry, "SWAPINIT_LOG=loud"}, []string{"x"}, testParsers())
		wantError(t, err, c.want)
		var bad *ValueError
		if !errors.As(err, &bad) {
			t.Errorf("%.40q: got %T, want *ValueError", c.entry, err)
		}
	}
}

func TestForeignNames(t *testing.T) {
	s := mustLoad(t, []string{
		"swapinit_listen=ftp:", "SWAPINIT=1", "XSWAPINIT_LOG=loud", "SWAPINIT_NOTHING", "=", "",
		"SWAPINIT_GENERATION=1", "SWAPINIT_READY_FD=5", "SWAPINIT_RESULT=ok", "SWAPINIT_CHECK_ADDRESS=127.0.0.2:8080", "SWAPINIT_WORKER=0", "SWAPINIT_CHANNEL_FD=6",
		"SWAPINIT_CONTROL=what the outer one says",
	}, []string{"x"})
	if s.Control != "auto" || s.Log != "info" {
		t.Errorf("control %q, log %q", s.Control, s.Log)
	}
	if _, err := Load([]string{"SWAPINIT_CONTROL=x"}, []string{"x"}, testParsers()); err == nil {
		t.Error("SWAPINIT_CONTROL is checked only below another swapinit")
	}
}

func TestLastOfTwoWins(t *testing.T) {
	s := mustLoad(t, []string{"SWAPINIT_LOG=error", "SWAPINIT_SETTLE=5s", "SWAPINIT_LOG=debug", "SWAPINIT_SETTLE="}, []string{"x"})
	if s.Log != "debug" || s.Settle != time.Second {
		t.Errorf("log %q, settle %v", s.Log, s.Settle)
	}
}

func TestFirstOfManyErrorsOnly(t *testing.T) {
	_, err := Load([]string{"SWAPINIT_STOP_DELAY=2", "SWAPINIT_SETTLE=1", "SWAPINIT_LOG=loud"}, []string{"x"}, testParsers())
	wantError(t, err, "SWAPINIT_SETTLE")
	if strings.Contains(err.Error(), "STOP_DELAY") {
		t.Errorf("more than one error in %q", err)
	}
}

func TestLongValueIsCut(t *testing.T) {
	for _, r := range table(new(Settings)) {
		_, err := Load([]string{r.Name + "=" + strings.Repeat("\x00é'\x1b", 20000)}, []string{"x"}, testParsers())
		if err == nil {
			if r.Name == "SWAPINIT_LISTEN" || r.Name == "SWAPINIT_READY" {
				continue // the stand-ins accept it
			}
			t.Errorf("%s accepts rubbish", r.Name)
			continue
		}
		wantError(t, err, r.Name)
	}
	// The message of another package may hold all of the value.
	_, err := Load([]string{"SWAPINIT_LISTEN=ftp:" + strings.Repeat("/", 5000)}, []string{"x"}, testParsers())
	wantError(t, err, "…; want endpoints")
}

func TestSignalConflicts(t *testing.T) {
	ok := []string{"SWAPINIT_SWAP_SIGNALS=TERM", "SWAPINIT_STOP_SIGNALS=HUP"}
	mustLoad(t, ok, []string{"x"})
	_, err := Load([]string{"SWAPINIT_SWAP_SIGNALS=USR1", "SWAPINIT_STOP_SIGNALS=10"}, []string{"x"}, testParsers())
	wantError(t, err, `SWAPINIT_SWAP_SIGNALS="USR1"`, `USR1 is in SWAPINIT_STOP_SIGNALS="10" too`)
}

// What needs steering cannot be had without it, and the error names it.
func TestSteeringConflicts(t *testing.T) {
	for _, entry := range []string{"SWAPINIT_CANARY=1%/10s", "SWAPINIT_CANARY_CHECK=/check", "SWAPINIT_CANARY_BY=client", "SWAPINIT_KEEP=5m"} {
		mustLoad(t, []string{entry}, []string{"x"})
		mustLoad(t, []string{entry, "SWAPINIT_STEER=require", "SWAPINIT_DRAIN=off"}, []string{"x"})
		_, err := Load([]string{entry, "SWAPINIT_STEER=off"}, []string{"x"}, testParsers())
		name, value, _ := strings.Cut(entry, "=")
		wantError(t, err, name+"="+quote(value)+": it needs steering and SWAPINIT_STEER is off")
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Variable != name {
			t.Errorf("%s: got %#v", entry, err)
		}
	}
	mustLoad(t, []string{"SWAPINIT_STEER=off", "SWAPINIT_DRAIN=gone", "SWAPINIT_DRAIN_TIMEOUT=5s", "SWAPINIT_IDLE_AFTER=2s", "SWAPINIT_KEEP=0", "SWAPINIT_CANARY=", "SWAPINIT_CANARY_BY=random", "SWAPINIT_CANARY_CHECK="}, []string{"x"})
}

// Of two settings that contradict each other the error names one and says which
// value the other must have.
func TestStrategyConflicts(t *testing.T) {
	overlap, all := "it needs SWAPINIT_STRATEGY=overlap, unset one of the two", "it needs SWAPINIT_BATCH=all, unset one of the two"
	for _, c := range []struct{ one, other, named, problem string }{
		{"CANARY=1%/10s", "STRATEGY=replace", "SWAPINIT_CANARY", overlap},
		{"CANARY=1%/10s", "STRATEGY=handover", "SWAPINIT_CANARY", overlap},
		{"KEEP=5m", "STRATEGY=replace", "SWAPINIT_KEEP", overlap},
		{"KEEP=5m", "STRATEGY=handover", "SWAPINIT_KEEP", overlap},
		{"BATCH=1", "STRATEGY=replace", "SWAPINIT_BATCH", overlap},
		{"BATCH=100%", "STRATEGY=handover", "SWAPINIT_BATCH", overlap},
		{"CANARY=1%/10s", "BATCH=2", "SWAPINIT_CANARY", all},
		{"KEEP=5m", "BATCH=25%", "SWAPINIT_KEEP", all},
	} {
		one, other := Prefix+c.one, Prefix+c.other
		mustLoad(t, []string{one}, []string{"x"})
		mustLoad(t, []string{other}, []string{"x"})
		mustLoad(t, []string{one, "SWAPINIT_STRATEGY=overlap", "SWAPINIT_WORKERS=4"}, []string{"x"})
		_, err := Load([]string{one, other}, []string{"x"}, testParsers())
		_, value, _ := strings.Cut(one, "=")
		wantError(t, err, c.named+"="+quote(value)+": "+c.problem)
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Variable != c.named || ExitStatus != 125 {
			t.Errorf("%s, %s: got %#v", one, other, err)
		}
	}
	// swap --canary may bring the stages, and swap --strategy another strategy.
	mustLoad(t, []string{"SWAPINIT_CANARY_CHECK=/check", "SWAPINIT_CANARY_BY=client", "SWAPINIT_STRATEGY=replace", "SWAPINIT_KEEP=0", "SWAPINIT_BATCH=all"}, []string{"x"})
	mustLoad(t, []string{"SWAPINIT_STEER=off", "SWAPINIT_STRATEGY=replace"}, []string{"x"})
	mustLoad(t, []string{"SWAPINIT_STEER=off", "SWAPINIT_BATCH=1", "SWAPINIT_CANARY="}, []string{"x"})
	_, err := Load([]string{"SWAPINIT_STEER=off", "SWAPINIT_STRATEGY=replace", "SWAPINIT_BATCH=1"}, []string{"x"}, testParsers())
	wantError(t, err, `SWAPINIT_BATCH="1": `+overlap)
}

// A question is answered, or not, without the list of all that there is.
func TestQuestion(t *testing.T) {
	e := &ValueError{Variable: "SWAPINIT_READY", Value: "x", Problem: "did you mean y?", Accepts: "a, b"}
	if got := e.Error(); got != `cannot use SWAPINIT_READY="x": did you mean y?` {
		t.Errorf("%q", got)
	}
}

func TestNoCommand(t *testing.T) {
	for _, args := range [][]string{nil, {"--"}, {"-g"}, {"-e", "1", "--"}} {
		_, err := Load(nil, args, testParsers())
		wantError(t, err, "no command", "SWAPINIT_TARGET_FILE", `ENTRYPOINT in the shell form drops CMD, write it as ["swapinit", "--"]`, "swapinit help")
		var use *UsageError
		if !errors.As(err, &use) || ExitStatus != 125 {
			t.Errorf("%q: got %T, want a *UsageError with exit status 125", args, err)
		}
	}
	if s := mustLoad(t, []string{"SWAPINIT_TARGET_FILE=/t"}, nil); len(s.Command) != 0 {
		t.Errorf("command %q", s.Command)
	}
}

func TestEffectiveSignals(t *testing.T) {
	for _, c := range []struct {
		s            Settings
		stop, retire syscall.Signal
	}{
		{Settings{}, term, term},
		{Settings{StopSignal: quit}, quit, quit},
		{Settings{RetireSignal: usr1}, term, usr1},
		{Settings{StopSignal: quit, RetireSignal: usr1}, quit, usr1},
		{Settings{SignalMap: sigMap{term: quit}}, quit, quit},
		{Settings{SignalMap: sigMap{intr: quit}}, term, term},
		{Settings{SignalMap: sigMap{term: 0}}, 0, term},
		{Settings{SignalMap: sigMap{term: 0}, RetireSignal: usr2}, 0, usr2},
		{Settings{SignalMap: sigMap{term: quit}, StopSignal: term}, term, term},
	} {
		if stop, retire := c.s.EffectiveStop(), c.s.EffectiveRetire(); stop != c.stop || retire != c.retire {
			t.Errorf("%+v: stop %d retire %d, want %d %d", c.s, stop, retire, c.stop, c.retire)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, r := range table(new(Settings)) {
		if best, near := nearest(r.Name, table(new(Settings))); best != r.Name || !near {
			t.Errorf("nearest(%s) = %s, %v", r.Name, best, near)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, c := range goodValues {
		f.Add("SWAPINIT_"+c.name+"="+c.value, "-g", "x")
	}
	for _, c := range badValues {
		f.Add("SWAPINIT_"+c.name+"="+c.value, "--", "x")
	}
	f.Add("SWAPINIT_=\n", "-vge143", "-r15:3")
	f.Add("SWAPINIT_LOG\x9b\xff=", "--rewrite=\x1b:", "")
	f.Fuzz(func(t *testing.T, entry, arg1, arg2 string) {
		s, err := Load([]string{entry}, []string{arg1, arg2}, testParsers())
		if err != nil {
			checkMessage(t, err)
			return
		}
		if !s.Help && !s.Version && s.TargetFile == "" && len(s.Command) == 0 {
			t.Error("no command and no error")
		}
		for _, d := range []time.Duration{s.ReadyTimeout, s.Watchdog, s.Settle, s.RetireTimeout, s.StopTimeout, s.LeftoverTimeout, s.StopDelay, s.DrainTimeout, s.IdleAfter, s.Keep, s.HookTimeout} {
			if d < 0 || d > MaxDuration {
				t.Errorf("duration %v", d)
			}
		}
		if s.Workers < 0 || s.Workers > 256 {
			t.Errorf("%d workers", s.Workers)
		}
		if n := s.Batch.Of(4); !s.Help && !s.Version && (n < 1 || n > 4) {
			t.Errorf("%q is %d of 4 workers", s.Batch, n)
		}
	})
}
