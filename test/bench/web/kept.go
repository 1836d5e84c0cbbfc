package main

import (
	"bufio"
	"io"
	"net"
	"time"
)

// kept is one client's connection, which it uses for many requests. The zero
// value is none yet.
type kept struct {
	conn net.Conn
	in   *bufio.Reader
}

// again is one more request. After a failure the next one makes a new connection.
func (k *kept) again(to string, client int) error {
	err := k.request(to, client)
	if err != nil {
		k.close()
	}
	return err
}

func (k *kept) request(to string, client int) error {
	if k.conn == nil {
		c, err := dial(to, client)
		if err != nil {
			return err
		}
		k.conn, k.in = c, bufio.NewReaderSize(c, 1024)
	}
	if err := k.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(k.conn, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	return answer(k.in)
}

func (k *kept) close() {
	if k.conn != nil {
		_ = k.conn.Close()
		k.conn = nil
	}
}
