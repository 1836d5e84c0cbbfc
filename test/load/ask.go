package load

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Ask makes one request on a connection, of which in is the reading side, and returns
// the first line of a complete and good answer. keep: another one is to follow; again:
// it can.
type Ask func(c net.Conn, in *bufio.Reader, keep bool) (body string, again bool, err error)

// Protocol is the request of a protocol: http, redis, memcached, postgres. A path can
// follow http, as in http:/slow.
func Protocol(name string) (Ask, error) {
	switch name, path, _ := strings.Cut(name, ":"); name {
	case "http":
		return http1(cmp.Or(path, "/")), nil
	case "redis":
		return line("PING\r\n", "+PONG"), nil
	case "memcached":
		return line("version\r\n", "VERSION "), nil
	case "postgres":
		return postgres, nil
	}
	return nil, fmt.Errorf("unknown protocol %q", name)
}

// http1 sends GET over HTTP/1.1.
func http1(path string) Ask {
	return func(c net.Conn, in *bufio.Reader, keep bool) (string, bool, error) {
		request := "GET " + path + " HTTP/1.1\r\nHost: test\r\n"
		if !keep {
			request += "Connection: close\r\n"
		}
		if _, err := io.WriteString(c, request+"\r\n"); err != nil {
			return "", false, err
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return "", false, err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return "", false, err
		}
		if answer.StatusCode != http.StatusOK {
			return "", false, fmt.Errorf("status %s", answer.Status)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		return first, keep && !answer.Close, nil
	}
}

// line is a protocol of lines: one is sent, one comes back.
func line(request, want string) Ask {
	return func(c net.Conn, in *bufio.Reader, keep bool) (string, bool, error) {
		if _, err := io.WriteString(c, request); err != nil {
			return "", false, err
		}
		answer, err := in.ReadString('\n')
		if err != nil {
			return "", false, err
		}
		answer = strings.TrimRight(answer, "\r\n")
		if !strings.HasPrefix(answer, want) {
			return "", false, fmt.Errorf("answer %q", answer)
		}
		return answer, keep, nil
	}
}

// postgres logs in to database postgres as user zoo, and asks for the backend's pid.
// Each request is a session: what a client asks in it later is in the same hands.
func postgres(c net.Conn, in *bufio.Reader, keep bool) (string, bool, error) {
	login := binary.BigEndian.AppendUint32(nil, 3<<16)
	login = append(login, "user\x00zoo\x00database\x00postgres\x00\x00"...)
	query := []byte("select 'zoo ' || pg_backend_pid()\x00")
	if err := postgresSend(c, 0, login); err != nil {
		return "", false, err
	}
	if _, err := postgresAnswer(in); err != nil {
		return "", false, err
	}
	if err := postgresSend(c, 'Q', query); err != nil {
		return "", false, err
	}
	body, err := postgresAnswer(in)
	if err != nil {
		return "", false, err
	}
	return body, false, postgresSend(c, 'X', nil)
}

// postgresSend writes one message: its kind, if it has one, its length, its content.
func postgresSend(c net.Conn, kind byte, content []byte) error {
	var message []byte
	if kind != 0 {
		message = append(message, kind)
	}
	message = binary.BigEndian.AppendUint32(message, uint32(len(content)+4))
	_, err := c.Write(append(message, content...))
	return err
}

// postgresAnswer reads until the server is ready for a query, and returns the value
// of the last row that came, if any did.
func postgresAnswer(in *bufio.Reader) (row string, err error) {
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		var size uint32
		if err := binary.Read(in, binary.BigEndian, &size); err != nil {
			return "", err
		}
		if size < 4 || size > 1<<16 {
			return "", fmt.Errorf("message %q of %d bytes", kind, size)
		}
		content := make([]byte, size-4)
		if _, err := io.ReadFull(in, content); err != nil {
			return "", err
		}
		switch kind {
		case 'Z':
			return row, nil
		case 'E':
			return "", errors.New(string(bytes.ReplaceAll(content, []byte{0}, []byte(" "))))
		case 'D': // the number of columns, the length of the first, the first
			if len(content) < 6 {
				return "", errors.New("a row without a column")
			}
			row = string(content[6:])
		}
	}
}
