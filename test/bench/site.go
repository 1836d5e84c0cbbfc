package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// site is a box with a server that is swapped. Each server, however it was
// started, connects to the bench; that connection ends with its process:
//
//	box: PID 1 ── server ── "R" ──> reports     it is there
//	                        "A" ──> reports     an answer, see measure
//	                        end ──> reports     it is gone, whatever ended it
type site struct {
	*box
	bench   *bench
	reports *net.UnixListener
	events  chan event
	living  []*net.UnixConn // the servers, in the order of their coming
	answer  uint64          // the last one; 0: none since it was asked for
	folder  string
}

// handshakes is how many connections web accept makes for one answer.
const handshakes = 1000

// event is what a server's connection says.
type event struct {
	server *net.UnixConn
	kind   byte   // R: it is there, A: an answer, G: it is gone
	answer uint64 // of A
}

// open starts a contender, and waits until its server is there.
func (b *bench) open(c contender) (*site, error) {
	folder, err := os.MkdirTemp(b.dir, "site-")
	if err != nil {
		return nil, err
	}
	name := filepath.Join(folder, "report")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	s := &site{bench: b, reports: l, events: make(chan event, 64), folder: folder}
	go s.listen()
	argv, env, err := c.command(b, folder)
	if err == nil {
		env = append(env, "BENCH_REPORT="+name)
		s.box, err = s.boot(env, argv)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	if c.reports() {
		err = s.wait(func() bool { return len(s.living) == 1 })
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("the first server: %w", err)
	}
	return s, nil
}

// boot starts the box. What is said there is of interest when it fails only.
func (s *site) boot(env, argv []string) (*box, error) {
	said, err := os.Create(filepath.Join(s.folder, "stderr"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	return s.bench.startTo(said, env, argv...)
}

// said is the end of what was said on stderr.
func (s *site) said() string {
	text, _ := os.ReadFile(filepath.Join(s.folder, "stderr"))
	return strings.TrimSpace(string(text[max(0, len(text)-500):]))
}

// listen ends when the site is closed.
func (s *site) listen() {
	for {
		c, err := s.reports.AcceptUnix()
		if err != nil {
			return
		}
		go s.hear(c)
	}
}

// hear reads what one server says until its process ends.
func (s *site) hear(c *net.UnixConn) {
	for {
		var said [9]byte
		_, err := io.ReadFull(c, said[:1])
		if err == nil && said[0] == 'A' {
			_, err = io.ReadFull(c, said[1:])
		}
		if err != nil {
			s.events <- event{server: c, kind: 'G'}
			return
		}
		s.events <- event{c, said[0], binary.LittleEndian.Uint64(said[1:])}
	}
}

// wait takes what servers say until enough says that it is enough.
func (s *site) wait(enough func() bool) error {
	late := time.After(patience)
	for !enough() {
		select {
		case e := <-s.events:
			s.take(e)
		case <-s.Done():
			return fmt.Errorf("the supervisor ended with status %#x: %s", uint32(s.Status()), s.said())
		case <-late:
			return fmt.Errorf("%d servers: %w: %s", len(s.living), errSilent, s.said())
		}
	}
	return nil
}

func (s *site) take(e event) {
	switch e.kind {
	case 'R':
		s.living = append(s.living, e.server)
	case 'A':
		s.answer = e.answer
	case 'G':
		s.living = slices.DeleteFunc(s.living, func(c *net.UnixConn) bool { return c == e.server })
		_ = e.server.Close()
	}
}

// swap replaces the server, and waits until the new one is there and the old
// one is gone.
func (s *site) swap() error {
	old, err := s.ask()
	if err != nil {
		return err
	}
	return s.wait(func() bool { return len(s.living) == 1 && s.living[0] != old })
}

// ask asks for a swap and returns the server that is to go.
func (s *site) ask() (*net.UnixConn, error) {
	for len(s.events) > 0 {
		s.take(<-s.events)
	}
	if len(s.living) != 1 {
		return nil, fmt.Errorf("there are %d servers before the swap", len(s.living))
	}
	return s.living[0], syscall.Kill(s.Pid(), syscall.SIGHUP)
}

// close ends everything in the box at once.
func (s *site) close() {
	if s.bench.refused == nil {
		s.Kill()
		s.out.Close()
	} else {
		s.kill()
	}
	s.reports.Close()
	for _, c := range s.living {
		_ = c.Close()
	}
	_ = os.RemoveAll(s.folder)
}

// measure has the newest server (web accept, web calls) do something once, and
// returns the nanoseconds that it took.
func (s *site) measure(order byte) (float64, error) {
	s.answer = 0
	if _, err := s.living[len(s.living)-1].Write([]byte{order}); err != nil {
		return 0, err
	}
	err := s.wait(func() bool { return s.answer != 0 })
	return float64(s.answer), err
}
