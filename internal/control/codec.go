package control

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/valyala/fastjson"
)

// maxDepth is how deep a line may nest; the reply to status needs 7,
// and what a child gets by message may have 64.
const maxDepth = 66

// maxQuoted is how much of a client's text a reason shows, in bytes.
const maxQuoted = 40

// codec writes a JSON object (RFC 8259), or reads one when from is set. Each type
// tells it its members once, in order, in the method fields. A member that is
// read and absent or null is zero. The elements of a list are members without a
// name.
type codec struct {
	b        []byte            // written so far
	sparse   bool              // write no member that is zero
	from     *fastjson.Object  // its strings are the parser's, so copies are taken
	elements []*fastjson.Value // of the list that is read
	index    int               // that of the element
	list     string            // the list's name
	names    []string          // of all members that were asked for
	err      error             // the first thing that was wrong; then the values are of no use
}

// message is a type of the protocol.
type message interface{ fields(*codec) }

func (c *codec) fail(reason string) {
	if c.err == nil {
		c.err = errors.New(reason)
	}
}

// want notes that a member, or each element of a list, is not what it must be.
func (c *codec) want(err error, name, one, many string) {
	if err == nil {
		return
	}
	if name == "" {
		name, one = c.list, "a list of "+many
	}
	c.fail(name + " must be " + one)
}

// raw writes a member whose value is, or begins with, this text.
func (c *codec) raw(name, text string) {
	if n := len(c.b); n > 0 && c.b[n-1] != '{' && c.b[n-1] != '[' {
		c.b = append(c.b, ',')
	}
	if name != "" {
		name = `"` + name + `":`
	}
	c.b = append(c.b, name+text...)
}

// get is nil for a member that is not there or null. An element is never nil: in
// a list null stands for nothing.
func (c *codec) get(name string) *fastjson.Value {
	if name == "" {
		return c.elements[c.index]
	}
	c.names = append(c.names, name)
	if v := c.from.Get(name); v != nil && v.Type() != fastjson.TypeNull {
		return v
	}
	return nil
}

func (c *codec) int64(name string, n *int64) {
	if c.from == nil {
		if *n != 0 || !c.sparse {
			c.raw(name, strconv.FormatInt(*n, 10))
		}
	} else if v := c.get(name); v != nil {
		var err error
		*n, err = v.Int64()
		c.want(err, name, "an integer", "integers")
	}
}

func (c *codec) int(name string, n *int) {
	wide := int64(*n)
	c.int64(name, &wide)
	*n = int(wide)
}

// version is that of the protocol: it is known when it is written.
func (c *codec) version(n *int) {
	if c.from == nil {
		c.raw("v", strconv.Itoa(Version))
	} else {
		c.int("v", n)
	}
}

// share is a number of percent on the wire and 1/10000 in n.
func (c *codec) share(name string, n *int) {
	if c.from == nil {
		if *n != 0 || !c.sparse {
			c.raw(name, shares.Percent(*n))
		}
	} else if v := c.get(name); v != nil {
		percent, err := strconv.ParseFloat(v.String(), 64)
		if err != nil || percent < 0 || percent > 100 {
			c.fail(name + " must be a number from 0 to 100")
			return
		}
		*n = int(percent*100 + 0.5)
	}
}

func (c *codec) bool(name string, b *bool) {
	if c.from == nil {
		if *b || !c.sparse {
			c.raw(name, strconv.FormatBool(*b))
		}
	} else if v := c.get(name); v != nil {
		var err error
		*b, err = v.Bool()
		c.want(err, name, "true or false", "")
	}
}

func (c *codec) text(name string, s *string) {
	if c.from == nil {
		if *s != "" || !c.sparse {
			c.raw(name, string(json.AppendString(nil, *s, math.MaxInt)))
		}
	} else if v := c.get(name); v != nil {
		b, err := v.StringBytes()
		c.want(err, name, "a string", "strings")
		*s = string(b)
	}
}

// json is any value, kept as JSON. Read, it has no white space between its parts.
func (c *codec) json(name string, text *string) {
	if c.from == nil {
		c.raw(name, strings.ReplaceAll(*text, "\n", " ")) // no string has a newline in it
		return
	}
	c.names = append(c.names, name)
	// Not by get: asking for the type of a string would replace its text.
	if v := c.from.Get(name); v != nil {
		*text = v.String()
	}
}

// object is an object of its own; in a list it has no name.
func (c *codec) object(name string, m message) {
	outer := *c
	c.sparse = false
	if c.from == nil {
		c.raw(name, "{")
		m.fields(c)
		c.b = append(c.b, '}')
	} else if v := c.get(name); v != nil {
		if name == "" {
			name = "each of " + c.list
		}
		c.enter(name, v)
		m.fields(c)
	}
	c.leave(&outer)
}

// enter makes v, called name in errors, what is read. A member that is there twice
// is an error, as programs disagree about which of the two counts.
func (c *codec) enter(name string, v *fastjson.Value) {
	o, err := v.Object()
	if err != nil {
		c.fail(name + " must be an object")
		o = &fastjson.Object{}
	}
	seen := map[string]bool{}
	o.Visit(func(key []byte, _ *fastjson.Value) {
		if seen[string(key)] {
			c.fail(quote(string(key)) + " is there twice")
		}
		seen[string(key)] = true
	})
	c.from = o
}

// leave goes on where c was.
func (c *codec) leave(outer *codec) {
	c.from, c.elements, c.index, c.list, c.sparse = outer.from, outer.elements, outer.index, outer.list, outer.sparse
}

// list is a list of what f writes and reads. Written it is never null.
func list[T any](c *codec, name string, l *[]T, f func(c *codec, name string, v *T)) {
	if c.sparse && c.from == nil && len(*l) == 0 {
		return
	}
	outer := *c
	if n := c.open(name); n > 0 {
		*l = make([]T, n)
	}
	for i := range *l {
		c.index = i
		f(c, "", &(*l)[i])
	}
	c.close(&outer)
}

// open begins a list, and returns how many elements are to be read.
func (c *codec) open(name string) int {
	c.sparse = false
	if c.from == nil {
		c.raw(name, "[")
		return 0
	}
	v := c.get(name)
	if v == nil {
		return 0
	}
	elements, err := v.Array()
	c.want(err, name, "a list", "")
	c.elements, c.list = elements, name
	return len(elements)
}

func (c *codec) close(outer *codec) {
	if c.from == nil {
		c.b = append(c.b, ']')
	}
	c.leave(outer)
}

// orNull is what f writes and reads, or null, which is a nil pointer.
func orNull[T any](c *codec, name string, p **T, f func(c *codec, name string, v *T)) {
	if c.from != nil && c.get(name) != nil {
		*p = new(T)
	}
	if *p != nil {
		sparse := c.sparse
		c.sparse = false
		f(c, name, *p)
		c.sparse = sparse
	} else if c.from == nil && !c.sparse {
		c.raw(name, "null")
	}
}
