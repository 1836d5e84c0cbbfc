package control

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// decodeRequest reads a request; refusal, when not nil, is the answer to one
// that is not carried out. Unknown members of the object are ignored, so that it
// can grow; unknown args are refused, as ignoring them would do something else
// than what was asked for.
func decodeRequest(line []byte) (req Request, refusal *Reply) {
	d := &decoder{}
	m := d.parse(line)
	version := m.int("v")
	req.Verb = m.text("verb")
	switch {
	case d.err != nil:
		return req, refuse(CodeRequest, "cannot read request: "+d.err.Error()+", accepted is one JSON object a line")
	case version != Version:
		return req, refuse(CodeRequest, "cannot read request: v is "+strconv.FormatInt(version, 10)+", accepted: "+strconv.Itoa(Version))
	case !slices.Contains(verbs, req.Verb):
		return req, refuse(CodeVerb, "unknown verb "+quote(req.Verb)+", accepted: "+strings.Join(verbs, ", "))
	}
	if v := m.get("args"); v != nil {
		d.args(&req, v)
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

// argNames are the args that a verb has.
func argNames(verb string) string {
	switch verb {
	case VerbSwap:
		return "command, timeout_ms, no_wait, canary, strategy, follow"
	case VerbRestart:
		return "timeout_ms, no_wait, force"
	case VerbMessage:
		return "data"
	}
	return "none"
}

// args reads the args of a verb.
func (d *decoder) args(req *Request, v *fastjson.Value) {
	m := d.object("what is given", v)
	names := argNames(req.Verb)
	m.o.Visit(func(key []byte, _ *fastjson.Value) {
		if names == "none" || !slices.Contains(strings.Split(names, ", "), string(key)) {
			d.fail("unknown name " + quote(string(key)) + ", accepted: " + names)
		}
	})
	// Not by get: asking for the type of a string would replace its text.
	if data := m.o.Get("data"); data != nil {
		req.Data = data.String()
		return
	}
	a := SwapArgs{m.texts("command"), m.int("timeout_ms"), m.bool("no_wait"), m.text("canary"), m.text("strategy"), m.bool("follow"), m.bool("force")}
	req.Swap = a
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

// quote quotes text of a client, of which a reason shows no more than a bit.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}
