package gate

import (
	"bufio"
	"io"
	"net"
	"os"
	"sync"
	"testing"
)

// server answers each line with its name, for as long as the connection lives.
type server struct {
	name string
	l    net.Listener
	file *os.File // a duplicate of its listening socket
	mu   sync.Mutex
	open map[net.Conn]bool
}

func newServer(t *testing.T, name string, fd int) *server {
	t.Helper()
	f := os.NewFile(uintptr(fd), "listener")
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{name: name, l: l, file: f, open: map[net.Conn]bool{}}
	go s.accept()
	t.Cleanup(s.stop)
	return s
}

func (s *server) accept() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[c] = true
		s.mu.Unlock()
		go func() {
			for in := bufio.NewReader(c); ; {
				if _, err := in.ReadString('\n'); err != nil {
					break
				}
				if _, err := io.WriteString(c, s.name+"\n"); err != nil {
					break
				}
			}
			c.Close()
		}()
	}
}

// stop is the death of the server.
func (s *server) stop() {
	s.l.Close()
	s.file.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		c.Close()
	}
}
