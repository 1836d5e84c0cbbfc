package steer

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/awake"
	"github.com/swapinit/swapinit/internal/shares"
)

// looker answers with one Look after the other, the last for ever.
type looker struct {
	answers []answer
	looks   int
}

type answer struct {
	Look
	err error
}

func (l *looker) look(time.Duration) (Look, error) {
	a := l.answers[min(l.looks, len(l.answers)-1)]
	l.looks++
	return a.Look, a.err
}

type looks []func(time.Duration) (Look, error)

func TestDrainOver(t *testing.T) {
	failed := errors.New("no look")
	for name, c := range map[string]struct {
		answers []answer
		gone    bool
		looks   int
		busy    bool
		errors  int
	}{
		"nothing":            {[]answer{{}}, false, 1, false, 0},
		"all idle":           {[]answer{{Look: Look{Open: 3, Idle: 3}}}, false, 1, false, 0},
		"one busy":           {[]answer{{Look: Look{Open: 3, Idle: 2}}, {Look: Look{Open: 3, Idle: 3}}}, false, 2, true, 0},
		"a handshake":        {[]answer{{Look: Look{Half: 1}}, {Look: Look{Half: 1}}, {}}, false, 3, true, 0},
		"a queue":            {[]answer{{Look: Look{Queued: 1}}, {}}, false, 2, true, 0},
		"idle is not gone":   {[]answer{{Look: Look{Open: 1, Idle: 1}}, {Look: Look{Open: 1, Idle: 1}}, {}}, true, 3, true, 0},
		"gone":               {[]answer{{}}, true, 1, false, 0},
		"unseen":             {[]answer{{Look: Look{Half: 1, Unseen: true}}, {Look: Look{Unseen: true}}}, false, 2, true, 0},
		"unseen is not gone": {[]answer{{Look: Look{Unseen: true}}, {}}, true, 2, true, 0},
		"failures":           {[]answer{{err: failed}, {err: failed}, {err: errors.New("another")}, {}}, false, 4, true, 2},
		"busy later":         {[]answer{{Look: Look{Half: 1}}, {Look: Look{Open: 1}}, {}}, false, 3, true, 0},
		"a failure is busy":  {[]answer{{err: failed}, {}}, true, 2, true, 1},
		"many sorts of them": {append(manyErrors(50), answer{}), false, 51, true, errorsMost},
	} {
		l := &looker{answers: c.answers}
		quiet := &looker{answers: []answer{{Look: Look{Open: 2, Idle: 2}}}}
		if c.gone {
			quiet.answers = []answer{{}}
		}
		busy, failures := 0, 0
		d := Drain{
			Looks: looks{quiet.look, l.look},
			Gone:  c.gone,
			Busy:  func(open, idle int) { busy++ },
			Error: func(error) { failures++ },
		}
		if !d.Run(nil) {
			t.Errorf("%s: stopped", name)
		}
		if l.looks != c.looks || quiet.looks != c.looks || (busy == 1) != c.busy || busy > 1 || failures != c.errors {
			t.Errorf("%s: %d and %d looks, %d times busy, %d failures", name, l.looks, quiet.looks, busy, failures)
		}
	}
}

func manyErrors(n int) (list []answer) {
	for i := range n {
		list = append(list, answer{err: fmt.Errorf("failure %d", i)})
	}
	return list
}

func TestDrainNeedsNobodyToTell(t *testing.T) {
	l := &looker{answers: []answer{{err: errors.New("no look")}, {}}}
	if !(Drain{Looks: looks{l.look}}).Run(nil) {
		t.Error("stopped")
	}
	if !(Drain{}).Run(nil) {
		t.Error("nothing to look at is never over")
	}
}

// As long as connections may still go there nothing is looked at; the first look
// comes a whole rest after the last of them, so after whatever they have sent.
func TestDrainHolds(t *testing.T) {
	for _, looking := range []bool{true, false} {
		l := &looker{answers: []answer{{}}}
		asked, held := 0, 5
		d := Drain{Hold: func() bool {
			if l.looks > 0 {
				t.Error("it has looked")
			}
			asked++
			return asked <= held
		}}
		if looking {
			d.Looks = looks{l.look}
		}
		if !d.Run(nil) || asked != held+1 || looking != (l.looks == 1) {
			t.Errorf("looking %v: asked %d times, %d looks", looking, asked, l.looks)
		}
	}
}

// Whoever was not given a CPU for a while has overslept. Connections that were quiet
// meanwhile may not be idle; those that are closed are, and nobody waits for more.
func TestDrainAfterAStandstill(t *testing.T) {
	for name, answers := range map[string][]answer{
		"closed": {{}},
		"quiet":  {{Look: Look{Open: 2, Idle: 2}}, {}},
		"unseen": {{Look: Look{Unseen: true}}, {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &looker{answers: answers}
			stood := false
			d := Drain{Looks: looks{l.look}, IdleAfter: time.Hour, Hold: func() bool {
				if !stood {
					stood = true
					<-time.After(restLeast + awake.Slack + restLeast)
				}
				return false
			}}
			stop := make(chan struct{})
			defer time.AfterFunc(time.Minute, func() { close(stop) }).Stop()
			if !d.Run(stop) || l.looks != len(answers) {
				t.Errorf("%d looks, want %d", l.looks, len(answers))
			}
		})
	}
}

func TestDrainStops(t *testing.T) {
	stop := make(chan struct{})
	l := &looker{answers: []answer{{Look: Look{Open: 5, Idle: 2}}}}
	d := Drain{Looks: looks{l.look}, Busy: func(open, idle int) {
		if open != 5 || idle != 2 {
			t.Errorf("%d open, %d idle", open, idle)
		}
		close(stop)
	}}
	if d.Run(stop) {
		t.Error("drained")
	}
	if l.looks != 1 {
		t.Errorf("%d looks", l.looks)
	}
	if d.Run(stop) {
		t.Error("drained")
	}
}

// The real thing: a busy connection ends the drain when it is answered.
func TestDrainOfAGroup(t *testing.T) {
	for _, gone := range []bool{false, true} {
		g, to := newGroup(t, "127.0.0.1")
		near := dial(t, to)
		far := accept(t, socketOf(t, g, 1))
		must(t, near.send("request"))
		add(t, g, 2)
		must(t, g.Aim(2, 1, shares.Full, ""))
		busy := make(chan struct{})
		over := make(chan bool, 1)
		var saw []Busy
		d := Drain{Looks: looks{g.Observe(1)}, IdleAfter: soon, Gone: gone, Busy: func(int, int) { close(busy) }, Saw: func(b Busy) { saw = append(saw, b) }}
		go func() { over <- d.Run(nil) }()
		<-busy
		select {
		case <-over:
			t.Fatal("drained, with a request under way")
		default:
		}
		exchangeAnswer(t, near, far)
		if gone {
			far.close()
		}
		if !<-over {
			t.Error("stopped")
		}
		if first, last := saw[0], saw[len(saw)-1]; len(first.List) != 1 || first.More != 0 || first.List[0].Idle || len(last.List) != 0 || last.More != 0 {
			t.Errorf("it saw %+v", saw)
		}
		if !gone {
			far.close()
		}
		near.close()
	}
}

func exchangeAnswer(t *testing.T, near, far client) {
	t.Helper()
	buffer := make([]byte, 16)
	if n := far.read(buffer); n != 7 {
		t.Fatalf("read %d", n)
	}
	must(t, far.send("answer"))
	if n := near.read(buffer); n != 6 {
		t.Fatalf("read %d", n)
	}
}
