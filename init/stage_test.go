package pid1

import (
	"testing"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

// request sends one to an init that answers as answer does, and returns what came.
func request(t *testing.T, r control.Request, answer func(*control.Call)) (events []control.Event, reply *control.Reply) {
	t.Helper()
	s, err := control.Listen(t.TempDir()+"/sock", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Serve(answer, func(string) {})
	reply, err = control.Do(s.Address(), r, func(e control.Event) { events = append(events, e) })
	if err != nil {
		t.Fatal(err)
	}
	return events, reply
}

// What clients are told is what swap.Stages says, and names the generation that
// it says.
func TestStagesAreTold(t *testing.T) {
	i := testInit(t)
	i.gens.live[1], i.gens.live[2] = testWorker(1).g, testWorker(2).g
	events, _ := request(t, control.Request{Verb: control.VerbSwap}, func(c *control.Call) {
		i.clients.calls[7] = c
		for _, s := range swap.Stages {
			// Followers' part says done, and the machine tells nobody of back.
			if s.Stage != swap.StageDone && s.Stage != swap.StageBack {
				i.progress(&swap.Progress{ID: 7, Generation: 2, Other: 1, Stage: s.Stage, Share: 100})
			}
		}
		c.Done(&control.Reply{OK: true})
	})
	for _, s := range swap.Stages {
		if s.Logged || s.Stage == swap.StageDone {
			continue
		}
		if len(events) == 0 || events[0].Event != string(s.Stage) {
			t.Fatalf("%+v, want %s", events, s.Stage)
		}
		e := events[0]
		events = events[1:]
		if want := map[bool]int{true: 1, false: 2}[s.Other]; e.Generation != want || e.Message == "" {
			t.Errorf("%+v, want generation %d and a message", e, want)
		}
		if (e.Share != 0) != (s.Besides == "share") {
			t.Errorf("%+v, want %s", e, s.Besides)
		}
	}
	if len(events) > 0 {
		t.Errorf("also told: %+v", events)
	}
}

func TestUnknownStrategyIsRefused(t *testing.T) {
	i := testInit(t)
	for _, c := range []struct{ strategy, canary, by, want string }{
		{"Replace", "", "", `cannot use args of swap: unknown strategy "Replace", accepted: overlap, handover, replace`},
		{"replace", "1%/1s", "", "cannot use args of swap: a canary needs the strategy overlap"},
		{"handover", "", "client", "cannot use args of swap: a canary needs the strategy overlap"},
	} {
		_, r := request(t, control.Request{Verb: control.VerbSwap, Swap: control.SwapArgs{Strategy: c.strategy, Canary: c.canary, CanaryBy: c.by}}, i.answer)
		if r.OK || r.Code != control.CodeRequest || r.Error != c.want {
			t.Errorf("%+v, want %s", r, c.want)
		}
	}
}

// The strategy that counts is the configured one where none is asked for.
func TestCanaryNeedsTheConfiguredStrategy(t *testing.T) {
	const refused = "cannot use args of swap: a canary needs the strategy overlap"
	for _, configured := range []string{"replace", "handover"} {
		i := testInit(t)
		i.set.Strategy = configured
		for _, c := range []struct {
			args control.SwapArgs
			want string
		}{
			{control.SwapArgs{Canary: "10%/4s"}, refused},
			{control.SwapArgs{CanaryBy: "client"}, refused},
			{control.SwapArgs{Canary: "10%/4s", CanaryBy: "client"}, refused},
			{control.SwapArgs{Canary: "off"}, ""},
			{control.SwapArgs{}, ""},
			{control.SwapArgs{Canary: "10%/4s", Strategy: "overlap"}, ""},
		} {
			call := control.Request{Verb: control.VerbSwap, Swap: c.args}
			call.Swap.NoWait = true
			_, r := request(t, call, func(c *control.Call) {
				i.answer(c)
				c.Done(&control.Reply{OK: true}) // the first answer counts
			})
			if r.Error != c.want || c.want != "" && r.Code != control.CodeRequest {
				t.Errorf("%s, %+v: %+v, want %q", configured, c.args, r, c.want)
			}
		}
	}
}

// What decides which connections a canary gets has to be known before it begins.
func TestBadCanaryByIsRefused(t *testing.T) {
	i := testInit(t)
	for _, c := range []struct{ canary, by, want string }{
		{"1%/1s", "clients", `cannot use canary_by "clients": "clients" is not an address and /bits with no bit set behind these`},
		{"1%/1s", "10.0.0.0/8,10.0.0.1/8", `cannot use canary_by "10.0.0.0/8,10.0.0.1/8": "10.0.0.1/8" is not an address and /bits with no bit set behind these`},
		{"off", "client", `cannot use canary_by "client": there are no stages of a canary`},
		{"", "client", `cannot use canary_by "client": there are no stages of a canary`},
	} {
		_, r := request(t, control.Request{Verb: control.VerbSwap, Swap: control.SwapArgs{Canary: c.canary, CanaryBy: c.by}}, i.answer)
		if r.OK || r.Error != c.want {
			t.Errorf("%+v, want %s", r, c.want)
		}
	}
}
