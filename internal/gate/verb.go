package gate

import (
	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/text"
)

// verb does what a client of the control socket asks for.
func (g *Gate) verb(c *control.Call) {
	r := &control.Reply{}
	switch c.Verb {
	case control.VerbStatus:
		g.report(c)
		return
	case control.VerbRollback, control.VerbPromote:
		g.operate(c)
		return
	case control.VerbWait:
		g.wait(c)
		return
	case control.VerbCheck:
		go func() {
			r.OK, r.Problems = true, &control.Problems{List: g.check()}
			c.Done(r)
		}()
		return
	case control.VerbHealth:
		r.Error = g.unhealthy()
	case control.VerbStop:
		g.exiting = true
	case control.VerbVersion:
		r.Version = g.config.Version
	case control.VerbSwap, control.VerbRestart, control.VerbMessage:
		r.Error = "this is a gate, which has no server: " + c.Verb + " in a container that has joined it (docker exec CONTAINER swapinit " + c.Verb + ")"
	default:
		r.Error, r.Code = "a gate does not know the verb "+quote(c.Verb), control.CodeVerb
	}
	r.OK = r.Error == ""
	c.Done(r)
}

// unhealthy is why the gate is not healthy, "" if it is: its endpoints are open.
func (g *Gate) unhealthy() string {
	if g.gather != nil {
		return "the endpoints are not open yet: the gate waits for the sockets of its members"
	}
	return ""
}

// operate is a rollback or a promote, which the arbiter answers.
func (g *Gate) operate(c *control.Call) {
	if why := g.unhealthy(); why != "" {
		c.Done(&control.Reply{Error: why})
		return
	}
	id := g.request(func(r *arbiter.Reply) { c.Done(g.replied(r)) })
	if c.Verb == control.VerbRollback {
		g.step(&arbiter.Rollback{ID: id})
	} else {
		g.step(&arbiter.Promote{ID: id})
	}
}

func (g *Gate) replied(r *arbiter.Reply) *control.Reply {
	return &control.Reply{OK: r.Reason == "", Error: r.Reason, Container: r.Member, Release: g.releaseOf(r.Member)}
}

// releaseOf is the name that a container has given itself.
func (g *Gate) releaseOf(container string) string {
	views := g.views()
	for i := range views {
		if views[i].Container == container {
			return views[i].Release
		}
	}
	return ""
}

// views are the members as the arbiter sees them.
func (g *Gate) views() []arbiter.View { return g.arbiter.Views() }

// name is a member for people.
func (g *Gate) name(container string) string { return named(g.releaseOf(container), container) }

// describe is who is at the other end of a connection, for people.
func (g *Gate) describe(s *session) string {
	if s.member == "" {
		return "somebody who has not said who it is"
	}
	return named(s.release, s.member)
}

// maxText is how much of a member's text is shown, in bytes.
const maxText = 200

// clean is text of a member, fit to be shown.
func clean(s string) string { return text.Clip(text.Escape(s), maxText) }

func quote(s string) string { return text.Quote(s, 40) }
