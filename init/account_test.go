package pid1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

// The stages of a swap are its own, in their order, each until the next one or the end;
// what becomes of it later is told without them.
func TestAccount(t *testing.T) {
	i := testInit(t)
	i.gens.live[1], i.gens.live[2] = testWorker(1).g, testWorker(2).g
	i.gens.newest = 1
	for _, f := range []swap.Effect{
		&swap.Transition{From: "idle", To: "waiting for room"},
		&swap.Transition{Generation: 1, From: "idle"},
		&swap.Transition{From: "waiting for room", To: "rising"}, // a swap begins once
		&swap.Progress{Stage: swap.StageStarted, Generation: 2},
		&swap.Progress{Stage: swap.StageStarted, Generation: 2, ID: 7},
		&swap.Progress{Stage: swap.StageStopping, Generation: 1, Other: 1}, // of an older generation
		&swap.Progress{Stage: swap.StageRespawn, Generation: 2, Detail: "x"},
		&swap.Progress{Stage: swap.StageCanary, Generation: 2, Share: 2500},
		&swap.Progress{Stage: swap.StageCutOver, Generation: 2, Share: 2500},
		&swap.Swapped{Generation: 2},
		&swap.Progress{Stage: swap.StageDraining, Generation: 2, Other: 1}, // afterwards
	} {
		i.perform(f)
	}
	c := i.clients
	told := c.lastSwap.tell()
	list, at := "", int64(0)
	for _, s := range told.Stages {
		list += fmt.Sprint(s.Stage, s.Share, " ")
		if s.AtMS < at || s.MS < 0 {
			t.Errorf("%+v begins before the one before has ended, at %d", s, at)
		}
		at = s.AtMS + s.MS
	}
	if list != "started0 canary2500 cutover0 " || !told.OK || told.Generation != 2 || told.Outcome != outcomeOK || told.Reason != "" || told.OutcomeAt != told.Ended ||
		told.Began > told.Ended || !strings.HasSuffix(told.Began, "Z") || c.running != nil {
		t.Errorf("%+v", told)
	}
	for _, other := range []*swap.Reply{{ID: 7, Generation: 3}, {ID: 7, Reason: "superseded"}} {
		if l := c.lastSwap.of(other); l != nil {
			t.Errorf("%+v is told of %+v", l, other)
		}
	}

	// Another one, which is older, does not change it.
	i.perform(&swap.Progress{Stage: swap.StageDied, Other: 1, Detail: "exited with status 1"})
	if told := c.lastSwap.tell(); !told.OK {
		t.Errorf("%+v", told)
	}
	i.perform(&swap.Progress{Stage: swap.StageBack, Generation: 1, Other: 2, Detail: "exited with status 1, 4s after its cut-over"})
	back := c.lastSwap.tell()
	if back.OK || back.Outcome != outcomeBack || back.Reason != "exited with status 1, 4s after its cut-over; generation 1 has the traffic again" ||
		back.Ended != told.Ended || back.OutcomeAt < told.OutcomeAt || len(back.Stages) != 3 || !told.OK {
		t.Errorf("%+v", back)
	}
	i.perform(&swap.Progress{Stage: swap.StageBack, Other: 2, Detail: "rolled back"})
	if told := c.lastSwap.tell(); told.Reason != "rolled back; another container has the traffic again" {
		t.Errorf("%+v", told)
	}
	i.perform(&swap.Progress{Stage: swap.StageDied, Other: 2, Detail: "exited with status 1"})
	if told := c.lastSwap.tell(); told.Outcome != outcomeDied || told.OK || !strings.Contains(told.Reason, "SWAPINIT_KEEP") {
		t.Errorf("%+v", told)
	}
}

// A handover of a thousand resources is not kept for ever: the last stage is.
func TestAccountIsBounded(t *testing.T) {
	i := testInit(t)
	c := i.clients
	c.begin(2)
	for range 10 * stagesMax {
		c.stage(swap.StageGo, 2, 0)
	}
	c.stage(swap.StageFailed, 2, 0)
	c.end(0, "no")
	told := c.lastSwap.tell()
	if n := len(told.Stages); n != stagesMax || told.Stages[n-1].Stage != string(swap.StageFailed) || told.Stages[0].Stage != string(swap.StageGo) {
		t.Errorf("%d stages: %+v", n, told.Stages)
	}
	if told.Generation != 0 || told.Outcome != outcomeFailed || told.Reason != "no" {
		t.Errorf("%+v", told)
	}
	if l := c.lastSwap.of(&swap.Reply{Reason: "no"}); l == nil {
		t.Error("a failure without a successor is not told to who has asked")
	}
	if l := (*account)(nil).tell(); l != nil {
		t.Errorf("%+v", l)
	}
}

// Who asks for a swap is told how it went, and nobody else.
func TestAccountInReplies(t *testing.T) {
	i := testInit(t)
	c := i.clients
	c.begin(2)
	c.end(2, "no")
	for _, r := range []struct {
		request control.Request
		told    bool
	}{
		{control.Request{Verb: control.VerbSwap}, true},
		{control.Request{Verb: control.VerbRestart}, true},
		{control.Request{Verb: control.VerbSwap, Swap: control.SwapArgs{Cancel: true}}, false},
		{control.Request{Verb: control.VerbPromote}, false},
	} {
		_, reply := request(t, r.request, func(call *control.Call) {
			c.calls[9] = call
			c.reply(&swap.Reply{ID: 9, Generation: 2, Reason: "no"})
		})
		if (reply.Swap != nil) != r.told {
			t.Errorf("%+v: %+v", r.request, reply.Swap)
		}
	}
}
