// Package lines cuts a stream into lines of bounded length.
package lines

import (
	"bytes"
	"errors"
	"io"
)

// ErrTooLong is of a line that has more than Reader.Max bytes.
var ErrTooLong = errors.New("line too long")

// Reader reads lines and holds little more than one of them, nothing but a small
// buffer while it waits for the next.
type Reader struct {
	From io.Reader
	Max  int // bytes of a line, without its newline

	room []byte // what buf is part of
	buf  []byte // read, and not returned yet
	seen int    // bytes of buf that have no newline
	skip bool   // what is left of a line that was too long comes first
}

// Next returns the next line without its newline, valid until it is called
// again. A line that is too long is ErrTooLong, as soon as that is known, and
// the next call goes on after it. Any other error is From's. What follows the
// last newline is no line: its sender died while it wrote.
func (l *Reader) Next() ([]byte, error) {
	for {
		i := bytes.IndexByte(l.buf[l.seen:], '\n')
		if i >= 0 {
			i += l.seen
			line := l.buf[:i]
			l.buf, l.seen = l.buf[i+1:], 0
			if l.skip {
				l.skip = false
				continue
			}
			if i > l.Max {
				return nil, ErrTooLong
			}
			return line, nil
		}
		if l.seen = len(l.buf); l.skip || l.seen > l.Max {
			l.buf, l.seen = l.buf[:0], 0
			if !l.skip {
				l.skip = true
				return nil, ErrTooLong
			}
		}
		if l.seen == 0 && len(l.room) > 4<<10 {
			l.room, l.buf = nil, nil
		}
		if cap(l.buf)-l.seen < 512 {
			// To the front where that makes room, or many short lines would be much garbage.
			if 2*l.seen+512 > len(l.room) {
				l.room = make([]byte, 2*l.seen+1024)
			}
			l.buf = l.room[:copy(l.room, l.buf)]
		}
		n, err := l.From.Read(l.buf[l.seen:cap(l.buf)])
		l.buf = l.buf[:l.seen+n]
		if err != nil && n == 0 {
			return nil, err
		}
	}
}
