// Package busy has the connections that somebody waits for, as they are told: to a member
// by its gate, and by status.
package busy

// Conn is an open connection.
type Conn struct {
	_ [0]func() // no ==, so no code for it

	Peer     string `wire:"peer"`               // the client's address and port
	AgeMS    int64  `wire:"age_ms"`             // for so many milliseconds, at least, that has been so:
	Why      string `wire:"why"`                // what keeps it from being idle, or that it is open
	Endpoint string `wire:"endpoint,omitempty"` // its name, filled in by whoever knows it
	Idle     bool   `wire:"idle,omitempty"`     // only who waits for the end of all connections waits for it
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
