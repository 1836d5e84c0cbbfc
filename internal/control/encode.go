package control

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoder appends JSON (RFC 8259). The elements of a list are members without a
// name. What the opt methods get is left out when it is zero.
type encoder struct{ b []byte }

// raw appends a member whose value is, or begins with, this text.
func (e *encoder) raw(name, text string) {
	if n := len(e.b); n > 0 && e.b[n-1] != '{' && e.b[n-1] != '[' {
		e.b = append(e.b, ',')
	}
	if name != "" {
		name = `"` + name + `":`
	}
	e.b = append(e.b, name+text...)
}

// end ends what a bracket began.
func (e *encoder) end(bracket string) { e.b = append(e.b, bracket...) }

func (e *encoder) int(name string, n int64) { e.raw(name, strconv.FormatInt(n, 10)) }

func (e *encoder) bool(name string, v bool) { e.raw(name, strconv.FormatBool(v)) }

func (e *encoder) text(name, s string) { e.raw(name, quoteJSON(s)) }

func (e *encoder) optInt(name string, n int64) {
	if n != 0 {
		e.int(name, n)
	}
}

func (e *encoder) optText(name, s string) {
	if s != "" {
		e.text(name, s)
	}
}

func (e *encoder) optTrue(name string, v bool) {
	if v {
		e.bool(name, true)
	}
}

func (e *encoder) orNull(name string, n *int) {
	if n == nil {
		e.raw(name, "null")
	} else {
		e.int(name, int64(*n))
	}
}

func (e *encoder) texts(name string, list []string) {
	e.raw(name, "[")
	for _, s := range list {
		e.text("", s)
	}
	e.end("]")
}

// object begins the object of a line.
func object() *encoder {
	e := &encoder{}
	e.raw("", "{")
	e.int("v", Version)
	return e
}

// line is the finished line.
func (e *encoder) line() []byte {
	e.end("}\n")
	return e.b
}

func encodeRequest(r Request) []byte {
	e := object()
	e.text("verb", r.Verb)
	switch r.Verb {
	case VerbMessage:
		e.raw("args", "{")
		e.raw("data", strings.ReplaceAll(r.Data, "\n", " ")) // no string has a newline in it
		e.end("}")
	case VerbSwap, VerbRestart:
		e.raw("args", "{")
		if len(r.Swap.Command) > 0 {
			e.texts("command", r.Swap.Command)
		}
		e.optInt("timeout_ms", r.Swap.TimeoutMS)
		e.optTrue("no_wait", r.Swap.NoWait)
		e.optText("canary", r.Swap.Canary)
		e.optText("strategy", r.Swap.Strategy)
		e.optTrue("follow", r.Swap.Follow)
		e.optTrue("force", r.Swap.Force)
		e.end("}")
	}
	return e.line()
}

func encodeEvent(v Event) []byte {
	e := object()
	e.text("event", v.Event)
	e.optInt("generation", int64(v.Generation))
	e.optInt("pid", int64(v.Pid))
	e.optText("message", v.Message)
	e.optInt("ms", v.MS)
	if v.Share != 0 {
		e.raw("share", Percent(v.Share))
	}
	return e.line()
}

func encodeReply(r Reply) []byte {
	e := object()
	e.bool("ok", r.OK)
	e.optText("error", r.Error)
	e.optText("code", r.Code)
	e.optInt("generation", int64(r.Generation))
	e.optText("version", r.Version)
	if r.Status != nil {
		e.raw("status", r.Status.JSON())
	}
	if r.Delivered != nil {
		e.orNull("delivered", r.Delivered)
	}
	if r.Exit != nil {
		e.orNull("exit", r.Exit)
	}
	return e.line()
}

// JSON is the object that `swapinit status --json` prints, in one line. It is
// fit for a terminal: what does not print is escaped.
func (s *Status) JSON() string {
	e := object()
	e.int("pid", int64(s.Pid))
	e.bool("ready", s.Ready)
	e.raw("generations", "[")
	for i := range s.Generations {
		e.generation(&s.Generations[i])
	}
	e.end("]")
	e.raw("endpoints", "[")
	for _, p := range s.Endpoints {
		e.raw("", "{")
		e.text("name", p.Name)
		e.text("address", p.Address)
		e.bool("inherited", p.Inherited)
		e.bool("steered", p.Steered)
		e.text("reason", p.Reason)
		e.end("}")
	}
	e.end("]")
	if l := s.LastSwap; l == nil {
		e.raw("last_swap", "null")
	} else {
		e.raw("last_swap", "{")
		e.int("generation", int64(l.Generation))
		e.bool("ok", l.OK)
		e.text("reason", l.Reason)
		e.end("}")
	}
	e.end("}")
	return string(e.b)
}

func (e *encoder) generation(g *Generation) {
	e.raw("", "{")
	e.int("generation", int64(g.Generation))
	e.text("state", g.State)
	e.int("pid", int64(g.Pid))
	e.raw("pids", "[")
	for _, pid := range g.Pids {
		e.int("", int64(pid))
	}
	e.end("]")
	e.int("uptime_ms", g.UptimeMS)
	if g.ReadyMS == nil {
		e.raw("ready_ms", "null")
	} else {
		e.int("ready_ms", *g.ReadyMS)
	}
	e.texts("command", g.Command)
	e.text("dir", g.Dir)
	e.text("status", g.Status)
	if g.Share == nil {
		e.raw("share", "null")
	} else {
		e.raw("share", Percent(*g.Share))
	}
	e.orNull("open", g.Open)
	e.orNull("idle", g.Idle)
	e.orNull("queued", g.Queued)
	e.raw("workers", "[")
	for _, w := range g.Workers {
		e.raw("", "{")
		e.int("worker", int64(w.Worker))
		e.int("pid", int64(w.Pid))
		e.bool("ready", w.Ready)
		e.int("restarts", int64(w.Restarts))
		e.end("}")
	}
	e.end("]}")
}

// Percent writes a share in 1/10000 as a number of percent without trailing
// zeros: 10000 is 100, 50 is 0.5.
func Percent(share int) string {
	s := strconv.Itoa(share / 100)
	if part := share % 100; part > 0 {
		s += "." + strings.TrimSuffix(strconv.Itoa(100 + part)[1:], "0")
	}
	return s
}

// quoteJSON makes a JSON string. Whatever does not print is escaped, also
// where JSON would not ask for it: some clients show the line on a terminal.
// (The parser's own encoder escapes as Go does, which is not JSON.) Bytes that
// are not UTF-8 become U+FFFD.
func quoteJSON(s string) string {
	const hex = "0123456789abcdef"
	b := []byte{'"'}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case strconv.IsPrint(r):
			b = utf8.AppendRune(b, r)
		default:
			for _, u := range utf16.AppendRune(nil, r) {
				b = append(b, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
			}
		}
	}
	return string(append(b, '"'))
}
