package gate

import (
	"cmp"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/control"
)

const waitTime = time.Minute // where wait has no --timeout

// waiter is a client that waits until a member has all the traffic and has settled.
type waiter struct {
	call    *control.Call
	name    string
	until   time.Duration
	old     map[string]bool // containers that had had the traffic before it asked
	seen    string          // the container that it waits for, once there is one
	present bool            // it has been connected since
	undoing bool            // the traffic is going back
}

// wait begins the verb wait. It looks at once: one that is there already is answered now.
func (g *Gate) wait(c *control.Call) {
	d := time.Duration(c.Wait.TimeoutMS) * time.Millisecond
	w := &waiter{call: c, name: c.Wait.Name, until: g.now() + cmp.Or(d, waitTime), old: map[string]bool{}}
	views := g.views()
	for i := range views {
		w.old[views[i].Container] = views[i].Out != ""
	}
	g.waiters = append(g.waiters, w)
	g.tellWaiters()
}

// matches: v is what the waiter waits for, by its release, its container id or the
// beginning of that.
func (w *waiter) matches(v *arbiter.View) bool {
	return v.Release == w.name || v.Container == w.name || len(w.name) >= shortID && strings.HasPrefix(v.Container, w.name)
}

// find is the newest member that matches. One that was out before the client asked is it
// only where its container is named: a release can be deployed a second time.
func (w *waiter) find(views []arbiter.View) (found *arbiter.View) {
	for i := range views {
		v := &views[i]
		out := w.old[v.Container] && v.Out != "" && v.Release == w.name && v.Container != w.name
		if w.matches(v) && !out && (found == nil || v.Order > found.Order) {
			found = v
		}
	}
	return found
}

// tellWaiters answers those whose wait is over. It is called after every event.
func (g *Gate) tellWaiters() {
	if len(g.waiters) == 0 || len(g.effects) > 0 {
		return // what was decided is not done yet
	}
	views := g.views()
	for _, w := range g.waiters {
		if w.undoing {
			continue
		}
		reply, over := g.judge(w, views)
		switch {
		case !over:
		case reply.OK || !w.call.Wait.Rollback:
			g.answered(w, reply)
		default:
			g.undo(w, reply)
		}
	}
	kept := g.waiters[:0]
	for _, w := range g.waiters {
		select {
		case <-w.call.Gone():
		default:
			if w.call.Verb != "" {
				kept = append(kept, w)
			}
		}
	}
	clear(g.waiters[len(kept):])
	g.waiters = kept
}

// answered ends a wait.
func (g *Gate) answered(w *waiter, r *control.Reply) {
	w.call.Done(r)
	w.call.Verb = "" // over
}

// judge says whether a wait is over, and how.
func (g *Gate) judge(w *waiter, views []arbiter.View) (r *control.Reply, over bool) {
	r = &control.Reply{}
	v := w.find(views)
	late := g.now() >= w.until
	if v == nil {
		r.Error = "no container " + quote(w.name) + " has joined"
		if w.seen != "" {
			r.Error, late = short(w.seen)+" is not known any more", true
		}
		return r, late
	}
	if v.Container != w.seen { // a newer one of that name
		w.seen, w.present = v.Container, false
	}
	w.present = w.present || v.Session != 0
	r.Container, r.Release = v.Container, v.Release
	why := g.reasons[v.Container]
	if why == "" && v.Out == arbiter.Failed {
		why = clean(v.Reason)
	}
	if why != "" {
		why = ": " + why
	}
	tail := why + "; its log: docker logs " + short(v.Container)
	holder, what := g.holder(), ""
	over = true
	switch {
	case v.State == "holder" && v.Settled:
		r.OK = true
		return r, true
	case v.Out == arbiter.Failed:
		what = "has failed"
	case v.Out == arbiter.Superseded:
		what, tail = "was superseded by ", g.name(holder)
	case v.Out == arbiter.Retired:
		what, tail = "had the traffic and has lost it to ", g.name(holder)
	case v.Session == 0 && (w.present || g.reasons[v.Container] != "") && v.Container != holder:
		what = "has left before it had the traffic"
	case v.Session == 0 && (w.present || g.reasons[v.Container] != "") && !v.Settled:
		what = "has left before it had settled" // the first one has the traffic as it joins
	case v.State == "holder":
		what, over = "has the traffic but has not settled in time", late
	default:
		what, over = "has not got all the traffic in time, it is "+cmp.Or(v.State, "away"), late
	}
	r.Error = named(v.Release, v.Container) + " " + what + tail
	return r, over
}

// undo gives the traffic back that the member has, if it has any, and answers then.
func (g *Gate) undo(w *waiter, r *control.Reply) {
	has := false
	views := g.views()
	for i := range views {
		v := &views[i]
		has = has || v.Container == r.Container && (v.State == "holder" || v.State == "canary")
	}
	if !has {
		g.answered(w, r)
		return
	}
	w.undoing = true
	id := g.request(func(back *arbiter.Reply) {
		if back.Reason == "" {
			r.Error += "; the traffic went back to " + g.name(back.Member)
		} else {
			r.Error += "; it could not go back: " + back.Reason
		}
		g.answered(w, r)
	})
	// Not from within the effects of an event.
	go g.post(func() { g.step(&arbiter.Rollback{ID: id}) })
}
