package ready

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// statusLineMax bounds what is read of an answer, in bytes.
const statusLineMax = 4 << 10

// HTTP returns a probe for Poll that succeeds when the address of m answers a
// GET of its path with any 2xx. Of the answer only the status line is read.
// Each try takes at most a second and has a connection of its own, which prepare,
// if it is not nil, can steer.
func HTTP(m Mode, prepare Prepare) func(stop <-chan struct{}) error {
	addr, text := m.Addr, m.Addr.String()
	request := []byte("GET " + m.Path + " HTTP/1.1\r\n" +
		"Host: " + m.Host + "\r\n" +
		"User-Agent: swapinit\r\n" +
		"Accept: */*\r\n" +
		"Connection: close\r\n\r\n")
	ask := func(conn *os.File) error {
		if _, err := conn.Write(request); err != nil {
			return fmt.Errorf("cannot send request to %s: %w", text, err)
		}
		line, err := readStatusLine(conn)
		if err != nil {
			return fmt.Errorf("cannot read answer of %s: %w", text, err)
		}
		if code, ok := statusCode(line); !ok || code/100 != 2 {
			return errors.New(text + " answered " + quote(string(line)) + " instead of 2xx")
		}
		return nil
	}
	return func(stop <-chan struct{}) error { return connect(stop, addr, prepare, ask) }
}

// readStatusLine returns the first line without its end.
func readStatusLine(r io.Reader) ([]byte, error) {
	buf := make([]byte, statusLineMax)
	for have := 0; have < len(buf); {
		n, err := r.Read(buf[have:])
		have += n
		if end := bytes.IndexByte(buf[:have], '\n'); end >= 0 {
			if end > 0 && buf[end-1] == '\r' {
				end--
			}
			return buf[:end], nil
		}
		if err == io.EOF {
			return nil, errors.New("it ended after " + quote(string(buf[:have])) + ", before a status line did")
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("no end of line in 4096 bytes that begin with " + quote(string(buf)))
}

// statusCode takes the code out of "HTTP/d.d ddd[ text]".
func statusCode(line []byte) (int, bool) {
	const form = "HTTP/0.0 000"
	if len(line) < len(form) || len(line) > len(form) && line[len(form)] != ' ' {
		return 0, false
	}
	code := 0
	for i, c := range line[:len(form)] {
		digit := c >= '0' && c <= '9'
		if form[i] == '0' && !digit || form[i] != '0' && c != form[i] {
			return 0, false
		}
		if i >= len("HTTP/0.0 ") {
			code = 10*code + int(c-'0')
		}
	}
	return code, code >= 100
}
