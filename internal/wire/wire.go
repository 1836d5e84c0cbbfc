// Package wire writes and reads the lines of swapinit's protocols: one JSON object
// (RFC 8259) a line, with "v" first. Each type of a protocol has a func that names its
// members to a Codec, in their order, for both directions:
//
//	func (w *Worker) fields(c *wire.Codec) {
//		c.Int("pid", &w.Pid)
//		c.String("reason?", &w.Reason)
//	}
//
// A name that ends in ? is not written where the value is zero. What is absent or null is
// zero when it is read. A list is never written as null.
package wire

import (
	"math"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/shares"
)

// Version is that of the lines, the "v" of every one.
const Version = 1

// Line is the line of what fields names, with its newline.
func Line(fields func(*Codec)) []byte {
	c := &Codec{writes: true, out: strconv.AppendInt([]byte(`{"v":`), Version, 10)}
	fields(c)
	return append(c.out, "}\n"...)
}

// Object is the JSON of what fields names, in one line.
func Object(fields func(*Codec)) string {
	c := &Codec{writes: true, out: []byte{'{'}}
	fields(c)
	return string(append(c.out, '}'))
}

// Names are those of what fields names.
func Names(fields func(*Codec)) []string {
	c := &Codec{lists: true}
	fields(c)
	return c.names
}

// Codec writes or reads an object. What it reads is of no use after an error.
type Codec struct {
	writes bool
	out    []byte        // a writer's
	from   []json.Member // a reader's
	name   string        // of the member that a reader was asked for last
	lists  bool          // it reads nothing, and keeps the names
	names  []string
	Err    error // of a reader: the first thing that was wrong
}

// field begins a member. v is what a reader has, nil for none; write: a writer has to
// write the value.
func (c *Codec) field(name string, zero bool) (v json.Value, write bool) {
	name, optional := strings.CutSuffix(name, "?")
	if !c.writes {
		c.name = name
		if c.lists {
			c.names = append(c.names, name)
		}
		return Get(c.from, name), false
	}
	if optional && zero {
		return nil, false
	}
	if c.out[len(c.out)-1] != '{' {
		c.out = append(c.out, ',')
	}
	c.out = append(c.out, `"`+name+`":`...)
	return nil, true
}

// String is a string.
func (c *Codec) String(name string, p *string) {
	v, write := c.field(name, *p == "")
	switch {
	case write:
		c.out = json.AppendString(c.out, *p, math.MaxInt)
	case v != nil:
		s, ok := v.Text()
		c.want(ok, "a string")
		*p = s
	}
}

// Bool is true or false.
func (c *Codec) Bool(name string, p *bool) {
	v, write := c.field(name, !*p)
	switch {
	case write:
		c.out = strconv.AppendBool(c.out, *p)
	case v != nil:
		yes, ok := v.Bool()
		c.want(ok, "true or false")
		*p = yes
	}
}

// Raw is any value, null too, as JSON. It is read without white space between its parts.
func (c *Codec) Raw(name string, p *string) {
	if _, write := c.field(name, *p == ""); write {
		c.out = append(c.out, strings.ReplaceAll(*p, "\n", " ")...) // no string has one in it
	}
	for _, m := range c.from { // not what field has found: that passes over null
		if m.Name == c.name {
			*p = m.Value.Compact()
		}
	}
}

// Version is that of this package when it is written, whatever p has.
func (c *Codec) Version(name string, p *int) {
	if version := Version; c.writes {
		p = &version
	}
	c.Int(name, p)
}

func (c *Codec) Int64(name string, p *int64) { *p = *c.number(name, p, *p == 0, false) }

func (c *Codec) Int(name string, p *int) { c.int(name, p, false) }

// Percent is a share: 1/10000 is a number of percent on the wire.
func (c *Codec) Percent(name string, p *int) { c.int(name, p, true) }

func (c *Codec) int(name string, p *int, percent bool) {
	n := int64(*p)
	*p = int(*c.number(name, &n, n == 0, percent))
}

// Int64OrNull is null for nil, as are the next two.
func (c *Codec) Int64OrNull(name string, p **int64) { *p = c.number(name, *p, *p == nil, false) }

func (c *Codec) IntOrNull(name string, p **int) { c.intOrNull(name, p, false) }

func (c *Codec) PercentOrNull(name string, p **int) { c.intOrNull(name, p, true) }

func (c *Codec) intOrNull(name string, p **int, percent bool) {
	var n *int64
	if *p != nil {
		was := int64(**p)
		n = &was
	}
	if n = c.number(name, n, *p == nil, percent); n != nil {
		is := int(*n)
		*p = &is
	}
}

// number writes n, or returns what it reads; n where that is nothing.
func (c *Codec) number(name string, n *int64, zero, percent bool) *int64 {
	v, write := c.field(name, zero)
	switch {
	case write && n == nil:
		c.out = append(c.out, "null"...)
	case write && percent:
		c.out = append(c.out, shares.Percent(int(*n))...)
	case write:
		c.out = strconv.AppendInt(c.out, *n, 10)
	case v != nil && percent:
		share, ok := shares.Parse(string(v))
		c.want(ok, "a number from 0 to 100")
		was := int64(share)
		return &was
	case v != nil:
		is, ok := v.Int()
		c.want(ok, "an integer")
		return &is
	}
	return n
}

// Object is an object with the members that fields names, null where there is none.
func (c *Codec) Object(name string, there bool, fields func()) {
	v, write := c.field(name, !there)
	switch {
	case write && !there:
		c.out = append(c.out, "null"...)
	case write:
		c.out = append(c.out, '{')
		fields()
		c.out = append(c.out, '}')
	case v != nil:
		c.Within(c.name, v, fields)
	}
}

// List is a list of n objects. element names the members of the one with that index, which
// a reader has to add first: then index is the length of what there is.
func (c *Codec) List(name string, n int, element func(index int)) {
	c.list(name, n, func(i int, v json.Value) {
		if c.writes {
			c.out = append(c.out, '{')
			element(i)
			c.out = append(c.out, '}')
			return
		}
		c.Within("each of "+c.name, v, func() { element(i) })
	})
}

// Strings is a list of strings.
func (c *Codec) Strings(name string, p *[]string) {
	c.list(name, len(*p), func(i int, v json.Value) {
		if c.writes {
			c.out = json.AppendString(c.out, (*p)[i], math.MaxInt)
			return
		}
		s, ok := v.Text()
		c.want(ok, "a list of strings")
		*p = append(*p, s)
	})
}

// Ints is a list of integers.
func (c *Codec) Ints(name string, p *[]int) {
	c.list(name, len(*p), func(i int, v json.Value) {
		if c.writes {
			c.out = strconv.AppendInt(c.out, int64((*p)[i]), 10)
			return
		}
		n, ok := v.Int()
		c.want(ok, "a list of integers")
		*p = append(*p, int(n))
	})
}

// list calls element for each of the n that are to be written, or of those that are read.
func (c *Codec) list(name string, n int, element func(i int, v json.Value)) {
	v, write := c.field(name, n == 0)
	switch {
	case write:
		c.out = append(c.out, '[')
		for i := range n {
			if i > 0 {
				c.out = append(c.out, ',')
			}
			element(i, nil)
		}
		c.out = append(c.out, ']')
	case v != nil:
		elements, ok := v.Elements()
		c.want(ok, "a list")
		for i, v := range elements {
			element(i, v)
		}
	}
}
