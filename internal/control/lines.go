package control

import (
	"bytes"
	"errors"
	"io"
)

var errTooLong = errors.New("line too long")

// lineReader cuts a stream into lines and holds no more than one of them.
type lineReader struct {
	r    io.Reader
	max  int
	buf  []byte
	seen int // bytes of buf that have no newline
}

// next returns the next line without its newline; nothing overwrites it later.
// What follows the last newline is no line: its sender died while it wrote.
func (l *lineReader) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.seen:], '\n'); i >= 0 {
			i += l.seen
			if i > l.max {
				return nil, errTooLong
			}
			line := l.buf[:i:i]
			l.buf, l.seen = l.buf[i+1:], 0
			if len(l.buf) == 0 {
				l.buf = nil // an idle connection keeps no buffer
			}
			return line, nil
		}
		l.seen = len(l.buf)
		if l.seen > l.max {
			return nil, errTooLong
		}
		if cap(l.buf)-l.seen < 512 {
			l.buf = append(make([]byte, 0, 2*len(l.buf)+4096), l.buf...)
		}
		n, err := l.r.Read(l.buf[l.seen:cap(l.buf)])
		l.buf = l.buf[:l.seen+n]
		if err != nil && n == 0 {
			return nil, err
		}
	}
}
