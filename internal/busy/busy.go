// Package busy has the connections that somebody waits for, as they are told: to a member
// by its gate, and by status.
package busy

import "github.com/swapinit/swapinit/internal/wire"

// Conn is an open connection.
type Conn struct {
	_ [0]func() // no ==, so no code for it

	Peer     string // the client's address and port
	AgeMS    int64  // for so many milliseconds, at least, that has been so:
	Why      string // what keeps it from being idle, or that it is open
	Endpoint string // its name, filled in by whoever knows it
	Idle     bool   // only who waits for the end of all connections waits for it
}

// Fields names the members of c in a line.
func (c *Conn) Fields(w *wire.Codec) {
	w.String("peer", &c.Peer)
	w.Int64("age_ms", &c.AgeMS)
	w.String("why", &c.Why)
	w.String("endpoint?", &c.Endpoint)
	w.Bool("idle?", &c.Idle)
}

// List names a list of them in a line.
func List(w *wire.Codec, name string, list *[]Conn) {
	w.List(name, len(*list), func(i int) {
		if i == len(*list) {
			*list = append(*list, Conn{})
		}
		(*list)[i].Fields(w)
	})
}

// Most is how many are told.
const Most = 5

// Before: a is to be told before b. The oldest comes first, and what is idle last.
func Before(a, b *Conn) bool { return !a.Idle && b.Idle || a.Idle == b.Idle && a.AgeMS > b.AgeMS }

// Insert keeps the list in order, and no more than Most in it.
func Insert(list []Conn, c *Conn) []Conn {
	list = append(list, *c)
	for i := len(list) - 1; i > 0 && Before(&list[i], &list[i-1]); i-- {
		list[i], list[i-1] = list[i-1], list[i]
	}
	return list[:min(len(list), Most)]
}
