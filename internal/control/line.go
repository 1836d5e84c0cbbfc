package control

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/valyala/fastjson"
)

// encode makes a line.
func encode(m message) []byte {
	c := &codec{b: []byte("{")}
	c.version(nil)
	m.fields(c)
	return append(c.b, "}\n"...)
}

// JSON is the object that `swapinit status --json` prints, in one line. It is
// fit for a terminal: what does not print is escaped.
func (s *Status) JSON() string {
	c := &codec{}
	c.object("", s)
	return string(c.b)
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
func parse(line []byte) (c *codec, version int) {
	c = &codec{from: &fastjson.Object{}}
	if wrong := wrong(line); wrong != "" {
		c.fail("it " + wrong)
		return c, 0
	}
	var p fastjson.Parser
	v, err := p.ParseBytes(line)
	if err != nil {
		c.fail("it is not JSON") // not after wrong
		return c, 0
	}
	c.enter("it", v)
	c.version(&version)
	return c, version
}

// decodeRequest reads a request; refusal, when not nil, is the answer to one
// that is not carried out. Unknown members of the object are ignored, so that it
// can grow; unknown args are refused, as ignoring them would do something else
// than what was asked for.
func decodeRequest(line []byte) (req Request, refusal *Reply) {
	c, version := parse(line)
	req.fields(c)
	switch {
	case c.err != nil:
		return req, refuse(CodeRequest, "cannot read request: "+c.err.Error()+", accepted is one JSON object a line")
	case version != Version:
		return req, refuse(CodeRequest, "cannot read request: v is "+strconv.Itoa(version)+", accepted: "+strconv.Itoa(Version))
	case !slices.Contains(verbs, req.Verb):
		return req, refuse(CodeVerb, "unknown verb "+quote(req.Verb)+", accepted: "+strings.Join(verbs, ", "))
	}
	if v := c.get("args"); v != nil {
		c.enter("what is given", v)
		c.checkNames(argNames(req.Verb))
		(*args)(&req).fields(c)
		c.checkArgs(&req.Swap)
	}
	if req.Verb == VerbMessage && req.Data == "" {
		c.fail("data is missing")
	}
	if c.err != nil {
		return req, refuse(CodeRequest, "cannot use args of "+req.Verb+": "+c.err.Error())
	}
	return req, nil
}

func refuse(code, reason string) *Reply { return &Reply{Code: code, Error: reason} }

// argNames are the args that a verb has.
func argNames(verb string) []string {
	c := &codec{from: &fastjson.Object{}}
	(&args{Verb: verb}).fields(c)
	return c.names
}

func (c *codec) checkNames(known []string) {
	accepted := strings.Join(known, ", ")
	if accepted == "" {
		accepted = "none"
	}
	c.from.Visit(func(key []byte, _ *fastjson.Value) {
		if !slices.Contains(known, string(key)) {
			c.fail("unknown name " + quote(string(key)) + ", accepted: " + accepted)
		}
	})
}

func (c *codec) checkArgs(a *SwapArgs) {
	if problem := a.Problem(); problem != "" {
		c.fail(problem)
	}
	if a.TimeoutMS < 0 || a.TimeoutMS > math.MaxInt64/int64(time.Millisecond) {
		c.fail("timeout_ms is " + strconv.FormatInt(a.TimeoutMS, 10) + ", accepted are milliseconds from 1, or 0 for the configured timeout")
	}
	for i, word := range a.Command {
		if strings.IndexByte(word, 0) >= 0 {
			c.fail("word " + strconv.Itoa(i+1) + " of the command has a NUL byte")
		}
	}
	if len(a.Command) > 0 && a.Command[0] == "" {
		c.fail("the first word of the command is empty")
	}
}

// quote quotes text of a client.
func quote(s string) string { return text.Quote(s, maxQuoted) }

// decodeAnswer reads a line of the init: an event or the reply.
func decodeAnswer(line []byte) (e *Event, r *Reply, err error) {
	c, version := parse(line)
	switch {
	case c.err != nil:
	case version != Version:
		c.fail("its version is " + strconv.Itoa(version) + ", this program knows " + strconv.Itoa(Version))
	case c.get("event") != nil:
		e = &Event{}
		e.fields(c)
	case c.get("ok") != nil:
		r = &Reply{}
		r.fields(c)
	default:
		c.fail("neither an event nor a reply")
	}
	if c.err != nil {
		return nil, nil, fmt.Errorf("cannot read answer: %w", c.err)
	}
	return e, r, nil
}
