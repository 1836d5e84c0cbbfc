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

// encode makes a line of a pointer to a Request, Event or Reply.
func encode(m any) []byte {
	b := wire.Begin(m)
	if r, ok := m.(*Request); ok && r.args() != nil {
		b = append(wire.Append(append(b, `,"args":{`...), r.args()), '}')
	}
	return append(b, "}\n"...)
}

// JSON is the object that `swapinit status --json` prints, in one line. It is
// fit for a terminal: what does not print is escaped.
func (s *Status) JSON() string {
	return wire.Object(s)
}

// JSON is the object that `swapinit swap --json` prints, in one line.
func (l *LastSwap) JSON() string { return string(append(wire.Begin(l), '}')) }

// JSON is the object that `swapinit check --json` prints, in one line.
func (p *Problems) JSON() string { return wire.Object(p) }

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
	d.Read(&req)
	switch {
	case d.Err != nil:
		return req, refuse(CodeRequest, "cannot read request: "+d.Err.Error()+", accepted is one JSON object a line")
	case version != Version:
		return req, refuse(CodeRequest, "cannot read request: v is "+strconv.Itoa(version)+", accepted: "+strconv.Itoa(Version))
	case !slices.Contains(verbs, req.Verb):
		return req, refuse(CodeVerb, "unknown verb "+wire.Quote(req.Verb)+", accepted: "+strings.Join(verbs, ", "))
	}
	if v := wire.Get(d.Line, "args"); v != nil {
		readArgs(d, d.Object("what is given", v), &req)
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

// args are those of the request's verb.
func (r *Request) args() []wire.Member {
	switch r.Verb {
	case VerbMessage:
		return []wire.Member{wire.Raw("data", &r.Data)}
	case VerbSwap, VerbRestart:
		return wire.Members(&r.Swap, r.Verb)
	case VerbWait:
		return wire.Members(&r.Wait, "")
	}
	return nil
}

// readArgs reads and checks those of a request.
func readArgs(d *wire.Decoder, from []json.Member, r *Request) {
	list := r.args()
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	accepted := strings.Join(names, ", ")
	if accepted == "" {
		accepted = "none"
	}
	for _, m := range from {
		if !slices.Contains(names, m.Name) {
			d.Fail("unknown name " + wire.Quote(m.Name) + ", accepted: " + accepted)
		}
	}
	d.Members(list, from)
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
	case wire.Get(d.Line, "event") != nil:
		e = &Event{}
		d.Read(e)
	case wire.Get(d.Line, "ok") != nil:
		r = &Reply{}
		d.Read(r)
	default:
		d.Fail("neither an event nor a reply")
	}
	if d.Err != nil {
		return nil, nil, text.Errorf("cannot read answer: %w", d.Err)
	}
	return e, r, nil
}
