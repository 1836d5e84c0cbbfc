package channel

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/swapinit/swapinit/internal/json"
)

// Kind is what a message says.
type Kind uint8

const (
	// Ready: the child can serve.
	Ready Kind = iota + 1
	// ReadyFor: it could take over Resource.
	ReadyFor
	// Released: it holds Resource no longer.
	Released
	// Garbage: it wrote a line that is no message; Data says why not.
	Garbage
	// Gone: every holder of the child's end has closed it. It is the last one.
	Gone

	// Go tells the child to take over Resource.
	Go
	// Takedown tells it to release Resource.
	Takedown
	// Deliver brings it Data.
	Deliver
)

// Message is one line, or an event of the channel itself.
type Message struct {
	Kind     Kind
	Resource string // of ReadyFor, Released, Go, Takedown: 1 to 256 bytes of printable UTF-8
	Data     string // of Deliver: JSON; of Garbage: the reason
}

const (
	lineMax     = 64 << 10 // bytes of a line of the child's, without its newline
	depthMax    = 64       // levels of a line, which bounds the stack that checking it takes
	resourceMax = 256      // bytes
	valuesMax   = 1024     // in a line for us
)

// parser is for the lines of one child.
type parser struct{ node bool }

// parse reads a line of the child's. Its Kind is 0 when it is none of our
// business: programs newer than us, and Node's, say more than we know.
func (p *parser) parse(line []byte) Message {
	values, wrong := json.Check(line, depthMax)
	switch {
	case wrong != "":
		return garbage("a line " + wrong)
	case values > valuesMax:
		if bytes.Contains(line, []byte(`"swapinit"`)) {
			return garbage("a line has too many values")
		}
		return Message{}
	}
	v := json.Line(line)
	if !v.IsObject() {
		word, _ := v.Text()
		switch {
		case !p.node:
			return garbage("a line is not a JSON object")
		case word == "ready":
			return Message{Kind: Ready}
		}
		return Message{}
	}
	var kind Kind
	name, _ := v.Get("swapinit").Text()
	switch name {
	case "ready":
		return Message{Kind: Ready}
	case "readyFor":
		kind = ReadyFor
	case "released":
		kind = Released
	default:
		return Message{}
	}
	resource, _ := v.Get("resource").Text()
	if !isResource(resource) {
		return garbage("the resource of " + name + " is not 1 to 256 bytes of printable text")
	}
	return Message{Kind: kind, Resource: resource}
}

func garbage(reason string) Message { return Message{Kind: Garbage, Data: reason} }

// isResource holds for what can be logged and sent back as it is.
func isResource(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return s != "" && len(s) <= resourceMax && utf8.ValidString(s)
}

// encode returns the line for m, or nil if it cannot be one.
func encode(m Message, node bool) []byte {
	var b []byte
	switch m.Kind {
	case Go, Takedown:
		if !isResource(m.Resource) {
			return nil
		}
		b = append(b, `{"swapinit":"go","resource":`...)
		if m.Kind == Takedown {
			b = append(b[:0], `{"swapinit":"takedown","resource":`...)
		}
		// In printable text only " and \ are escaped, in Go as in JSON.
		b = append(strconv.AppendQuote(b, m.Resource), '}')
	case Deliver:
		// Node's JSON.parse throws, and nothing catches it.
		if _, wrong := json.Check([]byte(m.Data), depthMax); wrong != "" {
			return nil
		}
		// Between values, as strings have none.
		data := strings.ReplaceAll(strings.ReplaceAll(m.Data, "\n", " "), "\r", " ")
		if !node {
			data = `{"swapinit":"message","data":` + data + "}"
		}
		b = []byte(data)
	default:
		return nil
	}
	return append(b, '\n')
}
