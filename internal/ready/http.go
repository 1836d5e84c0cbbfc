package ready

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/text"
)

// statusLineMax bounds what is read of an answer, in bytes.
const statusLineMax = 4 << 10

// parseHTTP makes a probe that succeeds when the address answers a GET of the
// path with any 2xx. Of the answer only the status line is read.
func parseHTTP(m *Mode, rest string, _ func(string) ([]string, error)) error {
	addr, host, path, err := parseURL(rest)
	if err != nil {
		return err
	}
	name := addr.String()
	request := []byte("GET " + path + " HTTP/1.1\r\n" +
		"Host: " + host + "\r\n" +
		"User-Agent: swapinit\r\n" +
		"Accept: */*\r\n" +
		"Connection: close\r\n\r\n")
	m.Addr = addr
	m.Probe = answers(addr, func(conn *os.File) error {
		if _, err := conn.Write(request); err != nil {
			return text.Errorf("cannot send request to %s: %w", name, err)
		}
		line, err := readStatusLine(conn)
		if err != nil {
			return text.Errorf("cannot read answer of %s: %w", name, err)
		}
		if code, ok := statusCode(line); !ok || code/100 != 2 {
			return errors.New(name + " answered " + quote(string(line)) + " instead of 2xx")
		}
		return nil
	})
	return nil
}

// parseURL reads what follows http://: the address, the value of the Host header
// and the request target, which begins with /.
func parseURL(s string) (addr netip.AddrPort, host, path string, err error) {
	host, path = s, "/"
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		host, path = s[:i], s[i:]
	}
	if host == "" {
		return addr, "", "", errors.New("the address is missing, write http://host:port/path")
	}
	if addr, err = parseHost(host, 80); err != nil {
		return addr, "", "", err
	}
	if path[0] != '/' {
		return addr, "", "", errors.New("the path must begin with /, as in http://localhost:9000/health")
	}
	for _, c := range []byte(path) {
		// The path goes into the request line as it is, so nothing may end
		// that line or split it. A fragment is never sent.
		if c <= ' ' || c >= 0x7f || c == '#' {
			return addr, "", "", errors.New("the path may hold printable ASCII only, without blanks and #; percent-encode the rest")
		}
	}
	if host[0] == ':' {
		host = "127.0.0.1" + host
	}
	return addr, host, path, nil
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
	for i, c := range line[:len(form)] {
		digit := c >= '0' && c <= '9'
		if form[i] == '0' && !digit || form[i] != '0' && c != form[i] {
			return 0, false
		}
	}
	code, _ := strconv.Atoi(string(line[len("HTTP/0.0 "):len(form)]))
	return code, code >= 100
}
