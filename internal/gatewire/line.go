package gatewire

import (
	"strconv"

	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/wire"
)

// ErrTooLarge is of a message that no line can have.
const ErrTooLarge = text.Fault("cannot send message: it is too large")

// encode makes a line of m, with its newline.
func encode(m *Message) ([]byte, error) {
	line := wire.Line(m.fields)
	if len(line)-1 > MaxLine {
		return nil, text.Errorf("%w: %d bytes, accepted are up to %d", ErrTooLarge, len(line)-1, MaxLine)
	}
	return line, nil
}

// decode reads a line. What it does not know it ignores: a kind, an op, a member.
func decode(line []byte) (*Message, error) {
	m := &Message{}
	d, version := wire.Parse(line)
	m.fields(d)
	switch {
	case d.Err != nil:
	case version != wire.Version:
		d.Fail("v is " + strconv.Itoa(version) + ", accepted: " + strconv.Itoa(wire.Version))
	case m.Kind == "":
		d.Fail("kind is missing")
	case m.FDs < 0 || m.FDs > MaxFDs:
		d.Fail("fds is " + strconv.Itoa(m.FDs) + ", accepted are up to " + strconv.Itoa(MaxFDs))
	}
	if d.Err != nil {
		return nil, text.Errorf("cannot read message: %w", d.Err)
	}
	return m, nil
}
