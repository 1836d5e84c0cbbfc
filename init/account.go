package pid1

import (
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/swap"
)

// account is what is told of one swap: as last_swap in status, and to whoever asked for
// it. It is the loop's; told.Stages does not change any more once the swap has ended.
type account struct {
	told  control.LastSwap
	began clock.Time
	since clock.Time // that it has its outcome
}

// stagesMax bounds the stages that are kept. Of more the last one is.
const stagesMax = 64

// What has become of a swap.
const (
	outcomeOK     = "ok"
	outcomeFailed = "failed"
	outcomeBack   = "rolled back"
	outcomeDied   = "died"
)

// begin begins the account of the swap to generation n.
func (c *clients) begin(n int) {
	c.running = &account{told: control.LastSwap{Generation: n, Began: logline.Stamp()}, began: clock.Now()}
}

// stage notes that the swap to generation n has come to one. What is told of others
// meanwhile is not its own.
func (c *clients) stage(s swap.Stage, n, share int) {
	a := c.running
	if a == nil || n != a.told.Generation {
		return
	}
	now := a.closeStage()
	list := a.told.Stages
	if len(list) == stagesMax {
		list = list[:stagesMax-1]
	}
	a.told.Stages = append(list, control.SwapStage{Stage: string(s), AtMS: now, Share: share})
}

// closeStage ends the last stage, and returns the milliseconds since the swap began.
func (a *account) closeStage() int64 {
	now := clock.Since(a.began).Milliseconds()
	if n := len(a.told.Stages); n > 0 {
		s := &a.told.Stages[n-1]
		s.MS = now - s.AtMS
	}
	return now
}

// end makes the running swap the last one. g is its successor, 0 if none was started.
func (c *clients) end(g int, reason string) {
	if c.running == nil {
		c.begin(g)
	}
	a := c.running
	a.closeStage()
	a.told.Generation, a.told.Pid = g, c.gens.live[g].pid()
	outcome := outcomeOK
	if reason != "" {
		outcome = outcomeFailed
	}
	c.running, c.lastSwap = nil, a
	if a.becomes(outcome, reason); a.told.OK {
		c.totals.SwapsOK++
	} else {
		c.totals.SwapsFailed++
	}
	a.told.Ended = a.told.OutcomeAt
}

// becomes notes what has become of a swap.
func (a *account) becomes(outcome, reason string) {
	a.since = clock.Now()
	a.told.OK, a.told.Outcome, a.told.Reason, a.told.OutcomeAt = outcome == outcomeOK, outcome, reason, logline.Stamp()
}

// tell is a copy as it is told now; nil if there is no account.
func (a *account) tell() *control.LastSwap {
	if a == nil {
		return nil
	}
	told := a.told
	told.AgoMS = clock.Since(a.since).Milliseconds()
	return &told
}

// of is the account of the swap that a reply is about, nil if that is another one, or none
// has begun.
func (a *account) of(r *swap.Reply) *control.LastSwap {
	if a == nil || a.told.Generation != r.Generation || r.Generation == 0 && a.told.Reason != r.Reason {
		return nil
	}
	return a.tell()
}
