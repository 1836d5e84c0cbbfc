package control

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/valyala/fastjson"
)

const (
	// maxDepth is how deep a line may nest; the reply to status needs 7,
	// and what a child gets by message may have 64.
	maxDepth = 66
	// maxQuoted is how much of a client's text a reason shows, in bytes.
	maxQuoted = 40
)

// encode makes a line of a pointer to a Request, Event or Reply.
func encode(m any) []byte {
	b := strconv.AppendInt([]byte(`{"v":`), Version, 10)
	b = appendMembers(b, members(reflect.ValueOf(m).Elem(), ""))
	if r, ok := m.(*Request); ok && r.args() != nil {
		b = append(appendMembers(append(b, `,"args":{`...), r.args()), '}')
	}
	return append(b, "}\n"...)
}

// JSON is the object that `swapinit status --json` prints, in one line. It is
// fit for a terminal: what does not print is escaped.
func (s *Status) JSON() string {
	return string(appendValue(nil, reflect.ValueOf(s), ""))
}

// JSON is text where that is JSON by itself, else text as a JSON string: what the
// verb message sends.
func JSON(text string) string {
	if wrong([]byte(text)) == "" {
		return text
	}
	return string(json.AppendString(nil, text, math.MaxInt))
}

// wrong is what is wrong with JSON, "" if nothing is. What the parser would change
// quietly is wrong too, so that no command runs with other words than were sent.
func wrong(b []byte) string {
	_, wrong := json.Check(b, maxDepth)
	if wrong == "" && json.HalfPair(b) {
		wrong = "has half of a surrogate pair"
	}
	return wrong
}

// parse begins to read a line, of which it returns the version.
func parse(line []byte) (d *decoder, version int) {
	d = &decoder{line: &fastjson.Object{}}
	if wrong := wrong(line); wrong != "" {
		d.fail("it " + wrong)
		return d, 0
	}
	var p fastjson.Parser
	v, err := p.ParseBytes(line)
	if err != nil {
		d.fail("it is not JSON") // not after wrong
		return d, 0
	}
	d.line = d.object("it", v)
	d.members([]member{{name: "v", value: reflect.ValueOf(&version).Elem()}}, d.line)
	return d, version
}

// read reads the line into a pointer to a Request, Event or Reply.
func (d *decoder) read(m any) { d.members(members(reflect.ValueOf(m).Elem(), ""), d.line) }

// decodeRequest reads a request; refusal, when not nil, is the answer to one
// that is not carried out. Unknown members of the object are ignored, so that it
// can grow; unknown args are refused, as ignoring them would do something else
// than what was asked for.
func decodeRequest(line []byte) (req Request, refusal *Reply) {
	d, version := parse(line)
	d.read(&req)
	switch {
	case d.err != nil:
		return req, refuse(CodeRequest, "cannot read request: "+d.err.Error()+", accepted is one JSON object a line")
	case version != Version:
		return req, refuse(CodeRequest, "cannot read request: v is "+strconv.Itoa(version)+", accepted: "+strconv.Itoa(Version))
	case !slices.Contains(verbs, req.Verb):
		return req, refuse(CodeVerb, "unknown verb "+quote(req.Verb)+", accepted: "+strings.Join(verbs, ", "))
	}
	if v := get(d.line, "args"); v != nil {
		d.args(d.object("what is given", v), &req)
	}
	if req.Verb == VerbMessage && req.Data == "" {
		d.fail("data is missing")
	}
	if d.err != nil {
		return req, refuse(CodeRequest, "cannot use args of "+req.Verb+": "+d.err.Error())
	}
	return req, nil
}

func refuse(code, reason string) *Reply { return &Reply{Code: code, Error: reason} }

// args are those of the request's verb.
func (r *Request) args() []member {
	switch r.Verb {
	case VerbMessage:
		return []member{{name: "data", options: "raw", value: reflect.ValueOf(&r.Data).Elem()}}
	case VerbSwap, VerbRestart:
		return members(reflect.ValueOf(&r.Swap).Elem(), r.Verb)
	}
	return nil
}

// args reads and checks those of a request.
func (d *decoder) args(from *fastjson.Object, r *Request) {
	list := r.args()
	var names []string
	for _, m := range list {
		names = append(names, m.name)
	}
	accepted := strings.Join(names, ", ")
	if accepted == "" {
		accepted = "none"
	}
	from.Visit(func(key []byte, _ *fastjson.Value) {
		if !slices.Contains(names, string(key)) {
			d.fail("unknown name " + quote(string(key)) + ", accepted: " + accepted)
		}
	})
	d.members(list, from)
	a := &r.Swap
	if problem := a.Problem(); problem != "" {
		d.fail(problem)
	}
	if a.TimeoutMS < 0 || a.TimeoutMS > math.MaxInt64/int64(time.Millisecond) {
		d.fail("timeout_ms is " + strconv.FormatInt(a.TimeoutMS, 10) + ", accepted are milliseconds from 1, or 0 for the configured timeout")
	}
	for i, word := range a.Command {
		if strings.IndexByte(word, 0) >= 0 {
			d.fail("word " + strconv.Itoa(i+1) + " of the command has a NUL byte")
		}
	}
	if len(a.Command) > 0 && a.Command[0] == "" {
		d.fail("the first word of the command is empty")
	}
}

// quote quotes text of a client.
func quote(s string) string { return text.Quote(s, maxQuoted) }

// decodeAnswer reads a line of the init: an event or the reply.
func decodeAnswer(line []byte) (e *Event, r *Reply, err error) {
	d, version := parse(line)
	switch {
	case d.err != nil:
	case version != Version:
		d.fail("its version is " + strconv.Itoa(version) + ", this program knows " + strconv.Itoa(Version))
	case get(d.line, "event") != nil:
		e = &Event{}
		d.read(e)
	case get(d.line, "ok") != nil:
		r = &Reply{}
		d.read(r)
	default:
		d.fail("neither an event nor a reply")
	}
	if d.err != nil {
		return nil, nil, fmt.Errorf("cannot read answer: %w", d.err)
	}
	return e, r, nil
}
