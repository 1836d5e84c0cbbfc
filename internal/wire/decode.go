package wire

import (
	"errors"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/text"
)

const (
	// maxDepth is how deep a line may nest; the reply to status needs 7,
	// and what a child gets by message may have 64.
	maxDepth = 66
	// maxQuoted is how much of the sender's text a reason shows, in bytes.
	maxQuoted = 40
)

// Wrong is what is wrong with JSON, "" if nothing is. What the parser would change
// quietly is wrong too, so that nothing is done with other words than were sent.
func Wrong(b []byte) string {
	_, wrong := json.Check(b, maxDepth)
	if wrong == "" && json.HalfPair(b) {
		wrong = "has half of a surrogate pair"
	}
	return wrong
}

// Quote quotes text of the sender.
func Quote(s string) string { return text.Quote(s, maxQuoted) }

// Parse begins to read a line, of which it returns the version. What the line has is read
// by a func that names it.
func Parse(line []byte) (c *Codec, version int) {
	c = new(Codec)
	if wrong := Wrong(line); wrong != "" {
		c.Fail("it " + wrong)
		return c, 0
	}
	c.from = c.members("it", json.Line(line))
	c.Int("v", &version)
	return c, version
}

// Fail notes what is wrong with the line; the first one counts.
func (c *Codec) Fail(reason string) {
	if c.Err == nil {
		c.Err = errors.New(reason)
	}
}

// Members are those that a reader reads.
func (c *Codec) Members() []json.Member { return c.from }

// want fails unless a member is what it has to be.
func (c *Codec) want(ok bool, what string) {
	if !ok {
		c.Fail(c.name + " must be " + what)
	}
}

// Within reads the members of v, which errors call name, by a func that names them.
func (c *Codec) Within(name string, v json.Value, fields func()) {
	from, outer := c.from, c.name
	c.from = c.members(name, v)
	fields()
	c.from, c.name = from, outer
}

// members are those of an object. One that is there twice is an error, as programs disagree
// about which of the two counts.
func (c *Codec) members(name string, v json.Value) []json.Member {
	list, ok := v.Members()
	if !ok {
		c.Fail(name + " must be an object")
	}
	seen := map[string]bool{}
	for _, m := range list {
		if seen[m.Name] {
			c.Fail(Quote(m.Name) + " is there twice")
		}
		seen[m.Name] = true
	}
	return list
}

// Get is a member of an object, nil if it is absent or null.
func Get(list []json.Member, name string) json.Value {
	for _, m := range list {
		if m.Name == name && !m.Value.IsNull() {
			return m.Value
		}
	}
	return nil
}
