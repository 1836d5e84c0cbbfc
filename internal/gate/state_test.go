package gate

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/wire"
	"github.com/swapinit/swapinit/test/filled"
)

// What is written is what is read.
func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gate.sock")
	f := &stateFile{name: path + ".state", now: saved{Netns: 7}}
	a := arbiter.State{Epoch: 1 << 40, Last: 3, Holder: "b", Members: []arbiter.Member{
		{Container: "a", Release: "v1", Order: 1, Out: arbiter.Retired, Settled: true}, {Container: "b", Release: "a \"b\"\n", Order: 3}}}
	sockets := []savedSocket{{"b", 2, "web", 1 << 50}}
	done := make(chan error, 1)
	f.save(&a, sockets, func(err error) { done <- err })
	must(t, <-done)
	s, warning, err := openState(path)
	if err != nil || warning != "" {
		t.Fatal(warning, err)
	}
	if !reflect.DeepEqual(s.arbiter(), a) || !reflect.DeepEqual(s.Sockets, sockets) || s.Netns != 7 {
		t.Errorf("read %+v", s)
	}
	f.save(nil, nil, func(err error) { done <- err })
	must(t, <-done)
	if s, _, err = openState(path); err != nil || len(s.Sockets) != 0 || s.Holder != "b" {
		t.Errorf("without its sockets: %+v, %v", s, err)
	}
}

// A write that fails leaves what is there, and what is written next.
func TestStateFileFails(t *testing.T) {
	dir := t.TempDir()
	f := &stateFile{name: filepath.Join(dir, "gate.sock.state")}
	done := make(chan error, 1)
	save := func(holder string) error {
		f.save(&arbiter.State{Last: 1, Holder: holder, Members: []arbiter.Member{{Container: holder, Order: 1}}}, nil, func(err error) { done <- err })
		return <-done
	}
	must(t, save("a"))
	good := f.name
	f.name = filepath.Join(dir, "no", "such")
	if err := save("b"); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "cannot write ") {
		t.Errorf("no directory: %v", err)
	}
	f.name = good
	f.save(nil, []savedSocket{{"a", 1, "web", 5}}, func(err error) { done <- err })
	must(t, <-done)
	if s, err := readState(good); err != nil || s.Holder != "a" || len(s.Sockets) != 1 {
		t.Errorf("a write that failed is there: %+v, %v", s, err)
	}
}

// A file that is of no use is moved out of the way; one of a later version is not touched.
func TestStateOfNoUse(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "bad",
		"\x00\x00":             "bad",
		`{"v":1,"epoch":`:      "bad",
		`{"epoch":1}`:          "bad",
		`{"v":1,"epoch":"1"}`:  "bad",
		`{"v":1,"holder":"x"}`: "bad",
		`{"v":1,"last":1,"members":[{"container":"a","order":2}]}`:                             "bad",
		`{"v":1,"last":1,"members":[{"container":"a","order":1},{"container":"a","order":1}]}`: "bad",
		`{"v":1,"last":1,"members":[{"container":"a","order":1,"out":"lucky"}]}`:               "bad",
		`{"v":2,"epoch":1}`:                 "newer",
		`{"v":1}`:                           "good",
		`{"v":1,"epoch":4,"unknown":[1,2]}`: "good",
	} {
		path := filepath.Join(t.TempDir(), "gate.sock")
		must(t, os.WriteFile(path+".state", []byte(text), 0o600))
		s, warning, err := openState(path)
		got := "good"
		switch {
		case err != nil && strings.Contains(err.Error(), errNewer.Error()):
			got = "newer"
		case err != nil:
			got = err.Error()
		case warning != "":
			got = "bad"
		}
		if got != want || strings.Contains(warning, "\n") {
			t.Errorf("%q: %s, %q, %+v", text, got, warning, s)
		}
		moved, _ := os.ReadFile(path + ".state.bad")
		if _, err := os.Stat(path + ".state"); (want == "bad") != (err != nil) || want == "bad" && string(moved) != text {
			t.Errorf("%q: the file: %v, the copy: %q", text, err, moved)
		}
	}
	path := filepath.Join(t.TempDir(), "gate.sock")
	must(t, os.Mkdir(path+".state", 0o700))
	if _, warning, err := openState(path); err != nil || warning == "" {
		t.Errorf("a directory: %q, %v", warning, err)
	}
}

// A gate whose disk is full changes nothing: the takeover fails, and the holder holds.
func TestDiskFull(t *testing.T) {
	g := start(t, settings(t))
	a, _ := joinGate(t, g, "aaaaaaaaaaaaaaaa")
	a.hold(1)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.serve(1)
	until(t, "a directory is in the way", func() bool { // and nothing can be renamed to it
		_ = os.Remove(g.set.Gate + ".state") // which may be written again in the same moment
		return os.Mkdir(g.set.Gate+".state", 0o700) == nil
	})
	got := b.call(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full})
	if got.m.Code != gatewire.CodeDenied || !strings.Contains(got.m.Error, "cannot write ") {
		t.Errorf("answer %+v", got.m)
	}
	g.asksOnly(a.name)
	must(t, os.Remove(g.set.Gate+".state"))
	b.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full})
	g.asksOnly(b.name)
}

// A newer state, a second gate, a port that somebody else has: each is one line and 125.
func TestDoesNotStart(t *testing.T) {
	one := start(t, settings(t))
	one.do(control.Request{Verb: control.VerbHealth})
	for name, c := range map[string]struct {
		change func(g *testGate)
		want   string
	}{
		"second": {func(g *testGate) { g.set.Gate = one.set.Gate }, "another gate is running at " + one.set.Gate + " (host "},
		"port":   {func(g *testGate) { g.set.Listen = one.set.Listen }, "address already in use"},
		"newer":  {func(g *testGate) { must(t, os.WriteFile(g.set.Gate+".state", []byte(`{"v":9}`), 0o600)) }, "newer version"},
		"udp":    {func(g *testGate) { g.set.Listen = "udp://127.0.0.1:5353" }, "udp://127.0.0.1:5353"},
		"folder": {func(g *testGate) { g.set.Gate = "/no/such/folder/gate.sock" }, "cannot lock the gate's volume"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &testGate{t: t, set: settings(t)}
			c.change(g)
			g = start(t, g.set)
			if status := <-g.status; status != exitOwn {
				t.Errorf("status %d", status)
			}
			g.status <- exitOwn
			until(t, "the reason in the log", func() bool { return g.log.has(c.want) == "" })
		})
	}
	if r := one.do(control.Request{Verb: control.VerbHealth}); !r.OK {
		t.Errorf("the first gate: %s", r.Error)
	}
}

// Every field of the state is in the file.
func TestStateFields(t *testing.T) {
	s, again := &saved{}, &saved{}
	filled.Set(s)
	d, _ := wire.Parse(wire.Line(s.fields))
	again.fields(d)
	if d.Err != nil || !reflect.DeepEqual(s, again) {
		t.Errorf("%+v became %+v, %v", s, again, d.Err)
	}
}
