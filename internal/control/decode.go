package control

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// maxDepth is how deep a line may nest; the reply to status needs 7,
// and what a child gets by message may have 64.
const maxDepth = 66

// decoder reads one line. err is the first thing that was wrong with it; after
// that the values are of no use. Strings are copies: the parser reuses its memory.
type decoder struct{ err error }

func (d *decoder) fail(reason string) {
	if d.err == nil {
		d.err = errors.New(reason)
	}
}

// parse returns the members of the line's object.
func (d *decoder) parse(line []byte) members {
	if d.err = checkText(line); d.err != nil {
		return members{d, &fastjson.Object{}}
	}
	var p fastjson.Parser
	v, err := p.ParseBytes(line)
	if err == nil {
		// Parsing lets pass numbers and escapes that are none.
		err = fastjson.ValidateBytes(line)
	}
	if err != nil {
		d.fail("it is not JSON") // the parser's own words quote half of the line
		return members{d, &fastjson.Object{}}
	}
	return d.object("it", v)
}

// JSON is text where that is JSON by itself, else text as a JSON string: what the
// verb message sends.
func JSON(text string) string {
	if checkText([]byte(text)) == nil && fastjson.Validate(text) == nil {
		return text
	}
	return quoteJSON(text)
}

// checkText refuses what the parser would change quietly, so that no command
// runs with other arguments than those that were sent, and what would make the
// parser use much memory.
func checkText(line []byte) error {
	if !utf8.Valid(line) {
		return errors.New("it is not UTF-8")
	}
	depth, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			if r := escaped(line[i:]); utf16.IsSurrogate(r) {
				if utf16.DecodeRune(r, escaped(line[i+6:])) == utf8.RuneError {
					return errors.New("it has half of a surrogate pair")
				}
				i += 6
			}
			i++ // what is escaped ends no string
		case c == '"':
			quoted = !quoted
		case quoted:
			if c < ' ' { // the parser lets it pass before an escape
				return errors.New("it is not JSON")
			}
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return errors.New("it nests deeper than " + strconv.Itoa(maxDepth))
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// escaped is the UTF-16 unit of a \uXXXX at the beginning of b, or 0.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	u, _ := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(u)
}

// members are those of one object. One that is absent or null is zero.
type members struct {
	*decoder
	o *fastjson.Object
}

// object is the object v, called name in errors. A member that is there twice is
// an error, as programs disagree about which of the two counts.
func (d *decoder) object(name string, v *fastjson.Value) members {
	o, err := v.Object()
	if err != nil {
		d.fail(name + " must be an object")
		o = &fastjson.Object{}
	}
	seen := map[string]bool{}
	o.Visit(func(key []byte, _ *fastjson.Value) {
		if seen[string(key)] {
			d.fail(quote(string(key)) + " is there twice")
		}
		seen[string(key)] = true
	})
	return members{d, o}
}

// get is nil for a member that is not there or null.
func (m members) get(name string) *fastjson.Value {
	if v := m.o.Get(name); v != nil && v.Type() != fastjson.TypeNull {
		return v
	}
	return nil
}

func (d *decoder) want(name, what string, err error) {
	if err != nil {
		d.fail(name + " must be " + what)
	}
}

func (m members) int(name string) (n int64) {
	if v := m.get(name); v != nil {
		var err error
		n, err = v.Int64()
		m.want(name, "an integer", err)
	}
	return n
}

// orNull is nil for a member that is not there or null.
func (m members) orNull(name string) *int {
	if m.get(name) == nil {
		return nil
	}
	n := int(m.int(name))
	return &n
}

// share reads a number of percent as 1/10000.
func (m members) share(name string) int {
	v := m.get(name)
	if v == nil {
		return 0
	}
	percent, err := strconv.ParseFloat(v.String(), 64)
	if err != nil || percent < 0 || percent > 100 {
		m.fail(name + " must be a number from 0 to 100")
		return 0
	}
	return int(percent*100 + 0.5)
}

func (m members) bool(name string) (b bool) {
	if v := m.get(name); v != nil {
		var err error
		b, err = v.Bool()
		m.want(name, "true or false", err)
	}
	return b
}

func (m members) text(name string) string {
	v := m.get(name)
	if v == nil {
		return ""
	}
	s, err := v.StringBytes()
	m.want(name, "a string", err)
	return string(s)
}

func (m members) list(name string) []*fastjson.Value {
	v := m.get(name)
	if v == nil {
		return nil
	}
	list, err := v.Array()
	m.want(name, "a list", err)
	return list
}

func (m members) texts(name string) (texts []string) {
	for _, v := range m.list(name) {
		s, err := v.StringBytes()
		m.want(name, "a list of strings", err)
		texts = append(texts, string(s))
	}
	return texts
}
