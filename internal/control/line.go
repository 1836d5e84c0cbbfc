package control

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/wire"
)

// message is a Request, Event or Reply.
type message interface{ fields(c *wire.Codec) }

func encode(m message) []byte { return wire.Line(m.fields) }

// JSON is the object that `swapinit status --json` prints, in one line. It is
// fit for a terminal: what does not print is escaped.
func (s *Status) JSON() string {
	return wire.Object(s.fields)
}

// JSON is the object that `swapinit swap --json` prints, in one line.
func (l *LastSwap) JSON() string {
	return wire.Object(func(c *wire.Codec) {
		version := Version
		c.Version("v", &version)
		l.fields(c)
	})
}

// JSON is the object that `swapinit check --json` prints, in one line.
func (p *Problems) JSON() string { return wire.Object(p.fields) }

// JSON is text where that is JSON by itself, else text as a JSON string: what the
// verb message sends.
func JSON(text string) string {
	if wire.Wrong([]byte(text)) == "" {
		return text
	}
	return string(json.AppendString(nil, text, math.MaxInt))
}

// decodeRequest reads a request; refusal, when not nil, is the answer to one
// that is not carried out. Unknown members of the object are ignored, so that it
// can grow; unknown args are refused, as ignoring them would do something else
// than what was asked for.
func decodeRequest(line []byte) (req Request, refusal *Reply) {
	d, version := wire.Parse(line)
	d.String("verb", &req.Verb)
	switch {
	case d.Err != nil:
		return req, refuse(CodeRequest, "cannot read request: "+d.Err.Error()+", accepted is one JSON object a line")
	case version != Version:
		return req, refuse(CodeRequest, "cannot read request: v is "+strconv.Itoa(version)+", accepted: "+strconv.Itoa(Version))
	case !slices.Contains(verbs, req.Verb):
		return req, refuse(CodeVerb, "unknown verb "+wire.Quote(req.Verb)+", accepted: "+strings.Join(verbs, ", "))
	}
	if v := wire.Get(d.Members(), "args"); v != nil {
		d.Within("what is given", v, func() { readArgs(d, &req) })
	}
	if req.Verb == VerbMessage && req.Data == "" {
		d.Fail("data is missing")
	}
	if req.Verb == VerbWait && req.Wait.Name == "" {
		d.Fail("name is missing")
	}
	if d.Err != nil {
		return req, refuse(CodeRequest, "cannot use args of "+req.Verb+": "+d.Err.Error())
	}
	return req, nil
}

func refuse(code, reason string) *Reply { return &Reply{Code: code, Error: reason} }

// readArgs reads and checks those of a request.
func readArgs(d *wire.Codec, r *Request) {
	names := wire.Names(r.args)
	accepted := strings.Join(names, ", ")
	if accepted == "" {
		accepted = "none"
	}
	for _, m := range d.Members() {
		if !slices.Contains(names, m.Name) {
			d.Fail("unknown name " + wire.Quote(m.Name) + ", accepted: " + accepted)
		}
	}
	r.args(d)
	a := &r.Swap
	if problem := a.Problem(); problem != "" {
		d.Fail(problem)
	}
	if ms := a.TimeoutMS + r.Wait.TimeoutMS; ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
		d.Fail("timeout_ms is " + strconv.FormatInt(ms, 10) + ", accepted are milliseconds from 1, or 0 for the configured timeout")
	}
	for i, word := range a.Command {
		if strings.IndexByte(word, 0) >= 0 {
			d.Fail("word " + strconv.Itoa(i+1) + " of the command has a NUL byte")
		}
	}
	if len(a.Command) > 0 && a.Command[0] == "" {
		d.Fail("the first word of the command is empty")
	}
}

// decodeAnswer reads a line of the init: an event or the reply.
func decodeAnswer(line []byte) (e *Event, r *Reply, err error) {
	d, version := wire.Parse(line)
	switch {
	case d.Err != nil:
	case version != Version:
		d.Fail("its version is " + strconv.Itoa(version) + ", this program knows " + strconv.Itoa(Version))
	case wire.Get(d.Members(), "event") != nil:
		e = &Event{}
		e.fields(d)
	case wire.Get(d.Members(), "ok") != nil:
		r = &Reply{}
		r.fields(d)
	default:
		d.Fail("neither an event nor a reply")
	}
	if d.Err != nil {
		return nil, nil, text.Errorf("cannot read answer: %w", d.Err)
	}
	return e, r, nil
}
